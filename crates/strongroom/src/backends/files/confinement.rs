//! Where a manifest that nobody vouches for may have things changed.

use std::path::{Path, PathBuf};

use crate::backends::Connect;
use crate::error::{Error, ErrorKind, Result};
use crate::trust;

/// The folder of a manifest that is not trusted, and the directory that an address in it leads to.
///
/// What such a manifest names outside of its folder may be read. Changed it is not: a command that the
/// user means for this project would write into another one, or into the user's own settings.
#[derive(Debug, Clone)]
pub(in crate::backends) struct Confinement(Option<(PathBuf, PathBuf)>);

impl Confinement {
    /// Confines changes in `dir`, unless somebody vouches for the address.
    pub(in crate::backends) fn new(connect: &Connect, dir: &Path) -> Self {
        let confined = !connect.is_trusted();
        Self(confined.then(|| (connect.base_dir.clone(), dir.to_owned())))
    }

    /// Asked before each change, when a link may lead elsewhere than at the opening.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`] if the directory, without links, is not in the folder.
    pub(in crate::backends) fn check(&self) -> Result<()> {
        let Some((folder, dir)) = &self.0 else {
            return Ok(());
        };
        match (folder.canonicalize(), dir.canonicalize()) {
            (Ok(folder), Ok(real)) if real.starts_with(&folder) => Ok(()),
            _ => {
                let message = format!(
                    "nothing is changed in {}: it is outside of the folder of the manifest that names it, \
                     which nobody vouches for",
                    dir.display()
                );
                Err(Error::new(ErrorKind::Policy, message)
                    .with_no_effect()
                    .with_help(trust::REMEDY))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::env::{Deployment, Env};
    use crate::rails::GuardRails;

    #[test]
    fn only_what_really_lies_in_the_folder_is_changed() {
        let room = tempfile::tempdir().unwrap();
        let at = |path: &str| room.path().join(path);
        for dir in ["project/inside", "project-of-others", "outside"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        symlink(at("outside"), at("project/leads-out")).unwrap();
        symlink(at("project/inside"), at("leads-in")).unwrap();
        symlink(at("project"), at("also-project")).unwrap();
        let rails = GuardRails::new(Deployment::Development, []);
        let connect = Connect::new("file:x".parse().unwrap(), Env::empty(), rails);
        for folder in ["project", "also-project"] {
            let mut connect = connect.clone().with_base_dir(at(folder));
            for (dir, is_inside) in [
                ("project", true),
                ("project/inside", true),
                ("project/inside/..", true),
                ("leads-in", true),
                ("project/leads-out", false),
                ("project/inside/../..", false),
                ("project-of-others", false),
                ("outside", false),
                ("project/gone", false),
            ] {
                connect.trusted = false;
                let checked = Confinement::new(&connect, &at(dir)).check();
                assert_eq!(checked.is_ok(), is_inside, "{dir}");
                if let Err(error) = checked {
                    assert_eq!(error.kind(), ErrorKind::Policy);
                    assert!(error.had_no_effect());
                    assert!(error.help().unwrap().contains("strongroom trust"));
                }
                connect.trusted = true;
                Confinement::new(&connect, &at(dir)).check().unwrap();
            }
        }
    }
}
