//! The dotenv grammar, and documents that keep every byte they are not asked to change.
//!
//! The grammar is published in `docs/dotenv.md`; this file and that page say the same.

use std::collections::HashMap;
use std::ops::Range;

use zeroize::Zeroizing;

use super::document::{Fault, line};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A checked document: its text, and where in it the variables stand.
pub(super) struct Dotenv {
    text: Zeroizing<Vec<u8>>,
    entries: Vec<Entry>,
}

/// One variable, as ranges of the text.
struct Entry {
    key: Range<usize>,
    /// With its quotes, without a comment.
    value: Range<usize>,
    /// From the line's first byte to the end of the line that the value ends in, newline included.
    lines: Range<usize>,
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
        let entry = self.entry(key)?;
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

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// Parses one line, or the lines of one quoted value.
    fn line(&mut self) -> Result<Option<Entry>, Fault> {
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

    fn skip(&mut self, expected: &[u8]) -> bool {
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

fn is_key(word: &[u8]) -> bool {
    let ok = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric();
    word.first().is_some_and(|first| !first.is_ascii_digit()) && word.iter().all(ok)
}

/// What an escape inside double quotes stands for.
fn escaped(byte: u8) -> Option<u8> {
    match byte {
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'\\' | b'"' | b'$' => Some(byte),
        _ => None,
    }
}

fn unescape(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next().and_then(escaped)),
            byte => out.push(byte),
        }
    }
    out
}

