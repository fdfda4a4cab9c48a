//! A second writer of sealed files, made from docs/sealed-file.md alone. Nothing in it is random, so
//! that the vectors are the same each time they are made.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use base64ct::{Base64Unpadded, Encoding as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

pub(super) const FORMAT: &str = "strongroom-sealed 1";
pub(super) const PASSPHRASE: &str = "seven lamps over the old harbour";

pub(super) fn base64(bytes: &[u8]) -> String {
    Base64Unpadded::encode_string(bytes)
}

/// Bytes that look random and are the same each time.
pub(super) fn bytes<const N: usize>(seed: &str) -> [u8; N] {
    Sha256::digest(seed)[..N].try_into().unwrap()
}

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in [FORMAT.as_bytes()].iter().chain(parts) {
        out.extend((part.len() as u32).to_be_bytes());
        out.extend(*part);
    }
    out
}

fn derive(key: &[u8], salt: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(Some(salt), key);
    hkdf.expand(&frame(info), &mut out).unwrap();
    out
}

fn encrypt(key: [u8; 32], nonce: [u8; 12], file: &str, leading: &str, text: &[u8]) -> Vec<u8> {
    let mut parts = vec![file.as_bytes()];
    parts.extend(leading.split(' ').map(str::as_bytes));
    let mut text = text.to_vec();
    let cipher = aes_gcm::Aes256Gcm::new(&key.into());
    let tag = cipher
        .encrypt_inout_detached(&nonce.into(), &frame(&parts), text.as_mut_slice().into())
        .unwrap();
    text.extend(tag);
    text
}

/// A file in the making.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) first: String,
    pub(super) file: String,
    pub(super) epoch: String,
    pub(super) data_key: [u8; 32],
    pub(super) slots: Vec<String>,
    pub(super) lines: Vec<String>,
}

pub(super) fn raw_key() -> [u8; 32] {
    bytes("raw key")
}

impl Draft {
    /// One raw slot, no entries.
    pub(super) fn new() -> Self {
        let mut draft = Self {
            first: FORMAT.to_owned(),
            file: base16ct::lower::encode_string(&bytes::<16>("file")),
            epoch: "7".to_owned(),
            data_key: bytes("data key"),
            slots: Vec::new(),
            lines: Vec::new(),
        };
        draft
            .slots
            .push(draft.raw_slot("1000000000000000", &raw_key()));
        draft
    }

    /// A raw slot and three entries, one of them with its previous value.
    pub(super) fn usual() -> Self {
        let mut draft = Self::new();
        draft
            .lines
            .push(draft.entry("api/token 2-00000000000000a2 1763731695", b"token"));
        draft.lines.push(draft.previous(
            "api/token 1-00000000000000a1 1763731600 9000000000",
            b"old token",
        ));
        draft.lines.push(draft.entry(
            "database/password 1-00000000000000b1 1763731601",
            b"password",
        ));
        draft.lines.push(draft.entry(
            "session/key 1-00000000000000c1 1763731602",
            &bytes::<32>("key"),
        ));
        draft
    }

    pub(super) fn raw_slot(&self, id: &str, key: &[u8; 32]) -> String {
        self.slot(
            &format!("slot {id} laptop 1763731600 raw"),
            key,
            &bytes(&format!("salt {id}")),
        )
    }

    pub(super) fn passphrase_slot(&self, id: &str) -> String {
        let salt: [u8; 16] = bytes(&format!("salt {id}"));
        let mut key = [0; 32];
        let params = argon2::Params::new(19 * 1024, 2, 1, Some(32)).unwrap();
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(PASSPHRASE.as_bytes(), &salt, &mut key)
            .unwrap();
        self.slot(
            &format!("slot {id} recovery 1763731600 passphrase 19456 2 1"),
            &key,
            &salt,
        )
    }

    fn slot(&self, leading: &str, key: &[u8; 32], salt: &[u8; 16]) -> String {
        let commitment = derive(key, salt, &[b"slot", b"commitment"]);
        let wrap = derive(key, salt, &[b"slot", b"wrap"]);
        let nonce = bytes(&format!("nonce {leading}"));
        let wrapped = encrypt(wrap, nonce, &self.file, leading, &self.data_key);
        let fields = [&salt[..], &commitment, &nonce, &wrapped].map(base64);
        format!("{leading} {}", fields.join(" "))
    }

    pub(super) fn entry(&self, fields: &str, value: &[u8]) -> String {
        self.padded(&format!("entry {fields}"), &pad(value))
    }

    pub(super) fn previous(&self, fields: &str, value: &[u8]) -> String {
        self.padded(&format!("previous {fields}"), &pad(value))
    }

    /// A line whose padding is the caller's.
    pub(super) fn padded(&self, leading: &str, text: &[u8]) -> String {
        let salt: [u8; 16] = bytes(&format!("salt {leading}"));
        let nonce = bytes(&format!("nonce {leading}"));
        let key = derive(&self.data_key, &self.id_bytes(), &[b"entry", &salt]);
        let sealed = encrypt(key, nonce, &self.file, leading, text);
        format!(
            "{leading} {} {} {}",
            base64(&salt),
            base64(&nonce),
            base64(&sealed)
        )
    }

    fn id_bytes(&self) -> [u8; 16] {
        // Digits that are no id have no bytes: the file is refused before they count.
        let bytes = base16ct::mixed::decode_vec(&self.file).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_default()
    }

    fn body(&self) -> String {
        let mut body = format!("{}\nfile {}\nepoch {}\n", self.first, self.file, self.epoch);
        for line in self.slots.iter().chain(&self.lines) {
            body += &format!("{line}\n");
        }
        body
    }

    /// The seal over any text.
    pub(super) fn sealed(&self, body: &str) -> String {
        let key = derive(&self.data_key, &self.id_bytes(), &[b"seal"]);
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(body.as_bytes());
        let seal = base16ct::lower::encode_string(&mac.finalize().into_bytes());
        format!("{body}seal {seal}\n")
    }

    /// The whole file, sealed.
    pub(super) fn write(&self) -> String {
        self.sealed(&self.body())
    }
}

fn pad(value: &[u8]) -> Vec<u8> {
    let mut text = (value.len() as u32).to_be_bytes().to_vec();
    text.extend(value);
    text.resize(4 + value.len().next_power_of_two().max(64), 0);
    text
}
