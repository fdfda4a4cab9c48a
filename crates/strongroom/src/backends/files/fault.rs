//! What is wrong in a document, and where.

use std::path::Path;

use crate::error::{Error, ErrorKind};

/// What a parser found wrong, and where. Never the text it found it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends) struct Fault {
    pub(in crate::backends) what: String,
    /// From 1.
    pub(in crate::backends) line: usize,
    /// From 1; `None` where only the line is known.
    pub(in crate::backends) column: Option<usize>,
}

impl Fault {
    /// Makes a fault of a place in `text`, given in bytes.
    pub(in crate::backends) fn at(text: &[u8], offset: usize, what: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let column = before
            .len()
            .saturating_sub(start.map_or(0, |at| at.saturating_add(1)));
        Self {
            what: what.into(),
            line: line(before),
            column: Some(column.saturating_add(1)),
        }
    }

    pub(in crate::backends) fn in_line(line: usize, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            line,
            column: None,
        }
    }

    pub(in crate::backends) fn in_file(self, path: &Path) -> Error {
        self.in_document(&path.display().to_string())
    }

    /// The same for a document that may be no file: standard input, for example.
    pub(in crate::backends) fn in_document(self, origin: &str) -> Error {
        let line = self.line;
        let place = match self.column {
            Some(column) => format!("{origin}, line {line}, column {column}"),
            None => format!("{origin}, line {line}"),
        };
        Error::new(ErrorKind::Malformed, format!("{place}: {}", self.what))
    }
}

/// The line that follows `before`, from 1.
pub(in crate::backends) fn line(before: &[u8]) -> usize {
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    newlines.saturating_add(1)
}
