//! One value, put through every path of the API, must come out of none but the exposing ones.

use std::io::Write;
use std::path::Path;

use strongroom::provider::Expect;
use strongroom::{
    Declared, Encoding, Env, ErrorKind, FromSecrets, Kind, Live, Loaded, Memory, ProviderUrl,
    Secret, SecretName, Secrets, SecretsBuilder, SecretsFactory, audit,
};

pub(crate) mod seen;

use seen::Seen;

/// Passes every rule for a token, so that paths which need a strong value can be walked too.
const CANARY: &str = "cnry7Qx-T2mLp9ZrWv8Yd3KfB6hJs_N0uE";

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn builder(dir: &Path) -> SecretsBuilder {
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", "development")
        .with_var("UNRELATED", CANARY)
        .with_working_dir(dir)
        .with_mounted_secrets(dir.join("no-mount"));
    SecretsFactory::builder().env(env)
}

fn declared() -> Vec<Declared> {
    let every = Kind::ALL
        .iter()
        .map(|kind| Declared::new(name(&format!("as/{kind}")), *kind));
    let default =
        Declared::new(name("as/default"), Kind::Password).with_default(Secret::from_text(CANARY));
    let decoded = Encoding::ALL.iter().map(|encoding| {
        Declared::new(name(&format!("as/{encoding}")), Kind::Key).with_encoding(*encoding)
    });
    every.chain([default]).chain(decoded).collect()
}

/// Walks every path of one provider that holds the canary under every declared name.
async fn walk(builder: impl Fn() -> SecretsBuilder, seen: &Seen, writes: bool) {
    seen.debug(&builder());
    match builder().explain() {
        Ok(detection) => {
            seen.debug(&detection);
            seen.json(&detection);
            writeln!(seen.clone(), "{detection}").unwrap();
        }
        Err(error) => seen.error(&error),
    }
    if let Err(error) = builder().declare(declared()).detect().await {
        seen.error(&error);
    }
    let connection = match builder().declare(declared()).connect().await {
        Ok(connection) => connection,
        Err(error) => return seen.error(&error),
    };
    seen.debug(&connection);
    let validation = connection.validate().await;
    seen.debug(&validation);
    seen.json(&validation);
    writeln!(seen.clone(), "{}", validation.report).unwrap();
    seen.debug(&connection.rails().said());
    seen.debug(
        &connection
            .health()
            .await
            .map_err(|error| seen.error(&error)),
    );
    seen.debug(
        &connection
            .list("")
            .await
            .map_err(|error| seen.error(&error)),
    );
    for known in declared() {
        match connection.read(&known.name).await {
            Ok(secret) => secret_paths(&secret, seen),
            Err(error) => seen.error(&error),
        }
    }
    if writes {
        write_paths(&connection, seen).await;
    }
    if let Ok(secrets) = builder().connect().await.unwrap().boot().await {
        secrets_paths(&secrets, seen).await;
    }
}

fn secret_paths(secret: &Secret, seen: &Seen) {
    seen.debug(secret);
    seen.debug(secret.metadata());
    seen.debug(&secret.fingerprint());
    seen.debug(&Live::fixed(secret.clone()));
    seen.debug(
        &secret
            .to_secret_string()
            .map_err(|error| seen.error(&error)),
    );
    for encoding in Encoding::ALL {
        if let Err(error) = encoding.decode(secret) {
            seen.error(&error);
        }
    }
}

async fn write_paths(connection: &strongroom::Connection, seen: &Seen) {
    let value = Secret::from_text(CANARY);
    let binary = Secret::from_bytes([CANARY.as_bytes(), &[0xff, 0]].concat());
    let huge = Secret::from_text(CANARY.repeat(2000));
    for (name, value) in [
        ("fresh", &value),
        ("binary", &binary),
        ("huge", &huge),
        ("a#b", &value),
    ] {
        let name: SecretName = name.parse().unwrap();
        for expect in [
            Expect::Absent,
            Expect::Absent,
            Expect::Version(strongroom::Version::new("no such")),
        ] {
            if let Err(error) = connection.put(&name, value, expect.clone()).await {
                seen.error(&error);
            }
            if let Err(error) = connection.delete(&name, expect).await {
                seen.error(&error);
            }
        }
        let cleared = connection.delete(&name, Expect::Any).await;
        seen.debug(&cleared.map_err(|error| seen.error(&error)));
    }
}

