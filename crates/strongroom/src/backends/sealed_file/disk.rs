//! Where a sealed file lies: read as a whole, and replaced as a whole under its directory's lock.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cap_std::fs::Dir;

use super::fields;
use super::format::{Document, MAX_BYTES};
use crate::backends::files::failure;
use crate::backends::files::read::{self, Opened};
use crate::backends::files::stamp::Stamp;
use crate::backends::files::write::{self, Lock};
use crate::error::{Error, ErrorKind, Result};

/// The path of a sealed file.
#[derive(Debug)]
pub(super) struct Location {
    dir: PathBuf,
    name: String,
}

impl Location {
    /// Takes the absolute path, so that a later change of the working directory moves nothing.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path)
            .map_err(|error| failure::failure("resolve", &path.display(), error))?;
        match (absolute.parent(), absolute.file_name().map(OsStr::to_str)) {
            (Some(dir), Some(Some(name))) => Ok(Self {
                dir: dir.to_owned(),
                name: name.to_owned(),
            }),
            _ => {
                let message = format!("{} is not the path of a file", path.display());
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Opens the directory, in which everything else is done.
    pub(super) fn root(&self) -> Result<Dir> {
        read::open_root(&self.dir)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none.
    pub(super) fn open(&self, root: &Dir) -> Result<Opened> {
        let path = self.path();
        let opened = read::open(root, Path::new(&self.name), &path.display())?;
        opened.ok_or_else(|| {
            let message = format!("{} does not exist", path.display());
            Error::new(ErrorKind::Absent, message)
                .with_help("`strongroom init` makes one; or correct the path in the address")
        })
    }

    /// Reads and parses the whole file. The stamp is `None` where not every later change would show
    /// in it.
    pub(super) fn read(&self, opened: &mut Opened) -> Result<(Document, Option<Stamp>)> {
        let begun = SystemTime::now();
        // The bytes of the file are not secret.
        let bytes = std::mem::take(&mut *opened.read(MAX_BYTES, &self.path().display())?);
        let document = Document::parse(bytes).map_err(|error| self.located(&error))?;
        Ok((document, settled(&opened.metadata, begun)))
    }

    /// Reports whether another file than the one of this stamp is there now.
    pub(super) fn is_replaced(&self, stamp: &Stamp) -> bool {
        let now = self.root().and_then(|root| self.open(&root));
        now.is_ok_and(|now| Stamp::of(&now.metadata) != *stamp)
    }

    /// Waits for the lock of the directory, which every writer holds.
    pub(super) fn lock(&self, root: &Dir) -> Result<Lock> {
        write::lock(root).map_err(|error| failure::lock_failure(&self.dir.display(), error))
    }

    /// Writes a file that is not there yet.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if something of that name is there.
    pub(super) fn create(&self, text: &str) -> Result<()> {
        let root = self.root()?;
        let _lock = self.lock(&root)?;
        let path = self.path();
        match root.symlink_metadata(&self.name) {
            Err(error) if failure::is_absence(&error) => self.write(&root, text, None),
            Err(error) => Err(failure::failure("look at", &path.display(), error)),
            Ok(_) => {
                let message = format!("{} exists already", path.display());
                Err(Error::new(ErrorKind::Conflict, message)
                    .with_help("nothing was written; open it, or choose another name"))
            }
        }
    }

    /// Refuses a symbolic link, which replacing would turn into a file.
    pub(super) fn refuse_link(&self, root: &Dir) -> Result<()> {
        let link = root.symlink_metadata(&self.name);
        if !link.is_ok_and(|metadata| metadata.is_symlink()) {
            return Ok(());
        }
        let path = self.path();
        let message = format!(
            "{} is a symbolic link, and can't be replaced",
            path.display()
        );
        Err(Error::new(ErrorKind::Unsupported, message)
            .with_help("write to the file that it leads to"))
    }

    /// Replaces the file. The caller holds the lock.
    pub(super) fn replace(&self, root: &Dir, text: &str) -> Result<()> {
        let old = read::open(root, Path::new(&self.name), &self.path().display())?;
        self.write(root, text, old.as_ref().map(|old| &old.metadata))
    }

    fn write(&self, root: &Dir, text: &str, old: Option<&Metadata>) -> Result<()> {
        write::replace(root, &self.name, text.as_bytes(), old)
            .map(drop)
            .map_err(|error| failure::failure("write", &self.path().display(), error))
    }

    /// Puts the path before what is wrong in the file.
    pub(super) fn located(&self, error: &Error) -> Error {
        let message = format!("{}: {error}", self.path().display());
        let located = Error::new(error.kind(), message);
        match error.help() {
            Some(help) => located.with_help(help),
            None => located,
        }
    }
}

/// The coarsest clock of a file system ticks this slowly. Within a tick, changes look alike.
const TICK: Duration = Duration::from_secs(2);

/// The stamp of a file that was last changed a tick before it was read, or longer ago.
fn settled(metadata: &Metadata, read: SystemTime) -> Option<Stamp> {
    let changed = u64::try_from(metadata.ctime())
        .ok()
        .and_then(fields::time)?;
    // A second more, for the fraction of one that `changed` leaves out.
    let since = TICK.saturating_add(Duration::from_secs(1));
    let settled = read.duration_since(changed).is_ok_and(|age| age >= since);
    settled.then(|| Stamp::of(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changed_just_before_it_was_read_has_no_stamp() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let seconds = u64::try_from(metadata.ctime()).unwrap();
        let changed = fields::time(seconds).unwrap();
        let stamp = |after| settled(&metadata, changed + Duration::from_secs(after));
        assert_eq!(stamp(3), Some(Stamp::of(&metadata)));
        for after in 0..3 {
            assert_eq!(stamp(after), None);
        }
        let before = changed - Duration::from_secs(60);
        assert_eq!(settled(&metadata, before), None, "another clock");
    }
}
