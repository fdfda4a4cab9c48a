//! Opening and reading one file: beneath its root, never hanging, whole or not at all.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::SystemTime;

use cap_fs_ext::OpenOptionsSyncExt as _;
use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Version;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 16;

/// A regular file, open for reading.
#[derive(Debug)]
pub(in crate::backends) struct Opened {
    pub(in crate::backends) file: File,
    pub(in crate::backends) metadata: Metadata,
}

/// Opens a directory by a path that the operator gave.
pub(in crate::backends) fn open_root(path: &Path) -> Result<Dir> {
    Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(|error| {
        match is_absence(&error) {
            true => gone(path),
            false => failure("open", path, error),
        }
    })
}

/// What was there at the opening is not: the backend itself, which says nothing about a secret.
pub(in crate::backends) fn gone(path: &Path) -> Error {
    let message = format!("{} is gone since it was opened", path.display());
    Error::new(ErrorKind::Transient, message).with_help("mount it again, or put it back")
}

/// Opens a regular file beneath `dir`; `None` if there is none. `shown` is what errors call it.
pub(in crate::backends) fn open(dir: &Dir, path: &Path, shown: &Path) -> Result<Option<Opened>> {
    let mut options = OpenOptions::new();
    // A FIFO without a writer would block the opening itself.
    options.read(true).nonblock(true);
    let file = match dir.open_with(path, &options) {
        Ok(file) => file.into_std(),
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(failure("open", shown, error)),
    };
    let metadata = file
        .metadata()
        .map_err(|error| failure("look at", shown, error))?;
    if metadata.is_file() {
        return Ok(Some(Opened { file, metadata }));
    }
    let kind = metadata.file_type();
    Err(not_a_file(
        shown,
        match kind {
            kind if kind.is_dir() => "a directory",
            kind if kind.is_fifo() => "a FIFO",
            kind if kind.is_socket() => "a socket",
            _ => "a device",
        },
    ))
}

impl Opened {
    /// Reads the whole file into one allocation of exactly its size, at most `limit` bytes.
    ///
    /// A file that changes meanwhile is read again, so that no mixture of two states comes back.
    pub(in crate::backends) fn read(
        &mut self,
        limit: usize,
        shown: &Path,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |error| failure("read", shown, error);
        for _ in 0..ATTEMPTS {
            let before = self.file.metadata().map_err(failed)?;
            let size = usize::try_from(before.len()).unwrap_or(usize::MAX);
            if size > limit {
                return Err(too_large(shown, limit));
            }
            let mut content = Zeroizing::new(vec![0; size]);
            self.file.rewind().map_err(failed)?;
            let whole = fill(&mut self.file, &mut content).map_err(failed)?
                && self.file.read(&mut [0]).map_err(failed)? == 0;
            let after = self.file.metadata().map_err(failed)?;
            if whole && version(&before, None) == version(&after, None) {
                self.metadata = after;
                return Ok(content);
            }
        }
        Err(Error::new(
            ErrorKind::Transient,
            format!("{} kept changing while it was read", shown.display()),
        )
        .with_help("write the new content to another file and rename it over this one"))
    }

    pub(in crate::backends) fn created(&self) -> Option<SystemTime> {
        self.metadata.modified().ok()
    }
}

/// Fills the buffer; `false` if the file ends before.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The version of a file's content: which file it is, and when it was last changed. It does not
/// depend on the content. `generation` is the target of Kubernetes' `..data` link.
pub(in crate::backends) fn version(metadata: &Metadata, generation: Option<&str>) -> Version {
    let mut hash = Sha256::new();
    for part in [
        metadata.ino(),
        metadata.mtime().cast_unsigned(),
        metadata.mtime_nsec().cast_unsigned(),
        metadata.ctime().cast_unsigned(),
        metadata.ctime_nsec().cast_unsigned(),
        metadata.size(),
    ] {
        hash.update(part.to_be_bytes());
    }
    hash.update(generation.unwrap_or_default());
    // Short, since people see it in tables; only equality counts.
    let [a, b, c, d, e, f, ..] = <[u8; 32]>::from(hash.finalize());
    Version::new(base16ct::lower::encode_string(&[a, b, c, d, e, f]))
}

