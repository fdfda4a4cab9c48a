//! The files of a log, as a reader finds them: streamed line by line, the oldest first.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::line::MOST;
use crate::backends::{Growing, Journal};
use crate::error::{Error, ErrorKind, Result};

/// One file, read up to where it ended when it was opened.
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    reader: BufReader<std::io::Take<File>>,
    line: u64,
    /// Whether what was read last is only the beginning of a line.
    continues: bool,
}

/// What stands between two newlines, or behind the last one.
pub(super) struct RawLine {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// Without its newline. Only the beginning of one that is too long to be a line.
    pub(super) bytes: Vec<u8>,
    pub(super) is_whole: bool,
    pub(super) is_too_long: bool,
}

/// Opens the files of the log at `path`: those that were set aside, and the one that grows.
pub(super) fn open(path: &Path) -> Result<Vec<LogFile>> {
    let mut journal = Journal::new(path)?;
    // Writers set files aside under the lock. Who may only read, reads without it.
    let _locked = lock_if_possible(&mut journal);
    let files = opened(&journal)?;
    if files.is_empty() {
        let message = format!("there is no audit log {}", path.display());
        return Err(Error::new(ErrorKind::Absent, message)
            .with_help("correct the path, or wait for the first event"));
    }
    Ok(files)
}

/// Opens what is there, with the lock or without. The file that grows is the first to be opened: one that
/// is set aside meanwhile is met again under its number, and those behind it are of a later time.
pub(super) fn opened(journal: &Journal) -> Result<Vec<LogFile>> {
    let current = Journal::open_aside(journal.path())?;
    let mut files = Vec::new();
    for (_, path) in journal.aside()? {
        // Retention may have just removed it.
        let Some(found) = Journal::open_aside(&path)? else {
            continue;
        };
        let is_current = |current: &Growing| current.identity == found.identity;
        if current.as_ref().is_some_and(is_current) {
            break;
        }
        files.push(LogFile::new(found, path)?);
    }
    if let Some(current) = current {
        files.push(LogFile::new(current, journal.path().to_owned())?);
    }
    Ok(files)
}

fn lock_if_possible(journal: &mut Journal) -> Option<crate::backends::Locked> {
    let lock = journal
        .path()
        .with_file_name(format!("{}.lock", journal.path().file_name()?.to_str()?));
    // A look must not leave a lock file behind where no log is.
    lock.exists().then(|| journal.lock().ok()).flatten()
}

/// Opens one file by its path; `None` if there is none.
pub(super) fn open_one(path: &Path) -> Result<Option<LogFile>> {
    let found = Journal::open_aside(path)?;
    found
        .map(|found| LogFile::new(found, path.to_owned()))
        .transpose()
}

impl LogFile {
    fn new(found: Growing, path: PathBuf) -> Result<Self> {
        let len = found.len;
        let file = found.into_file(&path)?;
        Ok(Self {
            path,
            reader: BufReader::with_capacity(64 * 1024, file.take(len)),
            line: 0,
            continues: false,
        })
    }

    /// Reads the next line. No more than the longest line is held at any time.
    pub(super) fn next(&mut self) -> Result<Option<RawLine>> {
        let mut bytes = Vec::new();
        let most = u64::try_from(MOST).unwrap_or(u64::MAX);
        let failed = |error| {
            let message = format!("can't read {}", self.path.display());
            Error::new(ErrorKind::Transient, message).with_source(error)
        };
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut bytes);
        if read.map_err(failed)? == 0 {
            return Ok(None);
        }
        if !self.continues {
            self.line = self.line.saturating_add(1);
        }
        let is_whole = bytes.pop_if(|last| *last == b'\n').is_some();
        self.continues = !is_whole;
        let is_too_long = !is_whole && bytes.len() >= MOST;
        Ok(Some(RawLine {
            number: self.line,
            bytes,
            is_whole,
            is_too_long,
        }))
    }
}
