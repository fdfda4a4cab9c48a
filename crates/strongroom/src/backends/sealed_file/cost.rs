//! What it costs to try a passphrase.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::crypto::Key;
use super::fields;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// What it costs to try one passphrase: the parameters of Argon2id.
///
/// ```
/// use strongroom::sealed_file::Argon2Cost;
///
/// assert_eq!(Argon2Cost::default(), Argon2Cost::new(64 * 1024, 3, 4)?);
/// assert!(Argon2Cost::new(1024, 3, 4).is_err());
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Argon2Cost {
    /// RFC 9106's second recommendation: 64 MiB, 3 passes, 4 lanes.
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 4,
        }
    }
}

impl Argon2Cost {
    /// Takes memory in KiB, passes and lanes.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if they are out of bounds: 19 to 256 MiB, 2 to 8 passes, 1 to 4
    /// lanes.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self> {
        let within = (19 * 1024..=256 * 1024).contains(&memory_kib)
            && (2..=8).contains(&passes)
            && (1..=4).contains(&lanes);
        let cost = Self {
            memory_kib,
            passes,
            lanes,
        };
        within.then_some(cost).ok_or_else(|| {
            let message = "the cost of a passphrase is out of bounds";
            Error::new(ErrorKind::Malformed, message)
                .with_help("19 to 256 MiB of memory, 2 to 8 passes and 1 to 4 lanes are allowed")
        })
    }

    /// Turns a passphrase into a key by Argon2id (RFC 9106, version 0x13).
    pub(super) fn stretch(self, passphrase: &Secret, salt: &[u8; 16]) -> Result<Key> {
        let failed = || {
            let message = format!("there are no {} MiB of memory", self.memory_kib / 1024);
            Error::new(ErrorKind::Transient, message)
                .with_help("a passphrase needs this much memory to be checked; a raw key does not")
        };
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| failed())?;
        let mut blocks: Vec<Block> = Vec::new();
        let count = params.block_count();
        blocks.try_reserve_exact(count).map_err(|_| failed())?;
        blocks.resize(count, Block::default());
        let mut blocks = Zeroizing::new(blocks);
        let mut key = Key::default();
        // EXPOSES: the passphrase to its derivation, whose memory is wiped
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                passphrase.expose_bytes(),
                salt,
                key.as_mut_slice(),
                blocks.as_mut_slice(),
            )
            .map_err(|_| failed())?;
        Ok(key)
    }

    /// Reads the three fields of a slot's line.
    pub(super) fn from_fields(fields: [&str; 3]) -> Option<Result<Self>> {
        let [memory, passes, lanes] = fields.map(|field| {
            let number = fields::number(field)?;
            u32::try_from(number).ok().or(Some(u32::MAX))
        });
        Some(Self::new(memory?, passes?, lanes?))
    }
}

impl fmt::Display for Argon2Cost {
    /// As a slot's line holds it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.memory_kib, self.passes, self.lanes)
    }
}
