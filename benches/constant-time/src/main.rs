//! Tells by statistics whether the time of a comparison depends on what is compared, in the manner of
//! dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017).
//!
//! Each subject is asked about two classes of candidates in random order, and Welch's t-test says whether the
//! two sets of times differ. An ordinary `==` is among the subjects, and has to be found; so is a
//! comparison of one candidate with itself, which shows whether this machine is quiet enough to tell.

mod measure;
mod subjects;
mod welch;

use std::process::ExitCode;

use measure::measure;
use subjects::{Expected, Subject};

const ROUNDS: u32 = 3;

/// Above this a difference is certain; dudect's threshold.
const CERTAIN: f64 = 10.0;

/// Below this there is none to be seen: chance goes so far in one of 100,000 tests.
const SUSPICIOUS: f64 = 4.5;

/// How often a suspicion is looked into with twice as many measurements: that of a leak grows with
/// them, that of chance doesn't.
const DOUBLINGS: u32 = 3;

fn main() -> ExitCode {
    pin_to_one_core();
    let mut failures = 0;
    for round in 1..=ROUNDS {
        println!("round {round} of {ROUNDS}");
        for mut subject in subjects::all() {
            let (t, measured) = examine(&mut subject);
            let (verdict, is_right) = match subject.expected {
                Expected::Leak if t > CERTAIN => ("found, as it must be", true),
                Expected::Leak => ("NOT FOUND", false),
                Expected::Quiet if t < SUSPICIOUS => ("quiet", true),
                Expected::Quiet => ("LEAKS", false),
            };
            failures += u32::from(!is_right);
            println!(
                "  |t| = {t:8.2} of {measured:7}  {verdict:20}  {}",
                subject.name
            );
        }
    }
    if failures == 0 {
        println!("{ROUNDS} of {ROUNDS} rounds: each planted leak found, everything else quiet");
        return ExitCode::SUCCESS;
    }
    println!("{failures} verdicts are not as expected; a busy machine can be the reason");
    ExitCode::FAILURE
}

/// Returns the largest |t|, and of how many measurements.
fn examine(subject: &mut Subject) -> (f64, usize) {
    let mut count = subject.measurements;
    for _ in 0..DOUBLINGS {
        let t = welch::largest_t(&measure(subject, count));
        if !(SUSPICIOUS..CERTAIN).contains(&t) {
            return (t, count);
        }
        count *= 2;
    }
    (welch::largest_t(&measure(subject, count)), count)
}

/// A thread that moves between cores brings times of two clocks and two caches together.
fn pin_to_one_core() {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let pinned = cores
        .last()
        .is_some_and(|core| core_affinity::set_for_current(*core));
    println!(
        "{}",
        if pinned {
            "on one core"
        } else {
            "not pinned to a core"
        }
    );
}
