//! `strongroom.toml`: what it may say, and what is said where it is wrong.

use std::path::Path;

use strongroom::{Detection, Env, ErrorKind, Result, SecretsBuilder, SecretsFactory};

fn builder(manifest: &str, vars: &[(&str, &str)]) -> SecretsBuilder {
    let env = Env::empty()
        .with_var("STRONGROOM_PROVIDER", "env:")
        .with_working_dir("/nonexistent");
    let env = vars
        .iter()
        .fold(env, |env, (name, value)| env.with_var(name, value));
    SecretsFactory::builder().env(env).manifest_text(manifest)
}

fn explain(manifest: &str, vars: &[(&str, &str)]) -> Result<Detection> {
    builder(manifest, vars).explain()
}

#[track_caller]
fn setting(detection: &Detection, key: &str) -> (String, String) {
    let found = detection.settings.iter().find(|setting| setting.key == key);
    let found = found.unwrap_or_else(|| panic!("no setting {key} in {:?}", detection.settings));
    (found.value.clone(), found.origin.clone())
}

const PROFILES: &str = r#"
[default.policy]
min_length = 32

[default.secrets."db/password"]
kind = "password"
description = "the application role"

[development]
provider = "env:?prefix=DEV_"

[development.secrets."db/password"]
default = "canary-default"

[production.policy]
min_length = 40
"#;

#[test]
fn a_profile_stands_on_the_default_and_every_setting_says_where_it_came_from() {
    let development = explain(PROFILES, &[("STRONGROOM_ENV", "development")]).unwrap();
    let (value, origin) = setting(&development, "provider");
    assert_eq!(value, "env:?prefix=…");
    assert_eq!(origin, "the compiled-in manifest:10 [development]");
    let (value, origin) = setting(&development, "policy.min_length");
    assert_eq!(
        (value.as_str(), origin.as_str()),
        ("32", "the compiled-in manifest:3 [default]")
    );
    assert_eq!(
        setting(&development, "secrets.db/password.default").0,
        "[not shown]"
    );
    assert!(!format!("{development:?}{development}").contains("canary-default"));

    let production = explain(PROFILES, &[("STRONGROOM_ENV", "production")]).unwrap();
    let (value, origin) = setting(&production, "policy.min_length");
    assert_eq!(
        (value.as_str(), origin.as_str()),
        ("40", "the compiled-in manifest:16 [production]")
    );

    let undeclared = explain(PROFILES, &[]).unwrap();
    assert_eq!(undeclared.profile, "default");
}

