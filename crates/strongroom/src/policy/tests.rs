//! Each rule on each kind.

use std::time::{Duration, UNIX_EPOCH};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};

use super::*;
use crate::declared::{DeclaredSource, Encoding};
use crate::report::Report;
use crate::secret::Metadata;

mod arbitrary;
mod report;

fn declared(kind: Kind) -> Declared {
    named("a/b", kind)
}

fn named(name: &str, kind: Kind) -> Declared {
    Declared::new(name.parse().unwrap(), kind)
}

fn rules(declared: &Declared, value: impl AsRef<[u8]>) -> Vec<&'static str> {
    let secret = Secret::from_utf8_or_bytes(value.as_ref().to_vec());
    let findings = check_one(declared, &secret);
    findings.iter().map(|finding| finding.rule).collect()
}

/// The text of one JSON Web Token with the given claims.
fn jwt(claims: &str) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let header = part(r#"{"alg":"HS256"}"#);
    format!("{header}.{}.q1Zr7Yt0Vx3Lm9Kd2Bn5Pw8Hf4Js6Ga1", part(claims))
}

const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMAMCAQU=\n-----END PRIVATE KEY-----\n";
const TOKEN: &str = "Vx3-Lm9Kd2Bn5Pw8_Hf4Js6GaZr7Yt0qRb1TcQeU5iX";
const PASSWORD: &str = "Tz7mQ9xLw2vB5nRk";

