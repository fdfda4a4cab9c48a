//! Which provider is chosen, and how the choice is explained.

use std::path::Path;

use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{
    Backend, Class, Detection, Env, Error, ErrorKind, Probe, ProviderUrl, Rail, Result,
    SecretsFactory,
};

/// An environment of these variables, in an empty directory and with no mounted secrets.
fn env(dir: &Path, vars: &[(&str, &str)]) -> Env {
    let empty = Env::empty()
        .with_working_dir(dir)
        .with_mounted_secrets(dir.join("no-mount"));
    vars.iter()
        .fold(empty, |env, (name, value)| env.with_var(name, value))
}

fn explain(env: Env) -> Result<Detection> {
    SecretsFactory::builder().env(env).explain()
}

#[track_caller]
fn chosen(detection: &Detection) -> (Class, String, String) {
    let chosen = detection.chosen().unwrap();
    (chosen.class, chosen.because.clone(), chosen.address.clone())
}

#[test]
fn every_class_and_what_it_leads_to() {
    let dir = tempfile::tempdir().unwrap();
    let creds = dir.path().join("creds");
    std::fs::create_dir(&creds).unwrap();
    let creds = creds.to_str().unwrap();
    let file = format!("file:{creds}");
    type Case<'a> = (&'a [(&'a str, &'a str)], Class, &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (
            &[
                ("STRONGROOM_PROVIDER", "env:?prefix=A_"),
                ("VAULT_ADDR", "https://v"),
            ],
            Class::Explicit,
            "STRONGROOM_PROVIDER",
            "env:?prefix=A_",
        ),
        (
            &[("VAULT_ADDR", "https://v:8200"), ("VERCEL", "1")],
            Class::Marker,
            "VAULT_ADDR",
            "vault://v:8200/",
        ),
        (
            &[("BAO_ADDR", "https://b/")],
            Class::Marker,
            "BAO_ADDR",
            "vault://b/",
        ),
        (
            &[("VAULT_ADDR", "https://v"), ("BAO_ADDR", "https://v/")],
            Class::Marker,
            "VAULT_ADDR and BAO_ADDR",
            "vault://v/",
        ),
        (
            &[("VAULT_ADDR", "http://127.0.0.1:8200")],
            Class::Marker,
            "VAULT_ADDR",
            "vault+http://127.0.0.1:8200/",
        ),
        (
            &[
                ("STRONGROOM_AWS_PREFIX", "app/"),
                ("AWS_REGION", "eu-west-1"),
            ],
            Class::Marker,
            "STRONGROOM_AWS_PREFIX",
            "aws://eu-west-1/app",
        ),
        (
            &[("STRONGROOM_KEY", "k")],
            Class::Marker,
            "STRONGROOM_KEY",
            "sealed:.strongroom/secrets.sealed",
        ),
        (
            &[("STRONGROOM_KEY_FILE", "/k")],
            Class::Marker,
            "STRONGROOM_KEY_FILE",
            "sealed:.strongroom/secrets.sealed?key_file=/k",
        ),
        (
            &[("STRONGROOM_PASSPHRASE_FILE", "/p")],
            Class::Marker,
            "STRONGROOM_PASSPHRASE_FILE",
            "sealed:.strongroom/secrets.sealed?passphrase_file=/p",
        ),
        (
            &[("STRONGROOM_DIR", creds), ("CREDENTIALS_DIRECTORY", "/x")],
            Class::Marker,
            "STRONGROOM_DIR",
            &file,
        ),
        (
            &[("CREDENTIALS_DIRECTORY", creds)],
            Class::Platform,
            "CREDENTIALS_DIRECTORY",
            &file,
        ),
        (&[("VERCEL", "1")], Class::Platform, "VERCEL", "env:"),
        (
            &[("VERCEL", "1"), ("NETLIFY", "true")],
            Class::Platform,
            "VERCEL",
            "env:",
        ),
        (
            &[("CI", "true")],
            Class::Fallback,
            "the environment",
            "env:",
        ),
        (
            &[("STRONGROOM_ENV", "development")],
            Class::Fallback,
            "the environment",
            "env:",
        ),
        (
            &[("STRONGROOM_ENV", "test")],
            Class::Fallback,
            "the environment",
            "env:",
        ),
    ];
    for (vars, class, because, address) in cases {
        let detection = explain(env(dir.path(), vars)).unwrap();
        assert_eq!(
            chosen(&detection),
            (*class, (*because).to_owned(), (*address).to_owned()),
            "{vars:?}"
        );
        let trace = detection.to_string();
        assert!(trace.contains(address), "{trace}");
    }
}

