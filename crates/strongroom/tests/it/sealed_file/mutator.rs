//! Inputs that are almost sealed files: each follows from its number and the fixtures, nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use strongroom::sealed_file::{SealedFile, SlotKey};
use strongroom::{ErrorKind, Secret};

/// Files that [`key`] opens: without entries, with some and their former values, and with slots of
/// several types.
pub(super) const FIXTURES: [&str; 3] = [
    include_str!("fixtures/empty.sealed"),
    include_str!("fixtures/entries.sealed"),
    include_str!("fixtures/slots.sealed"),
];

/// What stands in sealed files, what almost does, and what parsers trip over.
const WORDS: &[&str] = &[
    "strongroom-sealed 1\n",
    "strongroom-sealed 2\n",
    "file ",
    "epoch ",
    "slot ",
    "entry ",
    "previous ",
    "seal ",
    " raw ",
    " passphrase 1048576 3 4 ",
    " passphrase 4294967295 8 4 ",
    " x25519 ",
    " 0 ",
    " 1 ",
    "00",
    " -1 ",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999",
    "AAAAAAAAAAAAAAAAAAAAAA",
    "=",
    "+/",
    "\n",
    "\r\n",
    "\0",
    " ",
    "  ",
    "\t",
    "/",
    "../",
    "#",
    "\u{feff}",
    "\u{2028}",
    "ü",
    "<<<<<<< ours\n",
    "=======\n",
    ">>>>>>> theirs\n",
];

/// The key of the fixtures. They hold nothing.
pub(super) fn key() -> SlotKey {
    SlotKey::from_text(&Secret::from_text(include_str!("fixtures/key.txt").trim())).unwrap()
}

/// What became of the inputs.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) inputs: u64,
    /// How many were refused with each kind of error.
    pub(super) refused: BTreeMap<String, u64>,
    /// How many mutations undid each other, so that a fixture came out.
    pub(super) unchanged: u64,
    pub(super) slowest: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slowest = self.slowest.as_secs_f64() * 1e3;
        write!(f, "{} inputs: refused as ", self.inputs)?;
        for (kind, count) in &self.refused {
            write!(f, "{kind} {count}, ")?;
        }
        let unchanged = self.unchanged;
        write!(f, "unchanged {unchanged}; the slowest took {slowest:.1} ms")
    }
}

/// Opens the inputs of these numbers, on all processors.
///
/// # Panics
/// If one opens that is no fixture, is refused with an error that is none of a file's, or panics; the
/// message tells its number.
pub(super) fn run(numbers: Range<u64>) -> Report {
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let share = |n: u64| numbers.start + (numbers.end - numbers.start) * n / threads;
    let mut whole = Report::default();
    thread::scope(|scope| {
        let start = |n| scope.spawn(move || run_alone(share(n)..share(n + 1)));
        let running: Vec<_> = (0..threads).map(start).collect();
        for part in running.into_iter().map(|thread| thread.join().unwrap()) {
            whole.inputs += part.inputs;
            whole.unchanged += part.unchanged;
            whole.slowest = whole.slowest.max(part.slowest);
            for (kind, count) in part.refused {
                *whole.refused.entry(kind).or_default() += count;
            }
        }
    });
    whole
}

fn run_alone(numbers: Range<u64>) -> Report {
    // In memory where there is such a place: how fast a disk is does not matter here.
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = memory.unwrap();
    let path = dir.path().join("secrets.sealed");
    // Written over, not anew: file systems bring a file that is written anew to the disk at once.
    let file = File::create(&path).unwrap();
    let key = key();
    let mut report = Report::default();
    for number in numbers {
        let input = input(number);
        file.write_all_at(&input, 0).unwrap();
        file.set_len(input.len() as u64).unwrap();
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            SealedFile::open(&path, key.clone()).map(drop)
        }));
        report.slowest = report.slowest.max(started.elapsed());
        report.inputs += 1;
        match outcome {
            Err(_) => panic!("input {number} panics"),
            Ok(Ok(())) => {
                let is_fixture = FIXTURES.iter().any(|text| text.as_bytes() == input);
                assert!(is_fixture, "input {number} is accepted");
                report.unchanged += 1;
            }
            Ok(Err(error)) => {
                let of_a_file = matches!(
                    error.kind(),
                    ErrorKind::Malformed
                        | ErrorKind::Denied
                        | ErrorKind::Integrity
                        | ErrorKind::Unsupported
                );
                assert!(of_a_file, "input {number}: {error:?}");
                *report.refused.entry(error.kind().to_string()).or_default() += 1;
            }
        }
    }
    report
}

/// Makes the input of a number.
pub(super) fn input(number: u64) -> Vec<u8> {
    let mut random = Random::new(number);
    if random.below(50) == 0 {
        let length = random.below(300);
        return (0..length).map(|_| random.next() as u8).collect();
    }
    let mut bytes = random.choose(&FIXTURES).as_bytes().to_vec();
    for _ in 0..=random.below(4) {
        mutate(&mut bytes, &mut random);
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(40)).min(bytes.len());
    match random.below(11) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next() as u8,
        2 => drop(bytes.drain(at..end)),
        3 => {
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        4 => drop(bytes.splice(at..at, random.choose(WORDS).bytes())),
        5 => drop(bytes.splice(at..end, random.choose(WORDS).bytes())),
        6 => bytes.truncate(at),
        7 => {
            let other = random.choose(&FIXTURES).as_bytes();
            let from = random.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        8 => mutate_parts(bytes, b'\n', random),
        // Of all lines, a field may come to stand anywhere.
        9 => mutate_parts(bytes, b' ', random),
        _ => number(bytes, random),
    }
}

/// Swaps, repeats, removes or borrows one of the parts between the separators.
fn mutate_parts(bytes: &mut Vec<u8>, separator: u8, random: &mut Random) {
    let mut parts: Vec<&[u8]> = bytes.split(|byte| *byte == separator).collect();
    let (one, other) = (random.below(parts.len()), random.below(parts.len()));
    match random.below(4) {
        0 => parts.swap(one, other),
        1 => parts.insert(other, parts[one]),
        2 => drop(parts.remove(one)),
        _ => {
            let foreign = random.choose(&FIXTURES).as_bytes();
            let foreign: Vec<&[u8]> = foreign.split(|byte| *byte == separator).collect();
            parts[one] = random.choose(&foreign);
        }
    }
    *bytes = parts.join(&separator);
}

/// Replaces a run of digits by another number.
fn number(bytes: &mut Vec<u8>, random: &mut Random) {
    let from = random.below(bytes.len() + 1);
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = bytes[from..].iter().position(is_digit) else {
        return;
    };
    let start = from + start;
    let digits = bytes[start..].iter().take_while(|byte| is_digit(byte));
    let end = start + digits.count();
    let number = random.next() >> random.below(64);
    bytes.splice(start..end, number.to_string().bytes());
}

/// Numbers that look random and follow from a seed.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of the generator SplitMix64.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn choose<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
