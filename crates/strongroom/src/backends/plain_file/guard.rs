//! What the guard rails are asked about files and directories.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

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
pub(in crate::backends) struct Guard {
    rails: GuardRails,
    /// The root lies in a mount that a platform made for credentials, where 0444 is the default.
    in_mount: bool,
    /// The root has a `..data` link, as the volumes of Kubernetes have wherever they are mounted.
    in_generations: bool,
    /// The root was found on a disk already: that is said once, not of each file in it.
    root_on_disk: AtomicBool,
}

impl Guard {
    pub(in crate::backends) fn new(connect: &Connect, root: &Path) -> Self {
        let credentials = connect.env.var("CREDENTIALS_DIRECTORY").ok().flatten();
        let in_mount = credentials
            .map(Path::new)
            .filter(|dir| dir.is_absolute())
            .into_iter()
            .chain([connect.env.mounted_secrets()])
            .any(|mount| is_beneath(root, mount));
        let generations = root.join("..data").symlink_metadata();
        Self {
            rails: connect.rails.clone(),
            in_mount,
            in_generations: generations.is_ok_and(|link| link.is_symlink()),
            root_on_disk: AtomicBool::new(false),
        }
    }

    /// Checks an open file, and grades what is read from it.
    ///
    /// The descriptor is what counts: between a look at a path and its opening, the file can change.
    pub(in crate::backends) fn file(
        &self,
        file: &File,
        metadata: &Metadata,
        shown: &Path,
        name: Option<&SecretName>,
    ) -> Result<Provenance> {
        let (mode, on_tmpfs) = (metadata.mode(), on_tmpfs(file));
        if !on_tmpfs && !self.in_mount && !self.root_on_disk.load(Ordering::Relaxed) {
            let subject = format!("the file {} lies on a disk", shown.display());
            self.rails.check(Rail::PlainFileOnDisk, &subject, name)?;
        }
        self.readers(mode, on_tmpfs, shown, name)?;
        self.writers(mode, shown, name)?;
        Ok(Provenance::new().file(mode, on_tmpfs))
    }

    /// Checks an open file that holds a key: it may lie on a disk.
    pub(in crate::backends) fn key_file(
        &self,
        file: &File,
        metadata: &Metadata,
        shown: &Path,
    ) -> Result<()> {
        self.readers(metadata.mode(), on_tmpfs(file), shown, None)?;
        self.writers(metadata.mode(), shown, None)
    }

    fn readers(
        &self,
        mode: u32,
        on_tmpfs: bool,
        shown: &Path,
        name: Option<&SecretName>,
    ) -> Result<()> {
        if mode & OTHERS_READ == 0 {
            return Ok(());
        }
        let subject = format!("the file {} can be read by group or world", shown.display());
        if self.in_mount || (self.in_generations && on_tmpfs) {
            self.rails.warn(Rail::ReadableByOthers, &subject, name);
            return Ok(());
        }
        self.rails.check(Rail::ReadableByOthers, &subject, name)
    }

    /// Checks that not everybody can write a file.
    pub(in crate::backends) fn writers(
        &self,
        mode: u32,
        shown: &Path,
        name: Option<&SecretName>,
    ) -> Result<()> {
        if mode & WORLD_WRITE == 0 {
            return Ok(());
        }
        let subject = format!("the file {} can be written by anyone", shown.display());
        self.rails.check(Rail::WritableByOthers, &subject, name)
    }

    /// Checks the directory that values are kept in.
    pub(in crate::backends) fn root(&self, root: &Path, opened: &File) -> Result<()> {
        if !self.in_mount && !on_tmpfs(opened) {
            let subject = format!("the directory {} lies on a disk", root.display());
            self.rails.check(Rail::PlainFileOnDisk, &subject, None)?;
            self.root_on_disk.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Checks that nobody else can put files into a directory. In a sticky one, such as `/tmp`,
    /// nobody can replace what others own.
    pub(in crate::backends) fn directory(&self, mode: u32, shown: &Path) -> Result<()> {
        if mode & WORLD_WRITE != 0 && mode & STICKY == 0 {
            let subject = format!("the directory {} can be written by anyone", shown.display());
            self.rails.check(Rail::WritableByOthers, &subject, None)?;
        }
        Ok(())
    }

    /// Checks a directory and the one that holds it, whose writer could replace it.
    pub(in crate::backends) fn directory_and_parent(&self, dir: &Path) -> Result<()> {
        let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        for dir in real.ancestors().take(2) {
            if let Ok(metadata) = std::fs::metadata(dir) {
                self.directory(metadata.mode(), dir)?;
            }
        }
        Ok(())
    }

    pub(in crate::backends) fn say(&self, finding: Finding) {
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
