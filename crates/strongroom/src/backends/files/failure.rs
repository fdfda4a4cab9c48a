//! Why a file can't be used, told apart by the system's error code.

use std::fmt::Display;
use std::io;

use rustix::io::Errno;

use super::write::LOCK;
use crate::error::{Error, ErrorKind};

/// Reports whether nothing is there, as opposed to something that can't be opened.
pub(in crate::backends) fn is_absence(error: &io::Error) -> bool {
    // A name that is too long for a file can't be there either.
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

/// Reports whether a path can't lead to anything: its links form a loop, or no name has its form.
pub(super) fn leads_nowhere(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput || Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Tells apart why an operation on a file failed, by the system's error code.
pub(in crate::backends) fn failure(doing: &str, shown: &dyn Display, error: io::Error) -> Error {
    let errno = Errno::from_io_error(&error);
    if errno.is_none() && error.kind() == io::ErrorKind::PermissionDenied {
        return Error::new(
            ErrorKind::Denied,
            format!("{shown} leads out of the directory it is in"),
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
        Some(Errno::NXIO | Errno::NODEV) => return not_a_file(shown, "a socket or a device"),
        Some(Errno::ROFS) => (ErrorKind::Unsupported, "the file system is read-only"),
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => (
            ErrorKind::Transient,
            "there is no room for it: make some; what was there is unchanged",
        ),
        Some(Errno::NAMETOOLONG) => (ErrorKind::Unsupported, "its name is too long for a file"),
        _ => (ErrorKind::Transient, "it may work when tried again"),
    };
    Error::new(kind, format!("can't {doing} {shown}"))
        .with_help(help)
        .with_source(error)
}

/// Tells why the lock of a directory was not had.
pub(in crate::backends) fn lock_failure(shown: &dyn Display, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::TimedOut {
        let message = format!("another writer holds the lock of {shown}");
        return Error::new(ErrorKind::Transient, message)
            .with_help("find out which process holds `.strongroom.lock` there, or try again");
    }
    let shown = format!("{shown}/{LOCK}");
    match Errno::from_io_error(&error) {
        // It is opened without following one.
        Some(Errno::LOOP) => not_a_file(&shown, "a symbolic link"),
        Some(Errno::ISDIR) => not_a_file(&shown, "a directory"),
        _ => failure("lock", &shown, error),
    }
}

/// What was there at the opening is not: the backend itself, which says nothing about a secret.
pub(in crate::backends) fn gone(shown: &dyn Display) -> Error {
    let message = format!("{shown} is gone since it was opened");
    Error::new(ErrorKind::Transient, message).with_help("mount it again, or put it back")
}

pub(super) fn not_a_file(shown: &dyn Display, what: &str) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("{shown} is {what}, not a file"),
    )
    .with_help("put a regular file there, or take it away")
}

pub(in crate::backends) fn too_large(shown: &dyn Display, limit: usize) -> Error {
    let kib = limit / 1024;
    let message = format!("{shown} is larger than {kib} KiB, which is the most");
    Error::new(ErrorKind::Malformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart_by_their_code() {
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
            let error = failure("open", &"/etc/app/token", errno.into());
            assert_eq!(error.kind(), kind, "{errno:?}");
            assert!(error.to_string().contains("/etc/app/token"), "{error}");
        }
        let held = lock_failure(&"/etc/app", io::ErrorKind::TimedOut.into());
        assert_eq!(held.kind(), ErrorKind::Transient);
        let link = lock_failure(&"/etc/app", Errno::LOOP.into());
        assert_eq!(link.kind(), ErrorKind::Malformed);
        assert!(
            link.to_string()
                .contains("/etc/app/.strongroom.lock is a symbolic link")
        );
    }
}
