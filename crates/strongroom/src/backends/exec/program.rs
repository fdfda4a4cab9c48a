//! A program that nobody else can have put there.

use std::fs::{Metadata, symlink_metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use super::settings::wrong;
use crate::env::is_own;
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;

const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;
const EXECUTE: u32 = 0o111;
/// As another user it would run out of our reach: a signal of ours could not end it.
const SET_ID: u32 = 0o6000;

/// The absolute path of a program.
///
/// It is started by this path, which scripts need too, and not by a descriptor. That is as safe: only the
/// superuser and our own user can write the file and every directory on the way to it, so nobody else can
/// put another one there between the check and the start.
#[derive(Debug, Clone)]
pub(super) struct Program(PathBuf);

impl Program {
    pub(super) fn new(url: &ProviderUrl) -> Result<Self> {
        let refuse =
            |message: &str| Err(wrong(message).with_help("write `exec:/absolute/path/to/program`"));
        if url.authority().is_some_and(|host| !host.is_empty()) {
            return refuse("the address of a program has no host: `exec://name` names a host");
        }
        let path = Path::new(url.path());
        if !path.is_absolute() {
            return refuse("the path of a program must be absolute");
        }
        let is_plain =
            |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if url.path().ends_with('/') || !path.components().all(is_plain) {
            return refuse("the path of a program must lead to a file, without `..`");
        }
        // Its components alone: no empty ones, and none that is `.`.
        Ok(Self(path.components().collect()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Checks the file and every directory on the way to it, from the root on: what is safe can't be replaced
    /// by others while what follows is looked at.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`] if others could replace the program, [`ErrorKind::Config`] if it is none, and
    /// `missing` if nothing is there.
    pub(super) fn check(&self, missing: ErrorKind) -> Result<Metadata> {
        let parent = self.0.parent().unwrap_or(Path::new("/"));
        let mut way: Vec<_> = parent.ancestors().collect();
        way.reverse();
        for dir in way {
            // In a sticky directory nobody can take away what belongs to others. It must not hold the
            // program itself, whose own name anybody could be the first to use.
            check_directory(dir, dir != parent, missing)?;
        }
        self.check_file(missing)
    }

    fn check_file(&self, missing: ErrorKind) -> Result<Metadata> {
        let (path, shown) = (&self.0, self.0.display());
        let metadata = look_at(path, missing)?;
        let kind = metadata.file_type();
        let what = match kind {
            kind if kind.is_file() => None,
            kind if kind.is_symlink() => return Err(linked(path)),
            kind if kind.is_dir() => Some("a directory"),
            kind if kind.is_fifo() => Some("a FIFO"),
            kind if kind.is_socket() => Some("a socket"),
            _ => Some("a device"),
        };
        if let Some(what) = what {
            return Err(wrong(format!("{shown} is {what}, not a program")));
        }
        check_writers(path, &metadata, OTHERS_WRITE)?;
        let mode = metadata.permissions().mode();
        if mode & EXECUTE == 0 {
            return Err(wrong(format!("{shown} is not executable")).with_help("chmod u+x"));
        }
        if mode & SET_ID != 0 {
            let message = format!("{shown} is set-user-id or set-group-id");
            return Err(wrong(message).with_help(
                "such a program could not be ended: let it run as the user that the process runs as",
            ));
        }
        Ok(metadata)
    }
}

fn check_directory(dir: &Path, may_be_sticky: bool, missing: ErrorKind) -> Result<()> {
    let metadata = look_at(dir, missing)?;
    if metadata.is_symlink() {
        return Err(linked(dir));
    }
    if !metadata.is_dir() {
        let message = format!("{} is not a directory", dir.display());
        return Err(wrong(message).with_help("correct the path of the program"));
    }
    let is_sticky = metadata.mode() & STICKY != 0 && metadata.uid() == 0;
    let forbidden = match may_be_sticky && is_sticky {
        true => 0,
        false => OTHERS_WRITE,
    };
    check_writers(dir, &metadata, forbidden)
}

/// Refuses what another user owns, or has a forbidden right to. An access list shows in the group's bits.
fn check_writers(path: &Path, metadata: &Metadata, forbidden: u32) -> Result<()> {
    let refuse = |what: &str, help: &str| {
        let message = format!(
            "{} {what}, who could have another program run",
            path.display()
        );
        Err(Error::new(ErrorKind::Policy, message).with_help(help))
    };
    if !is_own(metadata) {
        let help = "chown it to root, or to the user that the process runs as, after a look at it";
        return refuse("belongs to another user", help);
    }
    match metadata.mode() & forbidden {
        0 => Ok(()),
        _ => refuse(
            "can be written by group or world",
            "take that right away: `chmod go-w`; or put the program into a directory that is safe, such as \
             /usr/local/libexec",
        ),
    }
}

fn look_at(path: &Path, missing: ErrorKind) -> Result<Metadata> {
    symlink_metadata(path).map_err(|error| {
        let shown = path.display();
        let error = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Error::new(missing, format!("{shown} does not exist"))
                    .with_help("install the program, or correct its path")
            }
            std::io::ErrorKind::PermissionDenied => {
                wrong(format!("{shown} can't be looked at")).with_source(error)
            }
            _ => Error::new(ErrorKind::Transient, format!("{shown} can't be looked at"))
                .with_source(error),
        };
        error.with_no_effect()
    })
}

fn linked(path: &Path) -> Error {
    let message = format!("{} is a symbolic link", path.display());
    Error::new(ErrorKind::Policy, message)
        .with_help("write the program's real path, as `realpath` prints it")
}
