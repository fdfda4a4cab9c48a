//! The dotenv grammar, and documents that keep every byte they are not asked to change.
//!
//! The grammar is published in `docs/dotenv.md`; this file and that page say the same.

use std::collections::HashMap;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::backends::files::fault::{Fault, line};

mod parser;
mod quoting;

#[cfg(test)]
mod tests;

use parser::{Entry, Parser, is_key};
pub(super) use quoting::quote;
use quoting::unescape;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A checked document: its text, and where in it the variables stand.
pub(super) struct Dotenv {
    text: Zeroizing<Vec<u8>>,
    entries: Vec<Entry>,
}

impl Dotenv {
    pub(super) fn parse(text: Zeroizing<Vec<u8>>) -> Result<Self, Fault> {
        if let Err(error) = std::str::from_utf8(&text) {
            return Err(Fault::at(
                &text,
                error.valid_up_to(),
                "this is not UTF-8 text",
            ));
        }
        if let Some(at) = text.iter().position(|byte| *byte == 0) {
            return Err(Fault::at(
                &text,
                at,
                "a NUL character can't be part of a variable",
            ));
        }
        let mut parser = Parser { text: &text, at: 0 };
        parser.skip(BOM);
        let mut entries = Vec::new();
        while parser.at < text.len() {
            entries.extend(parser.line()?);
        }
        check_duplicates(&text, &entries)?;
        Ok(Self { text, entries })
    }

    /// Returns the whole text; what was parsed and not changed is the same, byte for byte.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| self.key(entry))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys().any(|found| found == key)
    }

    /// Returns the value of a variable, without its quotes and with its escapes decoded.
    pub(super) fn value(&self, key: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.decoded(self.entry(key)?)
    }

    /// Returns every variable in order, with the line it begins in and its value.
    pub(super) fn into_values(self) -> impl Iterator<Item = (String, usize, Zeroizing<Vec<u8>>)> {
        // Lines are counted in one pass.
        let (mut at, mut lines) = (0, 1_usize);
        let mut found = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let between = self.text.get(at..entry.key.start).unwrap_or_default();
            lines = lines.saturating_add(line(between).saturating_sub(1));
            at = entry.key.start;
            let value = self.decoded(entry).unwrap_or_default();
            found.push((self.key(entry).to_owned(), lines, value));
        }
        found.into_iter()
    }

    fn decoded(&self, entry: &Entry) -> Option<Zeroizing<Vec<u8>>> {
        let raw = self.text.get(entry.value.clone())?;
        let quoted = |quote: &[u8]| raw.strip_prefix(quote)?.strip_suffix(quote);
        Some(match (quoted(b"'"), quoted(b"\"")) {
            (Some(literal), _) => Zeroizing::new(literal.to_vec()),
            (None, Some(escaped)) => unescape(escaped),
            (None, None) => Zeroizing::new(raw.to_vec()),
        })
    }

    /// Sets a variable: in its place, or in a new line at the end.
    ///
    /// # Errors
    /// A sentence, if `key` is no variable or `value` holds a NUL.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        if !is_key(key.as_bytes()) {
            return Err("the name has no spelling as a variable, which begins with a letter");
        }
        if value.contains('\0') {
            return Err("a dotenv file can't hold a value with a NUL character");
        }
        let value = quote(value);
        let changed = match self.entry(key).map(|entry| entry.value.clone()) {
            Some(range) => self.splice(range, &[&value]),
            None => {
                let newline = self.newline();
                let ends_in_line = self.text.len() > self.start() && !self.text.ends_with(b"\n");
                let before = if ends_in_line { newline } else { b"" };
                let end = self.text.len();
                self.splice(end..end, &[before, key.as_bytes(), b"=", &value, newline])
            }
        };
        changed.map_err(|_| "the file could not be read back with this value")
    }

    /// Takes a variable out, with its lines.
    pub(super) fn remove(&mut self, key: &str) -> Result<(), Fault> {
        match self.entry(key).map(|entry| entry.lines.clone()) {
            Some(lines) => self.splice(lines, &[]),
            None => Ok(()),
        }
    }

    /// Replaces a range of the text. The entries are found again, so that they always fit it.
    fn splice(&mut self, range: Range<usize>, parts: &[&[u8]]) -> Result<(), Fault> {
        let (before, after) = (
            self.text.get(..range.start).unwrap_or_default(),
            self.text.get(range.end..).unwrap_or_default(),
        );
        let pieces = || {
            [before]
                .into_iter()
                .chain(parts.iter().copied())
                .chain([after])
        };
        let length = pieces().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        pieces().for_each(|piece| text.extend_from_slice(piece));
        *self = Self::parse(text)?;
        Ok(())
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| self.key(entry) == key)
    }

    fn key(&self, entry: &Entry) -> &str {
        let key = self.text.get(entry.key.clone()).unwrap_or_default();
        std::str::from_utf8(key).unwrap_or_default()
    }

    /// Where the text begins after a byte order mark.
    fn start(&self) -> usize {
        if self.text.starts_with(BOM) {
            BOM.len()
        } else {
            0
        }
    }

    /// The newline of the first line.
    fn newline(&self) -> &'static [u8] {
        let end = self.text.iter().position(|byte| *byte == b'\n');
        match end.and_then(|end| self.text.get(end.checked_sub(1)?)) {
            Some(b'\r') => b"\r\n",
            _ => b"\n",
        }
    }
}

fn check_duplicates(text: &[u8], entries: &[Entry]) -> Result<(), Fault> {
    let mut seen = HashMap::new();
    for entry in entries {
        let key = text.get(entry.key.clone()).unwrap_or_default();
        if let Some(first) = seen.insert(key, entry) {
            let line_of = |entry: &Entry| line(text.get(..entry.key.start).unwrap_or_default());
            let what = format!(
                "the variable `{}` is there twice, first in line {}",
                String::from_utf8_lossy(key),
                line_of(first)
            );
            return Err(Fault::in_line(line_of(entry), what));
        }
    }
    Ok(())
}
