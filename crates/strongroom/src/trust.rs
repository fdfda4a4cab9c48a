//! Which manifests the user trusts, by path and content.
//!
//! A tool that runs in directories of others doesn't trust a manifest that it merely finds there
//! ([`SecretsBuilder::distrust_found_manifest`](crate::SecretsBuilder::distrust_found_manifest)). Here the user
//! vouches for one: its real path and the SHA-256 of its text are kept in the file `strongroom/trusted` of the
//! user's configuration ([`Env::config_dir`]). A manifest that is edited, moved or replaced is not trusted any more.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::backends::{foreign, replace_record};
use crate::env::{Env, is_own, open_regular, read_text, read_text_file};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest;

/// The record, beneath the user's configuration directory.
const FILE: &str = "strongroom/trusted";

/// What to do about a manifest that is not trusted.
pub(crate) const REMEDY: &str =
    "if you trust what it says, name it with --manifest, or record it by `strongroom trust`";

/// The most bytes that the record may have.
const MAX_BYTES: usize = 1024 * 1024;

/// A manifest that the user trusts.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use strongroom::{Env, trust};
///
/// std::fs::write(dir.path().join("strongroom.toml"), "[default]\n")?;
/// let env = Env::empty()
///     .with_working_dir(dir.path())
///     .with_var("XDG_CONFIG_HOME", dir.path().to_str().unwrap());
/// let trusted = trust::add(&env, "strongroom.toml")?;
/// assert_eq!(trust::list(&env)?, [trusted]);
/// assert!(trust::revoke(&env, "strongroom.toml")?);
/// assert!(trust::list(&env)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Trusted {
    /// Its path, without links.
    pub path: PathBuf,
    /// The SHA-256 of its text, in hexadecimal digits.
    pub sha256: String,
}

/// What is known of a manifest that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Trusted,
    /// What the user trusted had another text.
    Changed,
    Unknown,
}

/// Lists the manifests that the user trusts, in the order of their paths.
///
/// # Errors
/// [`ErrorKind::Policy`] if others own or can write the record, [`ErrorKind::Malformed`] if it is none, and
/// [`ErrorKind::Config`] if it can't be read.
pub fn list(env: &Env) -> Result<Vec<Trusted>> {
    match record(env) {
        Some(record) => read(&record),
        None => Ok(Vec::new()),
    }
}

/// Trusts a manifest as it is now. `manifest` is its path, from the working directory of `env`.
///
/// # Errors
/// As [`list`]; [`ErrorKind::Config`] if the manifest can't be read or its path not be recorded, or if
/// there is no configuration directory; and whatever writing fails with.
pub fn add(env: &Env, manifest: impl AsRef<Path>) -> Result<Trusted> {
    let path = env.working_dir().join(manifest);
    let unreadable = |error: io::Error| {
        let message = format!("can't read the manifest {}", path.display());
        Error::new(ErrorKind::Config, message)
            .with_help("it must be a readable TOML file of at most 1 MiB")
            .with_source(error)
    };
    let real = path.canonicalize().map_err(unreadable)?;
    let text = read_text_file(&real, manifest::MAX_BYTES).map_err(unreadable)?;
    let fits = |path: &str| !path.contains(char::is_control);
    if !real.to_str().is_some_and(fits) {
        let message = "the manifest's path has characters that can't be recorded";
        return Err(Error::new(ErrorKind::Config, message).with_help("move or rename its folder"));
    }
    let trusted = Trusted {
        sha256: digest(&text),
        path: real,
    };
    change(env, |all| {
        all.retain(|known| known.path != trusted.path);
        all.push(trusted.clone());
    })?;
    Ok(trusted)
}

/// Takes the trust in a manifest back, whatever it holds now. Reports whether there was any.
///
/// # Errors
/// As [`list`]; and whatever writing fails with.
pub fn revoke(env: &Env, manifest: impl AsRef<Path>) -> Result<bool> {
    let path = env.working_dir().join(manifest);
    // It may be gone, and its folder too.
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    if list(env)?.iter().all(|known| known.path != real) {
        return Ok(false);
    }
    change(env, |all| all.retain(|known| known.path != real))?;
    Ok(true)
}

