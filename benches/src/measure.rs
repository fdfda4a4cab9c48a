//! Two actions measured side by side, so that their ratio holds whatever else the machine does.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// An action that is run so many times.
pub type Repeated<'a> = Box<dyn Fn(u32) + Sync + 'a>;

/// Makes an action one that can be run on several threads, many times at each call.
pub fn repeated<'a>(action: impl Fn() + Sync + 'a) -> Repeated<'a> {
    Box::new(move |times| {
        for _ in 0..times {
            action();
        }
    })
}

/// Nanoseconds for each run of an action: alone, and on two threads that run it at the same time.
#[derive(Clone, Copy)]
pub struct Threads {
    pub one: f64,
    pub two: f64,
}

/// Measures all actions in turn, many short rounds of each, as [`interleaved`] does.
///
/// The two threads stay on two processors, and are timed together, from the beginning of the first to the
/// end of the last. So the fastest round is one in which both ran all the time: one after the other would
/// have taken twice as long.
pub fn on_one_and_two_threads(actions: &[Repeated<'_>]) -> Vec<Threads> {
    const ROUNDS: usize = 1_000;
    let never = Threads {
        one: f64::INFINITY,
        two: f64::INFINITY,
    };
    let mut fastest = vec![never; actions.len()];
    let meeting = Meeting::default();
    let other = Mutex::default();
    let beginning = Instant::now();
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    let stay_on = |at: usize| {
        // Where that is not allowed, the system decides, and mostly for two.
        let _ = processors
            .get(at)
            .map(|id| core_affinity::set_for_current(*id));
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            stay_on(1);
            for action in (0..ROUNDS).flat_map(|_| actions) {
                meeting.wait();
                *lock(&other) = timed(action, beginning);
                meeting.wait();
            }
        });
        // Not on the caller's thread, which stays free to run anywhere.
        scope.spawn(|| {
            stay_on(0);
            for (at, action) in (0..ROUNDS).flat_map(|_| actions.iter().enumerate()) {
                let (began, ended) = timed(action, beginning);
                let one = ended.saturating_sub(began);
                meeting.wait();
                let (began, ended) = timed(action, beginning);
                meeting.wait();
                let other = *lock(&other);
                let two = ended.max(other.1).saturating_sub(began.min(other.0));
                if let Some(fastest) = fastest.get_mut(at) {
                    fastest.one = fastest.one.min(each(one));
                    fastest.two = fastest.two.min(each(two));
                }
            }
        });
    });
    fastest
}

const TIMES: u32 = 5_000;

fn each(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(TIMES)
}

/// Returns when a round began and ended.
fn timed(action: &Repeated<'_>, beginning: Instant) -> (Duration, Duration) {
    let began = beginning.elapsed();
    action(TIMES);
    (began, beginning.elapsed())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where two threads wait for each other without falling asleep: waking up would take a round's time.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    fn wait(&self) {
        let arrived = self.0.fetch_add(1, Ordering::AcqRel);
        let both = arrived | 1;
        while self.0.load(Ordering::Acquire) <= both {
            thread::yield_now();
        }
    }
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
