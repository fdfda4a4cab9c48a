//! A sealed file as lines: split and checked, nothing decrypted. docs/sealed-file.md is its page.

use std::ops::Range;

use super::crypto::FORMAT;
use super::entries::{DataKey, Entry};
use super::fields::{self, FileId};
use super::slots::{MAX_SLOTS, Slot};
use crate::error::{Error, ErrorKind, Result};

mod lines;

use lines::{Lines, at_line, wrong};

/// The most bytes that a sealed file may have.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A file that has the form of a sealed file. Whether anybody changed it, its seal will say.
pub(super) struct Document {
    text: String,
    pub(super) id: FileId,
    pub(super) epoch: u64,
    pub(super) slots: Vec<Slot>,
    places: Vec<Place>,
    /// How many bytes the seal is over.
    sealed: usize,
    pub(super) seal: [u8; 32],
}

/// Where the lines of one name are.
struct Place {
    /// The `entry` line, and the `previous` line where there is one.
    lines: Range<usize>,
    name: Range<usize>,
    /// Where the `previous` line begins; the end of the lines where there is none.
    previous: usize,
}

impl Document {
    /// Splits a file into its lines, and checks the order of them, the header, the slots and the
    /// names. The other fields of an entry are checked where it is read.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a newer format; [`ErrorKind::Malformed`], with the line, for
    /// anything that a writer of this format would have written otherwise.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            return Err(wrong(
                1,
                "the file is larger than 64 MiB, which is the most",
            ));
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong(1, "this is not a sealed file"))?;
        let mut lines = Lines::new(&text);
        check_format(text.split('\n').next().unwrap_or_default())?;
        lines.next()?;
        let id = lines.field("file ", |field| field.parse().ok())?;
        let epoch = lines.field("epoch ", |field| fields::number(field).filter(|n| *n > 0))?;
        let mut slots: Vec<Slot> = Vec::new();
        while lines.rest().starts_with("slot ") {
            let (_, line) = lines.next()?;
            let slot = Slot::parse(line).map_err(|error| at_line(lines.number, &error))?;
            if slots.last().is_some_and(|last| last.id >= slot.id) {
                return Err(lines.wrong("the slots are not in the order of their ids"));
            }
            slots.push(slot);
            if slots.len() > MAX_SLOTS {
                return Err(lines.wrong("a sealed file has at most 8 slots"));
            }
        }
        if slots.is_empty() {
            return Err(lines.wrong("a sealed file has at least one slot"));
        }
        let mut places: Vec<Place> = Vec::new();
        while !lines.rest().starts_with("seal ") {
            lines.place(&mut places)?;
        }
        let sealed = lines.at;
        let seal = lines.field("seal ", fields::hex)?;
        if !lines.rest().is_empty() {
            return Err(lines.wrong("there is something after the seal"));
        }
        Ok(Self {
            id,
            epoch,
            slots,
            places,
            sealed,
            seal,
            text,
        })
    }

    /// Checks the seal over every byte before it.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] if any of them was changed.
    pub(super) fn check_seal(&self, data: &DataKey) -> Result<()> {
        use hmac::Mac as _;
        let covered = self.text.get(..self.sealed).unwrap_or_default();
        let mac = super::crypto::mac(&data.seal()?, &[covered])?;
        mac.verify_slice(&self.seal).map_err(|_| {
            let message = "the seal is broken: the file was changed without its key";
            Error::new(ErrorKind::Integrity, message)
                .with_help("restore the file from a copy that you trust, from git for example")
        })
    }

    /// Finds the lines of a name: the current one, and the previous one where there is one.
    pub(super) fn lines_of(&self, name: &str) -> Option<(&str, Option<&str>)> {
        let at = self.position(name).ok()?;
        self.places.get(at).map(|place| self.lines_at(place))
    }

    /// All names with their lines, in order.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.places.iter().map(|place| self.lines_at(place))
    }

    /// All names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| self.at(&place.name))
    }

    /// The text of all entries before a name, and of all after it.
    pub(super) fn around(&self, name: &str) -> (&str, &str) {
        let begin = self.places.first().map_or(self.sealed, |p| p.lines.start);
        let (before, after) = match self.position(name) {
            Ok(at) => match self.places.get(at) {
                Some(place) => (place.lines.start, place.lines.end),
                None => (self.sealed, self.sealed),
            },
            Err(at) => {
                let next = self.places.get(at).map_or(self.sealed, |p| p.lines.start);
                (next, next)
            }
        };
        (self.at(&(begin..before)), self.at(&(after..self.sealed)))
    }

    /// The text of all entries.
    pub(super) fn entries(&self) -> &str {
        let begin = self.places.first().map_or(self.sealed, |p| p.lines.start);
        self.at(&(begin..self.sealed))
    }

    fn lines_at(&self, place: &Place) -> (&str, Option<&str>) {
        let current = self.at(&(place.lines.start..place.previous));
        let previous = self.at(&(place.previous..place.lines.end));
        let previous = (!previous.is_empty()).then(|| previous.trim_end_matches('\n'));
        (current.trim_end_matches('\n'), previous)
    }

    fn position(&self, name: &str) -> std::result::Result<usize, usize> {
        self.places
            .binary_search_by(|place| self.at(&place.name).cmp(name))
    }

    fn at(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

/// How many bytes the first two lines have.
pub(super) const HEAD: u64 = 58;

/// Reads the file's id from its first two lines.
pub(super) fn id(head: &[u8]) -> Option<FileId> {
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    check_format(lines.next()?).ok()?;
    lines.next()?.strip_prefix("file ")?.parse().ok()
}

/// Reads a line of an entry that a [`Document`] found.
pub(super) fn entry(line: &str) -> Result<Entry<'_>> {
    Entry::parse(line).ok_or_else(|| {
        let name = line.split(' ').nth(1).unwrap_or_default();
        let message = format!("the line of the entry `{name}` has not the form of one");
        Error::new(ErrorKind::Malformed, message)
            .with_help("restore the file from a copy that you trust")
    })
}