/// Reports whether nothing is there, as opposed to something that can't be opened.
pub(in crate::backends) fn is_absence(error: &io::Error) -> bool {
    // A name that is too long for a file can't be there either.
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

/// Tells apart why an operation on a file failed, by the system's error code.
pub(in crate::backends) fn failure(doing: &str, path: &Path, error: io::Error) -> Error {
    use rustix::io::Errno;
    let path = path.display();
    let errno = Errno::from_io_error(&error);
    if errno.is_none() && error.kind() == io::ErrorKind::PermissionDenied {
        return Error::new(
            ErrorKind::Denied,
            format!("{path} leads out of the directory it is in"),
        )
        .with_help("replace the symbolic link by the file, or name the other directory instead");
    }
    let (kind, help) = match errno {
        Some(Errno::ACCESS | Errno::PERM) => (
            ErrorKind::Denied,
            "the process's user needs permission for it, and for each directory above it",
        ),
        Some(Errno::NOENT | Errno::NOTDIR) => (ErrorKind::Absent, "it must exist"),
        Some(Errno::LOOP) => (ErrorKind::Malformed, "its symbolic links form a loop"),
        Some(Errno::NXIO | Errno::NODEV) => {
            return not_a_file(Path::new(&path.to_string()), "a socket or a device");
        }
        Some(Errno::ROFS) => (ErrorKind::Unsupported, "the file system is read-only"),
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => (
            ErrorKind::Transient,
            "there is no room for it: make some; what was there is unchanged",
        ),
        Some(Errno::NAMETOOLONG) => (ErrorKind::Unsupported, "its name is too long for a file"),
        _ => (ErrorKind::Transient, "it may work when tried again"),
    };
    Error::new(kind, format!("can't {doing} {path}"))
        .with_help(help)
        .with_source(error)
}

/// Tells why the lock of a directory was not had.
pub(in crate::backends) fn lock_failure(path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::TimedOut {
        let message = format!("another writer holds the lock of {}", path.display());
        return Error::new(ErrorKind::Transient, message)
            .with_help("find out which process holds `.strongroom.lock` there, or try again");
    }
    failure("lock", path, error)
}

fn not_a_file(path: &Path, what: &str) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("{} is {what}, not a file", path.display()),
    )
    .with_help("put a regular file there, or take it away")
}

pub(in crate::backends) fn too_large(path: &Path, limit: usize) -> Error {
    let kib = limit / 1024;
    Error::new(
        ErrorKind::Malformed,
        format!(
            "{} is larger than {kib} KiB, which is the most",
            path.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn failures_are_told_apart_by_their_code() {
        let path = Path::new("/etc/app/token");
        for (errno, kind) in [
            (Errno::ACCESS, ErrorKind::Denied),
            (Errno::PERM, ErrorKind::Denied),
            (Errno::NOENT, ErrorKind::Absent),
            (Errno::LOOP, ErrorKind::Malformed),
            (Errno::NXIO, ErrorKind::Malformed),
            (Errno::ROFS, ErrorKind::Unsupported),
            (Errno::IO, ErrorKind::Transient),
            (Errno::MFILE, ErrorKind::Transient),
            (Errno::NOSPC, ErrorKind::Transient),
            (Errno::STALE, ErrorKind::Transient),
        ] {
            let error = failure("open", path, errno.into());
            assert_eq!(error.kind(), kind, "{errno:?}");
            assert!(error.to_string().contains("/etc/app/token"), "{error}");
        }
        let held = lock_failure(path, io::ErrorKind::TimedOut.into());
        assert_eq!(held.kind(), ErrorKind::Transient);
    }

    #[test]
    fn a_file_that_is_written_in_place_is_never_read_as_a_mixture() {
        const SIZES: [(u8, usize); 3] = [(b'a', 100_000), (b'b', 60_000), (b'c', 3)];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "ccc").unwrap();
        let root = open_root(dir.path()).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for (byte, size) in SIZES.into_iter().cycle().take(600) {
                    std::fs::write(&path, vec![byte; size]).unwrap();
                }
            });
            while !writer.is_finished() {
                let mut opened = open(&root, "token".as_ref(), &path).unwrap().unwrap();
                match opened.read(1 << 20, &path) {
                    Ok(content) => {
                        let first = content.first().copied().unwrap_or_default();
                        assert!(content.iter().all(|byte| *byte == first), "a mixture");
                        assert_eq!(content.capacity(), content.len());
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Transient),
                }
            }
        });
    }
}
