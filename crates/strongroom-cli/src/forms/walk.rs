//! Reads text from one start along all patterns at once, across line breaks.

use super::index::{Index, Range};

/// The most bytes that the breaks between two characters of a form may have together: line ends with
/// their indentation.
pub(super) const GAP: u8 = 64;

/// A start in the text from which a form may follow.
pub(super) struct Walk {
    pub(super) start: u64,
    /// The longest form found so far.
    pub(super) best: Option<Best>,
    states: Vec<State>,
}

/// A form that ends here.
#[derive(Clone, Copy)]
pub(super) struct Best {
    pub(super) end: u64,
    pub(super) entry: u32,
}

/// One way to understand the text so far: a byte that breaks a line may also be the value's own.
#[derive(Clone, Copy)]
struct State {
    range: Range,
    depth: u32,
    stage: Stage,
    place: Place,
    /// How many bytes of a break were skipped.
    gap: u8,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Within the pattern.
    Body,
    /// After the pattern, where a character may follow that is partly the value's.
    Tail,
    /// After that one, where base64 may be padded so often.
    Padding(u8),
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Line,
    /// After backslashes, which an `n`, an `r` or a line end makes a break.
    Backslashes,
    /// After a line end, where the next line may be indented.
    Indentation,
    /// After a line end between backslashes and what they are for.
    Split,
}

impl Walk {
    /// Begins at a byte of the text, which some pattern begins with.
    pub(super) fn begin(index: &Index, start: u64, byte: u8) -> Option<Self> {
        let state = State {
            range: index.starting(byte)?,
            depth: 1,
            stage: Stage::Body,
            place: Place::Line,
            gap: 0,
        };
        Some(Self {
            start,
            best: None,
            states: vec![state],
        })
    }

    /// Goes on through the text at `position`. Reports whether what follows may matter.
    pub(super) fn advance(&mut self, index: &Index, position: u64, text: &[u8]) -> bool {
        let mut next = Vec::new();
        let mut rest = text;
        while let Some((byte, after)) = rest.split_first() {
            if let Some(ahead) = self.skip(index, rest) {
                rest = ahead;
                continue;
            }
            rest = after;
            let read = text.len().saturating_sub(rest.len());
            let end = position.saturating_add(read as u64);
            for state in &self.states {
                if let Some(entry) = state.step(index, *byte, &mut next) {
                    self.best = Some(Best { end, entry });
                }
            }
            std::mem::swap(&mut self.states, &mut next);
            next.clear();
            if self.states.is_empty() {
                return false;
            }
        }
        true
    }

    /// Goes quickly through what only one pattern can be. Returns the text after it.
    fn skip<'a>(&mut self, index: &Index, text: &'a [u8]) -> Option<&'a [u8]> {
        let [state] = self.states.as_mut_slice() else {
            return None;
        };
        let is_plain = state.range.is_one() && state.place == Place::Line;
        if !is_plain || state.stage != Stage::Body {
            return None;
        }
        let common = index.common(state.range, state.depth, text);
        let depth = u32::try_from(common).ok().filter(|common| *common > 0)?;
        state.depth = state.depth.saturating_add(depth);
        text.get(common..)
    }
}

impl State {
    /// Reads one byte: adds what may follow, and returns what is complete.
    fn step(self, index: &Index, byte: u8, next: &mut Vec<State>) -> Option<u32> {
        let gap = self.gap.saturating_add(1);
        if gap <= GAP {
            for place in self.broken(byte) {
                let place = *place;
                State { place, gap, ..self }.add_to(next);
            }
        }
        // Backslashes that are no break are read as text by another state.
        if matches!(self.place, Place::Backslashes | Place::Split) {
            return None;
        }
        let after = State {
            place: Place::Line,
            gap: 0,
            ..self
        };
        match self.stage {
            Stage::Body => after.consume(index, byte, next),
            Stage::Tail if index.may_follow(self.range.low, byte) => {
                let stage = Stage::Padding(2);
                State { stage, ..after }.add_to(next);
                Some(self.range.low)
            }
            Stage::Padding(left) if byte == b'=' => {
                if let Some(left) = left.checked_sub(1).filter(|left| *left > 0) {
                    let stage = Stage::Padding(left);
                    State { stage, ..after }.add_to(next);
                }
                Some(self.range.low)
            }
            _ => None,
        }
    }

    /// Returns where a byte may lead that belongs to a line break.
    fn broken(self, byte: u8) -> &'static [Place] {
        match (self.place, byte) {
            (_, b'\\') => &[Place::Backslashes],
            (Place::Backslashes, b'n' | b'r' | b'\n' | b'\r') => {
                &[Place::Indentation, Place::Split]
            }
            (Place::Split, b'n' | b'r') => &[Place::Indentation],
            (Place::Split, b'\n' | b'\r' | b' ' | b'\t') => &[Place::Split],
            (_, b'\n' | b'\r') => &[Place::Indentation],
            (Place::Indentation, b' ' | b'\t') => &[Place::Indentation],
            _ => &[],
        }
    }

    /// Reads a byte as one of the pattern's.
    fn consume(self, index: &Index, byte: u8, next: &mut Vec<State>) -> Option<u32> {
        let range = index.narrow(self.range, self.depth, byte)?;
        let after = State {
            range,
            depth: self.depth.saturating_add(1),
            ..self
        };
        let complete = index.ending(range, after.depth);
        if complete.is_none() || !range.is_one() {
            after.add_to(next);
        }
        if let Some(entry) = complete.filter(|entry| index.has_tail(*entry)) {
            let tail = State {
                range: Range::one(entry),
                stage: Stage::Tail,
                ..after
            };
            tail.add_to(next);
        }
        complete
    }

    fn add_to(self, states: &mut Vec<State>) {
        let same = |known: &&mut State| {
            known.range == self.range
                && known.depth == self.depth
                && known.stage == self.stage
                && known.place == self.place
        };
        match states.iter_mut().find(same) {
            Some(known) => known.gap = known.gap.min(self.gap),
            None => states.push(self),
        }
    }
}
