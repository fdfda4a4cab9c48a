//! Entries: each value is encrypted under a key of its own, bound to everything its line says.

use std::time::SystemTime;

use zeroize::Zeroizing;

use super::crypto::{self, Key, Prk};
use super::fields::{self, FileId, to_base64};
use crate::error::{Error, ErrorKind, Result};
use crate::random;
use crate::secret::MAX_VALUE_BYTES;

/// The smallest size that a value is padded to.
const LEAST: usize = 64;
/// The length of a value stands before it, in this many bytes.
const LENGTH: usize = 4;

/// The data key of a file, and what is derived from it.
pub(super) struct DataKey {
    pub(super) file: FileId,
    pub(super) key: Key,
    prk: Prk,
}

impl DataKey {
    pub(super) fn new(file: FileId, key: Key) -> Self {
        let prk = Prk::extract(&file.0, &key);
        Self { file, key, prk }
    }

    /// The key of the file's seal.
    pub(super) fn seal(&self) -> Result<Key> {
        self.prk.expand(&[b"seal"])
    }

    fn entry(&self, salt: &[u8; 16]) -> Result<Key> {
        self.prk.expand(&[b"entry", salt])
    }
}

/// One value's line: the current one (`entry`) or the one before it (`previous`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// Counter and random id: two branches can reach the same counter.
    pub(super) version: &'a str,
    pub(super) created: u64,
    /// Until when a previous value can be read; `None` for the current one.
    pub(super) expires: Option<u64>,
    /// All fields before the salt, as they stand in the line.
    leading: &'a str,
    salt: [u8; 16],
    nonce: [u8; 12],
    sealed: &'a str,
}

impl<'a> Entry<'a> {
    /// Parses a line without its newline.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let (leading, sealed) = line.rsplit_once(' ')?;
        let (leading, nonce) = leading.rsplit_once(' ')?;
        let (leading, salt) = leading.rsplit_once(' ')?;
        let mut fields = leading.split(' ');
        let kind = fields.next()?;
        let (name, version, created) = (fields.next()?, fields.next()?, fields.next()?);
        let expires = match (kind, fields.next()) {
            ("entry", None) => None,
            ("previous", Some(expires)) => Some(fields::number(expires)?),
            _ => return None,
        };
        version_counter(version)?;
        let entry = Self {
            name,
            version,
            created: fields::number(created)?,
            expires,
            leading,
            salt: fields::base64(salt)?,
            nonce: fields::base64(nonce)?,
            sealed,
        };
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        (fields.next().is_none() && sealed.bytes().all(base64)).then_some(entry)
    }

    /// Decrypts the value into one allocation of exactly its size.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] if it was not encrypted for exactly this line and file.
    pub(super) fn open(&self, data: &DataKey) -> Result<Zeroizing<Vec<u8>>> {
        let broken = || {
            let message = format!("the entry `{}` was changed by somebody else", self.name);
            Error::new(ErrorKind::Integrity, message)
                .with_help("restore the file from a copy that you trust")
        };
        let sealed = fields::base64_vec(self.sealed).ok_or_else(|| {
            let message = format!("the entry `{}` is not base64", self.name);
            Error::new(ErrorKind::Malformed, message)
        })?;
        let mut text = Zeroizing::new(sealed);
        let aad = crypto::aad(data.file, self.leading);
        let key = data.entry(&self.salt)?;
        crypto::decrypt(&key, &self.nonce, &aad, &mut text).ok_or_else(broken)?;
        unpad(&text).ok_or_else(broken)
    }

    /// Encrypts a value, and returns its line with the newline.
    pub(super) fn seal(data: &DataKey, leading: &str, value: &[u8]) -> Result<String> {
        let (salt, nonce) = (random::array::<16>()?, random::array::<12>()?);
        let mut text = pad(value)?;
        let aad = crypto::aad(data.file, leading);
        crypto::encrypt(&data.entry(&salt)?, &nonce, &aad, &mut text)?;
        let (salt, nonce, sealed) = (to_base64(&salt), to_base64(&nonce), to_base64(&text));
        Ok(format!("{leading} {salt} {nonce} {sealed}\n"))
    }

    /// The fields before the salt of a line for the current value.
    pub(super) fn current(name: &str, version: &str, created: u64) -> String {
        format!("entry {name} {version} {created}")
    }

    /// The fields before the salt of a line for the value before the current one.
    pub(super) fn previous(name: &str, version: &str, created: u64, expires: u64) -> String {
        format!("previous {name} {version} {created} {expires}")
    }

    /// The same value in a line of another data key.
    pub(super) fn seal_again(&self, from: &DataKey, to: &DataKey) -> Result<String> {
        Self::seal(to, self.leading, &self.open(from)?)
    }

    /// Reports whether a value is past its expiry.
    pub(super) fn is_expired(&self) -> bool {
        let now = fields::seconds(SystemTime::now());
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// The counter of a version: `7-0123456789abcdef` is the seventh.
pub(super) fn version_counter(version: &str) -> Option<u64> {
    let (counter, id) = version.split_once('-')?;
    fields::hex::<8>(id)?;
    fields::number(counter).filter(|counter| *counter > 0)
}

/// The version that follows those that are there.
pub(super) fn next_version<'a>(found: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let last = found.into_iter().filter_map(version_counter).max();
    let counter = last.unwrap_or(0).saturating_add(1);
    let id = base16ct::lower::encode_string(&random::array::<8>()?);
    Ok(format!("{counter}-{id}"))
}

