//! Times of one subject, by class.

use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;
use std::time::Instant;

use crate::subjects::Subject;

/// The times of both classes, in nanoseconds.
pub struct Times(pub [Vec<f64>; 2]);

/// Times so many calls. Which class comes next is random, so that whatever else the machine does meets
/// both.
pub fn measure(subject: &mut Subject, count: usize) -> Times {
    let mut times = Times([Vec::with_capacity(count), Vec::with_capacity(count)]);
    let mut random = Random::new();
    let mut candidate = subject.classes[0].clone();
    // Caches, predictors and clock speeds settle first.
    let warming = count / 20;
    for number in 0..count + warming {
        let class = usize::from(random.bit());
        select(&mut candidate, &subject.classes, class);
        let started = Instant::now();
        for _ in 0..subject.repeats {
            black_box((subject.check)(black_box(&candidate)));
        }
        let took = started.elapsed();
        if number >= warming {
            times.0[class].push(took.as_secs_f64() * 1e9);
        }
    }
    times
}

/// Copies one class to the place that both are compared at. Both are read whichever it is: else what the
/// caches hold afterwards would tell them apart, even where both are the same.
fn select(candidate: &mut [u8], [first, second]: &[Vec<u8>; 2], class: usize) {
    let mask = black_box(if class == 0 { 0 } else { u8::MAX });
    for ((byte, first), second) in candidate.iter_mut().zip(first).zip(second) {
        *byte = first ^ (mask & (first ^ second));
    }
}

/// Marsaglia's xorshift64, seeded anew each time.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bit(&mut self) -> bool {
        self.next() >> 63 == 1
    }
}
