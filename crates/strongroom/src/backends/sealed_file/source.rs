//! Where the key of a sealed file comes from.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::fields::FileId;
use super::key::SlotKey;
use crate::backends::Connect;
use crate::backends::files::guard::{Guard, the_directory};
use crate::backends::files::{failure, read};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::rails::GuardRails;
use crate::secret::Secret;

/// The variables that hold a key or lead to one.
pub(super) const KEY: &str = "STRONGROOM_KEY";
pub(super) const KEY_FILE: &str = "STRONGROOM_KEY_FILE";
pub(super) const PASSPHRASE_FILE: &str = "STRONGROOM_PASSPHRASE_FILE";

/// The most bytes that a key file or a passphrase file may have.
const MAX_BYTES: usize = 4096;

impl SlotKey {
    /// Finds the key of a sealed file where its provider would: what the address names, else what a
    /// variable says, else the user's own key file of that id.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] if there is none or its file can't be read, [`ErrorKind::Config`] if
    /// several are given, [`ErrorKind::Malformed`] if it is not a key, and [`ErrorKind::Policy`] if a
    /// guard rail refuses its file.
    pub fn find(connect: &Connect, file: FileId) -> Result<Self> {
        find(connect, file)
    }
}

/// One place that a key may come from.
enum Place {
    Variable,
    KeyFile(PathBuf),
    PassphraseFile(PathBuf),
    Typed(Secret),
}

/// Finds the key: what the address names, else what a variable says, else the user's own key file
/// of the sealed file of this id.
pub(super) fn find(connect: &Connect, id: FileId) -> Result<SlotKey> {
    let place = match one_of(in_address(connect), "the provider's address gives")? {
        Some(place) => Some(place),
        None => one_of(in_environment(connect)?, "the environment gives")?,
    };
    match place {
        Some(Place::Variable) => from_variable(&connect.env),
        Some(Place::Typed(passphrase)) => SlotKey::passphrase(passphrase),
        Some(Place::KeyFile(path)) => from_key_file((&connect.env, &connect.rails), &path, missing),
        Some(Place::PassphraseFile(path)) => {
            let text = read_file((&connect.env, &connect.rails), &path, missing)?;
            SlotKey::passphrase(without_newline(&text)).map_err(|error| in_file(&path, &error))
        }
        None => {
            let sealed = connect.resolve(connect.url.path());
            let Some(path) = default_path(&connect.env, id) else {
                let message = format!(
                    "there is no key for sealed file {}: none is given, and without a home \
                     directory there is no default",
                    sealed.display()
                );
                let help = format!("set HOME, or {GIVE_ONE}");
                return Err(Error::new(ErrorKind::Auth, message).with_help(help));
            };
            from_key_file((&connect.env, &connect.rails), &path, |path| {
                no_default(path, &sealed)
            })
        }
    }
}

/// The user's own key file of a sealed file: `strongroom/keys/<file id>.key` in the configuration
/// directory.
pub(super) fn default_path(env: &Env, id: FileId) -> Option<PathBuf> {
    let name = format!("strongroom/keys/{id}.key");
    env.config_dir().map(|dir| dir.join(name))
}

const GIVE_ONE: &str = "give another that opens the file (a recovery key, a passphrase) by \
                        `?key_file=FILE` or `?passphrase_file=FILE` in the address, or by \
                        STRONGROOM_KEY_FILE, STRONGROOM_PASSPHRASE_FILE or STRONGROOM_KEY";

fn in_address(connect: &Connect) -> Vec<Place> {
    let path = |key| connect.url.query(key).map(|path| connect.resolve(path));
    let key = path("key_file").map(Place::KeyFile);
    let passphrase = path("passphrase_file").map(Place::PassphraseFile);
    key.into_iter().chain(passphrase).collect()
}

fn in_environment(connect: &Connect) -> Result<Vec<Place>> {
    let env = &connect.env;
    let path = |name| -> Result<Option<PathBuf>> {
        Ok(env.var(name)?.map(|path| env.working_dir().join(path)))
    };
    let mut places = Vec::new();
    places.extend(env.passphrase().cloned().map(Place::Typed));
    places.extend(env.var(KEY)?.map(|_| Place::Variable));
    places.extend(path(KEY_FILE)?.map(Place::KeyFile));
    places.extend(path(PASSPHRASE_FILE)?.map(Place::PassphraseFile));
    Ok(places)
}

fn one_of(mut places: Vec<Place>, who: &str) -> Result<Option<Place>> {
    let place = places.pop();
    if places.is_empty() {
        return Ok(place);
    }
    let message = format!("{who} more than one key for the sealed file");
    Err(Error::new(ErrorKind::Config, message).with_help("give exactly one of them"))
}

