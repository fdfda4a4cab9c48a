//! The verifier: reads a log from its first line on, and stops at the first one that is not as it was
//! written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::files::{self, LogFile, RawLine};
use super::head::{Head, code, hex};
use super::key::{ChainKey, Key};
use super::line::{self, Anchor, Extras, FORMAT, Line};
use crate::error::{Error, ErrorKind, Result};

/// What a log was proven to be.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// The id of the chain.
    pub chain: String,
    /// How many files it is in.
    pub files: usize,
    /// How many lines were read, the first lines of the files among them.
    pub events: u64,
    /// The number of the oldest event that is kept. Where it is not 1, retention removed those before.
    pub first: u64,
    /// The newest event: what to keep elsewhere, as [`Head`] is written.
    #[serde(serialize_with = "as_text")]
    pub head: Head,
    /// What is not as it should be, and was recorded: what crashes left, and events that could not be
    /// written.
    pub notes: Vec<Note>,
    /// The newest state of each thing that may be rolled back.
    pub anchors: Vec<Anchor>,
}

/// Something that the log itself says of its history.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What is said there.
    pub message: String,
}

fn as_text<S: serde::Serializer>(head: &Head, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(head)
}

/// Verifies the log at `path`, with the files beside it that were set aside: that each line is as it was
/// written, in its place, and none is missing between the first and the last. With a head that was kept
/// elsewhere, that nothing is missing up to there either.
///
/// It reads the files as a stream, as far as they went when it began; writers may go on.
///
/// # Errors
/// [`ErrorKind::Integrity`], naming the first line that is not as it was written,
/// [`ErrorKind::Absent`] if there is no log, and whatever reading fails with.
pub fn verify(path: &Path, key: &Key, expect: Option<&Head>) -> Result<Verified> {
    verify_files(files::open(path)?, key, expect)
}

/// As [`verify`], for the files of one log in this order: copies in another place, for example.
///
/// # Errors
/// As [`verify`].
pub fn verify_in_order(paths: &[PathBuf], key: &Key, expect: Option<&Head>) -> Result<Verified> {
    let mut opened = Vec::new();
    for path in paths {
        let file = files::open_one(path)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Absent,
                format!("{} does not exist", path.display()),
            )
        })?;
        opened.push(file);
    }
    verify_files(opened, key, expect)
}

pub(super) fn verify_files(
    files: Vec<LogFile>,
    key: &Key,
    expect: Option<&Head>,
) -> Result<Verified> {
    let mut verifier = Verifier {
        key,
        expect,
        position: None,
        found: Verified {
            chain: String::new(),
            files: files.len(),
            events: 0,
            first: 0,
            head: Head::NONE,
            notes: Vec::new(),
            anchors: Vec::new(),
        },
        anchors: BTreeMap::new(),
        removed_through: None,
        is_expected_found: false,
    };
    let mut last: Option<(PathBuf, u64)> = None;
    for mut file in files {
        if let Some((path, line)) = last.take() {
            return Err(bad(&path, line, TORN));
        }
        last = verifier.file(&mut file)?;
        if verifier.position.is_none() {
            return Err(bad(&file.path, 1, "the file has no line of an audit log"));
        }
    }
    if let Some((path, line)) = last {
        return Err(bad(&path, line, TORN).with_help(
            "a crash leaves such a line, and so does a cut; the next event that is written records it, \
             and verification goes on",
        ));
    }
    verifier.end()
}

const TORN: &str = "the line is not whole";

/// Where the chain stands.
struct Position {
    chain: [u8; 16],
    key: ChainKey,
    head: Head,
}

struct Verifier<'a> {
    key: &'a Key,
    expect: Option<&'a Head>,
    position: Option<Position>,
    found: Verified,
    anchors: BTreeMap<String, Anchor>,
    removed_through: Option<u64>,
    is_expected_found: bool,
}

/// Bytes that are no line, until a line says that it knows of them.
struct Remains {
    line: u64,
    why: &'static str,
    hash: Sha256,
    bytes: u64,
    is_whole: bool,
}

