//! A sealed file and its key: every call works on one whole state of the file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::disk::Location;
use super::fields::FileId;
use super::key::SlotKey;
use super::slot_info::{NewSlot, SlotInfo};
use super::unlocked::Unlocked;
use crate::backends::files::expected::check_expected;
use crate::backends::files::stamp::Stamp;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Expect, Stage, VersionInfo};
use crate::secret::{Secret, Version};

mod state;

use state::Safeguards;

/// A sealed file, and the key that opens it.
///
/// Each call reads the file again, opens its slot and checks its seal; each change does so under a
/// lock and replaces the file as a whole. So any number of handles, threads and processes can use
/// one file. Only the first reading after [`open`](Self::open) takes what the opening has read and
/// checked, if the file is still the same one, unchanged. The calls block: async code calls them in
/// `spawn_blocking`.
///
/// Entries have names without a `#field`.
///
/// ```
/// use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
/// use strongroom::provider::{Expect, Stage};
/// use strongroom::{Secret, SecretName};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("secrets.sealed");
/// const TOKEN: SecretName = SecretName::from_static("api/token");
/// let key = SlotKey::generate()?;
/// let file = SealedFile::create(&path, FileId::random()?, &NewSlot::new("laptop", key))?;
/// file.put(&TOKEN, &Secret::from_text("correct horse"), &Expect::Absent)?;
/// assert!(file.get(&TOKEN, &Stage::Current)?.verify("correct horse"));
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct SealedFile {
    location: Location,
    key: SlotKey,
    id: FileId,
    /// What a file is checked with that was opened by its address.
    safeguards: Option<Safeguards>,
    /// What the opening read, for the first reading.
    opened: Mutex<Option<(Stamp, Unlocked)>>,
}

impl SealedFile {
    /// Creates a file without entries, with one slot. It must not be there yet; its directory must.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if something of that name is there; [`ErrorKind::Policy`] if the key
    /// or passphrase is too weak; and whatever makes writing fail.
    pub fn create(path: impl AsRef<Path>, id: FileId, slot: &NewSlot) -> Result<Self> {
        let location = Location::new(path.as_ref())?;
        location.create(&Unlocked::new_file(id, slot)?)?;
        Ok(Self {
            location,
            key: slot.key.clone(),
            id,
            safeguards: None,
            opened: Mutex::default(),
        })
    }

    /// Opens a file: reads it, opens a slot with the key and checks the seal.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none, [`ErrorKind::Malformed`] if it is not a sealed file,
    /// [`ErrorKind::Unsupported`] if it is of a newer format, [`ErrorKind::Denied`] if no slot opens
    /// with the key, [`ErrorKind::Config`] if the key belongs to another file, and
    /// [`ErrorKind::Integrity`] if it was changed by somebody without a key.
    pub fn open(path: impl AsRef<Path>, key: SlotKey) -> Result<Self> {
        let location = Location::new(path.as_ref())?;
        let read = location.read(&mut location.open(&location.root()?)?)?;
        Self::unlocked(location, read, key, None)
    }

    /// Returns the file's id, which no write changes.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Returns the file's path.
    pub fn path(&self) -> PathBuf {
        self.location.path()
    }

