//! What the guard rails are asked about files and directories.

use std::fmt::Display;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::is_kubernetes_volume;
use super::read::Opened;
use crate::env::{Env, is_own};
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
    /// The root lies where the platform mounts secrets, on any file system: no variable says where.
    in_mounted_secrets: bool,
    /// The root lies in `$CREDENTIALS_DIRECTORY` or in a volume of Kubernetes. Anybody can set the
    /// variable or make such links, so that it counts only for what lies in memory.
    in_claimed_mount: bool,
    /// The root was found on a disk already: that is said once, not of each file in it.
    root_on_disk: AtomicBool,
}

impl Guard {
    pub(in crate::backends) fn new(env: &Env, rails: &GuardRails, root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let credentials = env.var("CREDENTIALS_DIRECTORY").ok().flatten();
        let in_credentials = credentials
            .map(Path::new)
            .filter(|dir| dir.is_absolute())
            .is_some_and(|dir| is_beneath(&root, dir));
        let in_volume = is_kubernetes_volume(&root) || root.ancestors().any(is_generation);
        Self {
            rails: rails.clone(),
            in_mounted_secrets: is_beneath(&root, env.mounted_secrets()),
            in_claimed_mount: in_credentials || in_volume,
            root_on_disk: AtomicBool::new(false),
        }
    }

    /// Checks an open file, and grades what is read from it.
    ///
    /// The descriptor is what counts: between a look at a path and its opening, the file can change.
    pub(in crate::backends) fn file(
        &self,
        opened: &Opened,
        shown: &dyn Display,
        name: Option<&SecretName>,
    ) -> Result<Provenance> {
        let (mode, on_tmpfs) = (opened.metadata.mode(), on_tmpfs(&opened.file));
        let mounted = self.is_in_credentials_mount(on_tmpfs);
        if !on_tmpfs && !mounted && !self.root_on_disk.load(Ordering::Relaxed) {
            let subject = format!("{shown} lies on a disk");
            self.rails.check(Rail::PlainFileOnDisk, &subject, name)?;
        }
        self.readers(opened, shown, name)?;
        self.writers(mode, shown, name)?;
        // In a mount the platform decides who owns what.
        if !mounted {
            self.owner(opened, shown, name)?;
        }
        Ok(Provenance::new().file(mode, on_tmpfs))
    }

    /// Checks an open file that holds a key: it may lie on a disk.
    pub(in crate::backends) fn key_file(&self, opened: &Opened, shown: &dyn Display) -> Result<()> {
        self.readers(opened, shown, None)?;
        self.writers(opened.metadata.mode(), shown, None)?;
        match self.is_in_credentials_mount(on_tmpfs(&opened.file)) {
            true => Ok(()),
            false => self.owner(opened, shown, None),
        }
    }

    /// Checks that nobody else owns a file, who could put another content there at any time: a
    /// directory that another user can write, `HOME` as `sudo` keeps it.
    fn owner(&self, opened: &Opened, shown: &dyn Display, name: Option<&SecretName>) -> Result<()> {
        if is_own(&opened.metadata) {
            return Ok(());
        }
        let subject = format!("{shown} belongs to another user");
        self.rails.check(Rail::OwnedByOthers, &subject, name)
    }

    fn readers(
        &self,
        opened: &Opened,
        shown: &dyn Display,
        name: Option<&SecretName>,
    ) -> Result<()> {
        if opened.metadata.mode() & OTHERS_READ == 0 {
            return Ok(());
        }
        let subject = format!("{shown} can be read by group or world");
        if self.is_in_credentials_mount(on_tmpfs(&opened.file)) {
            // 0644 and 0444 are what the platforms make by themselves.
            self.rails.warn(Rail::ReadableByOthers, &subject, name);
            return Ok(());
        }
        self.rails.check(Rail::ReadableByOthers, &subject, name)
    }

    /// Checks that not everybody can write a file.
    pub(in crate::backends) fn writers(
        &self,
        mode: u32,
        shown: &dyn Display,
        name: Option<&SecretName>,
    ) -> Result<()> {
        if mode & WORLD_WRITE == 0 {
            return Ok(());
        }
        let subject = format!("{shown} can be written by anyone");
        self.rails.check(Rail::WritableByOthers, &subject, name)
    }

    /// Checks the directory that values are kept in.
    pub(in crate::backends) fn root(&self, shown: &dyn Display, opened: &File) -> Result<()> {
        let on_tmpfs = on_tmpfs(opened);
        if !on_tmpfs && !self.is_in_credentials_mount(on_tmpfs) {
            let subject = format!("{shown} lies on a disk");
            self.rails.check(Rail::PlainFileOnDisk, &subject, None)?;
            self.root_on_disk.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Checks that nobody else can put files into a directory. In a sticky one, such as `/tmp`,
    /// nobody can replace what others own.
    pub(in crate::backends) fn directory(
        &self,
        mode: u32,
        shown: &dyn Display,
        name: Option<&SecretName>,
    ) -> Result<()> {
        if mode & WORLD_WRITE != 0 && mode & STICKY == 0 {
            let subject = format!("{shown} can be written by anyone");
            self.rails.check(Rail::WritableByOthers, &subject, name)?;
        }
        Ok(())
    }

    /// Checks a directory and the one that holds it, whose writer could replace it. `show` tells
    /// what findings call each of them.
    pub(in crate::backends) fn directory_and_parent(
        &self,
        dir: &Path,
        show: impl Fn(&Path) -> String,
        name: Option<&SecretName>,
    ) -> Result<()> {
        let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        for dir in real.ancestors().take(2) {
            if let Ok(metadata) = std::fs::metadata(dir) {
                self.directory(metadata.mode(), &show(dir), name)?;
            }
        }
        Ok(())
    }

    pub(in crate::backends) fn say(&self, finding: Finding) {
        self.rails.say(finding);
    }

    fn is_in_credentials_mount(&self, on_tmpfs: bool) -> bool {
        self.in_mounted_secrets || (self.in_claimed_mount && on_tmpfs)
    }
}

/// What findings call a directory whose path may be shown.
pub(in crate::backends) fn the_directory(path: &Path) -> String {
    format!("the directory {}", path.display())
}

/// Reports whether `path`, which has no links, lies in `dir`.
fn is_beneath(path: &Path, dir: &Path) -> bool {
    dir.canonicalize().is_ok_and(|dir| path.starts_with(dir))
}

/// Reports whether a directory is one generation of a Kubernetes volume, by its name.
fn is_generation(dir: &Path) -> bool {
    dir.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
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