impl Verifier<'_> {
    /// Reads one file; returns the last line if it is not whole.
    fn file(&mut self, file: &mut LogFile) -> Result<Option<(PathBuf, u64)>> {
        let mut remains: Option<Remains> = None;
        let mut is_begun = false;
        while let Some(raw) = file.next()? {
            let path = file.path.clone();
            let parsed = match raw.is_whole {
                true => Line::parse(&raw.bytes),
                false => None,
            };
            let Some(parsed) = parsed else {
                note_remains(&mut remains, &raw);
                continue;
            };
            let extras = line::extras(&raw.bytes)
                .ok_or_else(|| bad(&path, raw.number, "the line is no event"))?;
            let at = (path.as_path(), raw.number);
            // A line that is not the chain's can't vouch for what stands before it.
            let checked = match is_begun {
                true => self.line(at, &parsed, &extras),
                false => self.header(at, &parsed, &extras),
            };
            if let Err(error) = checked {
                // What stands before it is the first that is wrong, then.
                return Err(remains.map_or(error, |left| bad(&path, left.line, left.why)));
            }
            is_begun = true;
            self.settle(at, remains.take(), &extras)?;
            self.learn(at, &extras)?;
        }
        match remains {
            None => Ok(None),
            Some(left) if left.is_whole => Err(bad(&file.path, left.line, left.why)),
            Some(left) => Ok(Some((file.path.clone(), left.line))),
        }
    }

    /// Checks the first line of a file.
    fn header(&mut self, at: (&Path, u64), line: &Line<'_>, extras: &Extras) -> Result<()> {
        let wrong = |what: &str| bad(at.0, at.1, what);
        let format = extras.format.as_deref();
        let format = format.ok_or_else(|| wrong("the file doesn't begin with its first line"))?;
        if format != FORMAT {
            // Nothing but the key could tell a newer format from a changed line.
            return Err(wrong("the line was changed, or is of a newer format"));
        }
        let chain = extras.chain.as_deref().and_then(|id| hex(id.as_bytes()));
        let previous = extras
            .previous
            .as_deref()
            .and_then(|mac| code(mac.as_bytes()));
        let (Some(chain), Some(previous)) = (chain, previous) else {
            return Err(wrong("the first line of the file names no chain"));
        };
        let former = match &self.position {
            Some(position) if position.chain != chain => {
                return Err(wrong("the file belongs to another log"));
            }
            Some(position)
                if !position.head.has(Some(&previous)) || !follows(&position.head, line) =>
            {
                return Err(wrong(&gap(position.head.seq, line.head.seq)));
            }
            Some(position) => position.head,
            None => {
                let seq = line
                    .head
                    .seq
                    .checked_sub(1)
                    .ok_or_else(|| wrong("it is numbered 0"))?;
                let former = Head { seq, mac: previous };
                if (seq == 0) != Head::NONE.has(Some(&previous)) {
                    return Err(wrong("the first line of the file names no file before it"));
                }
                self.found.first = line.head.seq;
                former
            }
        };
        let key = self.key.of_chain(&chain);
        let code = key.code(&former.mac, line.authenticated);
        if !line.head.has(code.as_ref()) {
            return Err(wrong(
                "the line was changed, or the key is not the one that it was written with",
            ));
        }
        self.found.chain = base16ct::lower::encode_string(&chain);
        self.position = Some(Position {
            chain,
            key,
            head: former,
        });
        self.accept(line);
        self.meet(at)
    }

    fn line(&mut self, at: (&Path, u64), line: &Line<'_>, extras: &Extras) -> Result<()> {
        let Some(position) = &self.position else {
            return Err(bad(at.0, at.1, "the line belongs to no chain"));
        };
        if !follows(&position.head, line) {
            return Err(bad(at.0, at.1, &gap(position.head.seq, line.head.seq)));
        }
        let code = position.key.code(&position.head.mac, line.authenticated);
        if !line.head.has(code.as_ref()) {
            return Err(bad(at.0, at.1, CHANGED));
        }
        if extras.format.is_some() {
            return Err(bad(
                at.0,
                at.1,
                "the first line of a file stands in the middle",
            ));
        }
        self.accept(line);
        self.meet(at)
    }

    fn accept(&mut self, line: &Line<'_>) {
        if let Some(position) = &mut self.position {
            position.head = line.head;
        }
        self.found.head = line.head;
        self.found.events = self.found.events.saturating_add(1);
    }

    /// Compares with the head that was kept elsewhere.
    fn meet(&mut self, at: (&Path, u64)) -> Result<()> {
        match self.expect {
            Some(expect) if expect.seq == self.found.head.seq => {
                self.is_expected_found = true;
                match expect.has(Some(&self.found.head.mac)) {
                    true => Ok(()),
                    false => Err(bad(
                        at.0,
                        at.1,
                        "the event is another one than the expected head",
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    /// Accepts bytes that are no line if the line behind them says that it found them.
    fn settle(&mut self, at: (&Path, u64), left: Option<Remains>, extras: &Extras) -> Result<()> {
        match (left, &extras.torn) {
            (None, None) => Ok(()),
            (Some(left), Some(torn)) => {
                let (line, why) = (left.line, left.why);
                if !left.is(torn) {
                    return Err(bad(at.0, line, why));
                }
                let what = format!(
                    "{} bytes are no line; they were recorded when found",
                    torn.bytes
                );
                self.note((at.0, line), what);
                Ok(())
            }
            (Some(left), None) => Err(bad(at.0, left.line, left.why)),
            (None, Some(_)) => Err(bad(at.0, at.1, "what was recorded before the line is gone")),
        }
    }

    fn learn(&mut self, at: (&Path, u64), extras: &Extras) -> Result<()> {
        if let Some(expected) = &extras.expected {
            let seq = printable(expected.split(':').next().unwrap_or_default());
            let what = format!("the log was cut before it: event {seq} was written, and is gone");
            return Err(bad(at.0, at.1, &what));
        }
        if let Some(lost) = extras.lost {
            self.note(at, format!("{lost} events could not be recorded before it"));
        }
        if let Some(through) = extras.removed_through {
            self.removed_through = self.removed_through.max(Some(through));
        }
        if let Some(anchor) = &extras.anchor {
            match self.anchors.get(&anchor.subject) {
                Some(known) if anchor.epoch < known.epoch => {
                    let what = format!(
                        "{} was seen at epoch {}, after epoch {}",
                        printable(&anchor.subject),
                        anchor.epoch,
                        known.epoch
                    );
                    self.note(at, what);
                }
                _ => {
                    self.anchors.insert(anchor.subject.clone(), anchor.clone());
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, (file, line): (&Path, u64), message: String) {
        self.found.notes.push(Note {
            file: file.to_owned(),
            line,
            message,
        });
    }

    /// Judges what only the end shows.
    fn end(mut self) -> Result<Verified> {
        let before = self.found.first.saturating_sub(1);
        if before > self.removed_through.unwrap_or(0) {
            let message = format!(
                "events 1 to {before} are missing, and retention removed {}",
                match self.removed_through {
                    Some(through) => format!("only those to {through}"),
                    None => "none".to_owned(),
                }
            );
            return Err(Error::new(ErrorKind::Integrity, message)
                .with_help("find the files that were set aside first, or who removed them"));
        }
        if let Some(expect) = self.expect.filter(|_| !self.is_expected_found) {
            let Head { seq, .. } = self.found.head;
            let (message, help) = match expect.seq > seq {
                true => (
                    format!(
                        "the log ends at event {seq}, and the expected head is {}",
                        expect.seq
                    ),
                    "its end was cut off, or an older copy was put back",
                ),
                false => (
                    format!(
                        "event {} is no longer kept, so the expected head can't be compared",
                        expect.seq
                    ),
                    "give a newer head",
                ),
            };
            return Err(Error::new(ErrorKind::Integrity, message).with_help(help));
        }
        self.found.anchors = self.anchors.into_values().collect();
        Ok(self.found)
    }
}

const CHANGED: &str = "the line was changed, or one before it was removed or moved";

impl Remains {
    fn is(mut self, torn: &super::line::Torn) -> bool {
        // The newline behind the last part was put there by whoever went on, unless it is counted.
        if torn.bytes == self.bytes.saturating_add(1) {
            self.hash.update(b"\n");
            self.bytes = torn.bytes;
        }
        self.bytes == torn.bytes
            && base16ct::lower::encode_string(&self.hash.finalize()) == torn.sha256
    }
}

/// Adds what is no line to what was none before it.
fn note_remains(remains: &mut Option<Remains>, raw: &RawLine) {
    let why = match raw.bytes.is_empty() {
        true => "the line is empty",
        false if raw.is_too_long => "the line is too long to be one",
        false => "the line is not one of an audit log",
    };
    if let Some(remains) = remains.as_mut().filter(|remains| remains.is_whole) {
        remains.hash.update(b"\n");
        remains.bytes = remains.bytes.saturating_add(1);
    }
    let remains = remains.get_or_insert_with(|| Remains {
        line: raw.number,
        why,
        hash: Sha256::new(),
        bytes: 0,
        is_whole: true,
    });
    remains.hash.update(&raw.bytes);
    let more = u64::try_from(raw.bytes.len()).unwrap_or(u64::MAX);
    remains.bytes = remains.bytes.saturating_add(more);
    remains.is_whole = raw.is_whole;
}

fn follows(head: &Head, line: &Line<'_>) -> bool {
    head.seq.checked_add(1) == Some(line.head.seq)
}

fn gap(before: u64, now: u64) -> String {
    match before.checked_add(1) {
        Some(due) if now > due => format!("event {due} is missing: the line is event {now}"),
        Some(due) if now < due => format!("the line is event {now}, and event {due} is due"),
        _ => CHANGED.to_owned(),
    }
}

fn bad(file: &Path, line: u64, what: &str) -> Error {
    let message = format!("{}, line {line}: {what}", file.display());
    Error::new(ErrorKind::Integrity, message)
        .with_help("everything before this line is as it was written; keep the file as it is")
}

/// The beginning of a text that anybody may have written.
fn printable(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}