    /// Returns the file's epoch: how often it was written.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn epoch(&self) -> Result<u64> {
        Ok(self.read()?.document.epoch)
    }

    /// Returns one value of a name.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none at that stage, and as [`open`](Self::open).
    pub fn get(&self, name: &SecretName, stage: &Stage) -> Result<Secret> {
        let found = self.read()?.read(name.as_str(), stage);
        let secret = found.map_err(|error| error.with_name(name))?;
        let metadata = secret.metadata().clone().with_name(name);
        Ok(secret.with_metadata(metadata))
    }

    /// Writes the value of a name, and returns its version. The former value is kept for a week.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if what is there is not what was expected, and as
    /// [`open`](Self::open).
    pub fn put(&self, name: &SecretName, value: &Secret, expect: &Expect) -> Result<Version> {
        let name = entry_name(name)?;
        self.change(|unlocked| {
            check_expected(expect, unlocked.current(name)?.as_ref())?;
            unlocked.with_value(name, value, None)
        })
    }

    /// Deletes a name with all its values.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none, and as [`put`](Self::put).
    pub fn delete(&self, name: &SecretName, expect: &Expect) -> Result<()> {
        let name = entry_name(name)?;
        self.change(|unlocked| {
            let found = unlocked.version(name, &Stage::Current)?;
            check_expected(expect, Some(&found))?;
            Ok((unlocked.with_lines(name, "")?, ()))
        })
    }

    /// Makes the previous version of a name the current one again; the current one becomes the
    /// previous.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if the version is not kept, and as [`put`](Self::put).
    pub fn promote(&self, name: &SecretName, version: &Version) -> Result<()> {
        let name = entry_name(name)?;
        self.change_if(|unlocked| {
            let promoted = unlocked.with_promoted(name, version)?;
            Ok((promoted, ()))
        })
    }

    /// Lists all names, sorted.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn list(&self) -> Result<Vec<SecretName>> {
        let unlocked = self.read()?;
        unlocked.document.names().map(SecretName::parse).collect()
    }

    /// Lists the versions of a name, newest first.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none, and as [`open`](Self::open).
    pub fn versions(&self, name: &SecretName) -> Result<Vec<VersionInfo>> {
        self.read()?.versions(name.as_str())
    }

    /// Lists the slots.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn slots(&self) -> Result<Vec<SlotInfo>> {
        Ok(self
            .read()?
            .document
            .slots
            .iter()
            .map(SlotInfo::of)
            .collect())
    }

    /// Adds a slot, so that another key or passphrase opens the file too.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if there are eight, [`ErrorKind::Policy`] if the new key is too
    /// weak, and as [`open`](Self::open).
    pub fn add_slot(&self, slot: &NewSlot) -> Result<SlotInfo> {
        self.change(|unlocked| unlocked.with_slot(slot))
    }

    /// Removes slots by their ids, draws a new data key and encrypts every entry again, since the
    /// removed holders knew the old one. What they could read before, in git's history for example,
    /// stays readable to them.
    ///
    /// The new data key has to be wrapped for every slot that stays: besides this file's own key,
    /// `others` must have the key or passphrase of each.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is no such slot, [`ErrorKind::Denied`], naming it, if a slot
    /// that stays can't be opened, [`ErrorKind::Config`] if none would stay, and as
    /// [`open`](Self::open).
    pub fn remove_slots(&self, ids: &[&str], others: &[SlotKey]) -> Result<()> {
        let mut keys = vec![&self.key];
        keys.extend(others);
        self.change(|unlocked| {
            let is_there = |id: &&&str| unlocked.document.slots.iter().any(|slot| slot.id == **id);
            if let Some(missing) = ids.iter().find(|id| !is_there(id)) {
                let message = format!("there is no slot `{}`", missing.escape_debug());
                return Err(Error::new(ErrorKind::Absent, message)
                    .with_help("`strongroom key list` shows the slots"));
            }
            Ok((unlocked.rotated(ids, &keys)?, ()))
        })
    }

    /// Draws a new data key and encrypts every entry again. All slots stay.
    ///
    /// # Errors
    /// As [`remove_slots`](Self::remove_slots).
    pub fn rotate(&self, others: &[SlotKey]) -> Result<()> {
        self.remove_slots(&[], others)
    }
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile")
            .field("path", &self.path())
            .field("id", &self.id)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Entries have no fields: a field is a key of the JSON object in an entry.
fn entry_name(name: &SecretName) -> Result<&str> {
    if name.field().is_some() {
        let message = "an entry of a sealed file has a name without `#field`";
        return Err(Error::new(ErrorKind::Unsupported, message).with_name(name));
    }
    Ok(name.as_str())
}
