//! A file that only grows, which several processes append to: found without being led astray, locked
//! beside it, set aside and continued by a new one.
//!
//! What its lines mean is for its user to know.

use std::fs::{File, Metadata, Permissions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};

use super::failure::{failure, is_absence, lock_failure, not_a_file};
use super::guard::{Guard, the_directory};
use super::read;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::rails::GuardRails;

/// How long another writer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the lock is tried before this thread sleeps between two tries.
const EAGER: u32 = 20;
const NAP: Duration = Duration::from_micros(200);

/// Where a growing file lies, beside its lock and the files that it replaced.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    dir: PathBuf,
    name: String,
    lock_path: PathBuf,
    judges: Option<(Arc<Env>, GuardRails)>,
    /// Kept open, since every append needs it.
    lock: Option<(Arc<File>, Identity)>,
}

/// Which file this is, whatever it is called.
pub(crate) type Identity = (u64, u64);

/// What a look at the path found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) identity: Identity,
    pub(crate) len: u64,
}

/// The file, open for reading and for appending.
#[derive(Debug)]
pub(crate) struct Growing {
    file: File,
    pub(crate) identity: Identity,
    pub(crate) len: u64,
}

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct Locked(Arc<File>);

impl Drop for Locked {
    fn drop(&mut self) {
        // The end of the process, or of the descriptor, unlocks it otherwise.
        let _ = self.0.unlock();
    }
}

impl Journal {
    /// Names the file. Nothing is looked at yet.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)
            .map_err(|error| failure("resolve", &path.display(), error))?;
        let (Some(dir), Some(Some(name))) = (path.parent(), path.file_name().map(|n| n.to_str()))
        else {
            let message = format!("{} is not the path of a file", path.display());
            return Err(Error::new(ErrorKind::Config, message));
        };
        Ok(Self {
            dir: dir.to_owned(),
            lock_path: dir.join(format!("{name}.lock")),
            name: name.to_owned(),
            path,
            judges: None,
            lock: None,
        })
    }

    /// Asks these guard rails about the file and its directory, whenever one of them is opened.
    pub(crate) fn judged_by(mut self, env: Arc<Env>, rails: GuardRails) -> Self {
        self.judges = Some((env, rails));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the lock, which every writer holds.
    pub(crate) fn lock(&mut self) -> Result<Locked> {
        loop {
            let (file, identity) = match &self.lock {
                Some((file, identity)) => (Arc::clone(file), *identity),
                None => {
                    let (file, identity) = self.open_lock()?;
                    let file = Arc::new(file);
                    self.lock = Some((Arc::clone(&file), identity));
                    (file, identity)
                }
            };
            wait(&file).map_err(|error| lock_failure(&self.dir.display(), error))?;
            let locked = Locked(file);
            if self.is_still_the_lock(identity) {
                return Ok(locked);
            }
            self.lock = None;
        }
    }

    /// Takes the lock, which was held before, if nobody else holds it.
    pub(crate) fn lock_at_once(&self) -> Option<Locked> {
        let (file, identity) = self.lock.as_ref()?;
        file.try_lock().ok()?;
        let locked = Locked(Arc::clone(file));
        self.is_still_the_lock(*identity).then_some(locked)
    }

    /// Somebody may have taken the lock file away: another one would lock nothing.
    fn is_still_the_lock(&self, identity: Identity) -> bool {
        let now = std::fs::symlink_metadata(&self.lock_path);
        now.is_ok_and(|now| identity_of(&now) == identity)
    }

    fn open_lock(&self) -> Result<(File, Identity)> {
        if let Some((env, rails)) = &self.judges {
            let guard = Guard::new(env, rails, &self.dir);
            guard.directory_and_parent(&self.dir, the_directory, None)?;
        }
        let mut options = appending();
        options.create(true).mode(0o600);
        let path = &self.lock_path;
        let file = self
            .root()?
            .open_with(format!("{}.lock", self.name), &options);
        let file = file
            .map_err(|error| failure("open", &path.display(), error))?
            .into_std();
        let metadata = self.checked(&file, path)?;
        Ok((file, identity_of(&metadata)))
    }

    /// Looks at what the path leads to; `None` if nothing is there.
    pub(crate) fn look(&self) -> Result<Option<Look>> {
        match std::fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(Look {
                identity: identity_of(&metadata),
                len: metadata.len(),
            })),
            Ok(metadata) => Err(astray(&self.path, &metadata)),
            // A directory that is gone is no file that is not there yet.
            Err(error) if is_absence(&error) && self.dir.is_dir() => Ok(None),
            Err(error) => Err(failure("look at", &self.path.display(), error)),
        }
    }

    /// Opens the file; `None` if there is none.
    pub(crate) fn open(&self) -> Result<Option<Growing>> {
        let Some(_) = self.look()? else {
            return Ok(None);
        };
        let file = match self.root()?.open_with(&self.name, &appending()) {
            Ok(file) => file.into_std(),
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(failure("open", &self.path.display(), error)),
        };
        let metadata = self.checked(&file, &self.path)?;
        Ok(Some(growing(file, &metadata)))
    }

    /// Makes the file, which is not there yet, with the permissions of the one before it where that
    /// let a group read.
    pub(crate) fn create(&self, former: Option<&Growing>) -> Result<Growing> {
        let mut options = appending();
        options.create_new(true).mode(0o600);
        let failed = |error| failure("create", &self.path.display(), error);
        let file = self
            .root()?
            .open_with(&self.name, &options)
            .map_err(failed)?
            .into_std();
        let former = former.and_then(|former| former.file.metadata().ok());
        if let Some(former) = former.filter(|former| former.mode() & 0o040 != 0) {
            let mode = Permissions::from_mode(0o640);
            let group = rustix::fs::Gid::from_raw(former.gid());
            // Where the group can't be given, its permission would be another group's.
            if rustix::fs::fchown(&file, None, Some(group)).is_ok() {
                file.set_permissions(mode).map_err(failed)?;
            }
        }
        let metadata = file.metadata().map_err(failed)?;
        Ok(growing(file, &metadata))
    }

    /// Returns the files that were set aside, the oldest first.
    pub(crate) fn aside(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        let failed = |error| failure("list", &self.dir.display(), error);
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| {
                let digits = name.strip_prefix(&self.name)?.strip_prefix('.')?;
                let all_digits =
                    digits.len() == WIDTH && digits.bytes().all(|b| b.is_ascii_digit());
                all_digits.then(|| digits.parse().ok()).flatten()
            });
            if let Some(number) = number {
                found.push((number, self.dir.join(name)));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Returns what the file is called once it is set aside under a number.
    pub(crate) fn aside_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{}.{number:0WIDTH$}", self.name))
    }

    /// Sets the file aside. The caller holds the lock.
    pub(crate) fn set_aside(&self, number: u64) -> Result<()> {
        let to = self.aside_path(number);
        if to.symlink_metadata().is_ok() {
            let message = format!("{} is there already", to.display());
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_help("two logs share one path: give each its own, and move one away"));
        }
        std::fs::rename(&self.path, &to)
            .map_err(|error| failure("rename", &self.path.display(), error))
    }

    /// Opens a file that was set aside, for reading.
    pub(crate) fn open_aside(path: &Path) -> Result<Option<Growing>> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(metadata) => return Err(astray(path, &metadata)),
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(failure("look at", &path.display(), error)),
        }
        let Some((_, opened)) = read::open_path(path, &path.display())? else {
            return Ok(None);
        };
        Ok(Some(growing(opened.file, &opened.metadata)))
    }

    fn root(&self) -> Result<Dir> {
        read::open_root(&self.dir)
    }

    /// Looks at the descriptor: between a look at a path and its opening, the file can change.
    fn checked(&self, file: &File, path: &Path) -> Result<Metadata> {
        let metadata = file
            .metadata()
            .map_err(|error| failure("look at", &path.display(), error))?;
        if !metadata.is_file() || metadata.nlink() > 1 {
            return Err(astray(path, &metadata));
        }
        if let Some((env, rails)) = &self.judges {
            let guard = Guard::new(env, rails, &self.dir);
            guard.writers(metadata.mode(), &path.display(), None)?;
        }
        Ok(metadata)
    }
}

