//! Where the key of a slot comes from or goes to: a key file, or a passphrase.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use strongroom::sealed_file::{FileId, Outline, SlotKey};
use strongroom::{Connect, Error, ErrorKind, Result, Secret};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::files::{self, create, failed};
use crate::prompt::{ask, ask_twice};

/// The most bytes that a key file or a passphrase may have.
const MAX_BYTES: usize = 4096;
/// The most bytes that a sealed file may have.
const MAX_SEALED: usize = 64 * 1024 * 1024;

/// The ways to give a passphrase. The command line itself is none of them.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Passphrase {
    /// Ask for a passphrase on the terminal
    #[arg(long)]
    passphrase: bool,
    /// Read a passphrase from this file, less one final newline
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    passphrase_file: Option<PathBuf>,
    /// Read a passphrase from this file descriptor, less one final newline
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
}

impl Passphrase {
    /// Does what derives a key from the passphrase, if one is given, and shows that it takes a while.
    pub(crate) fn deriving<T>(&self, context: &Context<'_>, work: impl FnOnce() -> T) -> T {
        let given =
            self.passphrase || self.passphrase_file.is_some() || self.passphrase_fd.is_some();
        let _deriving = given.then(|| context.deriving());
        work()
    }

    /// Reads the passphrase that is to be set; on a terminal it is asked for twice.
    pub(crate) fn new_key(&self) -> Result<Option<SlotKey>> {
        if self.passphrase {
            return ask_twice("New passphrase")
                .and_then(SlotKey::passphrase)
                .map(Some);
        }
        self.read(ErrorKind::Config)
    }

    /// Reads the passphrase of a slot that is there.
    pub(crate) fn known_key(&self) -> Result<Option<SlotKey>> {
        if self.passphrase {
            return ask("Passphrase of a slot that stays")
                .and_then(SlotKey::passphrase)
                .map(Some);
        }
        self.read(ErrorKind::Auth)
    }

    fn read(&self, missing: ErrorKind) -> Result<Option<SlotKey>> {
        let text = match (&self.passphrase_file, self.passphrase_fd) {
            (Some(path), _) => read(path, missing)?,
            (None, Some(number)) => read(Path::new(&format!("/dev/fd/{number}")), missing)?,
            (None, None) => return Ok(None),
        };
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        SlotKey::passphrase(Secret::from_utf8_or_bytes(text.to_vec())).map(Some)
    }
}

/// Reads the key in a key file.
pub(crate) fn read_key(path: &Path) -> Result<SlotKey> {
    let text = read(path, ErrorKind::Auth)?;
    SlotKey::from_text(&Secret::from_utf8_or_bytes(text)).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Error::new(error.kind(), message).with_help(error.help().unwrap_or_default())
    })
}

/// Reads the key of an audit log from its file.
///
/// # Errors
/// [`ErrorKind::Auth`] if there is none, [`ErrorKind::Malformed`] if it is no key.
pub(crate) fn read_audit_key(path: &Path) -> Result<strongroom::audit::Key> {
    let text = read(path, ErrorKind::Auth)?;
    strongroom::audit::Key::from_text(&Secret::from_utf8_or_bytes(text)).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Error::new(error.kind(), message).with_help(error.help().unwrap_or_default())
    })
}

/// Writes a key file that is not there yet, for its owner alone.
///
/// # Errors
/// [`ErrorKind::Conflict`] if something of that name is there, which stays as it is.
pub(crate) fn write_key(path: &Path, key: &SlotKey, file: FileId) -> Result<()> {
    let text = key.to_text(file)?;
    // EXPOSES: to a new key file, for its owner alone
    create(path, text.expose_bytes(), 0o600)
}

/// Reads a key or passphrase. `missing` is the kind of error where its file can't be opened: that of
/// a credential is told from that of a setting.
fn read(path: &Path, missing: ErrorKind) -> Result<Zeroizing<Vec<u8>>> {
    let text = match descriptor(path) {
        Some(number) => files::read_descriptor(number, MAX_BYTES),
        None => files::read(path, MAX_BYTES),
    };
    text.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            let message = format!("{} is too long for a key or a passphrase", path.display());
            Error::new(ErrorKind::Malformed, message)
        }
        kind => {
            let help = match kind {
                io::ErrorKind::NotFound => "there is no such file: correct its path",
                io::ErrorKind::Other => "name a file, or a descriptor: /dev/fd/3",
                _ => "the process's user needs permission for it, and for each directory above it",
            };
            let message = format!("can't open {}", path.display());
            let located = Error::new(missing, message).with_help(help);
            located.with_source(error)
        }
    })
}

/// The number of a descriptor that a path names, as the shell's `<(…)` does.
fn descriptor(path: &Path) -> Option<u32> {
    let path = path.to_str()?;
    let number = ["/dev/fd/", "/proc/self/fd/"]
        .iter()
        .find_map(|dir| path.strip_prefix(dir));
    match path {
        "/dev/stdin" => Some(0),
        _ => number?.parse().ok(),
    }
}

/// Reports whether a passphrase is what is missing to open the sealed file of an address: it has a
/// slot for one, and nothing leads to a key.
pub(crate) fn wants_passphrase(connect: &Connect) -> bool {
    let env = &connect.env;
    let variables = [
        "STRONGROOM_KEY",
        "STRONGROOM_KEY_FILE",
        "STRONGROOM_PASSPHRASE_FILE",
    ];
    let named = ["key_file", "passphrase_file"]
        .iter()
        .any(|key| connect.url.query(key).is_some());
    if connect.url.scheme() != "sealed" || named || variables.iter().any(|name| env.has(name)) {
        return false;
    }
    let file = read_sealed(&connect.resolve(connect.url.path()));
    let Ok(outline) = file.and_then(Outline::read) else {
        return false;
    };
    let key = env
        .config_dir()
        .map(|dir| default_key_file(&dir, outline.id));
    outline.slots.iter().any(|slot| slot.kind == "passphrase")
        && !key.is_some_and(|key| key.exists())
}

/// Reports whether a passphrase opens the sealed file of an address.
pub(crate) fn takes_passphrase(connect: &Connect) -> bool {
    let given = connect.env.passphrase().is_some()
        || connect.env.has("STRONGROOM_PASSPHRASE_FILE")
        || connect.url.query("passphrase_file").is_some();
    given && connect.url.scheme() == "sealed"
}

/// Where the user's own key of a sealed file is kept, beneath the configuration directory.
pub(crate) fn default_key_file(config_dir: &Path, id: FileId) -> PathBuf {
    default_keys_dir(config_dir).join(format!("{id}.key"))
}

/// The directory of all these keys.
pub(crate) fn default_keys_dir(config_dir: &Path) -> PathBuf {
    config_dir.join("strongroom/keys")
}

/// Reads a whole sealed file, in which nothing is secret.
pub(crate) fn read_sealed(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(path, MAX_SEALED).map_err(|error| failed("read", path, error))?;
    Ok(bytes.to_vec())
}
