//! Values that nobody picked: the longest, random ones of real services, arbitrary bytes.

use proptest::prelude::*;

use super::*;

#[test]
fn the_longest_values_are_judged_in_linear_time() {
    let most = crate::MAX_VALUE_BYTES;
    let text = |piece: &str| piece.repeat(most / piece.len());
    let values = [
        text("a"),
        text("ab"),
        text("aaaaaaaaaaaaaaab"),
        text("password"),
        text("12345678"),
        text("2024-01-01 "),
        text("change m"),
        text("A"),
        text("eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9l"),
        text("-----BEGIN A-----\n"),
        text("-----BEGIN A-----\nMAMCAQU=\n-----END A-----\n"),
        text("["),
        format!("[{}1]", text("1,").split_at(most - 4).0),
        format!("pg://u:{}@h", text("%41").split_at(most - 20).0),
        format!("pg://h/?{}", text("a=b&").split_at(most - 20).0),
        format!(
            "{}.{}.x",
            text("e").split_at(most / 2).0,
            text("e").split_at(most / 3).0
        ),
    ];
    // Unoptimised this takes about 10 ms each; anything quadratic takes minutes, and the runner's
    // limit ends it.
    for value in &values {
        let secret = Secret::from_text(value.as_str());
        let refused = |kind: &&Kind| !check_one(&declared(**kind), &secret).is_empty();
        let count = Kind::ALL.iter().filter(refused).count();
        assert!(count >= 5, "{value:.40} is refused as {count} kinds");
        assert!(redact_url(value).len() <= value.len().max(100));
    }
}

/// A generator of text in one alphabet, as the random tokens of real services are.
fn random_text(alphabet: &'static str, length: usize) -> impl Strategy<Value = String> {
    let character = prop::sample::select(alphabet.as_bytes());
    let text = prop::collection::vec(character, length);
    text.prop_map(|bytes| String::from_utf8(bytes).unwrap())
}

const ALPHANUMERIC: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_tokens_of_real_services_pass(
        long in random_text(ALPHANUMERIC, 36),
        short in random_text(ALPHANUMERIC, 24),
        hex in random_text(HEX, 32),
        digits in random_text("0123456789", 32),
        base32 in random_text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32),
        bytes in prop::array::uniform32(any::<u8>()),
    ) {
        let uuid = format!(
            "{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]
        );
        for token in [
            format!("ghp_{long}"),
            format!("sk_live_{short}"),
            format!("xoxb-{}-{}-{short}", &digits[..10], &digits[10..20]),
            format!("hvs.{short}"),
            format!("AKIA{}{}", &base32[..16], &long[..20]),
            format!("glpat-{}-{}", &long[..20], &short[..8]),
            format!("SG.{}.{}", &long[..22], &short[..20]),
            uuid,
            hex,
            digits,
            base32,
            Base64::encode_string(&bytes),
        ] {
            // A few of these services issue fewer characters than the policy asks for.
            let mut found = rules(&declared(Kind::Token), &token);
            found.retain(|rule| *rule != "too-short");
            prop_assert_eq!(found, [""; 0], "{}", token);
        }
        for kind in [Kind::Opaque, Kind::Key] {
            prop_assert_eq!(rules(&declared(kind), bytes), [""; 0], "{:?}", bytes);
        }
    }
}

proptest! {
    #[test]
    fn random_passwords_pass_in_urls_too(password in random_text(ALPHANUMERIC, 16)) {
        prop_assert_eq!(rules(&declared(Kind::Password), &password), [""; 0]);
        let url = format!("postgres://app:{password}@db/app");
        prop_assert_eq!(rules(&declared(Kind::Url), url), [""; 0]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes: Vec<u8>,
        text in "(pg://|-----BEGIN |\\{|[A-Za-z0-9_-]{2}\\.)?.{0,60}",
        length in 0..100_usize,
    ) {
        for kind in Kind::ALL {
            for encoding in Encoding::ALL {
                let declared = declared(*kind).with_encoding(*encoding).with_length(length);
                rules(&declared, &bytes);
                rules(&declared, &text);
            }
        }
    }
}
