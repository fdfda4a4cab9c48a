//! Rollback: an old state of a file is a valid file, so what was seen before is recorded beside it.

use std::path::{Path, PathBuf};

use ctutils::CtEq as _;

use super::fields::{self, FileId};
use crate::audit::Anchors;
use crate::backends::Connect;
use crate::backends::files::read;
use crate::backends::files::record::{foreign, replace_record};
use crate::env::is_own;
use crate::error::{Error, ErrorKind, Result};
use crate::rails::GuardRails;
use crate::report::Finding;

/// The directory of the records, beneath the user's state directory.
const DIRECTORY: &str = "strongroom/sealed";
/// A record is one line of an epoch and a seal.
const MAX_RECORD: usize = 128;

/// What a file's states are compared with.
#[derive(Debug)]
pub(super) struct Rollback {
    /// Where records are kept; `None` where the user has no state directory.
    directory: Option<PathBuf>,
    min_epoch: u64,
    rails: GuardRails,
    anchors: Anchors,
}

/// One state of a file.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    epoch: u64,
    seal: [u8; 32],
}

impl Rollback {
    /// Compares with the record in the user's state directory, and with `min_epoch` of the address.
    pub(super) fn new(connect: &Connect) -> Result<Self> {
        let min_epoch = match connect.url.query("min_epoch") {
            None => 0,
            Some(text) => fields::number(text).ok_or_else(|| {
                let message = "`min_epoch` in the provider's address is not a number";
                Error::new(ErrorKind::Config, message)
            })?,
        };
        Ok(Self {
            directory: connect.env.state_dir().map(|dir| dir.join(DIRECTORY)),
            min_epoch,
            rails: connect.rails.clone(),
            anchors: connect.anchors.clone(),
        })
    }

    /// Refuses a state that is older than one seen before, or another one of the same epoch. Where
    /// the deployment is development or test, it warns, and remembers the newer one.
    ///
    /// `false` says that the state is older only because the file `is_replaced` since it was read: a
    /// writer records what it has written.
    pub(super) fn check(
        &self,
        file: FileId,
        epoch: u64,
        seal: &[u8; 32],
        is_replaced: impl FnOnce() -> bool,
    ) -> Result<bool> {
        let is_current = self.compare(file, epoch, seal, is_replaced)?;
        if is_current {
            self.anchor(file, epoch, seal);
        }
        Ok(is_current)
    }

    fn anchor(&self, file: FileId, epoch: u64, seal: &[u8; 32]) {
        self.anchors
            .note(format!("sealed file {file}"), epoch, seal);
    }

    fn compare(
        &self,
        file: FileId,
        epoch: u64,
        seal: &[u8; 32],
        is_replaced: impl FnOnce() -> bool,
    ) -> Result<bool> {
        if epoch < self.min_epoch {
            let message = format!(
                "its epoch is {epoch}, and `min_epoch` is {}",
                self.min_epoch
            );
            return Err(Error::new(ErrorKind::Integrity, message).with_help(OLDER));
        }
        let Some(directory) = &self.directory else {
            return Ok(true);
        };
        let seen = match load(directory, file) {
            Ok(seen) => seen,
            Err(error) if self.rails.deployment().is_strict() => return Err(error),
            Err(error) => {
                self.warn(&error);
                return Ok(true);
            }
        };
        let what = match seen {
            Some(seen) if epoch < seen.epoch => {
                format!(
                    "its epoch is {epoch}, and epoch {} was seen before",
                    seen.epoch
                )
            }
            Some(seen) if epoch == seen.epoch && !seal.ct_eq(&seen.seal).to_bool() => {
                format!("another state of epoch {epoch} was seen before")
            }
            Some(seen) if epoch == seen.epoch => return Ok(true),
            _ => {
                self.remember(file, epoch, seal);
                return Ok(true);
            }
        };
        if is_replaced() {
            return Ok(false);
        }
        let path = directory.join(file.to_string());
        let help = format!(
            "{OLDER}; if it is meant to be there, delete {}",
            path.display()
        );
        let error = Error::new(ErrorKind::Integrity, what).with_help(help);
        if self.rails.deployment().is_strict() {
            return Err(error);
        }
        self.warn(&error);
        Ok(true)
    }

    /// Records a state that was just written, here and in the audit log.
    pub(super) fn record(&self, file: FileId, epoch: u64, seal: &[u8; 32]) {
        self.remember(file, epoch, seal);
        self.anchor(file, epoch, seal);
    }

    /// Remembers a state. Where that can't be done, it is reported: the file itself is fine.
    fn remember(&self, file: FileId, epoch: u64, seal: &[u8; 32]) {
        let Some(directory) = &self.directory else {
            return;
        };
        let record = Record { epoch, seal: *seal };
        if let Err(error) = save(directory, file, &record) {
            self.warn(&error);
        }
    }

    fn warn(&self, error: &Error) {
        let help = error.help().unwrap_or_default();
        let message = format!("the sealed file may be an old one: {error}");
        self.rails.say(Finding::warning(
            None,
            "sealed-file-rollback",
            message,
            help,
        ));
    }
}

const OLDER: &str = "somebody may have put an old file back: restore the newest one";

fn load(directory: &Path, file: FileId) -> Result<Option<Record>> {
    let path = directory.join(file.to_string());
    let root = match read::open_root(directory) {
        Ok(root) => root,
        Err(error) if error.kind() == ErrorKind::Transient && !directory.exists() => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let Some(mut opened) = read::open(&root, Path::new(&file.to_string()), &path.display())? else {
        return Ok(None);
    };
    if !is_own(&opened.metadata) {
        return Err(foreign(&path));
    }
    let text = opened.read(MAX_RECORD, &path.display())?;
    parse(&text).map(Some).ok_or_else(|| {
        let message = format!("{} is not a record of a sealed file", path.display());
        let help = "delete it, after making sure that the sealed file is the newest one";
        Error::new(ErrorKind::Malformed, message).with_help(help)
    })
}

fn parse(text: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
    let (epoch, seal) = text.split_once(' ')?;
    Some(Record {
        epoch: fields::number(epoch)?,
        seal: fields::hex(seal)?,
    })
}

/// Writes a record, unless a later one is there.
fn save(directory: &Path, file: FileId, record: &Record) -> Result<()> {
    replace_record(directory, &file.to_string(), || {
        let seen = load(directory, file).ok().flatten();
        if seen.is_some_and(|seen| seen.epoch > record.epoch) {
            return Ok(None);
        }
        let seal = base16ct::lower::encode_string(&record.seal);
        Ok(Some(format!("{} {seal}\n", record.epoch)))
    })
}