async fn secrets_paths(secrets: &Secrets, seen: &Seen) {
    seen.debug(secrets);
    seen.json(&secrets.health());
    live_paths(secrets, seen).await;
    // A name is no secret: errors repeat it, and the audit log records it. What is no name is not shown.
    for text in [
        "as/token",
        &format!("{CANARY}=x"),
        "not a name",
        "as/absent",
    ] {
        match secrets.get(text).await {
            Ok(secret) => secret_paths(&secret, seen),
            Err(error) => seen.error(&error),
        }
    }
    secrets.shutdown().await.unwrap();
    seen.debug(secrets);
}

/// What keeps secrets fresh: handles, types, events, reports, writes and what they refuse.
async fn live_paths(secrets: &Secrets, seen: &Seen) {
    let mut events = secrets.events();
    let view = secrets.scoped("as").unwrap();
    seen.debug(&view);
    seen.json(&view.health());
    for known in declared() {
        match view.watch(&known.name).await {
            Ok(live) => {
                seen.debug(&live);
                seen.debug(&live.changes());
                seen.debug(&live.previous());
                let used = live.current().unwrap();
                match live.report_rejected(&used).await {
                    Ok(next) => seen.debug(&next),
                    Err(error) => seen.error(&error),
                }
            }
            Err(error) => seen.error(&error),
        }
        // Weak, what can't be written, and what was there before.
        for text in [
            CANARY[..9].to_owned(),
            CANARY.repeat(2000),
            CANARY.to_owned(),
        ] {
            let value = Secret::from_text(text);
            let written = secrets.put(&known.name, &value, Expect::Any);
            seen.debug(&written.await.map_err(|error| seen.error(&error)));
        }
    }
    match secrets.watch_as::<Unbuildable>().await {
        Ok(live) => seen.debug(&live),
        Err(error) => seen.error(&error),
    }
    seen.debug(&secrets.refresh().await.map_err(|error| seen.error(&error)));
    seen.json(&secrets.health());
    let soon = std::time::Duration::from_millis(20);
    while let Ok(Some(event)) = tokio::time::timeout(soon, events.next()).await {
        seen.debug(&event);
        seen.json(&event);
        writeln!(seen.clone(), "{event}").unwrap();
    }
}

/// Is never built, and says so as its author would.
struct Unbuildable;

impl FromSecrets for Unbuildable {
    fn declared() -> Vec<Declared> {
        vec![Declared::new(
            SecretName::from_static("as/token"),
            Kind::Token,
        )]
    }

    fn from_secrets(found: &Loaded<'_>) -> strongroom::Result<Self> {
        let _token = found.get("as/token")?;
        Err(strongroom::Error::new(ErrorKind::Malformed, "no address"))
    }
}

