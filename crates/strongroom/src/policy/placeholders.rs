//! Placeholders, and the examples of documentation that end up in production.

use zeroize::Zeroizing;

use crate::declared::{Encoding, Kind};

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
    let text = unwrap(text);
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
fn unwrap(text: &str) -> &str {
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

/// Whole values that are no secret, compared by letters and digits in any case. A value of kind
/// `opaque` may be one of them.
const WORDS: &[&str] = &[
    "todo",
    "fixme",
    "tbd",
    "tba",
    "foo",
    "bar",
    "foobar",
    "foo-bar-baz",
    "secret",
    "secrets",
    "my-secret",
    "the-secret",
    "secret-key",
    "my-secret-key",
    "secret-token",
    "secret-value",
    "shared-secret",
    "client-secret",
    "token",
    "my-token",
    "api-key",
    "my-api-key",
    "api-token",
    "access-token",
    "auth-token",
    "bearer-token",
    "jwt-secret",
    "session-secret",
    "cookie-secret",
    "private-key",
    "public-key",
    "master-key",
    "encryption-key",
    "signing-key",
    "some-secret",
    "some-token",
    "some-key",
    "key",
    "value",
    "string",
    "text",
    "example",
    "sample",
    "dummy",
    "fake",
    "mock",
    "test",
    "testing",
    "test123",
    "dev",
    "development",
    "dev-secret",
    "dev-token",
    "dev-key",
    "default",
    "none",
    "null",
    "nil",
    "undefined",
    "unset",
    "empty",
    "n/a",
    "redacted",
    "[REDACTED]",
    "masked",
    "omitted",
    "removed",
    "hidden",
    "root",
    "myroot",
    "root-token",
    "vault-root-token",
    "dev-root-token",
    "dev-only-token",
    "insecure",
    "insecure-secret",
    "insecure-key",
];

/// Texts whose letters give a placeholder away wherever they stand in a short value.
const MARKERS: &[&str] = &[
    "changeme",
    "changethis",
    "changeit",
    "pleasechange",
    "mustchange",
    "tobechanged",
    "tobemodified",
    "replaceme",
    "replacethis",
    "replacewith",
    "tobereplaced",
    "pleasereplace",
    "placeholder",
    "insertyour",
    "insertsecret",
    "enteryour",
    "entersecret",
    "pasteyour",
    "yoursecret",
    "yourtoken",
    "yourpassword",
    "yourapikey",
    "youraccesskey",
    "yourprivatekey",
    "yourkeyhere",
    "secrethere",
    "tokenhere",
    "passwordhere",
    "apikeyhere",
    "notasecret",
    "notsosecret",
    "notarealsecret",
    "notarealtoken",
    "notarealpassword",
    "notarealkey",
    "notrealsecret",
    "fakesecret",
    "faketoken",
    "fakepassword",
    "fakeapikey",
    "dummysecret",
    "dummytoken",
    "dummypassword",
    "dummyapikey",
    "mocksecret",
    "mocktoken",
    "samplesecret",
    "sampletoken",
    "samplepassword",
    "examplesecret",
    "exampletoken",
    "examplepassword",
    "exampleapikey",
    "testsecret",
    "testservicetoken",
    "testpassword",
    "testapikey",
    "donotuse",
    "onlyfortesting",
    "fortestingonly",
    "fordevelopmentonly",
    "supersecret",
    "verysecret",
    "insecurekey",
    "defaultsecret",
    "somerandomstring",
];

/// With `your` in front, these words make a value a placeholder: `your-github-token-here`.
const OWNED: &[&str] = &[
    "here",
    "secret",
    "token",
    "password",
    "passphrase",
    "key",
    "apikey",
    "credential",
    "value",
];

/// Secrets that documentation, default configurations and test vectors have made public.
const PUBLISHED: &[&str] = &[
    // AWS
    "AKIAIOSFODNN7EXAMPLE",
    "AKIAI44QH8DHBEXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
    // JSON Web Tokens: jwt.io, RFC 7515
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "qwertyuiopasdfghjklzxcvbnm123456",
    "SecretKey012345678901234567890123456789012345678901234567890123456789",
    // OAuth and HTTP authentication: RFC 6749, 6750, 7617
    "gX1fBat3bV",
    "7Fjfp0ZBr1KtDRbnfVdmIw",
    "2YotnFZFEjr1zCsicMWpAA",
    "tGzv3JOkF0XG5Qx2TlKWIA",
    "mF_9.B5f-4.1JqM",
    "Aladdin:open sesame",
    "open sesame",
    // One-time passwords: RFC 6238, Google Authenticator
    "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "JBSWY3DPEHPK3PXP",
    // Stripe, GitHub, Slack, Google
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "sk_test_BQokikJOvBiI2HlWgH4olfQ2",
    "pk_test_TYooMQauvdEDq54NiTphI7jx",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghu_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246c34E1ccbF66C46812d16D5B1A9Dc86A1498",
    "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "xoxb-not-a-real-token-this-will-not-work",
    "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    // Vault, Consul
    "hvs.6j4cuewowBGit65rheNoceI7",
    "s.iyNUhq8Ov4hIAx6snw5mB2nL",
    "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=",
    "cg8StVXbQJ0gPvMd9o7yrg==",
    // Kubernetes and container images
    "1f2d1e2e67df",
    "MWYyZDFlMmU2N2Rm",
    "39528$vdg7Jb",
    "mysecretpassword",
    "my-secret-pw",
    "yourStrong(!)Password",
    // Azure's emulators
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
    // Frameworks: Flask, FastAPI, Express, Laravel, Superset, Airflow, Grafana, Shiro, Hasura, WordPress
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "_5#y2L\"F4Q8z\\n\\xec]/",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "keyboard cat",
    "SomeRandomStringWith32Characters",
    "thisISaSECRET_1234",
    "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho=",
    "SW2YcwTIb9zpOOhoPsMm",
    "kPH+bIxk5D2deZiIxcaaaA==",
    "myadminsecretkey",
    "put your unique phrase here",
    // The services whose reviews this policy is drawn from
    "test-secret",
    "dGVzdC1zZWNyZXQ=",
    "test-service-token",
    // Identifiers that stand for nothing
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "12345678-1234-1234-1234-123456789abc",
    "12345678-1234-1234-1234-123456789012",
    "123e4567-e89b-12d3-a456-426614174000",
    "550e8400-e29b-41d4-a716-446655440000",
];

/// Parts that only published examples have: the claims of jwt.io's token, and of RFC 7519's.
const FRAGMENTS: &[&str] = &[
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIi",
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs",
];

/// Keys of published test vectors, in hexadecimal. Counting and constant ones need no row.
const TEST_VECTORS: &[&str] = &[
    // AES: FIPS 197, NIST SP 800-38A
    "2b7e151628aed2a6abf7158809cf4f3c",
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
    // GCM's test cases
    "feffe9928665731c6d6a8f9467308308",
    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    // ChaCha20-Poly1305: RFC 8439, appendix A
    "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
    // Ed25519: RFC 8032
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    // The first account of Ethereum's development nodes
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
];

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
