//! The lines of a sealed file, one after the other; each ends with one LF.

use super::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;

/// Walks through the lines.
pub(super) struct Lines<'a> {
    text: &'a str,
    /// Where the next line begins.
    pub(super) at: usize,
    /// The number of the line before it.
    pub(super) number: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            number: 0,
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next line without its newline, and where it begins.
    pub(super) fn next(&mut self) -> Result<(usize, &'a str)> {
        self.number = self.number.saturating_add(1);
        let Some((line, _)) = self.rest().split_once('\n') else {
            return Err(self.wrong("the file ends too early"));
        };
        let start = self.at;
        self.at = start.saturating_add(line.len()).saturating_add(1);
        Ok((start, line))
    }

    /// The next line, which is a word and one field.
    pub(super) fn field<T>(
        &mut self,
        word: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T> {
        let (_, line) = self.next()?;
        line.strip_prefix(word).and_then(read).ok_or_else(|| {
            let what = format!("this is not a line `{}`", word.trim_end());
            self.wrong(&what)
        })
    }

    /// The next line, which belongs to an entry.
    pub(super) fn place(&mut self, places: &mut Vec<Place>) -> Result<()> {
        let (start, line) = self.next()?;
        let (word, name) = line.split_once(' ').unwrap_or((line, ""));
        let name = name.split_once(' ').map_or(name, |(name, _)| name);
        let name_at = start.saturating_add(word.len()).saturating_add(1);
        let range = name_at..name_at.saturating_add(name.len());
        let last = places.last_mut();
        let last_name = last
            .as_ref()
            .and_then(|last| self.text.get(last.name.clone()));
        match word {
            "entry" => {
                if !SecretName::is_valid(name) || name.contains('#') {
                    return Err(self.wrong("this is not the name of a secret"));
                }
                if last_name.is_some_and(|last| last >= name) {
                    return Err(self.wrong("the entries are not in the order of their names"));
                }
                places.push(Place {
                    lines: start..self.at,
                    name: range,
                    previous: self.at,
                });
                Ok(())
            }
            "previous" => match last {
                Some(last) if last_name == Some(name) && last.previous == last.lines.end => {
                    last.lines.end = self.at;
                    Ok(())
                }
                _ => Err(self.wrong("a previous value stands without its entry")),
            },
            "<<<<<<<" | "=======" | ">>>>>>>" => Err(self
                .wrong("git left the marks of a conflict here")
                .with_help("check one side out, or let `strongroom init --git` set up the merge")),
            _ => Err(self.wrong("this is neither an entry nor the seal")),
        }
    }

    pub(super) fn wrong(&self, what: &str) -> Error {
        wrong(self.number.max(1), what)
    }
}

pub(super) fn wrong(line: usize, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("line {line}: {what}"))
        .with_help("restore the file from a copy that you trust, from git for example")
}

pub(super) fn at_line(line: usize, error: &Error) -> Error {
    let error_at = Error::new(error.kind(), format!("line {line}: {error}"));
    match error.help() {
        Some(help) => error_at.with_help(help),
        None => error_at,
    }
}
