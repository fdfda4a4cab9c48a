//! Two actions measured side by side, so that their ratio holds whatever else the machine does.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3_000;
const ITERATIONS: u32 = 20_000;

/// Nanoseconds for each run of the two actions.
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
/// neighbour meets both alike. The fastest of all rounds counts: what else a machine does can only add
/// to the time that an action of few cycles needs.
///
/// The actions keep the compiler from seeing through them with [`std::hint::black_box`].
pub fn interleaved(mut subject: impl FnMut(), mut baseline: impl FnMut()) -> Pair {
    let mut fastest = Pair {
        subject: f64::INFINITY,
        baseline: f64::INFINITY,
    };
    for _ in 0..ROUNDS {
        fastest.subject = fastest.subject.min(time(&mut subject));
        fastest.baseline = fastest.baseline.min(time(&mut baseline));
    }
    fastest
}

/// Measures both in turn, one run of each, and takes the medians: what waits for a disk or for another
/// process has no fastest run that would tell anything.
pub fn alternating(
    rounds: usize,
    mut subject: impl FnMut() -> Result<(), Box<dyn Error>>,
    mut baseline: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Pair, Box<dyn Error>> {
    let (mut subjects, mut baselines) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let started = Instant::now();
        subject()?;
        subjects.push(started.elapsed());
        let started = Instant::now();
        baseline()?;
        baselines.push(started.elapsed());
    }
    Ok(Pair {
        subject: median(subjects),
        baseline: median(baselines),
    })
}

/// Waits until the files that were just written count as not changing: what was read of one that may
/// still be changing is never used twice.
pub fn let_it_settle() {
    thread::sleep(Duration::from_secs(4));
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    let middle = times.get(times.len() / 2).copied();
    middle.unwrap_or_default().as_secs_f64() * 1e9
}

fn time(action: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..ITERATIONS {
        action();
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(ITERATIONS)
}
