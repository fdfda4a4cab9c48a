//! Finds quickly where a form may be: each has a seed, a few bytes that every text with the form holds.
//!
//! Bytes that line breaks are made of are passed over, in the forms as in the text. So a seed is found
//! wherever a form is broken.

use zeroize::{Zeroize as _, Zeroizing};

use super::encode::Pattern;

/// The most bytes of a seed, and the fewest for which a form is searched.
const LONGEST: usize = 8;
pub(super) const SHORTEST: usize = 4;
/// How many significant bytes of a form may come before its seed.
const FARTHEST: usize = 24;
/// By how many significant bytes of a form its seed is complete.
pub(super) const REACH: usize = FARTHEST + LONGEST;

/// The seeds of all patterns.
pub(super) struct Seeds {
    /// For each byte all bits if it is significant, none otherwise.
    significance: [u8; 256],
    /// Takes as many of the recent bytes as a seed has.
    mask: u64,
    /// A bit for each hash that some seed has.
    filter: Zeroizing<Vec<u64>>,
    filter_shift: u32,
    /// In the order of their hashes.
    seeds: Vec<Seed>,
    /// Where the seeds begin whose hashes begin alike.
    buckets: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seed {
    hash: u64,
    bytes: u64,
    /// How many significant bytes of the form come before the seed's last.
    before: u8,
}

const BUCKET_BITS: u32 = 14;
const BUCKET_SHIFT: u32 = u64::BITS - BUCKET_BITS;

/// Reports whether a byte is none that a line break may be made of.
pub(super) fn is_significant(byte: u8) -> bool {
    !matches!(byte, b'\n' | b'\r' | b' ' | b'\t' | b'\\' | b'n' | b'r')
}

/// Reports whether a form has enough significant bytes for a seed.
pub(super) fn has_seed(pattern: &[u8]) -> bool {
    pattern.iter().filter(|byte| is_significant(**byte)).count() >= SHORTEST
}

impl Seeds {
    /// Chooses the seeds of patterns that have enough bytes for one.
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let significant = |pattern: &Pattern| {
            let length = FARTHEST.saturating_add(LONGEST);
            let mut bytes = Zeroizing::new(Vec::with_capacity(length));
            let kept = pattern.bytes.iter().copied();
            bytes.extend(kept.filter(|byte| is_significant(*byte)).take(length));
            bytes
        };
        let all: Vec<_> = patterns.iter().map(significant).collect();
        let shortest = all.iter().map(|bytes| bytes.len()).min().unwrap_or(LONGEST);
        let length = shortest.clamp(SHORTEST, LONGEST);
        let mut seeds: Vec<Seed> = Vec::with_capacity(all.len());
        seeds.extend(all.iter().filter_map(|bytes| Seed::choose(bytes, length)));
        seeds.sort_unstable();
        seeds.dedup();

        let bits = seeds.len().saturating_mul(64).max(1).ilog2().clamp(12, 23);
        let mut filter = Zeroizing::new(vec![0; 1 << bits >> 6]);
        let filter_shift = u64::BITS.saturating_sub(bits);
        for seed in &seeds {
            let (word, bit) = place(seed.hash, filter_shift);
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
        }
        let buckets = (0..=1_u64 << BUCKET_BITS).map(|bucket| {
            let before = seeds.partition_point(|seed| seed.hash >> BUCKET_SHIFT < bucket);
            u32::try_from(before).unwrap_or(u32::MAX)
        });
        let significance = |byte: u8| if is_significant(byte) { u8::MAX } else { 0 };
        let mut bytes = 0..=u8::MAX;
        Self {
            significance: std::array::from_fn(|_| bytes.next().map_or(0, significance)),
            mask: u64::MAX >> (u64::BITS as usize).saturating_sub(length.saturating_mul(8)),
            filter,
            filter_shift,
            buckets: buckets.collect(),
            seeds,
        }
    }

