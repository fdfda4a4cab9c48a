//! A sealed file on disk: read as a whole, changed under a lock, replaced as a whole.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::fields::FileId;
use super::format::{Document, MAX_BYTES};
use super::key::SlotKey;
use super::rollback::Rollback;
use super::source;
use super::unlocked::{NewSlot, SlotInfo, Unlocked};
use crate::backends::Connect;
use crate::backends::files::expected::check_expected;
use crate::backends::files::guard::{Guard, the_directory};
use crate::backends::files::{failure, read, write};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Expect, Stage, VersionInfo};
use crate::secret::{Secret, Version};

/// A sealed file, and the key that opens it.
///
/// Each call reads the file again, opens its slot and checks its seal; each change does so under a
/// lock and replaces the file as a whole. So any number of handles, threads and processes can use
/// one file. The calls block: async code calls them in `spawn_blocking`.
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
#[derive(Debug)]
pub struct SealedFile {
    dir: PathBuf,
    name: String,
    key: SlotKey,
    id: FileId,
    /// What a file is checked with that was opened by its address.
    safeguards: Option<Safeguards>,
}

#[derive(Debug)]
struct Safeguards {
    guard: Guard,
    rollback: Rollback,
}

impl SealedFile {
    /// Creates a file without entries, with one slot. It must not be there yet; its directory must.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if something of that name is there; [`ErrorKind::Policy`] if the key
    /// or passphrase is too weak; and whatever makes writing fail.
    pub fn create(path: impl AsRef<Path>, id: FileId, slot: &NewSlot) -> Result<Self> {
        let (dir, name) = split(path.as_ref())?;
        let file = Self {
            dir,
            name,
            key: slot.key().clone(),
            id,
            safeguards: None,
        };
        let text = Unlocked::new_file(id, slot)?;
        let path = file.path();
        let root = read::open_root(&file.dir)?;
        let _lock = write::lock(&root)
            .map_err(|error| failure::lock_failure(&file.dir.display(), error))?;
        match root.symlink_metadata(&file.name) {
            Err(error) if failure::is_absence(&error) => {}
            Err(error) => return Err(failure::failure("look at", &path.display(), error)),
            Ok(_) => {
                let message = format!("{} exists already", path.display());
                return Err(Error::new(ErrorKind::Conflict, message)
                    .with_help("nothing was written; open it, or choose another name"));
            }
        }
        write::replace(&root, &file.name, text.as_bytes(), None)
            .map_err(|error| failure::failure("write", &path.display(), error))?;
        Ok(file)
    }

    /// Opens a file: reads it, opens a slot with the key and checks the seal.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none, [`ErrorKind::Malformed`] if it is not a sealed file,
    /// [`ErrorKind::Unsupported`] if it is of a newer format, [`ErrorKind::Denied`] if no slot opens
    /// with the key, [`ErrorKind::Config`] if the key belongs to another file, and
    /// [`ErrorKind::Integrity`] if it was changed by somebody without a key.
    pub fn open(path: impl AsRef<Path>, key: SlotKey) -> Result<Self> {
        let (dir, name) = split(path.as_ref())?;
        Self {
            dir,
            name,
            key,
            id: FileId([0; 16]),
            safeguards: None,
        }
        .identified()
    }

    pub(super) fn open_guarded(path: &Path, connect: &Connect) -> Result<Self> {
        let (dir, name) = split(path)?;
        let guard = Guard::new(&connect.env, &connect.rails, &dir);
        guard.directory_and_parent(&dir, the_directory, None)?;
        let rollback = Rollback::new(connect)?;
        let key = source::find(connect, || {
            let (_, bytes) = read_bytes(&dir, &name)?;
            Ok(Document::parse(bytes)
                .map_err(|error| in_file(path, &error))?
                .id)
        })?;
        Self {
            dir,
            name,
            key,
            id: FileId([0; 16]),
            safeguards: Some(Safeguards { guard, rollback }),
        }
        .identified()
    }

    fn identified(mut self) -> Result<Self> {
        self.id = self.read()?.document.id;
        Ok(self)
    }

    /// Returns the file's id, which no write changes.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Returns the file's path.
    pub fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
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
            unlocked.with_value(name, value)
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

    /// Reads the file once; several names are then read from one state of it.
    pub(super) fn read(&self) -> Result<Unlocked> {
        let root = read::open_root(&self.dir)?;
        self.read_in(&root)
    }

