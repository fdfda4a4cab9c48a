//! A sealed file that one writer makes anew each time, with everything in it.
//!
//! It has no history: each writing draws a new file id and a new data key, and seals all entries in
//! one text that replaces the file. So no epoch is recorded, and nothing here tells an older state
//! from a newer one. Whoever keeps something in a bundle has to seal in it how old it may get.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::cost::Argon2Cost;
use super::crypto::random_key;
use super::disk::Location;
use super::entries::{DataKey, Entry, next_version};
use super::fields::{self, FileId};
use super::format;
use super::key::SlotKey;
use super::slots::Slot;
use super::source;
use super::unlocked::Unlocked;
use crate::backends::files::blocking::blocking;
use crate::backends::files::guard::{Guard, the_directory};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::Stage;
use crate::rails::GuardRails;
use crate::secret::Secret;

/// Who holds the key, as the file's one slot says it.
const LABEL: &str = "snapshot";

/// A sealed file that is read and replaced as a whole, by a raw key that lies elsewhere.
///
/// The key is read anew each time and kept by nobody. The guard rails for sealed files and their keys
/// hold.
#[derive(Clone)]
pub(crate) struct Bundle {
    path: PathBuf,
    key_file: PathBuf,
    env: Arc<Env>,
    rails: GuardRails,
    in_place: bool,
}

impl Bundle {
    /// Names the file and its key. Nothing is looked at yet.
    pub(crate) fn new(path: PathBuf, key_file: PathBuf, env: Arc<Env>, rails: GuardRails) -> Self {
        Self {
            path,
            key_file,
            env,
            rails,
            in_place: false,
        }
    }

    /// Does the work on files in place, where nothing else waits.
    pub(crate) fn in_place(mut self, in_place: bool) -> Self {
        self.in_place = in_place;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether the file could be written and read: its key, its directory, the guard rails.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the key lies beside the file, [`ErrorKind::Policy`] if the key is weak
    /// or a guard rail refuses a file, [`ErrorKind::Auth`] if there is no key, [`ErrorKind::Absent`] if there is no
    /// directory for the file.
    pub(crate) async fn check(&self) -> Result<()> {
        self.work(|bundle| bundle.unlock().map(drop)).await
    }

    /// Reads all entries, by name.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`ErrorKind::Absent`] if there is no file, [`ErrorKind::Denied`] if
    /// its key is another one, [`ErrorKind::Integrity`] if it was changed without the key.
    pub(crate) async fn read(&self) -> Result<BTreeMap<String, Secret>> {
        self.work(|bundle| bundle.read_all()).await
    }

    /// Replaces the file by one with these entries. A kill leaves the old file or the new one.
    ///
    /// # Errors
    /// As [`check`](Self::check), and whatever makes writing fail.
    pub(crate) async fn write(&self, entries: BTreeMap<String, Secret>) -> Result<()> {
        self.work(move |bundle| bundle.replace(&entries)).await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let bundle = self.clone();
        blocking(self.in_place, move || work(&bundle)).await
    }

    /// Finds the file's place and its key, and asks the guard rails about both.
    fn unlock(&self) -> Result<(Location, Guard, SlotKey)> {
        let location = Location::new(&self.path)?;
        if !location.dir().is_dir() {
            let message = format!("{} does not exist", the_directory(location.dir()));
            return Err(Error::new(ErrorKind::Absent, message)
                .with_help("make it, with mode 0700, for the user that the service runs as"));
        }
        self.refuse_key_beside(location.dir())?;
        let guard = Guard::new(&self.env, &self.rails, location.dir());
        guard.directory_and_parent(location.dir(), the_directory, None)?;
        let judges = (&*self.env, &self.rails);
        let key = source::from_key_file(judges, &self.key_file, no_key)?;
        key.check_strength()?;
        Ok((location, guard, key))
    }

    /// Refuses a key in the file's directory or beneath it: whoever copies the one has the other.
    fn refuse_key_beside(&self, dir: &Path) -> Result<()> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let of_file = self.path.canonicalize().ok();
        let of_file = of_file
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_owned);
        let of_key = match (self.key_file.canonicalize(), self.key_file.parent()) {
            (Ok(real), _) => real,
            // There is none yet; where it would lie counts.
            (Err(_), Some(parent)) => real(parent).join("key"),
            (Err(_), None) => self.key_file.clone(),
        };
        let beside = |dir: PathBuf| of_key.starts_with(dir);
        if !beside(real(dir)) && !of_file.is_some_and(beside) {
            return Ok(());
        }
        let (key, dir) = (self.key_file.display(), the_directory(dir));
        let message = format!("the key's file {key} lies in {dir}, beside what it opens");
        Err(Error::new(ErrorKind::Config, message).with_help(
            "keep the key in another directory, which is not copied and backed up with the file",
        ))
    }

    fn read_all(&self) -> Result<BTreeMap<String, Secret>> {
        let (location, guard, key) = self.unlock()?;
        let path = location.path();
        let root = location.root()?;
        let mut opened = location.open(&root).map_err(|error| match error.kind() {
            ErrorKind::Absent => {
                let message = format!("{} does not exist", path.display());
                Error::new(ErrorKind::Absent, message)
            }
            _ => error,
        })?;
        guard.writers(opened.metadata.mode(), &path.display(), None)?;
        let (document, _) = location.read(&mut opened)?;
        let unlocked = Unlocked::open(document, &key).map_err(|error| location.located(&error))?;
        let read = |name: &str| {
            let value = unlocked.read(name, &Stage::Current);
            let value = value.map_err(|error| location.located(&error))?;
            Ok((name.to_owned(), value))
        };
        unlocked.document.names().map(read).collect()
    }

    fn replace(&self, entries: &BTreeMap<String, Secret>) -> Result<()> {
        let (location, _, key) = self.unlock()?;
        let text = compose(entries, &key)?;
        let root = location.root()?;
        let _lock = location.lock(&root)?;
        location.refuse_link(&root)?;
        location.replace(&root, &text)
    }
}

/// Makes the text of a new file with these entries, which one key opens.
fn compose(entries: &BTreeMap<String, Secret>, key: &SlotKey) -> Result<String> {
    let data = DataKey::new(FileId::random()?, random_key()?);
    let slot = Slot::make(data.file, &data.key, LABEL, key, Argon2Cost::default())?;
    let now = fields::seconds(SystemTime::now());
    let seal = |(name, value): (&String, &Secret)| {
        let leading = Entry::current(name, &next_version([])?, now);
        // EXPOSES: to its encryption
        Entry::seal(&data, &leading, value.expose_bytes())
    };
    let lines = entries.iter().map(seal).collect::<Result<Vec<_>>>()?;
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    format::compose(&data, 1, &[slot], &lines)
}

fn no_key(path: &Path) -> Error {
    let message = format!("the key's file {} does not exist", path.display());
    Error::new(ErrorKind::Auth, message).with_help(
        "make one that the service's user alone can read: \
         `(umask 077; openssl rand -hex 32 > FILE)`",
    )
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("path", &self.path)
            .field("key_file", &self.key_file)
            .finish_non_exhaustive()
    }
}