#[test]
fn every_pair_of_markers_is_an_error_that_names_both() {
    let dir = tempfile::tempdir().unwrap();
    let creds = dir.path().join("creds");
    let mount = dir.path().join("mount");
    for made in [&creds, &mount] {
        std::fs::create_dir(made).unwrap();
        std::fs::write(made.join("token"), "x").unwrap();
    }
    let (creds, mount) = (creds.to_str().unwrap(), mount.to_str().unwrap());
    let markers = [
        ("VAULT_ADDR", "https://vault"),
        ("BAO_ADDR", "https://bao"),
        ("STRONGROOM_AWS_PREFIX", "app"),
        ("STRONGROOM_KEY", "k"),
        ("STRONGROOM_KEY_FILE", "/k"),
        ("STRONGROOM_PASSPHRASE_FILE", "/p"),
        ("STRONGROOM_DIR", creds),
    ];
    // The mounted directory is no variable: its pseudo-marker sets where it is looked for.
    let platforms = [
        ("CREDENTIALS_DIRECTORY", creds),
        ("/run/secrets", mount),
        ("VERCEL", "1"),
    ];
    let mut pairs = 0;
    for class in [&markers[..], &platforms[..]] {
        for (at, one) in class.iter().enumerate() {
            for other in class.iter().skip(at + 1) {
                let mut env = env(dir.path(), &[]);
                for (name, value) in [one, other] {
                    env = match *name {
                        "/run/secrets" => env.with_mounted_secrets(value),
                        name => env.with_var(name, value),
                    };
                }
                let error = explain(env).unwrap().chosen().unwrap_err();
                let mounted = |name: &&str| {
                    if *name == "/run/secrets" {
                        mount.to_owned()
                    } else {
                        (*name).to_owned()
                    }
                };
                assert_eq!(error.kind(), ErrorKind::Config);
                for name in [&one.0, &other.0] {
                    assert!(
                        error.to_string().contains(&mounted(name)),
                        "{name}: {error}"
                    );
                }
                assert!(error.help().unwrap().contains("STRONGROOM_PROVIDER"));
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 21 + 3);
}

#[test]
fn the_order_among_explicit_ones_and_among_fallbacks() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = "[default]\nprovider = \"env:?prefix=MANIFEST_\"";
    let flag: ProviderUrl = "env:?prefix=FLAG_".parse().unwrap();
    let all = env(
        dir.path(),
        &[("STRONGROOM_PROVIDER", "env:?prefix=VARIABLE_")],
    );
    let builder = SecretsFactory::builder().manifest_text(manifest);
    let address = |detection: Result<Detection>| chosen(&detection.unwrap()).2;
    assert_eq!(
        address(
            builder
                .clone()
                .env(all.clone())
                .provider_url(flag)
                .explain()
        ),
        "env:?prefix=FLAG_"
    );
    assert_eq!(
        address(builder.clone().env(all).explain()),
        "env:?prefix=VARIABLE_"
    );
    assert_eq!(
        address(builder.env(env(dir.path(), &[])).explain()),
        "env:?prefix=MANIFEST_"
    );

    let development = env(dir.path(), &[("STRONGROOM_ENV", "development")]);
    std::fs::write(dir.path().join(".env"), "A=b\n").unwrap();
    assert_eq!(address(explain(development.clone())), "file:.env");
    std::fs::create_dir(dir.path().join(".strongroom")).unwrap();
    let sealed = dir.path().join(".strongroom/secrets.sealed");
    let keys = dir.path().join("config/strongroom/keys");
    std::fs::create_dir_all(&keys).unwrap();
    let development = development.with_var("XDG_CONFIG_HOME", dir.path().join("config"));
    let passed_over = |why: &str| {
        let detection = explain(development.clone()).unwrap();
        assert!(detection.to_string().contains(why), "{detection}");
        assert_eq!(chosen(&detection).2, "file:.env");
    };
    std::fs::write(&sealed, "").unwrap();
    passed_over("it is not a sealed file");
    std::fs::remove_file(&sealed).unwrap();
    let (key, id) = (SlotKey::generate().unwrap(), FileId::random().unwrap());
    SealedFile::create(&sealed, id, &NewSlot::new("test", key)).unwrap();
    passed_over("its key");
    std::fs::write(keys.join(format!("{id}.key")), "").unwrap();
    assert_eq!(
        address(explain(development.clone())),
        "sealed:.strongroom/secrets.sealed"
    );
}

#[test]
fn nothing_is_chosen_where_nothing_is_declared() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), "A=b\n").unwrap();
    for vars in [
        &[][..],
        &[("STRONGROOM_ENV", "production")],
        &[("STRONGROOM_ENV", "staging")],
        &[("CI", "false")],
    ] {
        let detection = explain(env(dir.path(), vars)).unwrap();
        let error = detection.chosen().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{vars:?}");
        assert!(
            detection.to_string().contains(".env"),
            "the trace says what was passed over"
        );
    }
}