    fn read_in(&self, root: &Dir) -> Result<Unlocked> {
        let path = self.path();
        let (mode, bytes) = read_bytes_in(root, &self.name, &path)?;
        if let Some(safeguards) = &self.safeguards {
            safeguards.guard.writers(mode, &path.display(), None)?;
        }
        let read = Document::parse(bytes).and_then(|document| self.unlock(document));
        let checked = read.and_then(|unlocked| {
            let document = &unlocked.document;
            if let Some(safeguards) = &self.safeguards {
                let rollback = &safeguards.rollback;
                rollback.check(document.id, document.epoch, &document.seal)?;
            }
            Ok(unlocked)
        });
        checked.map_err(|error| in_file(&path, &error))
    }

    fn unlock(&self, document: Document) -> Result<Unlocked> {
        let id = document.id;
        let unlocked = Unlocked::open(document, &self.key);
        match self.key.file() {
            Some(other) if other != id => unlocked.map_err(|error| match error.kind() {
                ErrorKind::Denied => {
                    let message = format!("this is sealed file {id}, and the key is of {other}");
                    Error::new(ErrorKind::Config, message)
                        .with_help(format!("give the key of {id}"))
                }
                _ => error,
            }),
            _ => unlocked,
        }
    }

    pub(super) fn change<T>(
        &self,
        work: impl FnOnce(&Unlocked) -> Result<(String, T)>,
    ) -> Result<T> {
        self.change_if(|unlocked| {
            let (text, done) = work(unlocked)?;
            Ok((Some(text), done))
        })
    }

    /// Reads, changes and replaces the file under its lock.
    pub(super) fn change_if<T>(
        &self,
        work: impl FnOnce(&Unlocked) -> Result<(Option<String>, T)>,
    ) -> Result<T> {
        let path = self.path();
        let root = read::open_root(&self.dir)?;
        let _lock = write::lock(&root)
            .map_err(|error| failure::lock_failure(&self.dir.display(), error))?;
        let link = root.symlink_metadata(&self.name);
        if link.is_ok_and(|metadata| metadata.is_symlink()) {
            let message = format!(
                "{} is a symbolic link, and can't be replaced",
                path.display()
            );
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_help("write to the file that it leads to"));
        }
        // Read again now that nobody else writes: an update in between would be lost.
        let unlocked = self.read_in(&root)?;
        let (text, done) = work(&unlocked)?;
        let Some(text) = text else { return Ok(done) };
        let old = read::open(&root, Path::new(&self.name), &path.display())?;
        let old = old.as_ref().map(|old| &old.metadata);
        write::replace(&root, &self.name, text.as_bytes(), old)
            .map_err(|error| failure::failure("write", &path.display(), error))?;
        if let Some(safeguards) = &self.safeguards {
            let written = Document::parse(text.into_bytes())?;
            safeguards
                .rollback
                .record(written.id, written.epoch, &written.seal);
        }
        Ok(done)
    }
}

fn read_bytes(dir: &Path, name: &str) -> Result<(u32, Vec<u8>)> {
    read_bytes_in(&read::open_root(dir)?, name, &dir.join(name))
}

/// Reads a whole file: its mode and its bytes, which are not secret.
fn read_bytes_in(root: &Dir, name: &str, path: &Path) -> Result<(u32, Vec<u8>)> {
    let Some(mut opened) = read::open(root, Path::new(name), &path.display())? else {
        let message = format!("{} does not exist", path.display());
        return Err(Error::new(ErrorKind::Absent, message)
            .with_help("`strongroom init` makes one; or correct the path in the address"));
    };
    let bytes = std::mem::take(&mut *opened.read(MAX_BYTES, &path.display())?);
    Ok((opened.metadata.mode(), bytes))
}

/// Entries have no fields: a field is a key of the JSON object in an entry.
fn entry_name(name: &SecretName) -> Result<&str> {
    if name.field().is_some() {
        let message = "an entry of a sealed file has a name without `#field`";
        return Err(Error::new(ErrorKind::Unsupported, message).with_name(name));
    }
    Ok(name.as_str())
}

/// Puts the path before what is wrong in a file.
fn in_file(path: &Path, error: &Error) -> Error {
    let message = format!("{}: {error}", path.display());
    let located = Error::new(error.kind(), message);
    match error.help() {
        Some(help) => located.with_help(help),
        None => located,
    }
}

/// The absolute directory and the name of a file, so that a later change of directory moves nothing.
fn split(path: &Path) -> Result<(PathBuf, String)> {
    let absolute = std::path::absolute(path)
        .map_err(|error| failure::failure("resolve", &path.display(), error))?;
    match (absolute.parent(), absolute.file_name().map(OsStr::to_str)) {
        (Some(dir), Some(Some(name))) => Ok((dir.to_owned(), name.to_owned())),
        _ => {
            let message = format!("{} is not the path of a file", path.display());
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}
