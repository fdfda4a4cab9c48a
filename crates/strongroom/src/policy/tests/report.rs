//! What is found in all secrets together, and how it is told: in one report, without a value.

use super::*;

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
        "9c1185a5c5e9fc54612808977ee8f5489c3a85b1d5e9fc246138f8977ee81a48",
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