/// Writes a value so that this grammar reads it back, and so that other tools agree where they can.
fn quote(value: &str) -> Zeroizing<Vec<u8>> {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    let double = |byte: u8| byte == b'\'' || byte.is_ascii_control();
    // Each byte becomes two at most, and two quotes stand around them.
    let mut out = Zeroizing::new(Vec::with_capacity(
        value.len().saturating_mul(2).saturating_add(2),
    ));
    if value.bytes().all(bare) {
        out.extend_from_slice(value.as_bytes());
    } else if value.bytes().any(double) {
        out.push(b'"');
        for byte in value.bytes() {
            match byte {
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\\' | b'"' | b'$' => out.extend_from_slice(&[b'\\', byte]),
                byte => out.push(byte),
            }
        }
        out.push(b'"');
    } else {
        out.push(b'\'');
        out.extend_from_slice(value.as_bytes());
        out.push(b'\'');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CANARY: &str = "canary-b22e";

    fn parse(text: &str) -> Result<Dotenv, Fault> {
        Dotenv::parse(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn value(dotenv: &Dotenv, key: &str) -> String {
        String::from_utf8(dotenv.value(key).unwrap().to_vec()).unwrap()
    }

    /// The examples of docs/dotenv.md.
    #[test]
    fn reads() {
        for (text, expected) in [
            ("A=b", "b"),
            ("A=pa$word", "pa$word"),
            ("A=${B}", "${B}"),
            ("export A=b\n", "b"),
            ("  A = b  \n", "b"),
            ("A=", ""),
            ("A=\r\n", ""),
            ("A=''", ""),
            ("A=a b c", "a b c"),
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=#b", "#b"),
            ("A= # c", ""),
            ("A='b # c' # d", "b # c"),
            ("A='b\\n'", "b\\n"),
            ("A=\"b\\n\\r\\t\\\\\\\"\\$\"", "b\n\r\t\\\"$"),
            ("A=\"b\nc\"\nB=d", "b\nc"),
            ("A='b\r\nc'\r\n", "b\r\nc"),
            ("A=it's", "it's"),
            ("A=b\\n", "b\\n"),
            ("\u{feff}A=b", "b"),
            ("# c\n\n\t\nA=b", "b"),
            ("A=ä😀", "ä😀"),
        ] {
            assert_eq!(value(&parse(text).unwrap(), "A"), expected, "{text:?}");
        }
        assert_eq!(value(&parse("export=x").unwrap(), "export"), "x");
        assert_eq!(value(&parse("export =x").unwrap(), "export"), "x");
    }

    #[test]
    fn refuses_with_the_line_and_without_the_text() {
        for (text, line) in [
            (format!("A=b\n{CANARY}"), 2),
            (format!("A=b\n\n{CANARY}=x"), 3),
            (format!("A='{CANARY}\nB=c\n"), 1),
            (format!("B=1\nA=\"{CANARY}\n\n"), 2),
            (format!("A=\"{CANARY}\\q\""), 1),
            (format!("A='{CANARY}'x"), 1),
            (format!("A='{CANARY}'#x"), 1),
            (format!("A={CANARY}\rB=c"), 1),
            (format!("export A\nB={CANARY}"), 1),
            (format!("1A={CANARY}"), 1),
            (format!("={CANARY}"), 1),
            (format!("A={CANARY}\0"), 1),
            (format!("A={CANARY}\nB=c\nA={CANARY}"), 3),
        ] {
            let fault = parse(&text).err().expect(&text);
            assert_eq!(fault.line, line, "{text:?}");
            let shown = format!("{:?}", fault.in_file(".env".as_ref()));
            assert!(!shown.contains(CANARY), "{shown}");
        }
        let fault = parse("A=1\n#\nA=2").err().unwrap();
        assert!(
            fault.what.contains("`A`") && fault.what.contains("line 1"),
            "{}",
            fault.what
        );
        assert!(
            Dotenv::parse(Zeroizing::new(b"A=b\nB=\xff".to_vec()))
                .err()
                .unwrap()
                .line
                == 2
        );
    }

    #[test]
    fn changes_one_variable_and_nothing_else() {
        let text = "\u{feff}# top\r\nexport A = 'old' # why\r\n\r\nB=\"x\ny\"\r\nC= # none\r\nD=d";
        let mut dotenv = parse(text).unwrap();
        dotenv.set("A", "new value").unwrap();
        dotenv.set("C", "c").unwrap();
        dotenv.set("E", "e'$").unwrap();
        dotenv.remove("B").unwrap();
        assert_eq!(
            String::from_utf8_lossy(dotenv.text()),
            "\u{feff}# top\r\nexport A = 'new value' # why\r\n\r\nC=c # none\r\nD=d\r\nE=\"e'\\$\"\r\n"
        );
    }

    #[test]
    fn refuses_to_write_what_it_could_not_read() {
        let mut dotenv = parse("").unwrap();
        assert!(dotenv.set("1A", "x").is_err());
        assert!(dotenv.set("A B", "x").is_err());
        assert!(dotenv.set("A", "x\0").is_err());
        dotenv.set("A", "").unwrap();
        assert_eq!(dotenv.text(), b"A=\n");
    }

    fn documents() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "[ \t]{0,3}",
            "[ \t]{0,2}#[^\r\n\\x00]{0,10}",
            "(export )?[A-Z_][A-Z0-9_]{0,2}=[a-z$# \"']{0,8}",
            "[A-Z]{1,3} ?= ?'[^'\\x00]{0,8}'( # x)?",
            "[A-Z]{1,3}=\"([^\"\\\\\\x00]|\\\\[nrt\"\\\\$]){0,8}\"",
        ];
        let ended = (line, prop_oneof![Just("\n"), Just("\r\n")]);
        (prop::collection::vec(ended, 0..8), any::<bool>()).prop_map(|(lines, bom)| {
            let mut text = String::from(if bom { "\u{feff}" } else { "" });
            lines
                .iter()
                .for_each(|(line, end)| text.extend([line.as_str(), end]));
            text
        })
    }

    proptest! {
        #[test]
        fn keeps_every_byte(text in documents()) {
            if let Ok(dotenv) = parse(&text) {
                prop_assert_eq!(dotenv.text(), text.as_bytes());
            }
        }

        #[test]
        fn what_is_put_is_read_and_the_rest_stays(text in documents(), new in any::<String>()) {
            prop_assume!(!new.contains('\0'));
            let Ok(before) = parse(&text) else { return Ok(()) };
            let keys: Vec<_> = before.keys().map(str::to_owned).collect();
            for key in keys.iter().map(String::as_str).chain(["NEW_KEY"]) {
                let mut dotenv = parse(&text).unwrap();
                dotenv.set(key, &new).unwrap();
                prop_assert_eq!(value(&dotenv, key), new.as_str());
                for other in keys.iter().filter(|other| *other != key) {
                    prop_assert_eq!(value(&dotenv, other), value(&before, other));
                }
                let mut without = parse(&text).unwrap();
                without.remove(key).unwrap();
                prop_assert!(!without.has(key));
                prop_assert_eq!(without.keys().count(), keys.iter().filter(|k| *k != key).count());
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>, text in "[A-B=\"'#\\\\ \r\n$xport]{0,40}") {
            let _ = Dotenv::parse(Zeroizing::new(bytes));
            if let Ok(dotenv) = parse(&text) {
                prop_assert_eq!(dotenv.text(), text.as_bytes());
                for key in dotenv.keys() {
                    prop_assert!(dotenv.value(key).is_some());
                }
            }
        }
    }
}
