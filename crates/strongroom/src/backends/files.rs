//! Files that hold secrets, whichever backend they belong to: opened without hanging or being led
//! astray, judged by the guard rails, read and replaced as a whole.
//!
//! What errors and findings call a file, its caller says: not every path may be shown.

use std::path::Path;

pub(super) mod batch;
pub(super) mod blocking;
pub(super) mod confinement;
#[cfg(feature = "vault")]
pub(super) mod credential;
pub(super) mod expected;
pub(super) mod failure;
pub(super) mod fault;
pub(super) mod guard;
pub(super) mod journal;
pub(super) mod json;
pub(super) mod read;
pub(super) mod record;
pub(super) mod stamp;
pub(super) mod value;
pub(super) mod watch;
pub(super) mod write;

/// Kubernetes' link to the directory that holds the current generation of a volume.
pub(super) const GENERATION: &str = "..data";

/// Reports whether a directory is a volume of Kubernetes, which is replaced as a whole, from
/// outside only.
pub(super) fn is_kubernetes_volume(dir: &Path) -> bool {
    dir.join(GENERATION).is_symlink()
}

#[cfg(test)]
pub(super) mod tests {
    /// A directory on tmpfs, where the machine has one for everybody.
    pub(in crate::backends) fn tmpfs() -> Option<tempfile::TempDir> {
        let dir = tempfile::tempdir_in("/dev/shm").ok()?;
        let kind = rustix::fs::statfs(dir.path()).ok()?.f_type as u32;
        (kind == 0x0102_1994).then_some(dir)
    }
}
