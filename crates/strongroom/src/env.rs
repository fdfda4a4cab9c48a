//! The process environment, read once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

mod deployment;

pub use deployment::{Deployment, DeploymentChoice};

/// The variables, working directory and platform paths that detection looks at.
///
/// [`Env::process`] is the only place in this crate that reads the process environment; it reads it
/// whole, once. Tests build an `Env` of their own and never change the process's. Values are wiped
/// on drop, and `Debug` shows names only.
///
/// ```
/// use strongroom::Env;
///
/// let env = Env::empty().with_var("APP_TOKEN", "abc");
/// assert_eq!(env.var("APP_TOKEN")?, Some("abc"));
/// assert!(!format!("{env:?}").contains("abc"));
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct Env {
    // The platform's own encoding, as `OsStr::as_encoded_bytes` gives it.
    vars: BTreeMap<OsString, Zeroizing<Vec<u8>>>,
    working_dir: PathBuf,
    mounted_secrets: PathBuf,
    passphrase: Option<Secret>,
}

impl Env {
    /// Reads the environment of this process.
    pub fn process() -> Self {
        let mut env = Self::empty();
        for (name, value) in std::env::vars_os() {
            env.vars
                .insert(name, Zeroizing::new(value.into_encoded_bytes()));
        }
        // A working directory that was removed leaves relative paths to fail where they are used.
        env.working_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        env
    }

    /// Makes an environment without variables, in the working directory `.`.
    pub fn empty() -> Self {
        Self {
            vars: BTreeMap::new(),
            working_dir: PathBuf::from("."),
            mounted_secrets: PathBuf::from("/run/secrets"),
            passphrase: None,
        }
    }

    /// Sets a variable.
    #[must_use]
    pub fn with_var(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.vars.insert(
            name.into(),
            Zeroizing::new(value.into().into_encoded_bytes()),
        );
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn without_var(mut self, name: impl AsRef<OsStr>) -> Self {
        self.vars.remove(name.as_ref());
        self
    }

    /// Sets the directory that relative paths start from.
    #[must_use]
    pub fn with_working_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.working_dir = dir.into();
        self
    }

    /// Sets the directory that stands for `/run/secrets`.
    #[must_use]
    pub fn with_mounted_secrets(mut self, dir: impl Into<PathBuf>) -> Self {
        self.mounted_secrets = dir.into();
        self
    }

    /// Sets the passphrase that the user typed for the sealed file. No variable holds it.
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: Secret) -> Self {
        self.passphrase = Some(passphrase);
        self
    }

    /// Returns the passphrase that the user typed for the sealed file.
    pub fn passphrase(&self) -> Option<&Secret> {
        self.passphrase.as_ref()
    }

    /// Returns a variable's value; an empty one counts as not set.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable, if its value is not UTF-8.
    pub fn var(&self, name: &str) -> Result<Option<&str>> {
        match self.vars.get(OsStr::new(name)) {
            None => Ok(None),
            Some(value) => match std::str::from_utf8(value) {
                Ok("") => Ok(None),
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(Error::new(
                    ErrorKind::Malformed,
                    format!("variable {name} is not UTF-8 text"),
                )),
            },
        }
    }

    /// Reports whether a variable is set, and not to the empty text.
    pub fn has(&self, name: &str) -> bool {
        self.vars
            .get(OsStr::new(name))
            .is_some_and(|value| !value.is_empty())
    }

    /// Returns a variable's value as the platform encodes it, an empty one included.
    pub fn raw(&self, name: &str) -> Option<&[u8]> {
        self.vars
            .get(OsStr::new(name))
            .map(|value| value.as_slice())
    }

    /// Returns the names of all variables that are UTF-8, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.vars.keys().filter_map(|name| name.to_str())
    }

    /// Returns the directory that relative paths start from.
    pub fn working_dir(&self) -> &Path {
        &self.working_dir
    }

    /// Returns the directory where platforms mount secrets: `/run/secrets`.
    pub fn mounted_secrets(&self) -> &Path {
        &self.mounted_secrets
    }

    /// Reports whether this is a run of continuous integration: `CI` is set, and neither `0` nor
    /// `false`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the value of `CI` is not UTF-8.
    pub(crate) fn is_ci(&self) -> Result<bool> {
        let value = self.var("CI")?;
        Ok(value.is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false")))
    }

    /// Returns the user's configuration directory: `$XDG_CONFIG_HOME`, else `$HOME/.config`.
    ///
    /// Only absolute paths count, as the XDG base directory specification says.
    pub fn config_dir(&self) -> Option<PathBuf> {
        self.user_dir("XDG_CONFIG_HOME", ".config")
    }

    /// Returns the user's directory for state that outlives a program: `$XDG_STATE_HOME`, else
    /// `$HOME/.local/state`.
    ///
    /// Only absolute paths count, as the XDG base directory specification says.
    pub fn state_dir(&self) -> Option<PathBuf> {
        self.user_dir("XDG_STATE_HOME", ".local/state")
    }

    fn user_dir(&self, variable: &str, beneath_home: &str) -> Option<PathBuf> {
        let absolute = |name: &str| {
            let value = self.var(name).ok().flatten()?;
            Path::new(value).is_absolute().then(|| PathBuf::from(value))
        };
        absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(beneath_home)))
    }
}

