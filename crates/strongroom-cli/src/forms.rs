//! Known values in every form in which they leak into text.
//!
//! A form is the value as it is, in base64 (standard and URL-safe, wherever its first byte falls in a group
//! of three, with the characters at both ends that it shares with its neighbours), percent-encoded,
//! escaped for JSON (once or twice) or a shell, or in hexadecimal digits. Each may have line breaks
//! anywhere: line ends of any kind, `\n` and `\r` as two characters with any number of backslashes, a
//! backslash before a line end, and the indentation of the next line, [`GAP`](walk::GAP) bytes at a place.
//! The line ends of a value of several lines are such breaks, so they match in any form and when missing.
//!
//! Text is searched in pieces of any size, in memory that depends on the values only: see [`Search`].
//! Three steps make it fast and exact. [`seeds`] finds a few bytes of each form by a filter of bits, at
//! about a nanosecond for a byte of text. From where the form then must begin, [`walk`] reads along the
//! sorted patterns of [`index`], which decides. At the end of a piece [`Search`] keeps what has begun.
//!
//! # What is wiped
//! The patterns, the seeds and the filter are overwritten when they are dropped, as are the encoders' buffers.
//! What is not: registers and the stack of the search, which hold up to eight bytes of the text.

use strongroom::{Finding, Secret, SecretName};

mod encode;
mod index;
mod search;
mod seeds;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use search::Search;

use index::Index;
use seeds::Seeds;

/// The fewest bytes of a value that is searched. Shorter ones would be found in ordinary text.
pub(crate) const SHORTEST_VALUE: usize = 6;

/// The values to search for, in all their forms.
pub(crate) struct KnownForms {
    names: Vec<SecretName>,
    index: Index,
    seeds: Seeds,
}

/// How a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Raw,
    Shell,
    Json,
    Hex,
    Base64,
    Base64Url,
    Percent,
}

impl Form {
    /// Returns the word for it: `raw`, `base64` and so on.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Shell => "shell",
            Self::Json => "json",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Percent => "percent",
        }
    }
}

/// A value in some form, at a place of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) name: &'a SecretName,
    pub(crate) form: Form,
    /// Where it begins, in bytes of the whole text.
    pub(crate) offset: u64,
    /// How many bytes of the text it is, line breaks included.
    pub(crate) length: u64,
}

impl KnownForms {
    /// Prepares the search for these values. Returns a warning for each that is not searched, because it
    /// is too short or too common.
    ///
    /// Of secrets with equal values the first one's name is found. Line ends around a value are no part of
    /// what is searched.
    pub(crate) fn new<'a>(
        values: impl IntoIterator<Item = (&'a SecretName, &'a Secret)>,
    ) -> (Self, Vec<Finding>) {
        let (mut names, mut patterns, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        for (name, secret) in values {
            // EXPOSES: to patterns of its forms, which are wiped and never shown
            let value = trim_line_ends(secret.expose_bytes());
            let without_breaks = encode::without_line_ends(value);
            if without_breaks.len() < SHORTEST_VALUE || !seeds::has_seed(&without_breaks) {
                warnings.push(unsearchable(name, without_breaks.len()));
                continue;
            }
            let number = u32::try_from(names.len()).unwrap_or(u32::MAX);
            names.push(name.clone());
            let forms = encode::patterns(number, value).into_iter();
            patterns.extend(forms.filter(|pattern| seeds::has_seed(&pattern.bytes)));
        }
        let index = Index::new(patterns);
        let seeds = Seeds::new(index.patterns());
        let forms = Self {
            names,
            index,
            seeds,
        };
        (forms, warnings)
    }

    /// Begins the search through a text that arrives in pieces.
    pub(crate) fn search(&self) -> Search<'_> {
        Search::new(self)
    }

    /// Finds the forms in a whole text: the longest at each start, in the order of their starts.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<Found<'_>> {
        let mut search = self.search();
        search.read(text);
        search.end();
        search.take_found()
    }

    /// Returns the names of the values.
    pub(crate) fn names(&self) -> &[SecretName] {
        &self.names
    }

    /// Reports whether there is nothing to search for.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn trim_line_ends(mut value: &[u8]) -> &[u8] {
    while let [b'\n' | b'\r', rest @ ..] | [rest @ .., b'\n' | b'\r'] = value {
        value = rest;
    }
    value
}

fn unsearchable(name: &SecretName, length: usize) -> Finding {
    let message = match length {
        0 => "it has no value to search for".to_owned(),
        length if length < SHORTEST_VALUE => format!(
            "its value is not searched for: with fewer than {SHORTEST_VALUE} bytes it is in ordinary text"
        ),
        _ => "its value is not searched for: but for n, r, backslashes and blanks, of which line breaks are made, \
              it has too few characters"
            .to_owned(),
    };
    let help = match length {
        0 => "",
        _ => "give it a longer, random value: `strongroom generate`",
    };
    Finding::warning(Some(name), "not-searched", message, help)
}
