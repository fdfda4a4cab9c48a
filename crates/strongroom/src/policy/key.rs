//! Keys: an exact number of random bytes, raw or written in text.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::predictable::{self, Pattern};
use super::{Findings, placeholders, rule, token};
use crate::declared::{Declared, Encoding};

/// The length of a key that declares none: what AES-256, ChaCha20 and HMAC-SHA256 take.
pub(crate) const DEFAULT_LENGTH: usize = 32;

pub(super) fn check(
    declared: &Declared,
    value: &[u8],
    is_placeholder: bool,
    found: &mut Findings<'_>,
) {
    let length = declared.length.unwrap_or(DEFAULT_LENGTH);
    let Some(key) = decode(declared.encoding, value, length) else {
        wrong_length(declared.encoding, value, length, found);
        return;
    };
    if let Some(least) = declared
        .min_length
        .filter(|least| key.bytes().len() < *least)
    {
        found.too_short("the key", least, "bytes");
    }
    if is_placeholder {
        return;
    }
    if placeholders::is_known_key(key.bytes()) {
        found.placeholder("the key");
    } else if let Some(pattern) = pattern(key.bytes()) {
        found.pattern("the key", pattern);
    } else if key.bytes().len() >= 8 && key.bytes().iter().all(u8::is_ascii_hexdigit) {
        let message = "the key's bytes are hexadecimal digits, which hold half of what bytes hold";
        let help = "declare `encoding = \"hex\"` and store twice as many digits, or generate one";
        found.violation(rule::TEXT_AS_KEY, message, help);
    } else if is_text(key.bytes()) {
        let message = "the key's bytes are all printable characters, which random bytes never are";
        let help = "store random bytes, `strongroom generate` makes them";
        found.violation(rule::TEXT_AS_KEY, message, help);
    }
}

/// Reports whether all bytes are printable ASCII. Of fewer than 16 random ones that can be chance.
fn is_text(key: &[u8]) -> bool {
    key.len() >= 16 && key.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

enum Key<'v> {
    Raw(&'v [u8]),
    Decoded(Zeroizing<Vec<u8>>),
}

impl Key<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Decoded(bytes) => bytes,
        }
    }
}

/// Finds the reading of `value` that has exactly `length` bytes. No two readings can.
fn decode(encoding: Encoding, value: &[u8], length: usize) -> Option<Key<'_>> {
    if value.len() == length {
        return Some(Key::Raw(value));
    }
    // A declared encoding was decoded where the value entered.
    if encoding != Encoding::Text {
        return None;
    }
    let encodings = [Encoding::Hex, Encoding::Base64, Encoding::Base64Url];
    let mut decoded = encodings
        .into_iter()
        .filter_map(|encoding| encoding.decode_bytes(value));
    decoded
        .find(|bytes| bytes.len() == length)
        .map(Key::Decoded)
}

fn wrong_length(encoding: Encoding, value: &[u8], length: usize, found: &mut Findings<'_>) {
    let message: Cow<'_, str> = match encoding {
        Encoding::Text => format!(
            "the key does not have {length} bytes, neither raw nor in base64, base64url or \
             hexadecimal"
        ),
        encoding => format!(
            "the key has {} bytes when its {encoding} is decoded, not {length}",
            value.len(),
        ),
    }
    .into();
    let help = format!(
        "store {length} random bytes, `strongroom generate` makes them; if another length is \
         right, declare it: `length = …`"
    );
    found.violation(rule::KEY_LENGTH, message, &help);
}

fn pattern(key: &[u8]) -> Option<Pattern> {
    // Fewer bytes can look like a pattern by chance.
    if key.len() < 8 {
        return None;
    }
    let steps = key.iter().zip(key.iter().skip(1));
    let mut steps = steps.map(|(a, b)| b.wrapping_sub(*a));
    let first = steps.next();
    if first != Some(0) && steps.all(|step| Some(step) == first) {
        return Some(Pattern::Sequence);
    }
    let most_frequent = predictable::counts(key).into_iter().max();
    if most_frequent > Some(key.len() / 2) {
        return Some(Pattern::Repetition);
    }
    predictable::find(key, token::UNPREDICTABLE.min(key.len()))
}
