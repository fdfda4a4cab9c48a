//! What the fuzz targets run. Not part of the API: compiled for tests, and under `cfg(fuzzing)`.
//!
//! Each function takes any bytes, and panics if something that is promised of them does not hold. The
//! targets in `fuzz/` call one each; the tests here run what is committed below `fuzz/corpus` and
//! `fuzz/regressions` through the same functions.

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic is what these functions are for"
)]

use crate::auth::{MAX_BEARER_BYTES, parse_bearer};
use crate::declaration;
use crate::declared::{Declared, Kind};
use crate::env::Env;
use crate::error::ErrorKind;
use crate::manifest::{Choice, Manifest};
use crate::name::{MAX_NAME_BYTES, SecretName};
use crate::policy;
use crate::provider_url::ProviderUrl;
use crate::secret::Secret;

pub use crate::audit::fuzzing::audit_line;
pub use crate::backends::fuzzing::*;

#[cfg(test)]
mod tests;

/// A target: takes any bytes.
pub type Target = fn(&[u8]);

/// The targets by name, as `fuzz/fuzz_targets` has them.
pub const TARGETS: &[(&str, Target)] = &[
    #[cfg(feature = "aws")]
    ("aws_answer", aws_answer),
    #[cfg(feature = "aws")]
    ("aws_container", aws_container),
    #[cfg(feature = "aws")]
    ("aws_refusal", aws_refusal),
    ("audit_line", audit_line),
    ("bearer", bearer),
    ("declaration", declaration),
    ("dotenv", dotenv),
    #[cfg(feature = "exec")]
    ("exec_answer", exec_answer),
    ("json", json),
    ("manifest", manifest),
    ("name", name),
    ("policy", policy),
    ("provider_url", provider_url),
    ("sealed_file", sealed_file),
    ("toml", toml),
    #[cfg(feature = "vault")]
    ("vault_certificate", vault_certificate),
    #[cfg(feature = "vault")]
    ("vault_kv", vault_kv),
    #[cfg(feature = "vault")]
    ("vault_lease", vault_lease),
    #[cfg(feature = "vault")]
    ("vault_login", vault_login),
    #[cfg(feature = "vault")]
    ("vault_refusal", vault_refusal),
    #[cfg(feature = "yaml")]
    ("yaml", yaml),
];

/// The name of a secret: what parses is kept as it is, and parses again wherever it is written.
pub fn name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let name = match SecretName::parse(text) {
        Ok(name) => name,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Config),
    };
    assert!(text.len() <= MAX_NAME_BYTES);
    assert_eq!(name.as_str(), text);
    let printed = name.to_string();
    assert_eq!(SecretName::parse(printed).ok(), Some(name.clone()));
    let joined = match name.field() {
        Some(field) => format!("{}#{field}", name.path()),
        None => name.path().to_owned(),
    };
    assert_eq!(joined, text);
    let json = serde_json::to_vec(&name).unwrap_or_default();
    assert_eq!(serde_json::from_slice(&json).ok(), Some(name.clone()));
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    assert!(name.to_variable().bytes().all(fits));
}

/// What a type declares, as JSON: what parses is written and read as the same, and nothing else is
/// repeated.
pub fn declaration(data: &[u8]) {
    let declared = match declaration::read("f", data) {
        Ok(declared) => declared,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            return never_quotes(data, &format!("{error:?} {error}"));
        }
    };
    let json = declaration::to_json(&declared);
    let again = declaration::parse("f", &json);
    assert_eq!(
        again.map(|again| declaration::to_json(&again)).ok(),
        Some(json)
    );
}

/// The address of a provider: what parses prints to a text that parses to the same.
pub fn provider_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let url: ProviderUrl = match text.parse() {
        Ok(url) => url,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            return never_quotes(data, &format!("{error:?} {error}"));
        }
    };
    let printed = url.to_string();
    let again: Option<ProviderUrl> = printed.parse().ok();
    assert_eq!(again.as_ref(), Some(&url), "{printed}");
    assert!(!printed.contains(char::is_control), "{printed:?}");
    let _ = (
        url.host(),
        url.base_scheme(),
        url.is_plaintext_to_elsewhere(),
    );
    for key in url.query_keys() {
        assert!(url.query(key).is_some());
    }
}

/// A manifest, as the profiles `development` and `production` see it. No value of a `default` is shown.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (env, choice) = (Env::empty(), Choice::Text(text.to_owned()));
    for profile in ["development", "production"] {
        let shown = match Manifest::load(&choice, &env, (profile, false)) {
            Ok(manifest) => format!("{manifest:?}"),
            Err(error) => {
                let kinds = [ErrorKind::Config, ErrorKind::Unsupported, ErrorKind::Policy];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                format!("{error:?} {error}")
            }
        };
        for value in text.split("default = \"").skip(1) {
            let value = value.split('"').next().unwrap_or_default();
            // What stands elsewhere too may be a key, which is shown.
            let is_word = value.len() >= LONG && value.bytes().all(|b| b.is_ascii_alphanumeric());
            if is_word && text.matches(value).count() == 1 {
                assert!(!shown.contains(value), "{shown}");
            }
        }
    }
}

/// An `Authorization` header: a token is its end, and shows nowhere.
pub fn bearer(data: &[u8]) {
    let token = match parse_bearer(data) {
        Ok(token) => token,
        Err(fault) => return never_quotes(data, &format!("{fault:?} {fault}")),
    };
    never_quotes(data, &format!("{token:?}"));
    let bytes = token.expose_bytes();
    assert!((1..=MAX_BEARER_BYTES).contains(&bytes.len()) && data.ends_with(bytes));
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    assert!(bytes.iter().all(fits) && !bytes.starts_with(b"="));
    let again = [b"Bearer ", bytes].concat();
    let again = parse_bearer(&again).map(|again| again.expose_bytes().to_vec());
    assert_eq!(again.as_deref(), Ok(bytes));
}

/// A value of any kind, judged: no finding says anything of it.
pub fn policy(data: &[u8]) {
    const NAME: SecretName = SecretName::from_static("a");
    let Some((kind, value)) = data.split_first() else {
        return;
    };
    let kinds = Kind::ALL.len().max(1);
    let kind = usize::from(*kind).checked_rem(kinds).unwrap_or_default();
    let Some(kind) = Kind::ALL.get(kind) else {
        return;
    };
    let secret = Secret::from_bytes(value.to_vec());
    for finding in policy::check_one(&Declared::new(NAME, *kind), &secret) {
        never_quotes(value, &format!("{finding:?} {finding}"));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let _ = policy::redact_url(text);
    }
}

/// The least length of a word that no message of ours has.
const LONG: usize = 20;

/// Fails if a message holds a long word of the input.
pub(crate) fn never_quotes(input: &[u8], message: &str) {
    let words = input.split(|byte| !byte.is_ascii_alphanumeric());
    for word in words.filter(|word| word.len() >= LONG) {
        let word = std::str::from_utf8(word).unwrap_or_default();
        assert!(!message.contains(word), "`{word}` is quoted: {message}");
    }
}