#[test]
fn variables_override_and_are_named() {
    let vars = [
        ("STRONGROOM_ENV", "production"),
        ("STRONGROOM_CFG_POLICY__MIN_LENGTH", "64"),
    ];
    let detection = explain(PROFILES, &vars).unwrap();
    let (value, origin) = setting(&detection, "policy.min_length");
    assert_eq!(
        (value.as_str(), origin.as_str()),
        ("64", "STRONGROOM_CFG_POLICY__MIN_LENGTH")
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_its_cure() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "[default]\nprovidr = \"env:\"",
            "manifest:2: unknown key `providr`",
            "`provider`",
        ),
        (
            "[default]\nzzzzzzzzzz = 1",
            "unknown key `zzzzzzzzzz`",
            "the keys here are",
        ),
        (
            "[production.policy]\nmin_lenght = 1",
            "manifest:2: unknown key `min_lenght` in `policy`",
            "`min_length`",
        ),
        (
            "[production.retry]\nattemps = 1",
            "manifest:2: unknown key `attemps` in `retry`",
            "`attempts`",
        ),
        (
            "[default.limit]\nrate = 1",
            "manifest:2: unknown key `rate` in `limit`",
            "concurrency, per_second",
        ),
        (
            "[default.secrets.a]\nkidn = \"token\"",
            "unknown key `kidn` in `secrets.a`",
            "`kind`",
        ),
        (
            "[default.secrets.a]\nkind = \"token\"\nsource = { nmae = \"b\" }",
            "unknown key `nmae` in `secrets.a.source`",
            "`name`",
        ),
        (
            "[default.secrets.a]\nkind = \"tokn\"",
            "`secrets.a.kind` can't be used",
            "token",
        ),
        (
            "[default.secrets.a]\ndescription = \"x\"",
            "`secrets.a` is required and has no `kind`",
            "kind is one of",
        ),
        (
            "[default.secrets.\"a//b\"]\nkind = \"token\"",
            "is no name for a secret",
            "path",
        ),
        (
            "[global]\nprovider = \"env:\"",
            "line 1: `global` is no profile",
            "[default]",
        ),
        (
            "[production]\n[Production]\n",
            "line 2: `Production` is no profile",
            "[default]",
        ),
        (
            "provider = \"env:\"",
            "line 1: `provider` stands outside a profile",
            "[default]",
        ),
        (
            "[default]\nprovider = 1",
            "`provider` must be text in quotes",
            "",
        ),
        (
            "[default]\nprovider = \"user:canary@\"\n[x",
            "line 3",
            "once",
        ),
        (
            "[default.policy]\nmin_length = -1",
            "must be a whole number",
            "",
        ),
        (
            "[default.policy]\nmin_length = 1.5",
            "is a number with a fraction",
            "",
        ),
        (
            "[default.policy]\nrotate_after = \"soon\"",
            "must be a length of time",
            "",
        ),
        (
            "[default.retry]\nattempts = 0",
            "manifest:2 [default]: `retry.attempts` must be a whole number from 1 to 10",
            "",
        ),
        (
            "[default.retry]\nattempts = 11",
            "must be a whole number from 1 to 10",
            "",
        ),
        (
            "[default.retry]\ndeadline = 15",
            "`retry.deadline` must be a length of time from 1s to 10m, such as \"15s\"",
            "",
        ),
        ("[default.retry]\ndeadline = \"0s\"", "from 1s to 10m", ""),
        ("[default.retry]\ndeadline = \"1day\"", "from 1s to 10m", ""),
        (
            "[default]\nretry = \"canary\"",
            "`retry` must be a table",
            "",
        ),
        (
            "[default.limit]\nconcurrency = 5000",
            "`limit.concurrency` must be a whole number from 1 to 1024",
            "",
        ),
        (
            "[default.limit]\nper_second = \"canary\"",
            "`limit.per_second` must be a whole number from 1 to 10000",
            "",
        ),
        (
            "[default.secrets.a]\nkind = \"token\"\nrequired = \"canary\"",
            "must be true or false",
            "",
        ),
        (
            "[default.secrets.a]\nkind = \"token\"\nencoding = \"rot13\"",
            "can't be used",
            "base64url",
        ),
        (
            "[default.secrets.a]\nkind = \"token\"\nsource = { provider = \"shared\" }",
            "the provider `shared`",
            "",
        ),
        (
            "[default.secrets.a]\nkind = \"token\"\nsource = { id = \"x\", name = \"y\" }",
            "has both `id` and `name`",
            "",
        ),
        (
            "[default.secrets.a]\nkind = \"token\"\nsource = { field = \"x\" }",
            "has a `field` without an `id`",
            "",
        ),
        (
            "[default]\ndanger_allow_plain_files = \"canary\"",
            "must be true or false",
            "",
        ),
        (
            "[default]\nallow_providers = \"env\"",
            "must be a list of texts",
            "",
        ),
    ];
    for (manifest, message, help) in cases {
        let error = explain(manifest, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{manifest}");
        assert!(error.to_string().contains(message), "{manifest}\n{error}");
        assert!(
            error.help().unwrap_or_default().contains(help),
            "{manifest}\n{error:?}"
        );
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn what_the_layers_are_told_is_shown_with_its_origin() {
    let manifest =
        "[default.retry]\nattempts = 6\ndeadline = \"30s\"\n[default.limit]\nper_second = 10";
    let vars = [
        ("STRONGROOM_CFG_RETRY__ATTEMPTS", "2"),
        ("STRONGROOM_CFG_LIMIT__CONCURRENCY", "8"),
    ];
    let detection = explain(manifest, &vars).unwrap();
    for (key, value, origin) in [
        ("retry.attempts", "2", "STRONGROOM_CFG_RETRY__ATTEMPTS"),
        (
            "retry.deadline",
            "30s",
            "the compiled-in manifest:3 [default]",
        ),
        (
            "limit.concurrency",
            "8",
            "STRONGROOM_CFG_LIMIT__CONCURRENCY",
        ),
        (
            "limit.per_second",
            "10",
            "the compiled-in manifest:5 [default]",
        ),
    ] {
        let expected = (value.to_owned(), origin.to_owned());
        assert_eq!(setting(&detection, key), expected);
    }
}

#[test]
fn a_wrong_override_names_its_variable() {
    for (name, value, message) in [
        (
            "STRONGROOM_CFG_POLICY__MIN_LENGHT",
            "1",
            "STRONGROOM_CFG_POLICY__MIN_LENGHT: unknown key",
        ),
        (
            "STRONGROOM_CFG_POLICY__MIN_LENGTH",
            "canary",
            "STRONGROOM_CFG_POLICY__MIN_LENGTH: `policy.min_length` must be",
        ),
        (
            "STRONGROOM_CFG_RETRY__DEADLINE",
            "canary",
            "STRONGROOM_CFG_RETRY__DEADLINE: `retry.deadline` must be",
        ),
        (
            "STRONGROOM_CFG_LIMIT__RATE",
            "1",
            "STRONGROOM_CFG_LIMIT__RATE: unknown key",
        ),
    ] {
        let error = explain("[default]", &[(name, value)]).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[test]
fn a_profile_that_was_named_must_exist() {
    let error = explain(PROFILES, &[("STRONGROOM_PROFILE", "produktion")]).unwrap_err();
    assert!(error.help().unwrap().contains("`production`"), "{error:?}");
    // One that only follows the deployment need not.
    assert_eq!(
        explain(PROFILES, &[("STRONGROOM_ENV", "staging")])
            .unwrap()
            .profile,
        "staging"
    );
}

#[test]
fn a_profile_that_nearly_belongs_to_a_deployment_is_mentioned() {
    let detection = explain("[prodution]\nallow_providers = []\n[blue]\n", &[]).unwrap();
    let warnings: Vec<_> = detection
        .warnings
        .iter()
        .map(|w| (w.rule, w.help.as_str()))
        .collect();
    assert_eq!(
        warnings,
        [("unknown-profile", "did you mean `production`?")]
    );
}

#[test]
fn a_manifest_that_was_named_must_be_readable() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::empty()
        .with_working_dir(dir.path())
        .with_var("STRONGROOM_MANIFEST", "none.toml");
    let error = SecretsFactory::builder().env(env).explain().unwrap_err();
    assert!(error.to_string().contains("none.toml"), "{error}");
    let env = Env::empty().with_working_dir(dir.path());
    assert!(
        SecretsFactory::builder().env(env).explain().is_ok(),
        "a search may find none"
    );
    let error = SecretsFactory::builder()
        .manifest_file(Path::new("/dev/zero"))
        .explain()
        .unwrap_err();
    assert!(error.to_string().contains("/dev/zero"));
}
