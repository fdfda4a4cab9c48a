//! All patterns in order, so that those which begin alike are neighbours.

use std::cmp::Ordering;

use zeroize::Zeroize as _;

use super::encode::Pattern;

/// How many bytes are compared at once.
const STRIDE: usize = 32;
const LONG_STRIDE: usize = 1024;

/// A pattern, or one with one of the characters that may stand before it.
pub(super) struct Entry {
    pattern: u32,
    lead: Option<u8>,
    /// The ASCII characters that may follow it as a part of it, a bit each.
    tail: u128,
}

/// The patterns in order.
pub(super) struct Index {
    patterns: Vec<Pattern>,
    entries: Vec<Entry>,
    /// Where the entries of each first byte begin.
    first: Vec<u32>,
}

/// Entries that are alike so far.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: u32,
    pub(super) high: u32,
}

impl Range {
    pub(super) fn one(entry: u32) -> Self {
        Self {
            low: entry,
            high: entry.saturating_add(1),
        }
    }

    pub(super) fn is_one(self) -> bool {
        self.high.saturating_sub(self.low) == 1
    }
}

impl Index {
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        let mut entries = Vec::new();
        for (number, pattern) in (0..).zip(&patterns) {
            let tail = pattern.tail.iter().fold(0, |tail, byte| tail | bit(*byte));
            let leads = pattern.lead.iter().copied().map(Some);
            entries.extend(std::iter::once(None).chain(leads).map(|lead| Entry {
                pattern: number,
                lead,
                tail,
            }));
        }
        let mut index = Self {
            patterns,
            entries: Vec::new(),
            first: Vec::new(),
        };
        // Stable: of equal ones the first secret's first form stays.
        entries.sort_by(|a, b| index.compare(a, b));
        entries.dedup_by(|later, earlier| {
            let same = index.compare(later, earlier) == Ordering::Equal;
            if same {
                earlier.tail |= later.tail;
            }
            same
        });
        index.entries = entries;
        index.first = (0..=256_u32)
            .map(|byte| {
                let before = |entry: &Entry| index.byte(entry, 0).map(u32::from) < Some(byte);
                to_u32(index.entries.partition_point(before))
            })
            .collect();
        index
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        self.bytes(a).cmp(self.bytes(b))
    }

    fn bytes<'a>(&'a self, entry: &Entry) -> impl Iterator<Item = u8> + 'a {
        let pattern = self.patterns.get(entry.pattern as usize);
        let bytes = pattern.map_or(&[][..], |pattern| &pattern.bytes);
        entry.lead.into_iter().chain(bytes.iter().copied())
    }

    fn byte(&self, entry: &Entry, depth: u32) -> Option<u8> {
        let bytes = &self.patterns.get(entry.pattern as usize)?.bytes;
        match entry.lead {
            None => bytes.get(depth as usize).copied(),
            Some(lead) => match depth.checked_sub(1) {
                None => Some(lead),
                Some(depth) => bytes.get(depth as usize).copied(),
            },
        }
    }

    /// Returns the entries that begin with a byte.
    pub(super) fn starting(&self, byte: u8) -> Option<Range> {
        let at = usize::from(byte);
        let low = *self.first.get(at)?;
        let high = *self.first.get(at.saturating_add(1))?;
        (low < high).then_some(Range { low, high })
    }

    /// Returns those of a range that go on with a byte after `depth` bytes.
    pub(super) fn narrow(&self, range: Range, depth: u32, byte: u8) -> Option<Range> {
        let entries = self.entries.get(range.low as usize..range.high as usize)?;
        if let [entry] = entries {
            return (self.byte(entry, depth) == Some(byte)).then_some(range);
        }
        let from = entries.partition_point(|entry| self.byte(entry, depth) < Some(byte));
        let rest = entries.get(from..)?;
        let count = rest.partition_point(|entry| self.byte(entry, depth) <= Some(byte));
        let low = range.low.saturating_add(to_u32(from));
        let high = low.saturating_add(to_u32(count));
        (low < high).then_some(Range { low, high })
    }

    /// Returns the entry of a range that ends after `depth` bytes.
    pub(super) fn ending(&self, range: Range, depth: u32) -> Option<u32> {
        let entry = self.entries.get(range.low as usize)?;
        self.byte(entry, depth).is_none().then_some(range.low)
    }

    /// Counts bytes of text that a range of one entry goes on with, none of which ends the entry or may
    /// begin a line break: a quick look ahead in long values, not always all of them.
    pub(super) fn common(&self, range: Range, depth: u32, text: &[u8]) -> usize {
        let ahead = || {
            let entry = self.entries.get(range.low as usize)?;
            let skipped = depth.checked_sub(u32::from(entry.lead.is_some()))?;
            let bytes = &self.patterns.get(entry.pattern as usize)?.bytes;
            let (_, before_last) = bytes.split_last()?;
            before_last.get(skipped as usize..)
        };
        let ahead = ahead().unwrap_or_default();
        let strides = |length| {
            let same = ahead.chunks_exact(length).zip(text.chunks_exact(length));
            let same = same.take_while(|(known, text)| known == text && !known.contains(&b'\\'));
            same.count().saturating_mul(length)
        };
        match strides(LONG_STRIDE) {
            0 => strides(STRIDE),
            common => common,
        }
    }

    pub(super) fn may_follow(&self, entry: u32, byte: u8) -> bool {
        let entry = self.entries.get(entry as usize);
        entry.is_some_and(|entry| byte.is_ascii() && entry.tail & bit(byte) != 0)
    }

    pub(super) fn has_tail(&self, entry: u32) -> bool {
        let entry = self.entries.get(entry as usize);
        entry.is_some_and(|entry| entry.tail != 0)
    }

    pub(super) fn pattern(&self, entry: u32) -> Option<&Pattern> {
        let entry = self.entries.get(entry as usize)?;
        self.patterns.get(entry.pattern as usize)
    }
}

fn bit(byte: u8) -> u128 {
    1_u128.checked_shl(u32::from(byte)).unwrap_or(0)
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Drop for Index {
    fn drop(&mut self) {
        for entry in &mut self.entries {
            entry.lead.zeroize();
            entry.tail.zeroize();
        }
    }
}
