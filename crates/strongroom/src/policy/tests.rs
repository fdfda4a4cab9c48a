//! Each rule on each kind, all findings in one report, no false alarms, no value in any of them.

use std::time::{Duration, UNIX_EPOCH};

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use proptest::prelude::*;

use super::*;
use crate::declared::{DeclaredSource, Encoding};
use crate::report::Report;
use crate::secret::Metadata;

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
fn one_weak_secret_of_each_kind_gives_one_report() {
    let weak = [
        ("weak/token", Kind::Token, "test-service-token"),
        ("weak/password", Kind::Password, "postgres"),
        (
            "weak/key",
            Kind::Key,
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        ("weak/url", Kind::Url, "postgres://app:hunter2@db/app"),
        ("weak/pem", Kind::Pem, "-----BEGIN PRIVATE KEY-----"),
        ("weak/jwt", Kind::Jwt, "eyJhbGciOiJub25lIn0.e30."),
        ("weak/json", Kind::Json, "{}"),
        ("weak/opaque", Kind::Opaque, "changeme"),
    ];
    let declared = weak.map(|(name, kind, _)| named(name, kind));
    let values = weak.map(|(_, _, value)| Secret::from_text(value));
    let pairs: Vec<_> = declared.iter().zip(&values).collect();
    for deployment in [Deployment::Development, Deployment::Production] {
        let report = Report::new(check(&pairs, deployment));
        for (name, _, value) in weak {
            let of_name = |f: &&Finding| f.name.as_ref().is_some_and(|n| n.as_str() == name);
            let finding = report.violations().find(of_name).unwrap();
            assert!(!finding.help.is_empty());
            assert!(!report.to_string().contains(value), "{report}");
        }
    }
}

#[test]
fn the_same_value_under_two_names_is_reported_on_both() {
    let secret = Secret::from_text(TOKEN);
    let other = Secret::from_text("Kd2Bn5Pw8_Hf4Js6GaZr7Yt0qRb1TcQeU5iXVx3-Lm9");
    let (a, b, c) = (
        named("a", Kind::Token),
        named("b", Kind::Token),
        named("c", Kind::Token),
    );
    let findings = check(
        &[(&a, &secret), (&b, &other), (&c, &secret)],
        Deployment::Test,
    );
    let shown: Vec<_> = findings
        .iter()
        .map(|f| format!("{} {}", f.rule, f.message))
        .collect();
    assert_eq!(
        shown,
        [
            "duplicate-value the value is the same as that of `c`",
            "duplicate-value the value is the same as that of `a`",
        ]
    );
}

#[test]
fn two_names_for_one_source_are_one_secret() {
    let secret = Secret::from_text(TOKEN);
    let source = |id: Option<&str>, name: Option<&str>| DeclaredSource {
        id: id.map(str::to_owned),
        name: name.map(|name| name.parse().unwrap()),
        ..DeclaredSource::default()
    };
    let plain = named("a", Kind::Token);
    let with = |name: &str, source| named(name, Kind::Token).with_source(source);
    for (first, second, findings) in [
        (plain.clone(), with("b", source(None, Some("a"))), 0),
        (
            with("b", source(Some("arn:x"), None)),
            with("c", source(Some("arn:x"), None)),
            0,
        ),
        (
            with("b", source(Some("arn:x"), None)),
            with("c", source(Some("arn:y"), None)),
            2,
        ),
        (plain, with("b", source(Some("a"), None)), 2),
    ] {
        let found = check(&[(&first, &secret), (&second, &secret)], Deployment::Test);
        assert_eq!(found.len(), findings, "{first:?} {second:?}");
    }
}

#[test]
fn a_default_boots_in_development_and_nowhere_else() {
    use Deployment::*;
    let default = |value: &str| {
        Secret::from_text(value).with_metadata(Metadata::new().with_source(Source::Default))
    };
    let password = declared(Kind::Password);
    let rules = |declared: &Declared, value: &str, deployment| -> Vec<_> {
        let findings = check(&[(declared, &default(value))], deployment);
        findings.iter().map(|f| (f.severity, f.rule)).collect()
    };
    for deployment in [Development, Test] {
        assert_eq!(
            rules(&password, "postgres", deployment),
            [(Severity::Warning, "development-default")]
        );
        assert_eq!(
            rules(&declared(Kind::Json), "{", deployment),
            [
                (Severity::Violation, "json-malformed"),
                (Severity::Warning, "development-default")
            ]
        );
        assert_eq!(
            rules(&password, "changeme", deployment),
            [
                (Severity::Violation, "placeholder"),
                (Severity::Warning, "development-default")
            ]
        );
    }
    for deployment in [Staging, Production, Undeclared] {
        assert_eq!(
            rules(&password, "postgres", deployment),
            [(Severity::Violation, "default-in-production")]
        );
    }
    // The same default under two names is what development looks like.
    let (a, b) = (named("a", Kind::Password), named("b", Kind::Password));
    let value = default("postgres");
    let findings = check(&[(&a, &value), (&b, &value)], Development);
    assert!(
        findings.iter().all(|f| f.severity == Severity::Warning),
        "{findings:?}"
    );
}

#[test]
fn an_old_value_is_a_warning() {
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let day = Duration::from_secs(24 * 60 * 60);
    let declared = declared(Kind::Token).with_rotate_after(90 * day);
    let severities = |created| {
        let metadata = Metadata::new().with_created(created);
        let secret = Secret::from_text(TOKEN).with_metadata(metadata);
        let findings = check_at(&[(&declared, &secret)], Deployment::Production, now);
        let shown = findings
            .iter()
            .map(|f| (f.severity, f.rule, f.message.clone()));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(severities(now - 90 * day), []);
    assert_eq!(severities(now + day), []);
    let message = "the value is 91 days old, which is past its `rotate_after`";
    let expected = (Severity::Warning, "rotation-due", message.to_owned());
    assert_eq!(severities(now - 91 * day), [expected]);
}

#[test]
fn only_tokens_and_keys_without_a_violation_are_strong() {
    let strong = |kind, value: &str, source| {
        let declared = declared(kind);
        let metadata = Metadata::new().with_source(source);
        let secret = Secret::from_text(value).with_metadata(metadata);
        let findings = check_one(&declared, &secret);
        is_strong(&declared, &secret, &findings)
    };
    assert!(strong(Kind::Token, TOKEN, Source::Live));
    assert!(!strong(Kind::Token, "changeme", Source::Live));
    assert!(!strong(Kind::Token, TOKEN, Source::Default));
    assert!(!strong(Kind::Password, PASSWORD, Source::Live));
    assert!(strong(
        Kind::Key,
        &Base64::encode_string(&TOKEN.as_bytes()[..32]),
        Source::Live
    ));
}

#[test]
fn no_finding_holds_a_value_or_a_part_of_one() {
    // Each has a marked part in every place that a message could quote.
    let values = [
        "canary",
        "canary canary canary\n",
        "'canary-canary-canary-canary-canary'",
        "pg://canary:canary@canary/canary?canary=canary",
        "://canary:canary@",
        "-----BEGIN canary-----\ncanary: canary\ncanary!\n-----END canary2-----",
        "-----BEGIN canary-----\ncanary",
        "{\"canary\": canary}",
        "{\"canary\": \"<canary>\"}",
        "canary.canary.canary",
        "eyJhbGciOiJub25lIn0.e30.canary",
        "${canary}",
    ];
    for kind in Kind::ALL {
        for value in values {
            let secret = Secret::from_text(value);
            let (a, b) = (named("x", *kind), named("y", *kind).with_min_length(9999));
            let findings = check(&[(&a, &secret), (&b, &secret)], Deployment::Production);
            assert!(!findings.is_empty());
            let report = Report::new(findings);
            let json = serde_json::to_string(&report).unwrap();
            for shown in [report.to_string(), format!("{report:?}"), json] {
                assert!(
                    !shown.to_ascii_lowercase().contains("canary"),
                    "{kind} {shown}"
                );
            }
        }
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