    /// Calls back for each seed in the text: with the place after its last byte, and how many significant
    /// bytes of the form come before that byte. `recent` are the last significant bytes before the text.
    pub(super) fn find(&self, recent: &mut Recent, text: &[u8], mut found: impl FnMut(usize, u8)) {
        let (mut last, mut rest) = (*recent.0, text);
        while let Some((hash, after)) = self.next(&mut last, rest) {
            rest = after;
            let end = text.len().saturating_sub(rest.len());
            for known in self.alike(hash) {
                if known.bytes == last & self.mask {
                    found(end, known.before);
                }
            }
        }
        *recent.0 = last;
    }

    /// Goes through the text to a byte that may end a seed. Returns the hash and the text after it.
    #[inline(never)]
    fn next<'a>(&self, recent: &mut u64, text: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let (mut last, mut bytes) = (*recent, text.iter());
        let found = loop {
            let Some(byte) = bytes.next() else {
                break None;
            };
            let significance = self.significance.get(usize::from(*byte));
            let significance = significance.copied().unwrap_or(0);
            last = last << (significance & 8) | u64::from(byte & significance);
            let hash = hash(last & self.mask);
            let (word, bit) = place(hash, self.filter_shift);
            let may_be_one = self.filter.get(word).is_some_and(|word| word & bit != 0);
            if may_be_one && significance != 0 {
                break Some((hash, bytes.as_slice()));
            }
        };
        *recent = last;
        found
    }

    #[cold]
    fn alike(&self, hash: u64) -> &[Seed] {
        let bucket = usize::try_from(hash >> BUCKET_SHIFT).unwrap_or(0);
        let bounds = self.buckets.get(bucket..=bucket.saturating_add(1));
        match bounds {
            Some([low, high]) => self.seeds.get(*low as usize..*high as usize),
            _ => None,
        }
        .unwrap_or_default()
    }
}

impl Seed {
    /// Chooses the bytes that ordinary text is the least likely to have: of many kinds.
    fn choose(significant: &[u8], length: usize) -> Option<Self> {
        let windows = (0..=FARTHEST).zip(significant.windows(length));
        let rarity = |window: &[u8]| {
            let kinds: [fn(&u8) -> bool; 4] = [
                u8::is_ascii_digit,
                u8::is_ascii_uppercase,
                |byte| !byte.is_ascii_alphanumeric(),
                |byte| !byte.is_ascii(),
            ];
            let of_kinds = kinds
                .iter()
                .map(|kind| window.iter().filter(|byte| kind(byte)).count());
            let distinct = (1..)
                .zip(window)
                .filter(|(next, byte)| !window.iter().skip(*next).any(|other| other == *byte));
            of_kinds
                .map(|count| count.min(2))
                .sum::<usize>()
                .saturating_add(distinct.count())
        };
        // Of equal ones the first: less of the text is looked at again.
        let (start, window) =
            windows.min_by_key(|(_, window)| std::cmp::Reverse(rarity(window)))?;
        let bytes = window
            .iter()
            .fold(0, |bytes: u64, byte| bytes << 8 | u64::from(*byte));
        let before = start.saturating_add(length).saturating_sub(1);
        Some(Self {
            hash: hash(bytes),
            bytes,
            before: u8::try_from(before).ok()?,
        })
    }
}

fn hash(bytes: u64) -> u64 {
    bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Returns the word of the filter for a hash, and the bit in it.
fn place(hash: u64, shift: u32) -> (usize, u64) {
    let index = hash >> (shift & 63);
    let word = usize::try_from(index >> 6).unwrap_or(usize::MAX);
    (word, 1 << (index & 63))
}

impl Drop for Seeds {
    fn drop(&mut self) {
        for seed in &mut self.seeds {
            seed.hash.zeroize();
            seed.bytes.zeroize();
        }
    }
}

/// The last significant bytes of a text.
pub(super) struct Recent(Zeroizing<u64>);

impl Recent {
    pub(super) fn none() -> Self {
        Self(Zeroizing::new(0))
    }
}
