//! What the guard rails are asked about files and directories.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::super::Connect;
use crate::error::Result;
use crate::name::SecretName;
use crate::rails::{GuardRails, Rail};
use crate::report::Finding;
use crate::secret::Provenance;

const OTHERS_READ: u32 = 0o044;
const WORLD_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// The guard rails of one boot, asked about the files beneath one root.
#[derive(Debug)]
pub(super) struct Guard {
    rails: GuardRails,
    /// The root lies in a mount that a platform made for credentials, where 0444 is the default.
    in_mount: bool,
}

impl Guard {
    pub(super) fn new(connect: &Connect, root: &Path) -> Self {
        let credentials = connect.env.var("CREDENTIALS_DIRECTORY").ok().flatten();
        let in_mount = credentials
            .map(Path::new)
            .filter(|dir| dir.is_absolute())
            .into_iter()
            .chain([connect.env.mounted_secrets()])
            .any(|mount| is_beneath(root, mount));
        Self {
            rails: connect.rails.clone(),
            in_mount,
        }
    }

    /// Checks an open file, and grades what is read from it.
    ///
    /// The descriptor is what counts: between a look at a path and its opening, the file can change.
    pub(super) fn file(
        &self,
        file: &File,
        metadata: &Metadata,
        shown: &Path,
        name: Option<&SecretName>,
    ) -> Result<Provenance> {
        let (mode, on_tmpfs) = (metadata.mode(), on_tmpfs(file));
        let subject = |what: &str| format!("the file {} {what}", shown.display());
        if !on_tmpfs && !self.in_mount {
            self.rails
                .check(Rail::PlainFileOnDisk, &subject("lies on a disk"), name)?;
        }
        if mode & OTHERS_READ != 0 {
            let subject = subject("can be read by group or world");
            if self.in_mount {
                self.rails.warn(Rail::ReadableByOthers, &subject, name);
            } else {
                self.rails.check(Rail::ReadableByOthers, &subject, name)?;
            }
        }
        if mode & WORLD_WRITE != 0 {
            let subject = subject("can be written by anyone");
            self.rails.check(Rail::WritableByOthers, &subject, name)?;
        }
        Ok(Provenance::new().file(mode, on_tmpfs))
    }

    /// Checks the directory that values are kept in.
    pub(super) fn root(&self, root: &Path, opened: &File) -> Result<()> {
        if !self.in_mount && !on_tmpfs(opened) {
            let subject = format!("the directory {} lies on a disk", root.display());
            self.rails.check(Rail::PlainFileOnDisk, &subject, None)?;
        }
        Ok(())
    }

    /// Checks that nobody else can put files into a directory. In a sticky one, such as `/tmp`,
    /// nobody can replace what others own.
    pub(super) fn directory(&self, mode: u32, shown: &Path) -> Result<()> {
        if mode & WORLD_WRITE != 0 && mode & STICKY == 0 {
            let subject = format!("the directory {} can be written by anyone", shown.display());
            self.rails.check(Rail::WritableByOthers, &subject, None)?;
        }
        Ok(())
    }

    /// Checks a directory and the one that holds it, whose writer could replace it.
    pub(super) fn directory_and_parent(&self, dir: &Path) -> Result<()> {
        let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        for dir in real.ancestors().take(2) {
            if let Ok(metadata) = std::fs::metadata(dir) {
                self.directory(metadata.mode(), dir)?;
            }
        }
        Ok(())
    }

    pub(super) fn say(&self, finding: Finding) {
        self.rails.say(finding);
    }
}

fn is_beneath(path: &Path, mount: &Path) -> bool {
    match (path.canonicalize(), mount.canonicalize()) {
        (Ok(path), Ok(mount)) => path.starts_with(mount),
        _ => false,
    }
}

#[cfg(target_os = "linux")]
fn on_tmpfs(file: &File) -> bool {
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    // The field's type differs between platforms; the magic numbers have 32 bits on all.
    rustix::fs::fstatfs(file).is_ok_and(|stat| matches!(stat.f_type as u32, TMPFS | RAMFS))
}

#[cfg(not(target_os = "linux"))]
fn on_tmpfs(_: &File) -> bool {
    false
}