/// Looks a manifest up that was found at this path, with this text.
///
/// # Errors
/// As [`list`]: nothing is trusted then.
pub(crate) fn standing(env: &Env, path: &Path, sha256: &str) -> Result<Standing> {
    let Ok(real) = path.canonicalize() else {
        return Ok(Standing::Unknown);
    };
    let all = list(env)?;
    let known = all.iter().find(|known| known.path == real);
    Ok(match known {
        Some(known) if known.sha256 == sha256 => Standing::Trusted,
        Some(_) => Standing::Changed,
        None => Standing::Unknown,
    })
}

/// The SHA-256 of a manifest's text.
pub(crate) fn digest(text: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(text.as_bytes()))
}

fn record(env: &Env) -> Option<PathBuf> {
    env.config_dir().map(|dir| dir.join(FILE))
}

fn read(record: &Path) -> Result<Vec<Trusted>> {
    let unreadable = |error: io::Error| {
        let message = format!("can't read {}", record.display());
        Error::new(ErrorKind::Config, message).with_source(error)
    };
    let (file, metadata) = match open_regular(record) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    if !is_own(&metadata) {
        return Err(foreign(record));
    }
    if metadata.mode() & 0o022 != 0 {
        let message = format!("{} can be written by others", record.display());
        return Err(Error::new(ErrorKind::Policy, message)
            .with_help("look at what it says, then take that right away: `chmod go-w`"));
    }
    let text = read_text(file, MAX_BYTES).map_err(unreadable)?;
    let parse = |(number, line): (usize, &str)| {
        let (sha256, path) = line.split_once(' ').unwrap_or_default();
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if sha256.len() != 64 || !sha256.bytes().all(digits) || !path.starts_with('/') {
            let message = format!("{}, line {number}: this is no record", record.display());
            return Err(Error::new(ErrorKind::Malformed, message)
                .with_help("remove the line, or the file: `strongroom trust` records anew"));
        }
        Ok(Trusted {
            path: path.into(),
            sha256: sha256.to_owned(),
        })
    };
    (1..).zip(text.lines()).map(parse).collect()
}