#[test]
fn aws_platforms_are_told_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    for marker in [
        "AWS_LAMBDA_FUNCTION_NAME",
        "ECS_CONTAINER_METADATA_URI_V4",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ] {
        let detection = explain(env(dir.path(), &[(marker, "x")])).unwrap();
        assert!(detection.chosen().is_err());
        assert!(
            detection
                .to_string()
                .contains("STRONGROOM_AWS_PREFIX is missing"),
            "{detection}"
        );
    }
}

#[test]
fn an_empty_variable_of_ours_never_leads_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "STRONGROOM_PROVIDER",
        "STRONGROOM_DIR",
        "STRONGROOM_ENV",
        "STRONGROOM_PROFILE",
    ] {
        let error = explain(env(dir.path(), &[(name, ""), ("VERCEL", "1")])).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_unknown_variable_of_ours_is_reported_without_its_value() {
    let dir = tempfile::tempdir().unwrap();
    let detection = explain(env(
        dir.path(),
        &[("STRONGROOM_PROVIDR", "canary"), ("VERCEL", "1")],
    ))
    .unwrap();
    let warning = &detection.warnings[0];
    assert!(
        warning.message.contains("STRONGROOM_PROVIDR")
            && warning.help.contains("STRONGROOM_PROVIDER")
    );
    assert!(!format!("{detection:?}{detection}").contains("canary"));
}

#[cfg(not(all(feature = "aws", feature = "vault")))]
#[tokio::test]
async fn a_backend_that_is_not_in_this_build_is_an_error_that_names_its_feature() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        #[cfg(not(feature = "vault"))]
        (("VAULT_ADDR", "https://vault"), "`vault`"),
        #[cfg(not(feature = "aws"))]
        (("STRONGROOM_AWS_PREFIX", "app"), "`aws`"),
        #[cfg(not(feature = "vault"))]
        (("STRONGROOM_PROVIDER", "vault://vault/"), "`vault`"),
        #[cfg(not(feature = "aws"))]
        (("STRONGROOM_PROVIDER", "aws://eu-west-1/app"), "`aws`"),
    ];
    for (variable, feature) in cases {
        // A weaker candidate is there, and must not be taken instead.
        let env = env(dir.path(), &[variable, ("STRONGROOM_ENV", "development")]);
        let error = SecretsFactory::builder()
            .env(env)
            .detect()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{variable:?}");
        assert!(error.help().unwrap().contains(feature), "{error:?}");
    }
}

