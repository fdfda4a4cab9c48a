//! The file that a variable names: opened without waiting, judged by its descriptor, read once.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::rails::{GuardRails, Rail};
use crate::report::Finding;
use crate::secret::{MAX_VALUE_BYTES, Provenance, Version};

/// A file that the guard rails let pass.
pub(super) struct Opened {
    file: File,
    len: usize,
    /// Changes whenever the file is replaced or written; says nothing of its content.
    pub(super) version: Version,
    pub(super) provenance: Provenance,
}

/// Opens a regular file. `subject` stands for it in messages, which never show the path: a value
/// that was put where its file's path belongs must not be printed.
pub(super) fn open(
    path: &Path,
    subject: &str,
    name: &SecretName,
    env: &Env,
    rails: &GuardRails,
) -> Result<Opened> {
    let failed = |error: io::Error| io_error(error, subject);
    // Without NONBLOCK, opening a FIFO waits until somebody writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("{subject} is not a regular file"),
        ));
    }
    // One byte more than a value may have: the newline that is taken off.
    let len = usize::try_from(found.len()).unwrap_or(usize::MAX);
    if len > MAX_VALUE_BYTES.saturating_add(1) {
        return Err(too_long(subject));
    }
    let on_tmpfs = is_on_tmpfs(&file);
    check_rails(path, &found, on_tmpfs, subject, name, env, rails)?;
    Ok(Opened {
        len,
        version: version(&found),
        provenance: Provenance::new().wipeable().file(found.mode(), on_tmpfs),
        file,
    })
}

impl Opened {
    /// Reads the value into one allocation, and takes exactly one final newline off a text.
    pub(super) fn read(
        self,
        subject: &str,
        name: &SecretName,
        rails: &GuardRails,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let mut value = Zeroizing::new(vec![0; self.len]);
        let mut file = &self.file;
        let complete = file.read_exact(&mut value);
        let more = complete.and_then(|()| file.read(&mut [0]));
        match more {
            Ok(0) => {}
            // A writer is at work: half a value must never be handed out.
            Ok(_) => return Err(being_written(subject)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(being_written(subject));
            }
            Err(error) => return Err(io_error(error, subject)),
        }
        let is_text = std::str::from_utf8(&value).is_ok();
        if is_text && value.last() == Some(&b'\n') {
            let shorter = value.len().saturating_sub(1);
            value.truncate(shorter);
            if matches!(value.last(), Some(b'\n' | b'\r')) {
                rails.say(Finding::warning(
                    Some(name),
                    "trailing-newline",
                    format!("{subject} ends in more than one newline; one was taken off"),
                    "write the file with `printf %s`, or without a final newline",
                ));
            }
        }
        match value.len() > MAX_VALUE_BYTES {
            true => Err(too_long(subject)),
            false => Ok(value),
        }
    }
}

fn check_rails(
    path: &Path,
    found: &Metadata,
    on_tmpfs: bool,
    subject: &str,
    name: &SecretName,
    env: &Env,
    rails: &GuardRails,
) -> Result<()> {
    let real_path = path
        .canonicalize()
        .map_err(|error| io_error(error, subject))?;
    let mounted = is_in_credentials_mount(&real_path, on_tmpfs, env);
    let name = Some(name);
    if !on_tmpfs && !mounted {
        let sentence = format!("{subject} lies on a disk");
        rails.check(Rail::PlainFileOnDisk, &sentence, name)?;
    }
    if found.mode() & 0o044 != 0 {
        let sentence = format!("{subject} can be read by its group or the world");
        match mounted {
            // 0644 and 0444 are what the platforms make by themselves.
            true => rails.warn(Rail::ReadableByOthers, &sentence, name),
            false => rails.check(Rail::ReadableByOthers, &sentence, name)?,
        }
    }
    if found.mode() & 0o002 != 0 {
        let sentence = format!("{subject} can be written by the world");
        rails.check(Rail::WritableByOthers, &sentence, name)?;
    }
    let directory = real_path.parent().and_then(|parent| parent.metadata().ok());
    // In a sticky directory nobody but its owner can replace the file.
    if directory.is_some_and(|found| found.mode() & 0o1002 == 0o002) {
        let sentence = format!("the directory of {subject} can be written by the world");
        rails.check(Rail::WritableByOthers, &sentence, name)?;
    }
    Ok(())
}

/// Reports whether the platform put the file there: systemd's or Docker's directory, or a
/// generation of a Kubernetes volume, whose directories begin with two dots.
fn is_in_credentials_mount(real_path: &Path, on_tmpfs: bool, env: &Env) -> bool {
    let credentials = env.var("CREDENTIALS_DIRECTORY").ok().flatten();
    let directories = [
        credentials
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute()),
        Some(env.mounted_secrets().to_owned()),
    ];
    let beneath = |dir: PathBuf| {
        dir.canonicalize()
            .is_ok_and(|dir| real_path.starts_with(dir))
    };
    let generation = |dir: &Path| {
        dir.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
    };
    directories.into_iter().flatten().any(beneath)
        || (on_tmpfs && real_path.ancestors().any(generation))
}

#[cfg(target_os = "linux")]
fn is_on_tmpfs(file: &File) -> bool {
    const TMPFS_MAGIC: u32 = 0x0102_1994;
    const RAMFS_MAGIC: u32 = 0x8584_58f6;
    // The type's width differs between platforms; the magic numbers have 32 bits.
    rustix::fs::fstatfs(file)
        .is_ok_and(|found| matches!(found.f_type as u32, TMPFS_MAGIC | RAMFS_MAGIC))
}

#[cfg(not(target_os = "linux"))]
fn is_on_tmpfs(_: &File) -> bool {
    false
}

fn version(found: &Metadata) -> Version {
    // The time of change can't be set back by whoever writes the file; the time of writing can.
    Version::new(format!(
        "{:x}-{:x}-{:x}.{:x}-{:x}.{:x}",
        found.dev(),
        found.ino(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}

fn too_long(subject: &str) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("{subject} is too long: a value has at most {MAX_VALUE_BYTES} bytes"),
    )
}

fn being_written(subject: &str) -> Error {
    let message = format!("{subject} changed while it was read");
    Error::new(ErrorKind::Transient, message).with_help("replace it by renaming a complete file")
}

fn io_error(error: io::Error, subject: &str) -> Error {
    let (kind, what) = match error.kind() {
        // The variable promises a file: that is a wrong setting, not a secret that nobody set.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            (ErrorKind::Config, "does not exist")
        }
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
            (ErrorKind::Config, "has no valid path")
        }
        io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "may not be read by this process"),
        _ if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
            (ErrorKind::Config, "has no valid path")
        }
        _ => (ErrorKind::Transient, "can't be read"),
    };
    Error::new(kind, format!("{subject} {what}")).with_source(error)
}
