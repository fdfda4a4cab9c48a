//! The four primitives of the format: framing, HKDF-SHA256, AES-256-GCM, HMAC-SHA256.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use super::fields::FileId;
use crate::error::{Error, ErrorKind, Result};
use crate::random;

/// The first line of a file, and the first part of every frame.
pub(super) const FORMAT: &str = "strongroom-sealed 1";

/// 32 bytes that are wiped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// The length of an AES-GCM tag.
pub(super) const TAG: usize = 16;

/// Joins the parts, each after its length as four bytes, the most significant first. The format
/// itself is always the first part.
pub(super) fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let mut framed = Vec::new();
    for part in [FORMAT.as_bytes()].iter().chain(parts) {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(part);
    }
    framed
}

/// What a ciphertext is bound to: the file's id, and each field of its line before the salt.
pub(super) fn aad(file: FileId, leading: &str) -> Vec<u8> {
    let file = file.to_string();
    let mut parts = vec![file.as_bytes()];
    parts.extend(leading.split(' ').map(str::as_bytes));
    frame(&parts)
}

/// Draws a random key.
pub(super) fn random_key() -> Result<Key> {
    let mut key = Key::default();
    random::fill(key.as_mut_slice())?;
    Ok(key)
}

/// The pseudorandom key of RFC 5869 that all keys of one purpose are expanded from.
pub(super) struct Prk(Key);

impl Prk {
    pub(super) fn extract(salt: &[u8], key: &[u8; 32]) -> Self {
        let (mut prk, _) = Hkdf::<Sha256>::extract(Some(salt), key);
        let mut kept = Key::default();
        kept.copy_from_slice(&prk);
        prk.as_mut_slice().zeroize();
        Self(kept)
    }

    pub(super) fn expand(&self, info: &[&[u8]]) -> Result<Key> {
        let mut key = Key::default();
        let hkdf = Hkdf::<Sha256>::from_prk(self.0.as_slice()).map_err(|_| impossible())?;
        hkdf.expand(&frame(info), key.as_mut_slice())
            .map_err(|_| impossible())?;
        Ok(key)
    }
}

/// Encrypts in place; the tag is appended.
pub(super) fn encrypt(key: &Key, nonce: &[u8; 12], aad: &[u8], text: &mut Vec<u8>) -> Result<()> {
    let cipher = Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| impossible())?;
    let tag = cipher
        .encrypt_inout_detached(&Nonce::from(*nonce), aad, text.as_mut_slice().into())
        .map_err(|_| impossible())?;
    text.extend_from_slice(&tag);
    Ok(())
}

/// Decrypts in place and takes the tag off; `None` where the tag does not belong to it.
pub(super) fn decrypt(key: &Key, nonce: &[u8; 12], aad: &[u8], text: &mut Vec<u8>) -> Option<()> {
    let end = text.len().checked_sub(TAG)?;
    let tag: [u8; TAG] = text.get(end..)?.try_into().ok()?;
    text.truncate(end);
    let cipher = Aes256Gcm::new_from_slice(key.as_slice()).ok()?;
    let nonce = Nonce::from(*nonce);
    let text = text.as_mut_slice().into();
    cipher
        .decrypt_inout_detached(&nonce, aad, text, &Tag::from(tag))
        .ok()
}

/// An HMAC-SHA256 over everything that it is given.
pub(super) fn mac(key: &Key, parts: &[&str]) -> Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).map_err(|_| impossible())?;
    for part in parts {
        mac.update(part.as_bytes());
    }
    Ok(mac)
}

/// No length that the primitives are called with is one that they refuse.
fn impossible() -> Error {
    Error::new(ErrorKind::Malformed, "a length that can't be encrypted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_tell_apart_what_joins_alike() {
        assert_ne!(frame(&[b"ab", b"c"]), frame(&[b"a", b"bc"]));
        assert_ne!(frame(&[b"a"]), frame(&[b"a", b""]));
        let mut expected = vec![0, 0, 0, 19];
        expected.extend_from_slice(b"strongroom-sealed 1\x00\x00\x00\x02ab");
        assert_eq!(frame(&[b"ab"]), expected);
    }

    #[test]
    fn what_is_encrypted_decrypts_with_everything_the_same() {
        let key = random_key().unwrap();
        let other = random_key().unwrap();
        let mut sealed = b"value".to_vec();
        encrypt(&key, &[1; 12], b"aad", &mut sealed).unwrap();
        let opens = |key: &Key, nonce: [u8; 12], aad: &[u8]| {
            let mut text = sealed.clone();
            decrypt(key, &nonce, aad, &mut text).map(|()| text)
        };
        assert_eq!(opens(&key, [1; 12], b"aad").unwrap(), b"value");
        assert!(opens(&other, [1; 12], b"aad").is_none());
        assert!(opens(&key, [2; 12], b"aad").is_none());
        assert!(opens(&key, [1; 12], b"add").is_none());
        assert!(decrypt(&key, &[1; 12], b"aad", &mut vec![0; 15]).is_none());
    }
}
