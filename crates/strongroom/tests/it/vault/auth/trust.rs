//! A manifest in a checkout of somebody else's, which a tool found by searching.

use std::path::Path;

use strongroom::{Env, ErrorKind, SecretsBuilder, SecretsFactory};

/// A tool that runs in `dir`, with a token in its environment.
fn tool(dir: &Path, manifest: &str) -> SecretsBuilder {
    std::fs::write(dir.join("strongroom.toml"), manifest).unwrap();
    let env = Env::empty()
        .with_working_dir(dir)
        .with_var("STRONGROOM_ENV", "development")
        .with_var("VAULT_TOKEN", "canary-token");
    SecretsFactory::builder().env(env).distrust_found_manifest()
}

const MAIN: &str = "[default]\nprovider = \"vault+http://127.0.0.1:1/kv\"\n\
                    [default.secrets]\n\"db/password\" = { kind = \"password\" }\n";

const NAMED: &str = "[default]\nprovider = \"env:?prefix=APP_\"\n\
                     [default.providers]\ntheirs = \"vault+http://127.0.0.1:1/kv\"\n\
                     [default.secrets]\n\
                     \"db/password\" = { kind = \"password\", source = { provider = \"theirs\" } }\n";

const CHAINED: &str = "[default]\nprovider = \"chain:ours,theirs\"\n\
                       [default.providers]\nours = \"env:?prefix=APP_\"\n\
                       theirs = \"vault+http://127.0.0.1:1/kv\"\n\
                       [default.secrets]\n\"db/password\" = { kind = \"password\" }\n";

#[tokio::test]
async fn its_address_gets_no_credential() {
    let dir = tempfile::tempdir().unwrap();
    for manifest in [MAIN, NAMED, CHAINED] {
        let error = tool(dir.path(), manifest).connect().await.unwrap_err();
        let shown = format!("{error:?}");
        assert_eq!(error.kind(), ErrorKind::Config, "{shown}");
        assert!(
            shown.contains("--manifest") && shown.contains("127.0.0.1:1"),
            "{shown}"
        );
        // Somebody names the manifest, or the service trusts its own working directory.
        let file = dir.path().join("strongroom.toml");
        tool(dir.path(), manifest)
            .manifest_file(file)
            .connect()
            .await
            .unwrap();
    }
    let connect = tool(dir.path(), MAIN).explain_connect().unwrap();
    assert!(!connect.is_trusted());
}

#[tokio::test]
async fn a_server_that_the_environment_names_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let with = |address: &str| {
        let env = Env::empty()
            .with_working_dir(dir.path())
            .with_var("STRONGROOM_ENV", "development")
            .with_var("VAULT_ADDR", address)
            .with_var("VAULT_TOKEN", "canary-token");
        tool(dir.path(), MAIN).env(env)
    };
    with("http://127.0.0.1:1").connect().await.unwrap();
    for other in ["http://127.0.0.1:2", "https://127.0.0.1:1"] {
        let error = with(other).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
    // An address that came from elsewhere is whoever's who gave it.
    let url = "vault+http://127.0.0.1:1/kv".parse().unwrap();
    let builder = tool(dir.path(), MAIN).provider_url(url);
    assert!(builder.explain_connect().unwrap().is_trusted());
    builder.connect().await.unwrap();
}

/// Who says which certificate proves the named server can stand in its place.
#[tokio::test]
async fn it_does_not_say_how_the_named_server_is_known() {
    let dir = tempfile::tempdir().unwrap();
    for query in ["ca_file=ca.pem", "server_name=vault.internal"] {
        let manifest = format!("[default]\nprovider = \"vault+http://127.0.0.1:1/kv?{query}\"\n");
        let env = Env::empty()
            .with_working_dir(dir.path())
            .with_var("STRONGROOM_ENV", "development")
            .with_var("VAULT_ADDR", "http://127.0.0.1:1")
            .with_var("VAULT_TOKEN", "canary-token");
        let error = tool(dir.path(), &manifest).env(env).connect().await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{query}: {error}");
        let key = query.split('=').next().unwrap();
        assert!(
            error.to_string().contains(&format!("`{key}` stands in")),
            "{error}"
        );
    }
}
