//! What an opened file would say if it were changed: the whole text of its next state.

use std::time::{Duration, SystemTime};

use super::super::crypto::random_key;
use super::super::entries::{DataKey, Entry, next_version};
use super::super::fields;
use super::super::format;
use super::super::key::SlotKey;
use super::super::slot_info::{NewSlot, SlotInfo};
use super::super::slots::{MAX_SLOTS, Slot};
use super::Unlocked;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::Stage;
use crate::secret::{Secret, Version};

/// How long the value before a write can still be read and brought back, where nobody says.
const PREVIOUS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Unlocked {
    /// The file with a new current value. The former one becomes the previous one.
    pub(in super::super) fn with_value(
        &self,
        name: &str,
        value: &Secret,
        overlap: Option<Duration>,
    ) -> Result<(String, Version)> {
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
        // EXPOSES: to its encryption
        let mut lines = Entry::seal(&self.data, &leading, value.expose_bytes())?;
        if let Some(former) = current {
            lines.push_str(&self.as_previous(former, overlap.unwrap_or(PREVIOUS_KEPT))?);
        }
        Ok((self.with_lines(name, &lines)?, Version::new(version)))
    }

    /// The file with the previous version of a name current again, and the current one previous.
    /// `None` where the version is the current one already.
    pub(in super::super) fn with_promoted(
        &self,
        name: &str,
        version: &Version,
    ) -> Result<Option<String>> {
        let wanted = self.find(name, &Stage::Exact(version.clone()))?;
        if wanted.expires.is_none() {
            return Ok(None);
        }
        let (current, _) = self.entries_of(name)?;
        let leading = Entry::current(name, wanted.version, wanted.created);
        let mut lines = Entry::seal(&self.data, &leading, &wanted.open(&self.data)?)?;
        lines.push_str(&self.as_previous(current, PREVIOUS_KEPT)?);
        self.with_lines(name, &lines).map(Some)
    }

    fn as_previous(&self, former: Entry<'_>, kept: Duration) -> Result<String> {
        let expires = fields::seconds(SystemTime::now()).checked_add(kept.as_secs());
        let expires = expires.filter(|expires| *expires <= fields::MAX_NUMBER);
        let expires = expires.ok_or_else(|| {
            let message = "the time for which the former value is to be kept is too long";
            Error::new(ErrorKind::Unsupported, message).with_no_effect()
        })?;
        let leading = Entry::previous(former.name, former.version, former.created, expires);
        Entry::seal(&self.data, &leading, &former.open(&self.data)?)
    }

    /// The file with the lines of one name replaced, added, or taken away where `lines` is empty.
    /// All others keep their bytes.
    pub(in super::super) fn with_lines(&self, name: &str, lines: &str) -> Result<String> {
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
    pub(in super::super) fn with_slot(&self, slot: &NewSlot) -> Result<(String, SlotInfo)> {
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
    pub(in super::super) fn rotated(&self, without: &[&str], keys: &[&SlotKey]) -> Result<String> {
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

    pub(in super::super) fn next_epoch(&self) -> Result<u64> {
        next_epoch(self.document.epoch)
    }
}

/// The epoch after this one.
pub(in super::super) fn next_epoch(epoch: u64) -> Result<u64> {
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