/// Reads a small text file of settings: a regular file of at most `most` bytes.
pub(crate) fn read_text_file(path: &Path, most: usize) -> io::Result<String> {
    read_text(open_regular(path)?.0, most)
}

/// Reads a text file of settings that lower what is refused: nobody but this process's user and the
/// superuser may have written it.
pub(crate) fn read_own_text_file(path: &Path, most: usize) -> io::Result<String> {
    let (file, metadata) = open_regular(path)?;
    if !is_own(&metadata) {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(io::Error::other("it can be written by anyone"));
    }
    read_text(file, most)
}

/// Reports whether a file belongs to the user that this process acts as, or to the superuser.
pub(crate) fn is_own(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Opens a regular file. The descriptor is what is looked at: what a path leads to can change.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    // A FIFO without a writer would block the opening itself.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Reads a file of at most `most` bytes as text.
pub(crate) fn read_text(file: File, most: usize) -> io::Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(most.saturating_add(1)).unwrap_or(u64::MAX);
    file.take(limit).read_to_string(&mut text)?;
    if text.len() > most {
        return Err(io::Error::other(format!("it is larger than {most} bytes")));
    }
    Ok(text)
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("names", &self.vars.keys().collect::<Vec<_>>())
            .field("working_dir", &self.working_dir)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// A FIFO that takes the place of a file between a look at it and its opening would block for
    /// ever: nobody writes to it.
    #[test]
    fn a_text_file_swapped_for_a_fifo_never_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (path, spare, fifo) = (at("text"), at("spare"), at("fifo"));
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        std::fs::write(&path, "word").unwrap();
        let (done, is_done) = mpsc::channel();
        let reader = {
            let path = path.clone();
            move || {
                for _ in 0..20_000 {
                    match read_text_file(&path, 64) {
                        Ok(text) => assert_eq!(text, "word"),
                        // For a moment neither is there.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => {
                            assert_eq!(error.to_string(), "it is not a regular file");
                        }
                    }
                }
                done.send(()).unwrap();
            }
        };
        let reader = std::thread::spawn(reader);
        let patience = std::time::Instant::now() + Duration::from_secs(60);
        while is_done.try_recv().is_err() && !reader.is_finished() {
            std::fs::rename(&path, &spare).unwrap();
            std::fs::rename(&fifo, &path).unwrap();
            std::fs::rename(&path, &fifo).unwrap();
            std::fs::rename(&spare, &path).unwrap();
            assert!(std::time::Instant::now() < patience, "a reader is blocked");
        }
        reader.join().unwrap();
    }

    #[test]
    fn a_text_file_is_a_small_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        std::fs::write(&path, "word").unwrap();
        assert_eq!(read_text_file(&path, 4).unwrap(), "word");
        assert_eq!(read_own_text_file(&path, 4).unwrap(), "word");
        let error = read_text_file(&path, 3).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 3 bytes");
        for other in [dir.path(), Path::new("/dev/zero"), Path::new("/dev/random")] {
            let error = read_text_file(other, 64).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file");
        }
    }
}
