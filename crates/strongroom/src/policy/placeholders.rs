//! Placeholders, and the examples of documentation that end up in production.

use zeroize::Zeroizing;

use crate::declared::{Encoding, Kind};

mod published;
mod words;

use published::{FRAGMENTS, PUBLISHED, TEST_VECTORS};
use words::{MARKERS, OWNED, WORDS};

/// Reports whether `value` stands in the place of a secret, or is one that the world knows.
///
/// The value is judged as it is, and as what its base64, base64url or hexadecimal text decodes to.
pub(super) fn is_placeholder(value: &[u8], kind: Kind) -> bool {
    if is_known_key(value) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let text = bare(text);
    is_known_text(text, kind)
        || decodings(text).any(|decoded| {
            // Random bytes must not be taken for text because a few of them are letters.
            let printable = decoded.iter().all(|byte| matches!(byte, b' '..=b'~'));
            let text = std::str::from_utf8(&decoded).ok().filter(|_| printable);
            is_known_key(&decoded) || text.is_some_and(|text| is_known_text(text, kind))
        })
}

/// Reports whether `text` can't be anything else than a placeholder, wherever it stands.
pub(super) fn is_unmistakable(text: &str) -> bool {
    is_template(text) || has_marker(text) || is_published(text)
}

fn is_known_text(text: &str, kind: Kind) -> bool {
    // A user name or a setting of kind `opaque` may well be `test`.
    let is_word = kind != Kind::Opaque && WORDS.iter().any(|word| same_letters(word, text));
    is_word || is_filler(text) || is_unmistakable(text)
}

/// Takes blanks and quotes off both ends: other rules report them.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'))
}

fn decodings(text: &str) -> impl Iterator<Item = Zeroizing<Vec<u8>>> {
    let encodings = [Encoding::Hex, Encoding::Base64, Encoding::Base64Url];
    // Nothing in the tables is longer.
    let short = (4..=512).contains(&text.len());
    let encodings = encodings.into_iter().filter(move |_| short);
    encodings.filter_map(|encoding| encoding.decode_bytes(text.as_bytes()))
}

/// Compares two texts by their letters and digits, in any case.
fn same_letters(a: &str, b: &str) -> bool {
    letters(a).eq(letters(b)) && letters(b).next().is_some()
}

fn letters(text: &str) -> impl Iterator<Item = u8> + Clone {
    let letters = text.bytes().filter(u8::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase())
}

/// `xxx`, `****`, `...`, `00000000`: one character in the place of a value.
fn is_filler(text: &str) -> bool {
    let Some(first) = text.bytes().next() else {
        return false;
    };
    text.len() >= 3 && b"xX*.-_?#0".contains(&first) && text.bytes().all(|byte| byte == first)
}

/// What a template leaves behind: `<password>`, `${PASSWORD}`, `{{ password }}`, `%PASSWORD%`,
/// `$PASSWORD`, `__PASSWORD__`, `ENC[…]`.
fn is_template(text: &str) -> bool {
    if text.starts_with("ENC[") && text.ends_with(']') {
        return true;
    }
    let inside = |open: &str, close: &str, allowed: fn(char) -> bool| {
        let inner = text.strip_prefix(open)?.strip_suffix(close)?;
        let named = inner.contains(|c: char| c.is_ascii_alphabetic());
        Some(inner.len() <= 128 && named && inner.chars().all(allowed))
    };
    let words = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
    let expression = |c: char| c.is_ascii_graphic() && !"{}".contains(c) || c == ' ';
    let variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    [
        inside("<", ">", words),
        inside("[", "]", words),
        inside("${", "}", expression),
        inside("$(", ")", expression),
        inside("{{", "}}", expression),
        inside("#{", "}", expression),
        inside("<%=", "%>", expression),
        inside("%", "%", variable),
        inside("$", "", variable),
        inside("__", "__", variable),
        inside("@@", "@@", variable),
    ]
    .contains(&Some(true))
}

/// Reports whether a short text speaks of being replaced, or of not being real.
fn has_marker(text: &str) -> bool {
    if text.len() > 256 {
        return false;
    }
    // As many bytes as the text has are enough, so that the buffer never moves.
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    joined.extend(letters(text).map(char::from));
    let is_yours = || {
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        joined.starts_with("your")
            && words.any(|word| OWNED.iter().any(|owned| owned.eq_ignore_ascii_case(word)))
    };
    MARKERS.iter().any(|marker| joined.contains(marker)) || is_yours()
}

fn is_published(text: &str) -> bool {
    text.starts_with("django-insecure-")
        || (text.len() <= 256 && PUBLISHED.iter().any(|known| same_letters(known, text)))
        || FRAGMENTS.iter().any(|fragment| text.contains(fragment))
        || is_example_access_key(text)
}

