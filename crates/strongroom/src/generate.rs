//! New values, made by kind from the system's random source.

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::declared::{Declared, Encoding, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::policy;
use crate::random;
use crate::report::Severity;
use crate::secret::Secret;

/// RFC 4648's URL-safe alphabet: 6 bits in each character.
const TOKEN_ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 43 characters of 6 bits hold 258.
const TOKEN_CHARACTERS: usize = 43;

/// Without the characters that are taken for one another: `0 O o`, `1 I l i`, `2 Z`, `5 S`, `8 B`.
const PASSWORD_ALPHABET: &[u8] = b"ACDEFGHJKLMNPQRTUVWXYabcdefghjkmnpqrstuvwxyz34679";

/// 24 characters of 5.6 bits hold 134.
const PASSWORD_CHARACTERS: usize = 24;

/// Makes a new value for a declared secret, by its kind.
///
/// - *token*: URL-safe text of 43 characters (258 bits), or of `min_length` where that is more;
/// - *password*: text of 24 characters (134 bits), or of `min_length`, without characters that are
///   easily taken for one another;
/// - *key*: random bytes of the declared length (32 where none is). Where `encoding` is `text`
///   they come as their base64 text; otherwise as bytes, and the caller encodes them with
///   [`Encoding::encode`](crate::Encoding::encode) for the backend.
///
/// What it returns passes [`policy::check_one`](crate::policy::check_one) without a finding. It is
/// written into one buffer of its size, and no other copy is made.
///
/// ```
/// use strongroom::{Declared, Kind, SecretName, generate};
///
/// let token = generate(&Declared::new(SecretName::from_static("api/token"), Kind::Token))?;
/// assert_eq!(token.len(), 43);
/// # Ok::<(), strongroom::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Unsupported`] for the other kinds: others issue them, and of `opaque` nothing is
/// known. [`ErrorKind::Config`] if the declaration can't be met. [`ErrorKind::Transient`] if the
/// system's random source fails, or gives bytes that follow a pattern.
pub fn generate(declared: &Declared) -> Result<Secret> {
    generate_from(declared, random::fill)
}

fn generate_from<E>(
    declared: &Declared,
    fill: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Secret> {
    let mut random = Random { fill };
    check_declaration(declared).map_err(|error| error.with_name(&declared.name))?;
    let at_least = |least: usize| declared.min_length.unwrap_or(0).max(least);
    let made = match declared.kind {
        Kind::Token => random.text(TOKEN_ALPHABET, at_least(TOKEN_CHARACTERS)),
        Kind::Password => random.text(PASSWORD_ALPHABET, at_least(PASSWORD_CHARACTERS)),
        Kind::Key => random.key(declared),
        kind => Err(unsupported(kind)),
    };
    let made = made.and_then(|secret| {
        // A random source that is stuck must not become somebody's key.
        let findings = policy::check_one(declared, &secret);
        let violation = findings.iter().find(|f| f.severity == Severity::Violation);
        match violation {
            None => Ok(secret),
            Some(finding) => Err(failed(&format!(
                "gives no random bytes: {}",
                finding.message
            ))),
        }
    });
    made.map_err(|error| error.with_name(&declared.name))
}

/// Refuses a declaration that no value can meet.
fn check_declaration(declared: &Declared) -> Result<()> {
    let least = declared.min_length.unwrap_or(0);
    let length = declared.length.unwrap_or(policy::DEFAULT_KEY_LENGTH);
    let written = match (declared.kind, declared.encoding) {
        // Four characters of base64 hold three bytes.
        (Kind::Key, Encoding::Text) => length.div_ceil(3).saturating_mul(4),
        (Kind::Key, _) => length,
        _ => least,
    };
    let problem = if written > policy::most_bytes(declared.kind) {
        "the declaration asks for more bytes than a value may have"
    } else if declared.kind == Kind::Key && (length == 0 || length < least) {
        "the key's `length` is 0, or less than its `min_length`"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Config, problem)
        .with_help("mend `length` or `min_length` in the declaration"))
}

/// A source of random bytes that can fail.
struct Random<F> {
    fill: F,
}

impl<E, F: FnMut(&mut [u8]) -> Result<(), E>> Random<F> {
    fn bytes(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(vec![0; length]);
        (self.fill)(&mut bytes).map_err(|_| failed("failed"))?;
        Ok(bytes)
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> Result<Secret> {
        let mut text = self.bytes(length)?;
        for byte in text.iter_mut() {
            *byte = self.pick(alphabet, *byte)?;
        }
        Ok(Secret::from_utf8_or_bytes(text))
    }

    /// Turns a random byte into a character, each with the same probability: a byte past the last
    /// multiple of the alphabet's size is drawn again.
    fn pick(&mut self, alphabet: &[u8], random: u8) -> Result<u8> {
        let mut random = Zeroizing::new([random]);
        let size = alphabet.len();
        let usable = 256_usize.saturating_sub(256_usize.checked_rem(size).unwrap_or(256));
        // Each round fails with a probability below 1/2; so many fail only in a broken source.
        for _ in 0..128 {
            let [drawn] = random.map(usize::from);
            let character = drawn.checked_rem(size).and_then(|at| alphabet.get(at));
            if let Some(character) = character.filter(|_| drawn < usable) {
                return Ok(*character);
            }
            (self.fill)(random.as_mut_slice()).map_err(|_| failed("failed"))?;
        }
        Err(failed("repeats itself"))
    }

    fn key(&mut self, declared: &Declared) -> Result<Secret> {
        let length = declared.length.unwrap_or(policy::DEFAULT_KEY_LENGTH);
        let key = self.bytes(length)?;
        if declared.encoding != Encoding::Text {
            return Ok(Secret::from_bytes(key));
        }
        let mut text = Zeroizing::new(vec![0; Base64::encoded_len(&key)]);
        match Base64::encode(&key, &mut text) {
            Ok(_) => Ok(Secret::from_utf8_or_bytes(text)),
            Err(_) => Err(failed("gave too many bytes")),
        }
    }
}

fn failed(how: &str) -> Error {
    let message = format!("the system's random source {how}");
    Error::new(ErrorKind::Transient, message)
        .with_help("nothing was generated; try again, and find out why the system lacks entropy")
}

fn unsupported(kind: Kind) -> Error {
    let help = match kind {
        Kind::Url => "generate its password under a name of its own, and write the URL with it",
        Kind::Pem => "make the key pair with openssl or your certificate authority",
        Kind::Jwt => "ask its issuer for one",
        _ => "declare it as token, password or key, or store a value with `strongroom set`",
    };
    let message = format!("a value of kind {kind} can't be generated");
    Error::new(ErrorKind::Unsupported, message).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::SecretName;

    fn declared(kind: Kind) -> Declared {
        Declared::new(SecretName::from_static("a/b"), kind)
    }

    #[test]
    fn every_kind_passes_the_policy_without_a_finding() {
        let cases = [
            declared(Kind::Token),
            declared(Kind::Token).with_min_length(64),
            declared(Kind::Password),
            declared(Kind::Password).with_min_length(40),
            declared(Kind::Key),
            declared(Kind::Key).with_length(16),
            declared(Kind::Key).with_length(64),
            declared(Kind::Key).with_encoding(Encoding::Hex),
        ];
        for declared in &cases {
            // zxcvbn takes milliseconds for each; the rest microseconds.
            let rounds = if declared.kind == Kind::Password {
                200
            } else {
                500
            };
            for _ in 0..rounds {
                let secret = generate(declared).unwrap();
                assert_eq!(policy::check_one(declared, &secret), [], "{declared:?}");
            }
        }
    }

    #[test]
    fn has_the_documented_form() {
        let length = |declared: &Declared| generate(declared).unwrap().len();
        assert_eq!(length(&declared(Kind::Token)), 43);
        assert_eq!(length(&declared(Kind::Token).with_min_length(50)), 50);
        assert_eq!(length(&declared(Kind::Password)), 24);
        assert_eq!(length(&declared(Kind::Key)), 44);
        assert_eq!(
            length(&declared(Kind::Key).with_encoding(Encoding::Base64)),
            32
        );
        let text = generate(&declared(Kind::Token)).unwrap();
        assert!(text.is_text());
        assert!(
            text.expose_bytes()
                .iter()
                .all(|byte| TOKEN_ALPHABET.contains(byte))
        );
    }

    #[test]
    fn a_failing_source_is_an_error() {
        for kind in [Kind::Token, Kind::Password, Kind::Key] {
            let error = generate_from(&declared(kind), |_| Err(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient);
            assert!(error.to_string().contains("a/b"), "{error}");
        }
        // It may also fail when a character is drawn again.
        let mut calls = 0;
        let error = generate_from(&declared(Kind::Password), |bytes| {
            calls += 1;
            bytes.fill(0xff);
            if calls == 1 { Ok(()) } else { Err(()) }
        });
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Transient);
        assert_eq!(calls, 2);
    }

    #[test]
    fn a_stuck_source_makes_no_secret_and_no_endless_loop() {
        for stuck in [0x00, 0x41, 0xff] {
            for kind in [Kind::Token, Kind::Password, Kind::Key] {
                let fill = |bytes: &mut [u8]| {
                    bytes.fill(stuck);
                    Ok::<_, ()>(())
                };
                let error = generate_from(&declared(kind), fill).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Transient, "{kind} {stuck}");
            }
        }
    }

    #[test]
    fn every_character_is_as_probable_as_every_other() {
        let mut drawn_again = 0_usize;
        let mut random = Random {
            fill: |bytes: &mut [u8]| {
                drawn_again += 1;
                bytes.fill(0);
                Ok::<_, ()>(())
            },
        };
        let each = 256 / PASSWORD_ALPHABET.len();
        let usable = each * PASSWORD_ALPHABET.len();
        let mut counts = std::collections::BTreeMap::new();
        for byte in 0..=u8::MAX {
            let character = random.pick(PASSWORD_ALPHABET, byte).unwrap();
            *counts.entry(character).or_insert(0) += 1;
        }
        // A byte that would favour the first characters is drawn again, here as 0.
        assert_eq!(drawn_again, 256 - usable);
        *counts.get_mut(&PASSWORD_ALPHABET[0]).unwrap() -= drawn_again;
        assert_eq!(counts.len(), PASSWORD_ALPHABET.len());
        assert!(counts.values().all(|count| *count == each));
    }

    #[test]
    fn what_others_issue_is_not_generated() {
        for kind in [Kind::Url, Kind::Pem, Kind::Jwt, Kind::Json, Kind::Opaque] {
            let error = generate(&declared(kind)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.help().is_some());
        }
    }

    #[test]
    fn what_cannot_be_met_is_an_error_of_configuration() {
        for declared in [
            declared(Kind::Token).with_min_length(usize::MAX),
            declared(Kind::Token).with_min_length(8 * 1024 + 1),
            declared(Kind::Key).with_length(0),
            declared(Kind::Key).with_length(usize::MAX),
            declared(Kind::Key).with_length(60 * 1024),
            declared(Kind::Key).with_length(16).with_min_length(32),
        ] {
            let error = generate(&declared).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{declared:?}");
        }
    }
}