/// Changes the record.
fn change(env: &Env, change: impl FnOnce(&mut Vec<Trusted>)) -> Result<()> {
    let record = record(env);
    let (directory, name) = record
        .as_deref()
        .and_then(|record| Some((record.parent()?, record.file_name()?.to_str()?)))
        .ok_or_else(|| {
            let message = "there is no configuration directory to record the trust in";
            Error::new(ErrorKind::Config, message)
                .with_help("set HOME or XDG_CONFIG_HOME to an absolute path")
        })?;
    replace_record(directory, name, || {
        let mut all = list(env)?;
        change(&mut all);
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let line = |known: &Trusted| format!("{} {}\n", known.sha256, known.path.display());
        let text: String = all.iter().map(line).collect();
        if text.len() > MAX_BYTES {
            let message = "the record of trusted manifests would have more than 1 MiB";
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("revoke what is not needed: `strongroom trust --list`"));
        }
        Ok(Some(text))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn env(dir: &Path) -> Env {
        let config = dir.join("config");
        Env::empty()
            .with_working_dir(dir)
            .with_var("XDG_CONFIG_HOME", config.to_str().unwrap())
    }

    fn look(env: &Env, path: &str, text: &str) -> Standing {
        standing(env, &env.working_dir().join(path), &digest(text)).unwrap()
    }

    #[test]
    fn trust_is_in_one_text_at_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let env = env(dir.path());
        fs::create_dir(dir.path().join("other")).unwrap();
        for path in ["strongroom.toml", "other/strongroom.toml"] {
            fs::write(dir.path().join(path), "[default]\n").unwrap();
        }
        assert_eq!(
            look(&env, "strongroom.toml", "[default]\n"),
            Standing::Unknown
        );
        add(&env, "strongroom.toml").unwrap();
        assert_eq!(
            look(&env, "strongroom.toml", "[default]\n"),
            Standing::Trusted
        );
        assert_eq!(
            look(&env, "strongroom.toml", "[default]\n\n"),
            Standing::Changed
        );
        assert_eq!(
            look(&env, "other/strongroom.toml", "[default]\n"),
            Standing::Unknown
        );
        // A link is the manifest that it leads to.
        symlink("strongroom.toml", dir.path().join("link.toml")).unwrap();
        assert_eq!(look(&env, "link.toml", "[default]\n"), Standing::Trusted);

        let mode = fs::metadata(dir.path().join("config/strongroom/trusted")).unwrap();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert!(!revoke(&env, "other/strongroom.toml").unwrap());
        assert!(revoke(&env, "link.toml").unwrap());
        assert_eq!(
            look(&env, "strongroom.toml", "[default]\n"),
            Standing::Unknown
        );
    }

    #[test]
    fn trusting_again_replaces_and_keeps_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let env = env(dir.path());
        for name in ["a.toml", "b.toml"] {
            fs::write(dir.path().join(name), "[default]\n").unwrap();
            add(&env, name).unwrap();
        }
        fs::write(dir.path().join("a.toml"), "[production]\n").unwrap();
        add(&env, "a.toml").unwrap();
        let all = list(&env).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(look(&env, "a.toml", "[production]\n"), Standing::Trusted);
        assert_eq!(look(&env, "a.toml", "[default]\n"), Standing::Changed);
        assert_eq!(look(&env, "b.toml", "[default]\n"), Standing::Trusted);
    }

    #[test]
    fn a_record_that_others_can_write_or_that_is_none_vouches_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let env = env(dir.path());
        fs::write(dir.path().join("a.toml"), "[default]\n").unwrap();
        add(&env, "a.toml").unwrap();
        let record = dir.path().join("config/strongroom/trusted");
        fs::set_permissions(&record, fs::Permissions::from_mode(0o620)).unwrap();
        let error = list(&env).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert_eq!(add(&env, "a.toml").unwrap_err().kind(), ErrorKind::Policy);
        fs::set_permissions(&record, fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["x\n", "0000 /a\n", &format!("{} a\n", "0".repeat(64)), "\n"] {
            fs::write(&record, text).unwrap();
            assert_eq!(
                list(&env).unwrap_err().kind(),
                ErrorKind::Malformed,
                "{text}"
            );
        }
        fs::remove_file(&record).unwrap();
        fs::create_dir(&record).unwrap();
        assert_eq!(list(&env).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn a_record_of_another_user_vouches_for_nothing() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let env = env(dir.path());
        fs::write(dir.path().join("a.toml"), "[default]\n").unwrap();
        add(&env, "a.toml").unwrap();
        let record = dir.path().join("config/strongroom/trusted");
        std::os::unix::fs::chown(&record, Some(65534), None).unwrap();
        let error = list(&env).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(error.help().unwrap().contains("HOME"));
        let path = dir.path().join("a.toml");
        assert!(standing(&env, &path, &digest("[default]\n")).is_err());
        assert_eq!(add(&env, "a.toml").unwrap_err().kind(), ErrorKind::Policy);
        assert_eq!(
            revoke(&env, "a.toml").unwrap_err().kind(),
            ErrorKind::Policy
        );
    }

    #[test]
    fn nothing_is_trusted_without_a_configuration_directory() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::empty().with_working_dir(dir.path());
        fs::write(dir.path().join("a.toml"), "[default]\n").unwrap();
        assert_eq!(look(&env, "a.toml", "[default]\n"), Standing::Unknown);
        assert_eq!(add(&env, "a.toml").unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(add(&env, "b.toml").unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn a_path_that_would_break_the_record_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let env = env(dir.path());
        fs::write(dir.path().join("a\n.toml"), "[default]\n").unwrap();
        assert_eq!(add(&env, "a\n.toml").unwrap_err().kind(), ErrorKind::Config);
        assert!(list(&env).unwrap().is_empty());
    }
}
