//! What a sealed file shows without a key.

use std::fmt;
use std::time::SystemTime;

use super::fields::{self, FileId};
use super::format::{self, Document};
use super::slot_info::SlotInfo;
use crate::error::Result;
use crate::name::SecretName;
use crate::secret::Version;

/// What a sealed file shows without a key. Nobody vouches for it: only a key checks the seal.
///
/// `Display` is one line for each slot and name, for `git diff`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outline {
    /// The file's id.
    pub id: FileId,
    /// How often it was written.
    pub epoch: u64,
    /// What is different in each of its states, in hexadecimal digits.
    pub seal: String,
    /// Its slots, in the order of their ids.
    pub slots: Vec<SlotInfo>,
    /// Its entries, in the order of their names.
    pub entries: Vec<EntryInfo>,
}

/// What an entry shows without a key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EntryInfo {
    /// Its name.
    pub name: SecretName,
    /// Its current version.
    pub version: Version,
    /// When that was written.
    pub created: Option<SystemTime>,
    /// The version before, where it is kept.
    pub previous: Option<Version>,
}

impl Outline {
    /// Reads the names and versions of a file.
    ///
    /// # Errors
    /// [`Malformed`](crate::ErrorKind::Malformed) if it is no sealed file, and
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if it is of a newer format.
    pub fn read(file: impl Into<Vec<u8>>) -> Result<Self> {
        let document = Document::parse(file.into())?;
        let entries = document.lines().map(|(current, previous)| {
            let current = format::entry(current)?;
            let previous = previous.map(format::entry).transpose()?;
            Ok(EntryInfo {
                name: SecretName::parse(current.name)?,
                version: Version::new(current.version),
                created: fields::time(current.created),
                previous: previous.map(|previous| Version::new(previous.version)),
            })
        });
        Ok(Self {
            id: document.id,
            epoch: document.epoch,
            seal: base16ct::lower::encode_string(&document.seal),
            entries: entries.collect::<Result<_>>()?,
            slots: document.slots.iter().map(SlotInfo::of).collect(),
        })
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sealed file {}, epoch {}", self.id, self.epoch)?;
        for slot in &self.slots {
            writeln!(f, "slot {} {} ({})", slot.id, slot.label, slot.kind)?;
        }
        for entry in &self.entries {
            writeln!(f, "{} {}", entry.name, entry.version)?;
        }
        Ok(())
    }
}