/// Documents that hold the canary, sound and broken in every way that a parser complains about.
fn documents() -> Vec<(&'static str, String)> {
    let c = CANARY;
    vec![
        (
            "good.json",
            format!(r#"{{"as": {{"token": "{c}", "json": {{"k": "{c}"}}}}, "x": ["{c}"]}}"#),
        ),
        ("cut.json", format!(r#"{{"as": {{"token": "{c}"#)),
        (
            "twice.json",
            format!(r#"{{"as/token": "{c}", "as/token": "{c}"}}"#),
        ),
        ("escape.json", format!(r#"{{"as/token": "{c}\q"}}"#)),
        ("scalar.json", format!(r#""{c}""#)),
        ("bare.json", format!("{{as: {c}}}")),
        (
            "good.toml",
            format!("[as]\ntoken = \"{c}\"\npassword = '{c}'\n"),
        ),
        ("cut.toml", format!("[as]\ntoken = \"{c}\n")),
        ("twice.toml", format!("a = \"{c}\"\na = \"{c}\"\n")),
        ("bare.toml", format!("a = {c}\n")),
        ("date.toml", format!("a = 1979-05-27 {c}\n")),
        ("good.env", format!("AS_TOKEN={c}\nAS_PASSWORD=\"{c}\"\n")),
        ("cut.env", format!("AS_TOKEN=\"{c}\n")),
        ("twice.env", format!("AS_TOKEN={c}\nAS_TOKEN={c}\n")),
        ("garbage.env", format!("{c}\n")),
        ("spaces.env", format!("AS TOKEN = {c}\n")),
        ("good.yaml", format!("as:\n  token: {c}\n")),
        ("cut.yaml", format!("as: \"{c}\n  - [{c}\n")),
        ("twice.yaml", format!("a: {c}\na: {c}\n")),
        ("tag.yaml", format!("a: !!int {c}\n")),
        ("binary.json", format!("{{\"as\": \"{c}\u{0}\"}}")),
    ]
}

#[tokio::test]
async fn a_value_is_shown_by_no_path_of_the_api() {
    let seen = Seen::with_logs();
    let dir = tempfile::tempdir().unwrap();

    // Memory, sound and failing in every way.
    let memory = || {
        let filled = |memory: Memory, known: &Declared| memory.with(known.name.as_str(), CANARY);
        declared().iter().fold(Memory::new(), filled)
    };
    walk(|| builder(dir.path()).provider(memory()), &seen, true).await;
    for kind in [
        ErrorKind::Denied,
        ErrorKind::Auth,
        ErrorKind::Malformed,
        ErrorKind::Transient,
        ErrorKind::Integrity,
    ] {
        let failing = || {
            let memory = memory();
            memory.fail("as/token", kind);
            memory
        };
        walk(|| builder(dir.path()).provider(failing()), &seen, false).await;
    }
    seen.assert_clean(&[CANARY], "memory");

    // The audit log: its lines, what is read from it, and what it says where it can't be written.
    let log = dir.path().join("audit.jsonl");
    let key = "c0ffee0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d";
    std::fs::write(dir.path().join("audit.key"), key).unwrap();
    for manifest in ["reads = \"every\"", "fail_closed = true"] {
        let manifest = format!(
            "[default.audit]\npath = \"audit.jsonl\"\nkey_file = \"audit.key\"\n{manifest}\n"
        );
        let audited = || {
            builder(dir.path())
                .manifest_text(manifest.as_str())
                .provider(memory())
        };
        walk(audited, &seen, true).await;
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.contains("as/token"));
        writeln!(seen.clone(), "{text}").unwrap();
        let known = audit::Key::from_text(&Secret::from_text(key)).unwrap();
        seen.debug(&known);
        seen.json(&audit::verify(&log, &known, None).unwrap());
        // Somebody writes values where lines belong.
        std::fs::write(&log, format!("{text}{CANARY}\n{{\"{CANARY}\":1}}")).unwrap();
        seen.error(&audit::verify(&log, &known, None).unwrap_err());
        std::fs::remove_file(&log).unwrap();
        std::fs::create_dir(&log).unwrap();
        walk(audited, &seen, true).await;
        std::fs::remove_dir(&log).unwrap();
        for wrong in [CANARY, "not a key"] {
            std::fs::write(dir.path().join("audit.key"), wrong).unwrap();
            walk(audited, &seen, false).await;
        }
        std::fs::write(dir.path().join("audit.key"), key).unwrap();
    }
    seen.assert_clean(&[CANARY, key], "audit");
    std::fs::remove_file(dir.path().join("audit.key")).unwrap();

    // The environment, with and without files, and with what it refuses.
    let environment = |vars: Vec<(String, std::ffi::OsString)>| {
        let env = Env::empty()
            .with_var("STRONGROOM_ENV", "development")
            .with_working_dir(dir.path());
        let env = vars
            .into_iter()
            .fold(env, |env, (name, value)| env.with_var(name, value));
        SecretsFactory::builder()
            .env(env)
            .provider_url("env:".parse().unwrap())
    };
    let variables = || declared().into_iter().map(|known| known.name.to_variable());
    walk(
        || environment(variables().map(|name| (name, CANARY.into())).collect()),
        &seen,
        true,
    )
    .await;
    let file = dir.path().join("value");
    std::fs::write(&file, format!("{CANARY}\n\n")).unwrap();
    let files = variables().map(|name| (format!("{name}_FILE"), file.clone().into_os_string()));
    walk(|| environment(files.clone().collect()), &seen, true).await;
    let misplaced = variables().map(|name| (format!("{name}_FILE"), CANARY.into()));
    walk(|| environment(misplaced.clone().collect()), &seen, false).await;
    let bytes = std::os::unix::ffi::OsStringExt::from_vec([CANARY.as_bytes(), &[0xff]].concat());
    let bytes: std::ffi::OsString = bytes;
    walk(
        || environment(variables().map(|name| (name, bytes.clone())).collect()),
        &seen,
        false,
    )
    .await;
    seen.assert_clean(&[CANARY], "environment");

    // Directories and documents.
    let secrets = dir.path().join("secrets");
    std::fs::create_dir_all(secrets.join("as")).unwrap();
    for known in declared() {
        std::fs::write(secrets.join(known.name.as_str()), format!("{CANARY}\n")).unwrap();
    }
    let before = files_with_the_value(dir.path());
    walk(
        || builder(dir.path()).provider_url(ProviderUrl::new("file", "secrets")),
        &seen,
        true,
    )
    .await;
    assert_eq!(
        files_with_the_value(dir.path()),
        before,
        "a write left a copy behind"
    );
    for (file, text) in documents() {
        std::fs::write(dir.path().join(file), text).unwrap();
        let before = files_with_the_value(dir.path());
        walk(
            || builder(dir.path()).provider_url(ProviderUrl::new("file", file)),
            &seen,
            true,
        )
        .await;
        assert_eq!(
            files_with_the_value(dir.path()),
            before,
            "{file}: a write left a copy behind"
        );
        seen.assert_clean(&[CANARY], file);
    }

    // Manifests and variables that hold a value where none belongs.
    for manifest in [
        format!("[default]\nprovider = \"{CANARY}\""),
        format!("[default]\nprovider = \"env:?x={CANARY}\""),
        format!("[default.secrets.a]\nkind = \"{CANARY}\""),
        format!("[default.secrets.a]\nkind = \"token\"\nencoding = \"{CANARY}\""),
        format!("[default.secrets.a]\nkind = \"token\"\nmin_length = \"{CANARY}\""),
        format!("[default.secrets.a]\nkind = \"token\"\nrotate_after = \"{CANARY}\""),
        format!("[default.secrets.a]\nkind = \"token\"\ndefault = \"{CANARY}\"\n"),
        format!("[default.secrets.a]\nkind = \"token\"\ndefault = [\"{CANARY}\"]\n"),
        format!("[default\n{CANARY}"),
        format!("a = {CANARY}"),
    ] {
        walk(
            || builder(dir.path()).manifest_text(manifest.as_str()),
            &seen,
            false,
        )
        .await;
        seen.assert_clean(&[CANARY], "manifest");
    }
    for variable in [
        "STRONGROOM_PROVIDER",
        "STRONGROOM_ENV",
        "STRONGROOM_CFG_POLICY__MIN_LENGTH",
        "STRONGROOM_TOKEN",
        "VAULT_ADDR",
    ] {
        let env = Env::empty()
            .with_var(variable, CANARY)
            .with_working_dir(dir.path());
        walk(
            || {
                SecretsFactory::builder()
                    .env(env.clone())
                    .manifest_text("[default]")
            },
            &seen,
            false,
        )
        .await;
        seen.assert_clean(&[CANARY], variable);
    }

    // Panics: what `unwrap` prints.
    let panics = seen.clone();
    std::panic::set_hook(Box::new(move |info| {
        writeln!(panics.clone(), "{info}").unwrap()
    }));
    let held = Secret::from_text(CANARY);
    let outcome: Result<(), Secret> = Err(held);
    let unwrapped = std::panic::catch_unwind(|| std::hint::black_box(outcome).unwrap());
    assert!(unwrapped.is_err());
    let _ = std::panic::take_hook();
    seen.assert_clean(&[CANARY], "panic");
    assert!(seen.holds("panic"));
}

fn files_with_the_value(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with_the_value(&path));
        } else if std::fs::read(&path)
            .unwrap()
            .windows(10)
            .any(|part| part == &CANARY.as_bytes()[..10])
        {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}