/// Writes a whole file: the header, the slots in the order of their ids, the entries, the seal.
pub(super) fn compose(
    data: &DataKey,
    epoch: u64,
    slots: &[Slot],
    entries: &[&str],
) -> Result<String> {
    use hmac::Mac as _;
    let mut slots: Vec<&Slot> = slots.iter().collect();
    slots.sort_by(|a, b| a.id.cmp(&b.id));
    let mut text = format!("{FORMAT}\nfile {}\nepoch {epoch}\n", data.file);
    let length = entries.iter().map(|part| part.len()).sum::<usize>();
    text.reserve(length.saturating_add(MAX_SLOTS.saturating_mul(512)));
    for slot in slots {
        text.push_str(&slot.line);
        text.push('\n');
    }
    entries.iter().for_each(|part| text.push_str(part));
    let mac = super::crypto::mac(&data.seal()?, &[&text])?;
    let seal: [u8; 32] = mac.finalize().into_bytes().into();
    text.push_str("seal ");
    text.push_str(&base16ct::lower::encode_string(&seal));
    text.push('\n');
    if text.len() > MAX_BYTES {
        let message = "a sealed file has at most 64 MiB, and would have more";
        return Err(Error::new(ErrorKind::Unsupported, message)
            .with_help("split the secrets into several files, or use a server"));
    }
    Ok(text)
}

fn check_format(line: &str) -> Result<()> {
    if line == FORMAT {
        return Ok(());
    }
    let (name, ours) = FORMAT.split_once(' ').unwrap_or_default();
    let version = line
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix(' '));
    let newer = |theirs: &str| fields::number(theirs) > fields::number(ours);
    if version.is_some_and(newer) {
        let message = "the file has a newer format than this version of strongroom knows";
        return Err(Error::new(ErrorKind::Unsupported, message).with_help("update strongroom"));
    }
    let error = wrong(1, "this is not a sealed file");
    Err(match line.strip_suffix('\r') {
        Some(FORMAT) => wrong(1, "the line endings were converted, which breaks the seal")
            .with_help("write `*.sealed -text` to .gitattributes and check the file out again"),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_file_is_bounded() {
        let refused = |size: usize| Document::parse(vec![b'x'; size]).err().unwrap().to_string();
        assert!(refused(MAX_BYTES + 1).contains("64 MiB"));
        assert!(refused(MAX_BYTES).contains("not a sealed file"));
    }

    #[test]
    fn the_length_of_a_slot_s_line_is_bounded() {
        let begin = "slot 1000000000000000 label 1 later ";
        let of = |length: usize| format!("{begin}{}", "x".repeat(length - begin.len()));
        assert!(Slot::parse(&of(4096)).is_ok());
        assert_eq!(
            Slot::parse(&of(4097)).err().unwrap().kind(),
            ErrorKind::Malformed
        );
    }
}
