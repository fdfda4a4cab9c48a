//! Two actions measured side by side, so that their ratio holds whatever else the machine does.

use std::time::Instant;

const ROUNDS: usize = 301;
const ITERATIONS: u32 = 200_000;

/// Nanoseconds for each run of the two actions: the median of all rounds.
pub struct Pair {
    pub subject: f64,
    pub baseline: f64,
}

impl Pair {
    pub fn ratio(&self) -> f64 {
        self.subject / self.baseline
    }
}

/// Measures both in turn, many short rounds of each, so that a change of clock speed or a noisy
/// neighbour meets both alike. Which one begins changes from round to round.
///
/// The actions keep the compiler from seeing through them with [`std::hint::black_box`].
pub fn interleaved(mut subject: impl FnMut(), mut baseline: impl FnMut()) -> Pair {
    let (mut subjects, mut baselines) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            subjects.push(time(&mut subject));
            baselines.push(time(&mut baseline));
        } else {
            baselines.push(time(&mut baseline));
            subjects.push(time(&mut subject));
        }
    }
    Pair {
        subject: median(subjects),
        baseline: median(baselines),
    }
}

fn time(action: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..ITERATIONS {
        action();
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(ITERATIONS)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
