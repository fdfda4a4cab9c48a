//! The encrypted file of services in TypeScript: AES-256-GCM under `SECRETS_MASTER_KEY`.
//!
//! `{"version": 1, "secrets": {"NAME": "…"}}`, each value the base64url of nonce (12 bytes), ciphertext
//! and tag (16 bytes). `entries` in the place of `secrets` is read too.

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use strongroom::{
    Declared, Encoding, Env, Error, ErrorKind, Kind, Report, Result, Secret, SecretName, documents,
    policy,
};
use zeroize::Zeroizing;

use super::{Found, malformed, place};

const VARIABLE: &str = "SECRETS_MASTER_KEY";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Reports whether a document has this form, so that nobody takes its ciphertext for values.
pub(super) fn is_one(entries: &[documents::Entry]) -> bool {
    let is_version =
        |entry: &documents::Entry| entry.way == ["version"] && entry.value.verify(b"1");
    let least = NONCE_BYTES.saturating_add(TAG_BYTES);
    let is_sealed = |entry: &documents::Entry| {
        let sealed = Encoding::Base64Url.decode(&entry.value);
        sealed.is_ok_and(|sealed| sealed.len() >= least)
    };
    let mut values = entries
        .iter()
        .filter(|entry| matches!(entry.way.as_slice(), [section, _] if is_section(section)))
        .peekable();
    values.peek().is_some() && values.all(is_sealed) && entries.iter().any(is_version)
}

fn is_section(key: &str) -> bool {
    matches!(key, "secrets" | "entries")
}

/// Opens every entry: a key that is wrong for one opens none.
pub(super) fn read(text: Zeroizing<Vec<u8>>, origin: &str, env: &Env) -> Result<Vec<Found>> {
    let entries = documents::json(text, origin)?;
    let mut versions = entries.iter().filter(|entry| entry.way == ["version"]);
    let known = versions.next().map(|version| version.value.verify(b"1"));
    match known {
        Some(true) => {}
        Some(false) => return Err(malformed(origin, "its `version` is not 1")),
        None => return Err(malformed(origin, "it has no `version`")),
    }
    let cipher = cipher(env)?;
    let mut found = Vec::new();
    for entry in &entries {
        let [section, key @ ..] = entry.way.as_slice() else {
            continue;
        };
        if !is_section(section) {
            continue;
        }
        let place = place(origin, entry.line, &key.join("/"));
        let [key] = key else {
            return Err(malformed(&place, "a name and its text belong here"));
        };
        let sealed = Encoding::Base64Url.decode(&entry.value);
        let sealed = sealed.map_err(|_| malformed(&place, "the value is not base64url"))?;
        let value = open(&cipher, &sealed).ok_or_else(|| {
            let message = format!("{place}: {VARIABLE} doesn't open it");
            Error::new(ErrorKind::Integrity, message).with_help(
                "nothing was written; the key is another file's, or the file was changed",
            )
        })?;
        found.push(Found {
            key: key.clone(),
            value,
        });
    }
    if found.is_empty() {
        return Err(malformed(origin, "it has no entries below `secrets`"));
    }
    super::check_keys(&found, origin)?;
    Ok(found)
}

/// Reads the key: 32 bytes as hexadecimal digits, base64 or base64url.
fn cipher(env: &Env) -> Result<Aes256Gcm> {
    let text = env.var(VARIABLE)?.ok_or_else(|| {
        Error::new(ErrorKind::Auth, format!("{VARIABLE} is not set")).with_help(
            "it holds the file's key: 32 bytes as hexadecimal digits, base64 or base64url",
        )
    })?;
    let text = Secret::from_text(text.trim());
    let decoded = [Encoding::Hex, Encoding::Base64, Encoding::Base64Url]
        .iter()
        .filter_map(|encoding| encoding.decode(&text).ok())
        .find(|key| key.len() == 32);
    let key = decoded.ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("{VARIABLE} is not 32 bytes"))
            .with_help("write them as 64 hexadecimal digits, or in base64 or base64url")
    })?;
    let declared = Declared::new(SecretName::from_static("master-key"), Kind::Key);
    let report = Report::new(policy::check_one(&declared, &key));
    if !report.is_clean() {
        let message = format!("{VARIABLE} is a placeholder, and no key");
        return Err(Error::new(ErrorKind::Policy, message).with_help(
            "a file under such a key is not encrypted: replace its values, and the key",
        ));
    }
    // EXPOSES: to the cipher, which wipes its copy
    Aes256Gcm::new_from_slice(key.expose_bytes())
        .map_err(|_| Error::new(ErrorKind::Config, format!("{VARIABLE} is not 32 bytes")))
}

fn open(cipher: &Aes256Gcm, sealed: &Secret) -> Option<Secret> {
    // EXPOSES: ciphertext, to the cipher
    let (nonce, sealed) = sealed.expose_bytes().split_at_checked(NONCE_BYTES)?;
    let (body, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    let tag: [u8; TAG_BYTES] = tag.try_into().ok()?;
    let mut value = Zeroizing::new(body.to_vec());
    let opened =
        cipher.decrypt_inout_detached(&nonce.into(), &[], value.as_mut_slice().into(), &tag.into());
    opened.ok().map(|()| Secret::from_utf8_or_bytes(value))
}