#[test]
fn each_rule_on_each_kind() {
    use Kind::*;
    let long = |length: usize| TOKEN.repeat(length / TOKEN.len() + 1);
    let cases: &[(Kind, &str, &[&str])] = &[
        // Everywhere
        (Opaque, "", &["empty"]),
        (Key, "", &["empty"]),
        (Password, " \n\t", &["empty"]),
        (Json, "\n", &["empty"]),
        (Token, &long(8 * 1024), &["too-long"]),
        (Opaque, &long(64 * 1024), &["too-long"]),
        (Token, &format!("{TOKEN}\n"), &["trailing-newline"]),
        (Opaque, "app\r\n", &["trailing-newline"]),
        (
            Key,
            "9c1185a5c5e9fc54612808977ee8f5489c3a85b1d5e9fc246138f8977ee81a48\n",
            &["trailing-newline"],
        ),
        (
            Url,
            &format!("pg://u:{PASSWORD}@h\n"),
            &["trailing-newline"],
        ),
        (Token, &format!(" {TOKEN}"), &["surrounding-blanks"]),
        (Token, &format!("\u{feff}{TOKEN}"), &["surrounding-blanks"]),
        (Token, &format!("\"{TOKEN}\""), &["surrounding-quotes"]),
        (Opaque, "'app'", &["surrounding-quotes"]),
        (
            Token,
            &format!("\t'{TOKEN}' \n"),
            &[
                "trailing-newline",
                "surrounding-blanks",
                "surrounding-quotes",
            ],
        ),
        (Token, &format!("{TOKEN}\n{TOKEN}x"), &["control-character"]),
        (Password, &format!("{PASSWORD}\0x"), &["control-character"]),
        // Placeholders, on every kind
        (Token, "changeme", &["placeholder", "too-short"]),
        (Token, "test-service-token", &["placeholder", "too-short"]),
        (Token, "dGVzdC1zZWNyZXQ=", &["placeholder", "too-short"]),
        (Token, "root", &["placeholder", "too-short"]),
        (
            Token,
            "a-string-secret-at-least-256-bits-long",
            &["placeholder"],
        ),
        (Password, "CHANGE_ME_IN_PRODUCTION", &["placeholder"]),
        (
            Key,
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            &["placeholder"],
        ),
        (
            Key,
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            &["placeholder"],
        ),
        (
            Key,
            "0000000000000000000000000000000000000000000000000000000000000000",
            &["placeholder"],
        ),
        (Url, "${DATABASE_URL}", &["placeholder", "url-malformed"]),
        (
            Url,
            "pg://app:changeme@db/app",
            &["placeholder", "too-short"],
        ),
        (
            Jwt,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
            &["placeholder"],
        ),
        (Json, r#"{"password":"<your password>"}"#, &["placeholder"]),
        (Pem, "<your key here>", &["placeholder", "pem-malformed"]),
        (Opaque, "AKIAIOSFODNN7EXAMPLE", &["placeholder"]),
        (Opaque, "test", &[]),
        // Tokens
        (Token, "Vx3-Lm9Kd2Bn5Pw8_Hf4Js6GaZr7Yt0", &["too-short"]),
        (
            Token,
            "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
            &["repetition"],
        ),
        (Token, "abcdefghijklmnopqrstuvwxyz0123456789", &["sequence"]),
        (
            Token,
            "service-token-production-2024-secret",
            &["common-words"],
        ),
        (
            Token,
            "ababbabbbaaabababbaabbbabaaabbabaabbab",
            &["few-characters"],
        ),
        // Passwords
        (Password, "Tz7mQ9xLw2vB5n", &["too-short"]),
        (Password, "hunter2", &["too-short", "common-password"]),
        (Password, "P@ssw0rd2024!!!!!!", &["common-password"]),
        (Password, "minioadmin", &["too-short", "common-password"]),
        (Password, "abcabcabcabcabcabc", &["repetition"]),
        (Password, "xqwertyuiop1987654!", &["sequence"]),
        (Password, "Summer2024Winter2025", &["common-words"]),
        (Password, "abbacdccadbbadcabd", &["few-characters"]),
        // URLs
        (Url, "not a url", &["url-malformed"]),
        (Url, "pg://app@db/app", &["url-without-password"]),
        (Url, "pg://app:@db/app", &["url-without-password"]),
        (Url, "pg://app:Tz7mQ9x@db/app", &["too-short"]),
        (
            Url,
            "pg://app:postgres12345678@db/app",
            &["common-password"],
        ),
        (Url, "pg://app:abcabcabcabcabcabc@db/app", &["repetition"]),
        // Keys
        (Key, "Vx3-Lm9Kd2Bn5Pw8", &["key-length"]),
        (
            Key,
            "9c1185a5c5e9fc54612808977ee8f5489c3a85b1d5e9fc246138f8977ee81a4",
            &["key-length"],
        ),
        (Key, "9c1185a5c5e9fc54612808977ee8f548", &["text-as-key"]),
        (Key, "thisis32byteslongsecretkeyforaes", &["text-as-key"]),
        // The same text in hexadecimal, which doesn't make it random.
        (
            Key,
            "746869736973333262797465736c6f6e677365637265746b6579666f72616573",
            &["text-as-key"],
        ),
        (Key, "q8J!vT2#xZ6@mW9$kR4^pL7&nB3*cF1~", &["text-as-key"]),
        (
            Key,
            "9c1185a59c1185a59c1185a59c1185a59c1185a59c1185a59c1185a59c1185a5",
            &["repetition"],
        ),
        (
            Key,
            "0305070b0305070b0305070b0305070b0305070b0305070b0305070b03050701",
            &["repetition"],
        ),
        (Key, "030609 ", &["surrounding-blanks", "key-length"]),
        (
            Key,
            "0306090c0f1215181b1e2124272a2d303336393c3f4245484b4e5154575a5d60",
            &["sequence"],
        ),
        (Key, "my-long-session-production-key32", &["common-words"]),
        // Structured kinds
        (Pem, "MIIEvQIBADANBg", &["pem-malformed"]),
        (
            Pem,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAMCAQU=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            &["pem-encrypted"],
        ),
        (Jwt, "a.b", &["jwt-malformed"]),
        (Jwt, "eyJhbGciOiJub25lIn0.e30.", &["jwt-unsigned"]),
        (Jwt, &jwt(r#"{"exp":1}"#), &["jwt-expired"]),
        (Json, "{", &["json-malformed"]),
        (Json, "{}", &["json-empty"]),
        // Nothing to say
        (Token, TOKEN, &[]),
        (Password, PASSWORD, &[]),
        (Password, "brisk otter velvet canyon", &[]),
        (Password, "größte Überraschung im Dezember", &[]),
        (
            Key,
            "9c1185a5c5e9fc54612808977ee8f5489c3a85b1d5e9fc246138f8977ee81a48",
            &[],
        ),
        (
            Url,
            "postgres://app:Tz7mQ9xLw%402vB5nRk@db.internal:5432/app?sslmode=require",
            &[],
        ),
        (Pem, PEM, &[]),
        (Jwt, &jwt("{}"), &[]),
        (Json, "{\"type\": \"service_account\"}\n", &[]),
        (Opaque, "app", &[]),
    ];
    let judged = |kind: Kind, value: &str| rules(&declared(kind), value);
    let wrong = cases
        .iter()
        .filter(|(kind, value, expected)| judged(*kind, value) != *expected);
    let wrong =
        wrong.map(|(kind, value, _)| format!("{kind} {value:.60}: {:?}", judged(*kind, value)));
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn binary_values_are_judged_as_bytes() {
    let raw = *b"\x9c\x11\x85\xa5\xc5\xe9\xfc\x54\x61\x28\x08\x97\x7e\xe8\xf5\x48";
    let key = declared(Kind::Key).with_length(16);
    assert_eq!(rules(&key, raw), [""; 0]);
    assert_eq!(rules(&key, [0; 16]), ["placeholder"]);
    assert_eq!(rules(&key, [7; 16]), ["placeholder"]);
    assert_eq!(rules(&declared(Kind::Key), raw), ["key-length"]);
    let decoded = declared(Kind::Key)
        .with_length(16)
        .with_encoding(Encoding::Hex);
    assert_eq!(rules(&decoded, raw), [""; 0]);
    // A blank at the end of decoded bytes is a byte like any other.
    let ends_in_newline = [&raw[..15], b"\n"].concat();
    assert_eq!(rules(&decoded, ends_in_newline), [""; 0]);
    // Text that is still encoded when its encoding was decoded was encoded twice.
    assert_eq!(
        rules(&decoded, base16ct::lower::encode_string(&raw)),
        ["key-length"]
    );
    let text = *b"q8J!vT2#xZ6@mW9$";
    assert_eq!(rules(&decoded, text), ["text-as-key"]);
    assert_eq!(rules(&key, text), ["text-as-key"]);
    assert_eq!(rules(&declared(Kind::Opaque), raw), [""; 0]);
    for kind in [
        Kind::Token,
        Kind::Password,
        Kind::Url,
        Kind::Pem,
        Kind::Jwt,
        Kind::Json,
    ] {
        assert_eq!(rules(&declared(kind), raw), ["not-text"], "{kind}");
    }
}

#[test]
fn min_length_raises_and_never_lowers() {
    for (declared, value, short) in [
        (declared(Kind::Token).with_min_length(44), TOKEN, true),
        (declared(Kind::Token).with_min_length(43), TOKEN, false),
        (declared(Kind::Token).with_min_length(8), "Vx3-Lm9Kd2", true),
        (declared(Kind::Password).with_min_length(17), PASSWORD, true),
        (declared(Kind::Password).with_min_length(1), "Tz7mQ9x", true),
        (declared(Kind::Opaque).with_min_length(4), "app", true),
        (declared(Kind::Opaque).with_min_length(3), "app", false),
        (declared(Kind::Json).with_min_length(9), "{\"a\": 1}", true),
    ] {
        assert_eq!(
            rules(&declared, value).contains(&"too-short"),
            short,
            "{declared:?}"
        );
    }
}

#[test]
fn the_documentation_names_every_rule() {
    let documentation = include_str!("../policy.rs");
    let rules = include_str!("rule.rs").lines();
    let rules = rules.filter_map(|line| line.split_once(": &str = \"")?.1.strip_suffix("\";"));
    let mut count = 0;
    for rule in rules {
        assert!(documentation.contains(&format!("//! | `{rule}`")), "{rule}");
        count += 1;
    }
    assert_eq!(count, documentation.matches("//! | `").count());
}
