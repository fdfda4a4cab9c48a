//! A sealed file that a key opened and whose seal holds: what it says.

use super::crypto::random_key;
use super::entries::{DataKey, Entry};
use super::fields::{self, FileId};
use super::format::{self, Document};
use super::key::SlotKey;
use super::slot_info::NewSlot;
use super::slots::{self, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Stage, VersionInfo};
use crate::secret::{Metadata, Provenance, Secret, Version};

mod changed;

pub(super) use changed::next_epoch;

/// A document whose seal holds, with its data key.
pub(super) struct Unlocked {
    pub(super) document: Document,
    pub(super) data: DataKey,
}

impl Unlocked {
    /// Opens a slot, then checks the seal. No value is decrypted.
    pub(super) fn open(document: Document, key: &SlotKey) -> Result<Self> {
        let data_key = slots::open(document.id, &document.slots, key)?;
        let data = DataKey::new(document.id, data_key);
        document.check_seal(&data)?;
        Ok(Self { document, data })
    }

    /// Makes the text of a new file without entries, with one slot.
    pub(super) fn new_file(file: FileId, slot: &NewSlot) -> Result<String> {
        let data = DataKey::new(file, random_key()?);
        let slot = Slot::make(file, &data.key, &slot.label, &slot.key, slot.cost)?;
        format::compose(&data, 1, &[slot], &[])
    }

    /// Decrypts one value of a name.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none at that stage; [`ErrorKind::Integrity`] if it is not
    /// what was written.
    pub(super) fn read(&self, name: &str, stage: &Stage) -> Result<Secret> {
        let entry = self.find(name, stage)?;
        let mut metadata = Metadata::new()
            .with_version(Version::new(entry.version))
            .with_provenance(Provenance::new().wipeable());
        if let Some(created) = fields::time(entry.created) {
            metadata = metadata.with_created(created);
        }
        if let Some(expires) = entry.expires.and_then(fields::time) {
            metadata = metadata.with_expires(expires);
        }
        let value = entry.open(&self.data)?;
        Ok(Secret::from_utf8_or_bytes(value).with_metadata(metadata))
    }

    /// The version of a name at a stage, without decrypting it.
    pub(super) fn version(&self, name: &str, stage: &Stage) -> Result<Version> {
        self.find(name, stage)
            .map(|entry| Version::new(entry.version))
    }

    /// The current version of a name, where there is one.
    pub(super) fn current(&self, name: &str) -> Result<Option<Version>> {
        match self.version(name, &Stage::Current) {
            Ok(version) => Ok(Some(version)),
            Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The versions of a name, newest first.
    pub(super) fn versions(&self, name: &str) -> Result<Vec<VersionInfo>> {
        let (current, previous) = self.entries_of(name)?;
        let info = |entry: Entry<'_>| {
            let created = fields::time(entry.created);
            VersionInfo::new(Version::new(entry.version), created, true)
        };
        let previous = previous.filter(|previous| !previous.is_expired());
        Ok([Some(current), previous]
            .into_iter()
            .flatten()
            .map(info)
            .collect())
    }

    fn find(&self, name: &str, stage: &Stage) -> Result<Entry<'_>> {
        let (current, previous) = self.entries_of(name)?;
        let previous = previous.filter(|previous| !previous.is_expired());
        let is = |version: &Version, entry: &Entry<'_>| entry.version == version.as_str();
        let found = match stage {
            Stage::Current => Some(current),
            Stage::Previous => previous,
            Stage::Pending => None,
            Stage::Exact(version) => [Some(current), previous]
                .into_iter()
                .flatten()
                .find(|entry| is(version, entry)),
        };
        found.ok_or_else(|| {
            let message = format!("the entry `{name}` holds no such version");
            Error::new(ErrorKind::Absent, message).with_help(
                "the version before the current one is kept for a time, seven days if nobody said otherwise, \
                 and no older one",
            )
        })
    }

    fn entries_of(&self, name: &str) -> Result<(Entry<'_>, Option<Entry<'_>>)> {
        let (current, previous) = self.document.lines_of(name).ok_or_else(|| {
            Error::new(ErrorKind::Absent, format!("there is no entry `{name}`"))
                .with_help("`strongroom list` shows the entries, `strongroom set` adds one")
        })?;
        let previous = previous.map(format::entry).transpose()?;
        Ok((format::entry(current)?, previous))
    }
}