fn from_variable(env: &Env) -> Result<SlotKey> {
    let text = env.var(KEY)?.unwrap_or_default();
    SlotKey::from_text(&Secret::from_text(text)).map_err(|error| {
        let message = format!("the variable {KEY} holds no key of a sealed file");
        let located = Error::new(error.kind(), message);
        located.with_help(error.help().unwrap_or_default())
    })
}

/// Reads a raw key from its file, once the guard rails let it.
pub(super) fn from_key_file(
    judges: (&Env, &GuardRails),
    path: &Path,
    missing: impl FnOnce(&Path) -> Error,
) -> Result<SlotKey> {
    let text = read_file(judges, path, missing)?;
    SlotKey::from_text(&Secret::from_bytes(text)).map_err(|error| in_file(path, &error))
}

/// Reads the text of a key file, once the guard rails let it.
pub(crate) fn key_file(
    judges: (&Env, &GuardRails),
    path: &Path,
    missing: impl FnOnce(&Path) -> Error,
) -> Result<Secret> {
    read_file(judges, path, missing).map(Secret::from_bytes)
}

fn read_file(
    (env, rails): (&Env, &GuardRails),
    path: &Path,
    missing: impl FnOnce(&Path) -> Error,
) -> Result<Zeroizing<Vec<u8>>> {
    if is_descriptor(path) {
        return read_descriptor(path);
    }
    // A key may be linked to from anywhere, as platforms do it.
    let shown = path.display();
    let opened = read::open_path(path, &shown).map_err(|error| unreadable(path, error))?;
    let Some((real, mut opened)) = opened else {
        return Err(missing(path));
    };
    let dir = real.parent().unwrap_or(&real);
    let guard = Guard::new(env, rails, dir);
    guard.key_file(&opened, &shown)?;
    guard.directory_and_parent(dir, the_directory, None)?;
    opened.read(MAX_BYTES, &shown)
}

/// Whether a path is a file descriptor of this process: a pipe that nobody else can read.
fn is_descriptor(path: &Path) -> bool {
    let dirs = ["/dev/fd/", "/proc/self/fd/"];
    // Nothing but a number behind it: `..` would lead to any FIFO.
    let number = path
        .to_str()
        .and_then(|path| dirs.iter().find_map(|dir| path.strip_prefix(dir)));
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        && std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn read_descriptor(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error| failure::failure("read", &path.display(), error);
    // One byte more than can be right, and never a reallocation that leaves a copy behind.
    let most = MAX_BYTES.saturating_add(1);
    let mut text = Zeroizing::new(Vec::with_capacity(most));
    let pipe = File::open(path).map_err(failed)?;
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    pipe.take(limit).read_to_end(&mut text).map_err(failed)?;
    if text.len() == most {
        let message = format!("{} holds more than {MAX_BYTES} bytes", path.display());
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    Ok(text)
}

/// A passphrase without the newline that editors put at the end of a file.
fn without_newline(text: &[u8]) -> Secret {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Secret::from_utf8_or_bytes(text.to_vec())
}

fn missing(path: &Path) -> Error {
    let message = format!("the key's file {} does not exist", path.display());
    Error::new(ErrorKind::Auth, message).with_help(
        "correct its path; if it is lost, give another that opens the file: a recovery key, or \
             a passphrase",
    )
}

/// A key that may not be read is a credential that is missing; no access to a secret was denied.
fn unreadable(path: &Path, error: Error) -> Error {
    if error.kind() != ErrorKind::Denied {
        return error;
    }
    let message = format!("the key's file {} can't be read", path.display());
    let located = Error::new(ErrorKind::Auth, message);
    let located = located.with_help(error.help().unwrap_or_default());
    located.with_source(error)
}

fn no_default(path: &Path, sealed: &Path) -> Error {
    let (path, sealed) = (path.display(), sealed.display());
    let message = format!("there is no key for sealed file {sealed}: {path} does not exist");
    Error::new(ErrorKind::Auth, message).with_help(format!("put it there, or {GIVE_ONE}"))
}

fn in_file(path: &Path, error: &Error) -> Error {
    let located = Error::new(error.kind(), format!("{}: {error}", path.display()));
    match error.help() {
        Some(help) => located.with_help(help),
        None => located,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_may_not_be_read_is_a_credential_that_is_missing() {
        let (path, refused) = (Path::new("/keys/a.key"), rustix::io::Errno::ACCESS);
        let error = failure::failure("open", &path.display(), refused.into());
        let error = unreadable(path, error);
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(error.to_string().contains("/keys/a.key"), "{error}");
        assert!(error.help().is_some_and(|help| help.contains("permission")));
        let other = Error::new(ErrorKind::Transient, "a disk that fails");
        assert_eq!(unreadable(path, other).kind(), ErrorKind::Transient);
    }
}