/// Puts the length before a value and zeros after it, up to a power of two from 64. There is room
/// for the tag.
fn pad(value: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let padded = padded_size(value.len()).ok_or_else(|| {
        let message = format!("a value has at most {MAX_VALUE_BYTES} bytes");
        Error::new(ErrorKind::Malformed, message)
    })?;
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let size = padded.saturating_add(LENGTH);
    let mut text = Zeroizing::new(Vec::with_capacity(size.saturating_add(crypto::TAG)));
    text.extend_from_slice(&length.to_be_bytes());
    text.extend_from_slice(value);
    text.resize(size, 0);
    Ok(text)
}

fn unpad(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (length, padded) = text.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, zeros) = padded.split_at_checked(length)?;
    let canonical =
        padded_size(length) == Some(padded.len()) && zeros.iter().all(|byte| *byte == 0);
    canonical.then(|| Zeroizing::new(value.to_vec()))
}

fn padded_size(length: usize) -> Option<usize> {
    (length <= MAX_VALUE_BYTES).then(|| length.next_power_of_two().max(LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_padded_to_powers_of_two() {
        for (length, padded) in [
            (0, 64),
            (1, 64),
            (64, 64),
            (65, 128),
            (128, 128),
            (129, 256),
            (65_536, 65_536),
        ] {
            let value = vec![b'v'; length];
            let text = pad(&value).unwrap();
            assert_eq!(text.len(), padded + LENGTH);
            assert!(text.capacity() >= text.len() + crypto::TAG, "the tag fits");
            assert_eq!(unpad(&text).unwrap()[..], value);
        }
        assert_eq!(pad(&[0; 65_537]).unwrap_err().kind(), ErrorKind::Malformed);
    }

    #[test]
    fn padding_has_one_form() {
        let text = pad(b"value").unwrap();
        for (at, byte) in [(3, 6), (3, 4), (9, 1), (67, 1), (0, 1), (0, 255)] {
            let mut text = text.to_vec();
            text[at] = byte;
            // A longer length is another value, if the bytes it takes in are zeros.
            let is_value = (at, byte) == (3, 6);
            assert_eq!(unpad(&text).is_some(), is_value, "{at} {byte}");
        }
        let mut longer = text.to_vec();
        longer.resize(128 + LENGTH, 0);
        assert!(unpad(&longer).is_none(), "more padding than needed");
        assert!(unpad(&text[..67]).is_none());
        assert!(unpad(&[]).is_none());
    }

    #[test]
    fn versions_count_on() {
        assert_eq!(version_counter("7-0123456789abcdef"), Some(7));
        for wrong in [
            "",
            "7",
            "7-",
            "0-0123456789abcdef",
            "07-0123456789abcdef",
            "7-0123456789ABCDEF",
        ] {
            assert_eq!(version_counter(wrong), None, "{wrong}");
        }
        let next = next_version(["3-0123456789abcdef", "7-0123456789abcdef"]).unwrap();
        assert_eq!(version_counter(&next), Some(8));
        assert_eq!(version_counter(&next_version([]).unwrap()), Some(1));
    }
}
