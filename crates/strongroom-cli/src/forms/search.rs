//! Finds forms in a text that arrives in pieces.

use super::index::Index;
use super::seeds::{REACH, Recent, is_significant};
use super::walk::{Best, Walk};
use super::{Found, KnownForms};

/// A search through one text. It keeps no text, only where it stands in forms that have begun.
pub(crate) struct Search<'a> {
    forms: &'a KnownForms,
    recent: Recent,
    /// How much has been read.
    position: u64,
    /// What has begun and may be, or become, a form.
    open: Vec<Walk>,
    found: Vec<Found<'a>>,
}

impl<'a> Search<'a> {
    pub(super) fn new(forms: &'a KnownForms) -> Self {
        Self {
            forms,
            recent: Recent::none(),
            position: 0,
            open: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Reads the next piece of the text.
    pub(crate) fn read(&mut self, text: &[u8]) {
        let (forms, start) = (self.forms, self.position);
        for walk in std::mem::take(&mut self.open) {
            self.follow(walk, start, text);
        }
        let mut recent = std::mem::replace(&mut self.recent, Recent::none());
        forms.seeds.find(&mut recent, text, |end, before| {
            let read = text.get(..end).unwrap_or_default();
            // One that began in an earlier piece is open already.
            if let Some(starts) = starts(read, before) {
                for start in starts {
                    self.start(start, text);
                }
            }
        });
        self.recent = recent;
        // What began so late that its seed may be missing.
        for start in tail(text) {
            self.start(start, text);
        }
        self.open.sort_unstable_by_key(|walk| walk.start);
        self.open.dedup_by_key(|walk| walk.start);
        self.position = start.saturating_add(text.len() as u64);
    }

    /// Ends the text: what is open becomes no longer.
    pub(crate) fn end(&mut self) {
        for walk in std::mem::take(&mut self.open) {
            self.close(&walk);
        }
    }

    /// Returns where the first form begins that is still open. What begins earlier has been found.
    pub(crate) fn open_from(&self) -> Option<u64> {
        self.open.first().map(|walk| walk.start)
    }

    /// Takes what has been found since: the longest form at each start, in the order of their starts.
    /// They may overlap.
    pub(crate) fn take_found(&mut self) -> Vec<Found<'a>> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|found| found.offset);
        found.dedup_by_key(|found| found.offset);
        found
    }

    fn start(&mut self, at: usize, text: &[u8]) {
        let Some((first, rest)) = text.get(at..).and_then(<[u8]>::split_first) else {
            return;
        };
        let start = self.position.saturating_add(at as u64);
        if let Some(walk) = Walk::begin(&self.forms.index, start, *first) {
            self.follow(walk, start.saturating_add(1), rest);
        }
    }

    fn follow(&mut self, mut walk: Walk, position: u64, text: &[u8]) {
        match walk.advance(&self.forms.index, position, text) {
            true => self.open.push(walk),
            false => self.close(&walk),
        }
    }

    fn close(&mut self, walk: &Walk) {
        let index: &'a Index = &self.forms.index;
        let Some(Best { end, entry }) = walk.best else {
            return;
        };
        let pattern = index.pattern(entry);
        let name = pattern.and_then(|pattern| self.forms.names.get(pattern.secret as usize));
        if let (Some(pattern), Some(name)) = (pattern, name) {
            self.found.push(Found {
                name,
                form: pattern.form,
                offset: walk.start,
                length: end.saturating_sub(walk.start),
            });
        }
    }
}

/// Returns where a form may begin whose seed ends the text: with the significant byte so many before its
/// last, or with what is not significant before that, or with the one significant byte before both.
fn starts(text: &[u8], before: u8) -> Option<std::ops::RangeInclusive<usize>> {
    let mut significant = text.iter().enumerate().rev();
    let mut significant = significant
        .by_ref()
        .filter(|(_, byte)| is_significant(**byte));
    let (first, _) = significant.nth(usize::from(before))?;
    let earliest = significant.next().map_or(0, |(at, _)| at);
    Some(earliest..=first)
}

/// Returns the places of a text behind which there are too few bytes for every seed.
fn tail(text: &[u8]) -> std::ops::Range<usize> {
    let significant = text.iter().enumerate().rev();
    let mut significant = significant.filter(|(_, byte)| is_significant(**byte));
    let start = significant
        .nth(REACH.saturating_add(1))
        .map_or(0, |(at, _)| at);
    start..text.len()
}
