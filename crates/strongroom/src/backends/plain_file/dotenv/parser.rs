//! The grammar's lines, parsed to ranges of the text.

use std::ops::Range;

use super::quoting::escaped;
use crate::backends::files::fault::Fault;

/// One variable, as ranges of the text.
pub(super) struct Entry {
    pub(super) key: Range<usize>,
    /// With its quotes, without a comment.
    pub(super) value: Range<usize>,
    /// From the line's first byte to the end of the line that the value ends in, newline included.
    pub(super) lines: Range<usize>,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl Parser<'_> {
    /// Parses one line, or the lines of one quoted value.
    pub(super) fn line(&mut self) -> Result<Option<Entry>, Fault> {
        let start = self.at;
        self.blanks();
        if self.end_of_line() {
            return Ok(None);
        }
        if self.peek() == Some(b'#') {
            self.rest_of_line()?;
            return Ok(None);
        }
        let mut key = self.word();
        if self.text.get(key.clone()) == Some(b"export")
            && self.blanks()
            && self.peek() != Some(b'=')
        {
            key = self.word();
        }
        if !is_key(self.text.get(key.clone()).unwrap_or_default()) {
            // The line may be part of a value that lacks its quotes: it is never shown.
            let what = "this is neither a variable, `KEY=value`, nor a comment";
            return Err(Fault::at(self.text, start, what));
        }
        self.blanks();
        if !self.skip(b"=") {
            return Err(Fault::at(
                self.text,
                self.at,
                "a `=` must follow the variable's name",
            ));
        }
        let value = self.value()?;
        Ok(Some(Entry {
            key,
            value,
            lines: start..self.at,
        }))
    }

    fn value(&mut self) -> Result<Range<usize>, Fault> {
        let empty = self.at..self.at;
        let had_blank = self.blanks();
        match self.peek() {
            Some(quote @ (b'\'' | b'"')) => self.quoted(quote),
            Some(b'#') if had_blank => self.rest_of_line().map(|()| empty),
            None | Some(b'\n' | b'\r') => self.rest_of_line().map(|()| empty),
            Some(_) => self.unquoted(),
        }
    }

    /// Up to the end of the line, or to the blank before a `#`; blanks at the end don't count.
    fn unquoted(&mut self) -> Result<Range<usize>, Fault> {
        let start = self.at;
        let mut end = start;
        let mut after_blank = false;
        while let Some(byte) = self.peek().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
            if byte == b'#' && after_blank {
                break;
            }
            after_blank = is_blank(byte);
            self.at = self.at.saturating_add(1);
            if !after_blank {
                end = self.at;
            }
        }
        self.rest_of_line()?;
        Ok(start..end)
    }

    fn quoted(&mut self, quote: u8) -> Result<Range<usize>, Fault> {
        let start = self.at;
        self.at = self.at.saturating_add(1);
        loop {
            match self.peek() {
                None => return Err(Fault::at(self.text, start, "this quote is never closed")),
                Some(byte) if byte == quote => break,
                Some(b'\\') if quote == b'"' => {
                    self.at = self.at.saturating_add(1);
                    if self.peek().and_then(escaped).is_none() {
                        let what =
                            "inside double quotes `\\` begins \\n, \\r, \\t, \\\\, \\\" or \\$";
                        return Err(Fault::at(self.text, self.at.saturating_sub(1), what));
                    }
                }
                Some(_) => {}
            }
            self.at = self.at.saturating_add(1);
        }
        self.at = self.at.saturating_add(1);
        let value = start..self.at;
        let had_blank = self.blanks();
        match self.peek() {
            Some(b'#') if had_blank => {}
            None | Some(b'\n' | b'\r') => {}
            Some(_) => {
                let what = "only a blank and a comment may follow the closing quote";
                return Err(Fault::at(self.text, self.at, what));
            }
        }
        self.rest_of_line()?;
        Ok(value)
    }

    /// Skips what is left of the line, and its newline.
    fn rest_of_line(&mut self) -> Result<(), Fault> {
        while !self.end_of_line() {
            if self.peek() == Some(b'\r') {
                let what = "a carriage return stands alone: lines end in LF or CRLF";
                return Err(Fault::at(self.text, self.at, what));
            }
            self.at = self.at.saturating_add(1);
        }
        Ok(())
    }

    /// Skips a newline; `true` at the end of the text too.
    fn end_of_line(&mut self) -> bool {
        self.at >= self.text.len() || self.skip(b"\r\n") || self.skip(b"\n")
    }

    fn word(&mut self) -> Range<usize> {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|b| b == b'_' || b.is_ascii_alphanumeric())
        {
            self.at = self.at.saturating_add(1);
        }
        start..self.at
    }

    fn blanks(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(is_blank) {
            self.at = self.at.saturating_add(1);
        }
        self.at > start
    }

    pub(super) fn skip(&mut self, expected: &[u8]) -> bool {
        let found = self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(expected));
        if found {
            self.at = self.at.saturating_add(expected.len());
        }
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn is_key(word: &[u8]) -> bool {
    let ok = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric();
    word.first().is_some_and(|first| !first.is_ascii_digit()) && word.iter().all(ok)
}