#[test]
fn allow_providers_limits_every_choice() {
    let dir = tempfile::tempdir().unwrap();
    let try_with = |allowed: &str, provider: &str| {
        let manifest = format!("[production]\nallow_providers = [{allowed}]");
        let vars = [
            ("STRONGROOM_ENV", "production"),
            ("STRONGROOM_PROVIDER", provider),
        ];
        let builder = SecretsFactory::builder()
            .manifest_text(manifest)
            .env(env(dir.path(), &vars));
        builder
            .explain()
            .unwrap()
            .chosen()
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    assert_eq!(try_with("\"vault\"", "vault://v/"), Ok(()));
    assert_eq!(try_with("\"vault://v/team\"", "vault://v/team/app"), Ok(()));
    for (allowed, provider) in [
        ("\"vault\"", "env:"),
        ("\"vault\"", "vault+http://v/"),
        ("\"vault://v\"", "vault://v.evil/"),
        ("\"vault://v/team\"", "vault://v/team-b"),
        ("\"vault://v/team\"", "vault://v/team/../other"),
        ("\"vault://v/?mount=a\"", "vault://v/?mount=b"),
        ("", "env:"),
    ] {
        assert_eq!(
            try_with(allowed, provider),
            Err(ErrorKind::Policy),
            "{allowed} {provider}"
        );
    }
}

/// A limit on files means the files it was written for, wherever the service is started.
#[tokio::test]
async fn allow_providers_resolves_paths_and_covers_named_providers() {
    let dir = tempfile::tempdir().unwrap();
    for made in ["app/secrets", "other/secrets"] {
        std::fs::create_dir_all(dir.path().join(made)).unwrap();
    }
    let manifest = dir.path().join("app/strongroom.toml");
    std::fs::write(
        &manifest,
        "[default]\nallow_providers = [\"file:secrets\"]\n",
    )
    .unwrap();
    let vars = [
        ("STRONGROOM_PROVIDER", "file:secrets"),
        ("STRONGROOM_ENV", "development"),
    ];
    let start = |place: &str| {
        let env = env(&dir.path().join(place), &vars);
        SecretsFactory::builder()
            .env(env)
            .manifest_file(&manifest)
            .explain()
            .unwrap()
    };
    assert!(start("app").chosen().is_ok());
    assert_eq!(
        start("other").chosen().unwrap_err().kind(),
        ErrorKind::Policy
    );

    let named = "[default]\nallow_providers = [\"env\"]\nproviders = { o = \"file:secrets\" }\n\
                 [default.secrets.a]\nkind = \"token\"\nsource = { provider = \"o\" }\n";
    let vars = [
        ("STRONGROOM_PROVIDER", "env:"),
        ("STRONGROOM_ENV", "development"),
    ];
    let env = env(&dir.path().join("app"), &vars);
    let builder = SecretsFactory::builder().env(env).manifest_text(named);
    assert_eq!(
        builder.connect().await.unwrap_err().kind(),
        ErrorKind::Policy
    );
}

#[test]
fn a_wrong_address_is_explained_and_never_quoted_in_its_query() {
    let dir = tempfile::tempdir().unwrap();
    let problem = |provider: &str| -> Error {
        match explain(env(dir.path(), &[("STRONGROOM_PROVIDER", provider)])) {
            Ok(detection) => detection.chosen().unwrap_err(),
            Err(error) => error,
        }
    };
    assert!(problem("evn:").help().unwrap().contains("`env:`"));
    assert!(problem("env:?prefx=A").help().unwrap().contains("`prefix`"));
    for provider in [
        "env:?token=canary",
        "memory:?canary",
        "vault://user:canary@h/",
        "canary",
    ] {
        let error = problem(provider);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        assert!(error.to_string().contains("STRONGROOM_PROVIDER"), "{error}");
    }
}

/// A backend whose detection reports a broken guard rail.
fn railed(rail: Rail) -> Backend {
    fn probe(rail: Rail) -> Result<Vec<Probe>> {
        let found = Probe::found(Class::Marker, "RAILED", ProviderUrl::new("railed", ""));
        Ok(vec![found.with_rail(rail, "the thing is not safe")])
    }
    const ROW: Backend = Backend::new("railed", "railed", |_| {
        Box::pin(async { Err(Error::new(ErrorKind::Closed, "opened")) })
    });
    match rail {
        Rail::PlainFileOnDisk => ROW.with_detect(|_, _| probe(Rail::PlainFileOnDisk)),
        Rail::ReadableByOthers => ROW.with_detect(|_, _| probe(Rail::ReadableByOthers)),
        Rail::WritableByOthers => ROW.with_detect(|_, _| probe(Rail::WritableByOthers)),
        Rail::OwnedByOthers => ROW.with_detect(|_, _| probe(Rail::OwnedByOthers)),
        Rail::PlaintextHttp => ROW.with_detect(|_, _| probe(Rail::PlaintextHttp)),
        Rail::WeakerChain => ROW.with_detect(|_, _| probe(Rail::WeakerChain)),
        _ => ROW.with_detect(|_, _| probe(Rail::CertificateCheckDisabled)),
    }
}

#[tokio::test]
async fn each_guard_rail_in_each_deployment() {
    let dir = tempfile::tempdir().unwrap();
    for rail in Rail::ALL {
        for (deployment, refused) in [
            (Some("development"), false),
            (Some("test"), false),
            (Some("staging"), true),
            (Some("production"), true),
            (None, true),
        ] {
            for overridden in [false, true] {
                let vars: Vec<_> = deployment
                    .map(|word| ("STRONGROOM_ENV", word))
                    .into_iter()
                    .collect();
                let mut builder = SecretsFactory::builder()
                    .env(env(dir.path(), &vars))
                    .backend(railed(*rail));
                if overridden {
                    let key = rail.override_key();
                    builder = builder.manifest_text(format!("[default]\n{key} = true"));
                }
                let kind = builder.connect().await.unwrap_err().kind();
                let expected = if refused && !overridden {
                    ErrorKind::Policy
                } else {
                    ErrorKind::Closed
                };
                assert_eq!(
                    kind, expected,
                    "{rail:?} {deployment:?} overridden={overridden}"
                );
            }
        }
    }
}

#[tokio::test]
async fn plain_http_and_a_disabled_check_are_refused_in_production() {
    let dir = tempfile::tempdir().unwrap();
    for (vars, rule) in [
        (&[("VAULT_ADDR", "http://vault:8200")][..], "plaintext-http"),
        (
            &[("STRONGROOM_PROVIDER", "vault+http://vault/")],
            "plaintext-http",
        ),
        (
            &[
                ("VAULT_ADDR", "https://vault"),
                ("VAULT_SKIP_VERIFY", "true"),
            ],
            "certificate-check-disabled",
        ),
        (
            &[("BAO_ADDR", "https://vault"), ("BAO_SKIP_VERIFY", "1")],
            "certificate-check-disabled",
        ),
    ] {
        let mut vars = vars.to_vec();
        vars.push(("STRONGROOM_ENV", "production"));
        let builder = SecretsFactory::builder().env(env(dir.path(), &vars));
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy, "{vars:?}");
        assert!(error.to_string().contains(rule), "{error}");
    }
}

#[test]
fn no_variable_can_switch_a_guard_rail_off() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "STRONGROOM_CFG_DANGER_ALLOW_PLAIN_FILES",
        "STRONGROOM_CFG_ALLOW_PROVIDERS",
        "STRONGROOM_CFG_SECRETS__A__DEFAULT",
    ] {
        let builder = SecretsFactory::builder()
            .manifest_text("[default]")
            .env(env(dir.path(), &[(name, "true")]));
        let error = builder.explain().unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_found_manifest_can_be_distrusted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("strongroom.toml"),
        "[default]\ndanger_allow_plain_files = true\n",
    )
    .unwrap();
    let builder = SecretsFactory::builder().env(env(dir.path(), &[("VERCEL", "1")]));
    let rules =
        |detection: Detection| -> Vec<_> { detection.warnings.iter().map(|w| w.rule).collect() };
    assert_eq!(
        rules(builder.clone().distrust_found_manifest().explain().unwrap()),
        ["untrusted-manifest"]
    );
    assert!(rules(builder.explain().unwrap()).is_empty());
}
