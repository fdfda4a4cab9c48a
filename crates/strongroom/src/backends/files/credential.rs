//! Files that hold a credential of ours: a token, a password, a private key.

use std::path::Path;

use zeroize::Zeroizing;

use super::guard::{Guard, the_directory};
use super::read;
use crate::backends::Connect;
use crate::error::Result;

/// The most bytes that such a file may have.
pub(in crate::backends) const MAX_BYTES: usize = 64 * 1024;

/// Reads a credential's file; `None` if there is none. Who else can read it is checked first.
pub(in crate::backends) fn read(
    connect: &Connect,
    path: &Path,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let shown = path.display();
    // It may be linked to from anywhere, as platforms do it.
    let Some((real, mut opened)) = read::open_path(path, &shown)? else {
        return Ok(None);
    };
    let dir = real.parent().unwrap_or(&real);
    let guard = Guard::new(&connect.env, &connect.rails, dir);
    guard.key_file(&opened, &shown)?;
    guard.directory_and_parent(dir, the_directory, None)?;
    opened.read(MAX_BYTES, &shown).map(Some)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::backends::files::tests::tmpfs;
    use crate::env::{Deployment, Env};
    use crate::error::ErrorKind;
    use crate::rails::GuardRails;

    fn production() -> Connect {
        let rails = GuardRails::new(Deployment::Production, []);
        Connect::new("vault://h/".parse().unwrap(), Env::empty(), rails)
    }

    fn write(path: &Path, mode: u32) {
        std::fs::write(path, "canary").unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_credential_that_everybody_can_read_is_refused_in_production() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret-id");
        assert!(read(&production(), &path).unwrap().is_none());
        write(&path, 0o600);
        assert_eq!(
            read(&production(), &path).unwrap().unwrap().as_slice(),
            b"canary"
        );
        write(&path, 0o644);
        let error = read(&production(), &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy, "{error:?}");
        assert!(!format!("{error:?}").contains("canary"));
    }

    /// Kubernetes gives every user of the pod its token, in memory.
    #[test]
    fn the_token_of_a_service_account_is_read_as_kubernetes_mounts_it() {
        let Some(dir) = tmpfs() else { return };
        let generation = dir.path().join("..2026_01_01_00_00_00.123456789");
        std::fs::create_dir(&generation).unwrap();
        write(&generation.join("token"), 0o644);
        symlink(generation.file_name().unwrap(), dir.path().join("..data")).unwrap();
        symlink("..data/token", dir.path().join("token")).unwrap();
        let found = read(&production(), &dir.path().join("token")).unwrap();
        assert_eq!(found.unwrap().as_slice(), b"canary");
    }

    /// Only the superuser can give a file away; elsewhere nobody else's file is at hand.
    #[test]
    fn a_credential_of_another_user_is_refused_in_production() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret-id");
        write(&path, 0o600);
        if std::os::unix::fs::chown(&path, Some(54_321), None).is_err() {
            return;
        }
        let error = read(&production(), &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy, "{error:?}");
        assert!(error.to_string().contains("[owned-by-others]"), "{error}");
        let rails = GuardRails::new(Deployment::Development, []);
        let connect = Connect::new("vault://h/".parse().unwrap(), Env::empty(), rails.clone());
        read(&connect, &path).unwrap().unwrap();
        assert_eq!(rails.said()[0].rule, "owned-by-others");
    }

    #[test]
    fn a_credential_is_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret-id");
        write(&path, 0o600);
        std::fs::write(&path, vec![b'x'; MAX_BYTES + 1]).unwrap();
        let error = read(&production(), &path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error:?}");
    }
}