/// AWS's documentation ends every access key id, and every secret key, in EXAMPLE or EXAMPLEKEY.
fn is_example_access_key(text: &str) -> bool {
    let is_long = (16..=64).contains(&text.len());
    is_long && (text.ends_with("EXAMPLE") || text.ends_with("EXAMPLEKEY"))
}

/// Reports whether `bytes` are a key that everybody has: one byte again and again, a count
/// upwards, or the key of a published test vector.
pub(super) fn is_known_key(bytes: &[u8]) -> bool {
    let (Some(first), true) = (bytes.first(), bytes.len() >= 8) else {
        return false;
    };
    let constant = bytes.iter().all(|byte| byte == first);
    let counting = bytes.iter().zip(bytes.iter().skip(1));
    let counting = || counting.clone().all(|(a, b)| a.wrapping_add(1) == *b);
    // As text, `--------` and `12345678` have rules of their own.
    let binary = bytes.iter().any(|byte| !matches!(byte, b' '..=b'~'));
    if binary && (constant || counting()) {
        return true;
    }
    let can_hold = |text: &&&str| {
        let sextets = text.trim_end_matches('=').len();
        text.len() / 2 == bytes.len() || sextets.saturating_mul(3) / 4 == bytes.len()
    };
    let published = TEST_VECTORS.iter().chain(PUBLISHED);
    let mut published = published.filter(|text| bytes.len() >= 16 && can_hold(text));
    published.any(|text| decodings(text).any(|key| key.as_slice() == bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};

    #[test]
    fn knows_them_in_any_case_with_any_separators_and_encoded() {
        for text in [
            "changeme",
            "CHANGE_ME",
            "change-me-123",
            "CHANGE_ME_IN_PRODUCTION",
            "Please change this!",
            "replace-me",
            "TODO",
            "xxx",
            "XXXXXXXX",
            "********",
            "00000000000000000000000000000000",
            "your-github-token-here",
            "YOUR_API_KEY",
            "<your token here>",
            "<password>",
            "${DB_PASSWORD}",
            "${DB_PASSWORD:-fallback}",
            "$DB_PASSWORD",
            "{{ vault.password }}",
            "%PASSWORD%",
            "__PASSWORD__",
            "ENC[AES256_GCM,data:p673w==,iv:YY=,tag:UQ=,type:str]",
            "django-insecure-h&k1(s3=dsk-3j2h4k5j",
            "AKIAIOSFODNN7EXAMPLE",
            "ASIAQWERTYUIOEXAMPLE",
            "dGVzdC1zZWNyZXQ=",
            "test-service-token",
            "correct horse battery staple",
            "correct-horse-battery-staple",
            "CorrectHorseBatteryStaple",
            "MWYyZDFlMmU2N2Rm",
            "Y2hhbmdlbWU=",
            "\"changeme\"\n",
            "not-a-real-secret-but-long-enough-for-it",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "000102030405060708090a0b0c0d0e0f",
            "2B7E151628AED2A6ABF7158809CF4F3C",
            "YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3/Q=",
        ] {
            assert!(is_placeholder(text.as_bytes(), Kind::Token), "{text}");
        }
    }

    #[test]
    fn every_published_example_is_known_in_each_encoding() {
        for text in PUBLISHED {
            let hex = base16ct::lower::encode_string(text.as_bytes());
            let base64 = Base64::encode_string(text.as_bytes());
            let base64url = Base64UrlUnpadded::encode_string(text.as_bytes());
            for text in [*text, &hex, &base64, &base64url] {
                assert!(is_placeholder(text.as_bytes(), Kind::Opaque), "{text}");
            }
        }
        for vector in TEST_VECTORS {
            let bytes = Encoding::Hex.decode_bytes(vector.as_bytes()).unwrap();
            let base64 = Base64::encode_string(&bytes);
            for value in [&bytes[..], vector.as_bytes(), base64.as_bytes()] {
                assert!(is_placeholder(value, Kind::Key), "{vector}");
            }
        }
    }

    #[test]
    fn tables_are_written_as_they_are_compared() {
        for marker in MARKERS {
            assert!(marker.bytes().eq(letters(marker)), "{marker}");
            assert!(marker.len() >= 8, "{marker} would match by chance");
        }
    }

    #[test]
    fn an_opaque_setting_may_be_a_common_word() {
        assert!(!is_placeholder(b"root", Kind::Opaque));
        assert!(is_placeholder(b"root", Kind::Token));
        assert!(is_placeholder(b"changeme", Kind::Opaque));
    }

    #[test]
    fn leaves_others_alone() {
        for text in [
            "",
            "-",
            "<xml><a/></xml>",
            "[1, 2]",
            "brisk-otter-velvet-canyon",
            "9c1185a5c5e9fc54612808977ee8f548",
            "https://example.com/",
        ] {
            assert!(!is_placeholder(text.as_bytes(), Kind::Token), "{text}");
        }
    }
}