/// The digits of a file that was set aside.
const WIDTH: usize = 12;

impl Growing {
    /// Reads from `from` on, at most so many bytes.
    pub(crate) fn read(&mut self, from: u64, most: u64, path: &Path) -> Result<Vec<u8>> {
        let failed = |error| failure("read", &path.display(), error);
        self.file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut bytes = Vec::new();
        (&mut self.file)
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        Ok(bytes)
    }

    /// Appends bytes, all or none as far as the file system lets. The caller holds the lock.
    pub(crate) fn append(&mut self, bytes: &[u8], sync: bool, path: &Path) -> Result<()> {
        let mut written = self.file.write_all(bytes);
        if sync && written.is_ok() {
            written = self.file.sync_data();
        }
        if let Err(error) = written {
            // Nobody was told that any of it is there.
            let _ = self.file.set_len(self.len);
            return Err(failure("append to", &path.display(), error));
        }
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.len = self.len.saturating_add(more);
        Ok(())
    }

    /// Hands the file out to be read as a stream, from its beginning.
    pub(crate) fn into_file(mut self, path: &Path) -> Result<File> {
        self.file
            .rewind()
            .map_err(|error| failure("read", &path.display(), error))?;
        Ok(self.file)
    }

    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.file.metadata().ok()?.modified().ok()
    }
}

fn growing(file: File, metadata: &Metadata) -> Growing {
    Growing {
        file,
        identity: identity_of(metadata),
        len: metadata.len(),
    }
}

fn identity_of(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn appending() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    // Neither a link nor a FIFO in its place may lead away or hang.
    options.follow(FollowSymlinks::No).nonblock(true);
    options
}

fn astray(path: &Path, metadata: &Metadata) -> Error {
    let what = match metadata.file_type() {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a directory",
        kind if kind.is_file() => "a file with a second name (a hard link)",
        _ => "a device, a socket or a FIFO",
    };
    let error = not_a_file(&path.display(), what);
    Error::new(ErrorKind::Config, error.to_string())
        .with_help("name the path of a regular file that nothing else leads to")
}

fn wait(file: &File) -> std::io::Result<()> {
    let deadline = Instant::now().checked_add(PATIENCE);
    let mut tries = 0_u32;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        tries = tries.saturating_add(1);
        if tries <= EAGER {
            std::thread::yield_now();
            continue;
        }
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(NAP);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_lock_that_is_a_link_is_refused_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for target in ["beside", "not-there"] {
            fs::write(dir.path().join("beside"), "").unwrap();
            symlink(target, dir.path().join("log.lock")).unwrap();
            // By its own call: `lock` would try again for as long as another file is in the lock's place.
            Journal::new(&path).unwrap().open_lock().unwrap_err();
            assert!(!dir.path().join("not-there").exists());
            fs::remove_file(dir.path().join("log.lock")).unwrap();
        }
        Journal::new(&path).unwrap().lock().unwrap();
    }
}
