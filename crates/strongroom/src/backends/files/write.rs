//! Changing one file: under a lock, and as a whole or not at all.

use std::fs::{File, FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::{Duration, Instant, SystemTime};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::io::Errno;

use crate::random;

/// The lock file of a directory. It stays: taking it away would let two writers hold two locks.
pub(super) const LOCK: &str = ".strongroom.lock";
/// How long another writer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the name of a file begins and ends with while it is being written.
const PREFIX: &str = ".strongroom-";
const SUFFIX: &str = ".tmp";
/// The age from which such a file was left behind by a crash.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Holds the advisory lock of a directory until it is dropped.
#[derive(Debug)]
pub(in crate::backends) struct Lock {
    _file: File,
}

/// Waits for the lock of `dir`. Blocks; an error of kind `TimedOut` ends the wait.
pub(in crate::backends) fn lock(dir: &Dir) -> io::Result<Lock> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    // Neither a link nor a FIFO in its place may lead away or hang.
    options.follow(FollowSymlinks::No).nonblock(true);
    let file = dir.open_with(LOCK, &options)?.into_std();
    if !file.metadata()?.is_file() {
        return Err(Errno::NXIO.into());
    }
    let deadline = Instant::now().checked_add(PATIENCE);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Replaces the file `name` of `dir`, or creates it: a reader, and a crash at any moment, find the
/// old content or the new. `old` is what is there now.
///
/// The file is readable by its owner only, and by nobody who could not read the old one.
pub(in crate::backends) fn replace(
    dir: &Dir,
    name: &str,
    content: &[u8],
    old: Option<&Metadata>,
) -> io::Result<Metadata> {
    let mut temporary = Temporary::create(dir)?;
    let file = &mut temporary.file;
    file.write_all(content)?;
    if let Some(old) = old {
        file.set_permissions(Permissions::from_mode(old.mode() & 0o600))?;
        if old.uid() != file.metadata()?.uid() {
            let owner = rustix::fs::Uid::from_raw(old.uid());
            rustix::fs::fchown(&*file, Some(owner), None)?;
        }
    }
    // Two writes within one tick of the file system's clock must still differ in their version.
    let after_old = old
        .and_then(|old| old.modified().ok())
        .and_then(|old| old.checked_add(Duration::from_nanos(1)));
    let modified = after_old.map_or_else(SystemTime::now, |old| old.max(SystemTime::now()));
    file.set_times(FileTimes::new().set_modified(modified))?;
    file.sync_all()?;
    let file = temporary.rename(name)?;
    sync(dir)?;
    file.metadata()
}

/// Removes the file `name` of `dir`.
pub(in crate::backends) fn remove(dir: &Dir, name: &str) -> io::Result<()> {
    dir.remove_file(name)?;
    sync(dir)
}

fn sync(dir: &Dir) -> io::Result<()> {
    // The descriptor of `dir` may be one for looking only, which can't be synced.
    dir.open(".")?.into_std().sync_all()
}

/// Removes what writers that were killed left behind. Only old files: a writer that holds the lock
/// of another directory may be at work in this one.
fn sweep(dir: &Dir) {
    let Ok(entries) = dir.entries() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
        let modified = || {
            entry
                .metadata()
                .ok()?
                .modified()
                .ok()?
                .into_std()
                .elapsed()
                .ok()
        };
        if ours && modified().is_some_and(|age| age > ABANDONED) {
            // What can't be removed is as harmless as before: hidden, and its owner's alone.
            let _ = dir.remove_file(&name);
        }
    }
}

/// A file that disappears again unless it is renamed.
struct Temporary<'a> {
    dir: &'a Dir,
    name: Option<String>,
    file: File,
}

impl<'a> Temporary<'a> {
    fn create(dir: &'a Dir) -> io::Result<Self> {
        sweep(dir);
        let random = random::array::<8>().map_err(io::Error::other)?;
        let name = format!(
            "{PREFIX}{}{SUFFIX}",
            base16ct::lower::encode_string(&random)
        );
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = dir.open_with(&name, &options)?.into_std();
        Ok(Self {
            dir,
            name: Some(name),
            file,
        })
    }

    fn rename(mut self, to: &str) -> io::Result<File> {
        if let Some(name) = &self.name {
            self.dir.rename(name, self.dir, to)?;
        }
        self.name = None;
        self.file.try_clone()
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Whatever made the write fail is the error that counts.
            let _ = self.dir.remove_file(name);
        }
    }
}
