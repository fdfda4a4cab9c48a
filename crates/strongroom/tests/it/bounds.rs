//! How much a manifest and an address may say: at each bound, and one beyond it.

use strongroom::{Env, ErrorKind, SecretsBuilder, SecretsFactory};

fn builder(manifest: String) -> SecretsBuilder {
    let env = Env::empty()
        .with_var("STRONGROOM_PROVIDER", "env:")
        .with_working_dir("/nonexistent");
    SecretsFactory::builder().env(env).manifest_text(manifest)
}

#[track_caller]
fn refused(manifest: String, bound: &str) {
    let error = builder(manifest).explain().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains(bound), "{error}");
}

#[test]
fn a_manifest_declares_at_most_1024_secrets() {
    let of = |count: usize| -> String {
        let secret = |n| format!("\"a{n}\" = {{ kind = \"token\", required = false }}\n");
        let secrets: String = (0..count).map(secret).collect();
        format!("[default.secrets]\n{secrets}")
    };
    builder(of(1024)).explain().unwrap();
    refused(of(1025), "1024");
}

#[test]
fn a_manifest_names_at_most_64_providers() {
    let of = |count: usize| -> String {
        let providers: String = (0..count).map(|n| format!("p{n} = \"env:\"\n")).collect();
        format!("[default.providers]\n{providers}")
    };
    builder(of(64)).explain().unwrap();
    refused(of(65), "64");
}

#[test]
fn a_manifest_has_at_most_1_mib() {
    const MOST: usize = 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let explain = |length: usize| {
        let begin = "[default]\nprovider = \"env:\"\n#";
        let text = format!("{begin}{}", "x".repeat(length - begin.len()));
        std::fs::write(dir.path().join("strongroom.toml"), text).unwrap();
        let env = Env::empty().with_working_dir(dir.path());
        SecretsFactory::builder().env(env).explain()
    };
    explain(MOST).unwrap();
    let error = explain(MOST + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(format!("{error:?}").contains("1 MiB"), "{error:?}");
}

// Anything quadratic takes minutes here, and the runner's limit ends it.
#[test]
fn a_manifest_of_many_keys_is_read_in_linear_time() {
    let keys: String = (0..60_000).map(|n| format!("k{n} = 1\n")).collect();
    refused(format!("[default]\n{keys}"), "unknown key");
}

#[test]
fn a_chain_has_at_most_8_members() {
    let of = |count: usize| -> String {
        let names: Vec<_> = (0..count).map(|n| format!("p{n}")).collect();
        let providers: String = names
            .iter()
            .map(|name| format!("{name} = \"memory:\"\n"))
            .collect();
        let chain = names.join(",");
        format!("[default]\nprovider = \"chain:{chain}\"\n[default.providers]\n{providers}")
    };
    let explain = |count: usize| {
        let env = Env::empty().with_working_dir("/nonexistent");
        SecretsFactory::builder()
            .env(env)
            .manifest_text(of(count))
            .explain()
    };
    assert_eq!(explain(8).unwrap().chosen().unwrap().members.len(), 8);
    let shown = match explain(9) {
        Ok(detection) => format!("{:?}", detection.chosen().unwrap_err()),
        Err(error) => format!("{error:?}"),
    };
    assert!(shown.contains('8'), "{shown}");
}
