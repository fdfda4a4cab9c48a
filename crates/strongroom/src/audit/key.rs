//! The key of a chain, and the code that it puts on each line.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::declared::Encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// The key of audit logs: 32 bytes. Each chain has its own, derived from it and the chain's id.
///
/// Wiped when the last clone is dropped; `Debug` shows nothing of it.
///
/// ```
/// use strongroom::audit::Key;
/// use strongroom::Secret;
///
/// let text = Secret::from_text("# a comment\nd2hhdCBhIGtleSBvZiAzMiBieXRlcyBsb29rcyBsaWs=\n");
/// assert!(Key::from_text(&text).is_ok());
/// assert!(Key::from_text(&Secret::from_text("too short")).is_err());
/// ```
#[derive(Clone)]
pub struct Key(Secret);

impl Key {
    /// Reads a key as 64 hexadecimal digits, or as base64 of 32 bytes (RFC 4648 section 4 or 5); or
    /// takes 32 bytes that are the key itself. Lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is neither. The text is never quoted.
    pub fn from_text(text: &Secret) -> Result<Self> {
        if text.len() == 32 {
            return Ok(Self(text.clone()));
        }
        // EXPOSES: to the decoding of the key, which leaves no copy but the key
        let text = text.expose_str().map_err(|_| not_a_key())?;
        Encoding::key_of_file(text).map(Self).ok_or_else(not_a_key)
    }

    /// Derives the key of one chain.
    pub(super) fn of_chain(&self, chain: &[u8; 16]) -> ChainKey {
        let info = [b"strongroom audit chain v1".as_slice(), chain].concat();
        let key = self.0.derive_key(&info);
        // HMAC takes a key of any length.
        // EXPOSES: to the state of HMAC, which wipes itself
        ChainKey(Hmac::new_from_slice(key.expose_bytes()).ok())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([REDACTED])")
    }
}

/// The key of one chain, ready for use.
#[derive(Clone)]
pub(super) struct ChainKey(Option<Hmac<Sha256>>);

impl ChainKey {
    /// Returns the code of a line: it holds the line and, by the code before, all lines before it.
    pub(super) fn code(&self, previous: &[u8; 32], line: &[u8]) -> Option<[u8; 32]> {
        let mut mac = self.0.clone()?;
        mac.update(previous);
        mac.update(line);
        Some(mac.finalize().into_bytes().into())
    }
}

fn not_a_key() -> Error {
    Error::new(ErrorKind::Malformed, "this is not a key of an audit log").with_help(
        "a key is 32 bytes, written as 64 hexadecimal digits or in base64: \
         `(umask 077; openssl rand -hex 32 > FILE)` makes one",
    )
}
