//! Files that the command reads and writes by itself, beside those of the library.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use strongroom::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

/// Reads a regular file of at most so many bytes, without a copy that is left behind.
///
/// # Errors
/// Whatever makes it fail, among it that something else than a file is there, or that it is larger.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let (file, size) = open(path, OFlags::RDONLY)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    read_from(file, most, size)
}

/// Reads what a descriptor of this process leads to: a file, or a pipe up to its end.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_descriptor(number: u32, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    read_from(File::open(format!("/dev/fd/{number}"))?, most, most)
}

/// Reads standard input up to its end, from where it stands.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_input(most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Opened anew it would begin at its beginning, and a socket can't be.
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    read_from(File::from(input), most, most)
}

fn read_from(file: File, most: usize, size: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // One byte more than can be right, so that nothing is moved to larger memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.min(most).saturating_add(1)));
    let limit = u64::try_from(most.saturating_add(1)).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes)?;
    match bytes.len() > most {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// The most bytes of a file that a line is added to, which is git's own limit for its files.
pub(crate) const MAX_LINES: usize = 100 * 1024 * 1024;

/// Adds a line to a file unless it has it; what is there stays. Reports whether it was added.
///
/// # Errors
/// [`ErrorKind::Config`] if it can't be read or written, or a link stands there.
pub(crate) fn add_line(path: &Path, line: &str) -> Result<bool> {
    let found = match read(path, MAX_LINES) {
        Ok(found) => String::from_utf8_lossy(&found).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed("read", path, error)),
    };
    if found.lines().any(|known| known.trim() == line) {
        return Ok(false);
    }
    let separator = match found.is_empty() || found.ends_with('\n') {
        true => "",
        false => "\n",
    };
    // Git follows no link here either.
    append(path, &format!("{separator}{line}\n")).map_err(|error| failed("write", path, error))?;
    Ok(true)
}

/// Adds a line to a file that a link leads to nowhere else, or creates it.
///
/// # Errors
/// Whatever makes it fail, among it that something else than a file is there.
fn append(path: &Path, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
    let (mut file, _) = open(path, flags)?;
    file.write_all(text.as_bytes())
}

/// Opens a regular file, and tells its size. A FIFO in its place doesn't hold this up. The descriptor is
/// what is looked at: what a path leads to can change.
///
/// # Errors
/// Whatever makes it fail; [`io::ErrorKind::Other`] if something else than a file is there.
pub(crate) fn open(path: &Path, flags: OFlags) -> io::Result<(File, u64)> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(
        path,
        flags,
        Mode::from_bits_truncate(0o666),
    )?);
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata.len())),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Creates a file that is not there yet, with these permissions, and flushes it to the disk.
///
/// # Errors
/// [`ErrorKind::Conflict`] if something of that name is there, which stays as it is.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => failed("create", path, error),
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half of it is of no use to anybody, and would be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        failed("write", path, error)
    })
}

/// Replaces a file that is there, as a whole.
///
/// # Errors
/// [`ErrorKind::Conflict`] if another replacement is at work, and whatever makes it fail.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let there = path
        .symlink_metadata()
        .map_err(|error| failed("replace", path, error))?;
    if !there.is_file() {
        let other = io::Error::other("it is a link, a device or something else than a file");
        return Err(failed("replace", path, other));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".merged");
    let temporary = path.with_file_name(name);
    create(&temporary, bytes, 0o600)?;
    std::fs::rename(&temporary, path).map_err(|error| {
        // It would be in the way of the next attempt.
        let _ = std::fs::remove_file(&temporary);
        failed("replace", path, error)
    })?;
    // The new name must survive a crash as the bytes do.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new(".")));
    let kept = folder.and_then(|folder| folder.sync_all());
    kept.map_err(|error| failed("write", path, error))
}

/// Says that something is there already.
pub(crate) fn exists(path: &Path) -> Error {
    let message = format!("{} exists already", path.display());
    Error::new(ErrorKind::Conflict, message).with_help("it was left as it is; name another file")
}

/// Says that a file or directory can't be worked with.
pub(crate) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let message = format!("can't {what} {}", path.display());
    Error::new(ErrorKind::Config, message)
        .with_help("it must be a file, or a directory, that the process's user may work with")
        .with_source(error)
}
