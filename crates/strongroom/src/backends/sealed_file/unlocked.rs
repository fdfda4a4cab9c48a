//! A sealed file that a key opened and whose seal holds: what it says, and what it would say changed.

use std::time::{Duration, SystemTime};

use super::crypto::random_key;
use super::entries::{DataKey, Entry, next_version};
use super::fields::{self, FileId};
use super::format::{self, Document};
use super::key::{Argon2Cost, SlotKey};
use super::slots::{self, MAX_SLOTS, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Stage, VersionInfo};
use crate::secret::{Metadata, Provenance, Secret, Version};

/// How long the value before a write can still be read and brought back.
const PREVIOUS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
                "the version before the current one is kept for seven days, and no older one",
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

    /// The file with a new current value. The former one becomes the previous one.
    pub(super) fn with_value(&self, name: &str, value: &Secret) -> Result<(String, Version)> {
        let found = match self.document.lines_of(name) {
            Some(_) => Some(self.entries_of(name)?),
            None => None,
        };
        let (current, previous) = found.unzip();
        let previous = previous.flatten();
        let known = [current, previous].into_iter().flatten();
        let version = next_version(known.map(|entry| entry.version))?;
        let now = fields::seconds(SystemTime::now());
        let leading = Entry::current(name, &version, now);
        let mut lines = Entry::seal(&self.data, &leading, value.expose_bytes())?;
        if let Some(former) = current {
            lines.push_str(&self.as_previous(former)?);
        }
        Ok((self.with_lines(name, &lines)?, Version::new(version)))
    }

    /// The file with the previous version of a name current again, and the current one previous.
    /// `None` where the version is the current one already.
    pub(super) fn with_promoted(&self, name: &str, version: &Version) -> Result<Option<String>> {
        let wanted = self.find(name, &Stage::Exact(version.clone()))?;
        if wanted.expires.is_none() {
            return Ok(None);
        }
        let (current, _) = self.entries_of(name)?;
        let leading = Entry::current(name, wanted.version, wanted.created);
        let mut lines = Entry::seal(&self.data, &leading, &wanted.open(&self.data)?)?;
        lines.push_str(&self.as_previous(current)?);
        self.with_lines(name, &lines).map(Some)
    }

    fn as_previous(&self, former: Entry<'_>) -> Result<String> {
        let now = SystemTime::now();
        let expires = fields::seconds(now.checked_add(PREVIOUS_KEPT).unwrap_or(now));
        let leading = Entry::previous(former.name, former.version, former.created, expires);
        Entry::seal(&self.data, &leading, &former.open(&self.data)?)
    }

    /// The file with the lines of one name replaced, added, or taken away where `lines` is empty.
    /// All others keep their bytes.
    pub(super) fn with_lines(&self, name: &str, lines: &str) -> Result<String> {
        let (before, after) = self.document.around(name);
        let slots = &self.document.slots;
        format::compose(
            &self.data,
            self.next_epoch()?,
            slots,
            &[before, lines, after],
        )
    }

    /// The file with one slot more. The entries keep their bytes.
    pub(super) fn with_slot(&self, slot: &NewSlot) -> Result<(String, SlotInfo)> {
        if self.document.slots.len() >= MAX_SLOTS {
            let message = "the file has 8 slots, which is the most";
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_help("remove a slot that nobody uses any more"));
        }
        let slot = Slot::make(
            self.document.id,
            &self.data.key,
            &slot.label,
            &slot.key,
            slot.cost,
        )?;
        let info = SlotInfo::of(&slot);
        let mut slots = self.document.slots.clone();
        slots.push(slot);
        let epoch = self.next_epoch()?;
        let text = format::compose(&self.data, epoch, &slots, &[self.document.entries()])?;
        Ok((text, info))
    }

    /// The file under a new data key: every entry encrypted again, the slots in `without` gone, and
    /// each other slot made again with the one of `keys` that opens it.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] if none of `keys` opens a slot that stays.
    pub(super) fn rotated(&self, without: &[&str], keys: &[&SlotKey]) -> Result<String> {
        let (file, data_key) = (self.document.id, random_key()?);
        let stays = |slot: &&Slot| !without.contains(&slot.id.as_str());
        let mut slots = Vec::new();
        for slot in self.document.slots.iter().filter(stays) {
            let mut again = None;
            for key in keys {
                if again.is_none() && slot.open(file, key)?.is_some() {
                    again = Some(slot.wrap_again(file, &data_key, key)?);
                }
            }
            slots.push(again.ok_or_else(|| cant_keep(slot))?);
        }
        if slots.is_empty() {
            let message = "a sealed file without a slot could never be opened again";
            return Err(Error::new(ErrorKind::Config, message).with_help("add another slot first"));
        }
        let data = DataKey::new(file, data_key);
        let mut entries = String::with_capacity(self.document.entries().len());
        for (current, previous) in self.document.lines() {
            for line in [Some(current), previous].into_iter().flatten() {
                entries.push_str(&format::entry(line)?.seal_again(&self.data, &data)?);
            }
        }
        format::compose(&data, self.next_epoch()?, &slots, &[&entries])
    }

    pub(super) fn next_epoch(&self) -> Result<u64> {
        next_epoch(self.document.epoch)
    }
}

/// The epoch after this one.
pub(super) fn next_epoch(epoch: u64) -> Result<u64> {
    let next = epoch.checked_add(1).filter(|next| *next <= i64::MAX as u64);
    next.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the file has reached its last epoch",
        )
    })
}

fn cant_keep(slot: &Slot) -> Error {
    let (id, label) = (&slot.id, &slot.label);
    let message = format!("no key was given that opens the slot `{label}` ({id})");
    Error::new(ErrorKind::Denied, message).with_help(
        "a new data key must be wrapped for each slot that stays: give its key or passphrase too, \
         or remove the slot and let its holder be added again",
    )
}

/// A slot that is to be made.
#[derive(Debug, Clone)]
pub struct NewSlot {
    label: String,
    key: SlotKey,
    cost: Argon2Cost,
}

impl NewSlot {
    /// Makes a slot for a key. The label tells people whose it is: one to 64 of `[A-Za-z0-9._-]`.
    pub fn new(label: impl Into<String>, key: SlotKey) -> Self {
        Self {
            label: label.into(),
            key,
            cost: Argon2Cost::default(),
        }
    }

    pub(super) fn key(&self) -> &SlotKey {
        &self.key
    }

    /// Sets what it costs to try a passphrase. Raw keys have no cost.
    #[must_use]
    pub fn with_cost(mut self, cost: Argon2Cost) -> Self {
        self.cost = cost;
        self
    }
}

/// What can be seen of a slot without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotInfo {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub label: String,
    /// Its type: `raw`, `passphrase`, or one that this version does not know.
    pub kind: String,
    /// When it was added.
    pub created: Option<SystemTime>,
}

impl SlotInfo {
    pub(super) fn of(slot: &Slot) -> Self {
        Self {
            id: slot.id.clone(),
            label: slot.label.clone(),
            kind: slot.kind.clone(),
            created: fields::time(slot.created),
        }
    }
}
