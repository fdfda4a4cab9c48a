//! What opens a slot: a raw key of 32 bytes, or a passphrase.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::cost::Argon2Cost;
use super::crypto::{Key, random_key};
use super::fields::FileId;
use crate::declared::{Declared, Encoding, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::policy;
use crate::report::Severity;
use crate::secret::Secret;

/// What the first line of a key file begins with, before the id of its sealed file.
const KEY_FILE: &str = "# strongroom key of sealed file ";

/// What opens a slot of a sealed file: a raw key of 32 bytes, or a passphrase.
///
/// Wiped when the last clone is dropped; `Debug` shows which of the two it is and no more.
#[derive(Clone)]
pub struct SlotKey {
    form: Form,
    /// The sealed file that a key file says it belongs to.
    file: Option<FileId>,
    // The last slot whose Argon2id was paid for, so that each later reading of the file is cheap.
    stretched: Arc<Mutex<Option<Stretched>>>,
}

#[derive(Clone)]
pub(super) enum Form {
    Raw(Secret),
    Passphrase(Secret),
}

struct Stretched {
    cost: Argon2Cost,
    salt: [u8; 16],
    key: Key,
}

impl SlotKey {
    fn new(form: Form) -> Self {
        Self {
            form,
            file: None,
            stretched: Arc::default(),
        }
    }

    /// Draws a new raw key.
    ///
    /// # Errors
    /// [`ErrorKind::Transient`] if the system's random source fails.
    pub fn generate() -> Result<Self> {
        let key = random_key()?;
        Ok(Self::new(Form::Raw(Secret::from_bytes(key.to_vec()))))
    }

    /// Takes a raw key.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it has not exactly 32 bytes.
    pub fn raw(key: Secret) -> Result<Self> {
        match key.len() {
            32 => Ok(Self::new(Form::Raw(key))),
            _ => Err(not_a_key()),
        }
    }

    /// Takes a passphrase. Every byte counts, blanks and newlines too.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is empty or has more than 1024 bytes.
    pub fn passphrase(passphrase: Secret) -> Result<Self> {
        match passphrase.len() {
            1..=1024 => Ok(Self::new(Form::Passphrase(passphrase))),
            _ => Err(Error::new(
                ErrorKind::Malformed,
                "a passphrase has 1 to 1024 bytes",
            )),
        }
    }

    /// Reads a raw key as 64 hexadecimal digits, or as base64 of 32 bytes (RFC 4648 section 4 or 5).
    ///
    /// Lines that begin with `#` are comments; the first may name the sealed file, as
    /// [`to_text`](Self::to_text) writes it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is neither. The text is never quoted.
    pub fn from_text(text: &Secret) -> Result<Self> {
        // EXPOSES: to the parser of key files, which keeps nothing but the decoded key
        let text = text.expose_str().map_err(|_| not_a_key())?;
        let file = text.strip_prefix(KEY_FILE).and_then(|rest| {
            let id = rest.lines().next()?;
            id.trim_end().parse().ok()
        });
        let mut key = Self::raw(Encoding::key_of_file(text).ok_or_else(not_a_key)?)?;
        key.file = file;
        Ok(key)
    }

    /// Returns the text of a key file for a raw key: the sealed file it belongs to, and the key.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a passphrase.
    pub fn to_text(&self, file: FileId) -> Result<Secret> {
        let Form::Raw(key) = &self.form else {
            let message = "a passphrase is not written to a key file";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let encoded = Encoding::Base64.encode(key);
        // EXPOSES: to the text of a key file, which is wiped
        let encoded = encoded.expose_str()?;
        let head = format!("{KEY_FILE}{file}\n");
        let mut text = Zeroizing::new(Vec::with_capacity(
            head.len().saturating_add(encoded.len()).saturating_add(1),
        ));
        text.extend_from_slice(head.as_bytes());
        text.extend_from_slice(encoded.as_bytes());
        text.push(b'\n');
        Ok(Secret::from_utf8_or_bytes(text))
    }

    /// Reports whether it is a passphrase.
    pub fn is_passphrase(&self) -> bool {
        matches!(self.form, Form::Passphrase(_))
    }

    pub(super) fn form(&self) -> &Form {
        &self.form
    }

    /// The sealed file that a key file says it belongs to.
    pub(super) fn file(&self) -> Option<FileId> {
        self.file
    }

    /// Refuses a key that is too weak for a new slot, by the rules for keys and for passwords.
    pub(super) fn check_strength(&self) -> Result<()> {
        const NAME: SecretName = SecretName::from_static("slot");
        let (secret, declared, what) = match &self.form {
            Form::Raw(key) => {
                let declared = Declared::new(NAME, Kind::Key).with_encoding(Encoding::Hex);
                (key, declared, "key")
            }
            Form::Passphrase(text) => (text, Declared::new(NAME, Kind::Password), "passphrase"),
        };
        let findings = policy::check_one(&declared, secret);
        match findings.iter().find(|f| f.severity == Severity::Violation) {
            None => Ok(()),
            Some(finding) => {
                let why = ["the password ", "the key ", "the value "]
                    .iter()
                    .find_map(|subject| finding.message.strip_prefix(subject))
                    .map_or_else(|| finding.message.clone(), |rest| format!("it {rest}"));
                let message = format!("the {what} is too weak for a slot: {why}");
                Err(Error::new(ErrorKind::Policy, message).with_help(match &self.form {
                    Form::Raw(_) => "draw it at random: `strongroom key add LABEL --key-file FILE` \
                                     writes one to a file that is not there yet"
                        .to_owned(),
                    Form::Passphrase(_) => format!(
                        "take six or more words that a generator or dice chose, {} characters at \
                         least; not a sentence that was ever printed",
                        policy::LEAST_PASSWORD
                    ),
                }))
            }
        }
    }

    /// The stretched key of a slot that this passphrase opened before.
    pub(super) fn remembered(&self, cost: Argon2Cost, salt: &[u8; 16]) -> Option<Key> {
        let kept = self
            .stretched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|kept| kept.cost == cost && kept.salt == *salt)
            .map(|kept| kept.key.clone())
    }

    pub(super) fn remember(&self, cost: Argon2Cost, salt: [u8; 16], key: Key) {
        let mut kept = self
            .stretched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Stretched { cost, salt, key });
    }
}

impl fmt::Debug for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            Form::Raw(_) => "SlotKey(raw, [REDACTED])",
            Form::Passphrase(_) => "SlotKey(passphrase, [REDACTED])",
        })
    }
}

fn not_a_key() -> Error {
    Error::new(ErrorKind::Malformed, "this is not a key of a sealed file")
        .with_help("a key is 32 bytes, written as 64 hexadecimal digits or in base64")
}
