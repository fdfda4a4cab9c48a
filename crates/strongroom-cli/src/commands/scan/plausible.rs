//! What can be a secret at all: no placeholder, no example, no name of a variable, no words.

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use strongroom::{Declared, Kind, Secret, SecretName, policy};
use zeroize::Zeroizing;

/// The rules of the policy that say a value is no real one.
const FAKE: &[&str] = &[
    "placeholder",
    "repetition",
    "sequence",
    "common-words",
    "few-characters",
    "common-password",
    "guessable-password",
];

/// The bits for each character that a random text of 20 characters has at least, hexadecimal digits too.
const RANDOM_BITS: f64 = 3.0;

/// Words by which people mark what they made up.
const MADE_UP: &[&str] = &[
    "example",
    "sample",
    "dummy",
    "fake",
    "changeme",
    "placeholder",
    "redacted",
];

/// A token of a known form: anything that is neither an example nor a pattern.
pub(super) fn token(text: &str) -> bool {
    bits(text) >= RANDOM_BITS && !is_made_up(text) && !is_fake(text, Kind::Token)
}

/// A token behind an address.
pub(super) fn last_segment(text: &str) -> bool {
    text.rsplit('/').next().is_some_and(token)
}

/// The key of a document, as base64 that may have line breaks in it, real or written as `\n`.
pub(super) fn key(text: &str) -> bool {
    let body = text.replace("\\n", "").replace("\\r", "");
    let body = Zeroizing::new(body);
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    bits(&body) >= 4.0 && !is_fake(body.get(..64).unwrap_or(&body), Kind::Token)
}

/// A password that stands in a URL.
pub(super) fn password(text: &str) -> bool {
    text.len() >= 8 && !is_expression(text) && !is_made_up(text) && !is_fake(text, Kind::Password)
}

/// A value that is assigned to something with a telling name. Its form says nothing, so it has to look
/// random: several kinds of characters, or very many.
pub(super) fn assigned(text: &str) -> bool {
    let has = |of: fn(&u8) -> bool| text.as_bytes().iter().any(of);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let cases = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let symbols = has(|byte| byte.is_ascii_punctuation() && !b"._-/:".contains(byte));
    let is_mixed = match text.len() {
        0..10 => false,
        10..16 => digits > 0 && cases && symbols,
        _ => digits >= 2 && (cases || digits >= 4 || symbols),
    };
    is_mixed
        && bits(text) >= RANDOM_BITS
        && !is_expression(text)
        && !is_reference(text)
        && !is_made_up(text)
        && !is_fake(text, Kind::Password)
}

/// The credentials of HTTP's basic authentication: a user name and a password behind base64.
pub(super) fn basic(text: &str) -> bool {
    let decoded = Base64::decode_vec(text).map(Zeroizing::new);
    let Some(text) = decoded.ok().and_then(|bytes| utf8(&bytes)) else {
        return false;
    };
    text.split_once(':')
        .is_some_and(|(_, secret)| password(secret))
}

/// A JSON Web Token that is signed.
pub(super) fn jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let mut is_object = || {
        let decoded = Base64UrlUnpadded::decode_vec(parts.next().unwrap_or_default());
        let text = decoded.ok().map(Zeroizing::new);
        text.is_some_and(|bytes| bytes.starts_with(b"{") && bytes.ends_with(b"}"))
    };
    is_object() && is_object() && parts.next().is_some_and(token) && !is_fake(text, Kind::Token)
}

/// Reports whether a setting is set to something that is no placeholder, however weak it is.
pub(super) fn is_set(value: &str) -> bool {
    let declared = Declared::new(SecretName::from_static("scan/found"), Kind::Token);
    let findings = policy::check_one(&declared, &Secret::from_text(value));
    let is_fake = || {
        findings
            .iter()
            .any(|finding| ["empty", "placeholder"].contains(&finding.rule))
    };
    !value.is_empty() && !is_expression(value) && !is_made_up(value) && !is_fake()
}

/// Reports whether a value is a URL with a password that is no placeholder.
pub(super) fn holds_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let credentials = rest
        .rsplit_once('@')
        .and_then(|(user, _)| user.split_once(':'));
    credentials.is_some_and(|(_, password)| is_set(password))
}

fn utf8(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

/// Reports whether the policy takes a text for a placeholder, a pattern or words.
fn is_fake(text: &str, kind: Kind) -> bool {
    let declared = Declared::new(SecretName::from_static("scan/found"), kind);
    let findings = policy::check_one(&declared, &Secret::from_text(text));
    findings.iter().any(|finding| FAKE.contains(&finding.rule))
}

fn is_made_up(text: &str) -> bool {
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    MADE_UP.iter().any(|word| lower.contains(word))
}

/// What a template or a format string puts in the place of a value.
fn is_expression(text: &str) -> bool {
    ["${", "{{", "$(", "<%", "%s", "%v", "%(", "#{"]
        .iter()
        .any(|sign| text.contains(sign))
        || text.starts_with(['$', '<', '%', '{', '@', '*'])
        || text.contains("***")
}

/// Paths, addresses, names with dots, dates and versions: what points to a value and is none.
fn is_reference(text: &str) -> bool {
    let words = |by: &[char]| text.split(by).count();
    text.contains("://")
        || text.starts_with("arn:")
        || text.starts_with(['/', '~', '.'])
        || text.contains('/') && words(&['/']) > 3
        || words(&['.', '-', '_', ':', '/']) > text.len() / 5
        || text.contains("()")
}

/// The Shannon entropy of a text, in bits for each byte.
fn bits(text: &str) -> f64 {
    let mut counts = [0_usize; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    let all = text.len() as f64;
    let of = |count: &usize| {
        let share = *count as f64 / all;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_points_to_a_value_is_none() {
        for text in [
            "${DB_PASSWORD_1aB}",
            "/run/secrets/api_token_12345",
            "config.secrets.api-token-1",
            "https://example.com/a1B2c3D4e5",
            "arn:aws:secretsmanager:eu-west-1:123",
            "correct-horse-battery-staple-12",
            "2024-01-01T00:00:00Z",
        ] {
            assert!(!assigned(text), "{text}");
        }
    }

    proptest! {
        // The policy takes its time, above all where nothing is optimised.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_text_makes_them_panic(text in ".{0,200}") {
            for judge in [token, key, password, assigned, basic, jwt] {
                judge(&text);
            }
        }
    }
}
