//! Opening and reading one file: beneath its root, never hanging, whole or not at all.

use std::fmt::Display;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use cap_fs_ext::OpenOptionsSyncExt as _;
use cap_std::fs::{Dir, OpenOptions};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::failure::{failure, gone, is_absence, leads_nowhere, not_a_file, too_large};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::secret::{self, Provenance, Version};

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
    open_dir(path, &path.display())?.ok_or_else(|| gone(&path.display()))
}

/// Opens the regular file that a path of the operator's leads to, through whatever links, with the
/// real path of its directory; `None` if there is none.
pub(in crate::backends) fn open_path(
    path: &Path,
    shown: &dyn Display,
) -> Result<Option<(PathBuf, Opened)>> {
    // Kubernetes takes a generation away while the link to the next is followed.
    for _ in 0..ATTEMPTS {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if is_absence(&error) => continue,
            Err(error) if leads_nowhere(&error) => return Ok(None),
            Err(error) => return Err(failure("open", shown, error)),
        };
        let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
            return Err(not_a_file(shown, "a directory"));
        };
        if let Some(dir) = open_dir(parent, shown)?
            && let Some(opened) = open(&dir, Path::new(name), shown)?
        {
            return Ok(Some((parent.to_owned(), opened)));
        }
    }
    Ok(None)
}

fn open_dir(path: &Path, shown: &dyn Display) -> Result<Option<Dir>> {
    match Dir::open_ambient_dir(path, cap_std::ambient_authority()) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(failure("open", shown, error)),
    }
}

/// Opens a regular file beneath `dir`; `None` if there is none. `shown` is what errors call it.
pub(in crate::backends) fn open(
    dir: &Dir,
    path: &Path,
    shown: &dyn Display,
) -> Result<Option<Opened>> {
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
        shown: &dyn Display,
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
            format!("{shown} kept changing while it was read"),
        )
        .with_help("write the new content to another file and rename it over this one"))
    }

    /// Returns what is known of a value that was read from this file.
    pub(in crate::backends) fn describe(
        &self,
        name: &SecretName,
        version: Version,
        provenance: Provenance,
    ) -> secret::Metadata {
        let known = secret::Metadata::new()
            .with_name(name)
            .with_version(version)
            .with_provenance(provenance);
        match self.metadata.modified() {
            Ok(modified) => known.with_created(modified),
            Err(_) => known,
        }
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
#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_leads_through_links_to_a_file_or_to_none() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("generation")).unwrap();
        std::fs::write(at("generation/token"), "v").unwrap();
        symlink("generation", at("..data")).unwrap();
        symlink("..data/token", at("token")).unwrap();
        symlink(at("token"), at("absolute")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        for name in ["generation/token", "token", "absolute"] {
            let (parent, mut opened) = open_path(&at(name), &"it").unwrap().unwrap();
            assert_eq!(parent, at("generation").canonicalize().unwrap(), "{name}");
            assert_eq!(opened.read(1, &"it").unwrap().as_slice(), b"v", "{name}");
        }
        let long = "x".repeat(10_000);
        for name in ["nothing", "dangling", "loop", "token/x", "a\0", &long] {
            assert!(open_path(&at(name), &"it").unwrap().is_none(), "{name:?}");
        }
        for path in ["/", dir.path().to_str().unwrap()] {
            let error = open_path(Path::new(path), &"it").unwrap_err();
            assert_eq!(error.to_string(), "it is a directory, not a file");
        }
    }

    #[test]
    fn a_version_tells_generations_and_files_apart() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = ["one", "two"].map(|name| {
            std::fs::write(dir.path().join(name), "v").unwrap();
            std::fs::metadata(dir.path().join(name)).unwrap()
        });
        let [one, two] = &metadata;
        assert_eq!(version(one, Some("..1")), version(one, Some("..1")));
        assert_ne!(version(one, Some("..1")), version(one, Some("..2")));
        assert_ne!(version(one, Some("..1")), version(one, None));
        assert_ne!(version(one, None), version(two, None));
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
                let mut opened = open(&root, "token".as_ref(), &"the file").unwrap().unwrap();
                match opened.read(1 << 20, &"the file") {
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
