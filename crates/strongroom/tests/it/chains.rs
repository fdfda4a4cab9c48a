//! Chains: from a manifest to the secrets that each member answers.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{
    Backend, Connection, Env, ErrorKind, Memory, Operation, Result, SecretName, SecretProvider,
    SecretsBuilder, SecretsFactory, Strength,
};

mod rails;

const TOKEN: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
const OTHER: &str = "Wq8n_Zr3kV6t-Jd5xM1hC9bL4gP7sF2y";

/// A boot in a directory, in a declared deployment, on a manifest.
fn builder(dir: &Path, deployment: &str, manifest: &str) -> SecretsBuilder {
    let env = Env::empty()
        .with_working_dir(dir)
        .with_mounted_secrets(dir.join("no-mount"));
    let env = match deployment {
        "" => env,
        word => env.with_var("STRONGROOM_ENV", word),
    };
    SecretsFactory::builder()
        .env(
            env.with_var("APP_API_TOKEN", OTHER)
                .with_var("APP_DB_USER", "postgres"),
        )
        .manifest_text(manifest)
}

const OVERLAY: &str = r#"
[default]
provider = "chain:overlay,base"

[default.providers]
overlay = "file:.env"
base = "env:?prefix=APP_"

[default.secrets]
"api/token" = { kind = "token" }
"db/user" = { kind = "opaque" }
"db/password" = { kind = "password", required = false }
"#;

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn answering(connection: &Connection, text: &str) -> String {
    connection.describe_for(&name(text)).unwrap().address
}

#[tokio::test]
async fn an_overlay_answers_first_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let overlay = dir.path().join(".env");
    std::fs::write(&overlay, format!("API_TOKEN={TOKEN}\n")).unwrap();
    let connection = builder(dir.path(), "development", OVERLAY)
        .connect()
        .await
        .unwrap();
    assert_eq!(answering(&connection, "api/token"), "chain:overlay,base");
    let validation = connection.validate().await;
    assert!(validation.report.is_clean(), "{}", validation.report);
    let providers: Vec<_> = validation
        .secrets
        .iter()
        .map(|s| s.provider.as_str())
        .collect();
    assert_eq!(
        providers,
        ["file:.env", "chain:overlay,base", "env:?prefix=APP_"]
    );

    let secrets = connection.clone().boot().await.unwrap();
    assert!(secrets.get("api/token").await.unwrap().verify(TOKEN));
    assert!(secrets.get("db/user").await.unwrap().verify("postgres"));
    assert!(secrets.get_optional("db/password").await.unwrap().is_none());
    let health = secrets.health();
    let of = |name: &str| {
        health
            .secrets
            .iter()
            .find(|s| s.name.as_str() == name)
            .unwrap()
    };
    assert_eq!(of("db/user").provider, "env:?prefix=APP_");

    // The overlay gains one name and loses another; neither changes who answers.
    std::fs::write(&overlay, "DB_USER=root\n").unwrap();
    assert!(
        connection
            .read(&name("db/user"))
            .await
            .unwrap()
            .verify("postgres")
    );
    let gone = connection.read(&name("api/token")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Absent);
    // What nobody answered yet is looked for once more.
    std::fs::write(&overlay, "DB_PASSWORD=tall-violet-otter-42\n").unwrap();
    connection.read(&name("db/password")).await.unwrap();
    assert_eq!(answering(&connection, "db/password"), "file:.env");
}

#[tokio::test]
async fn a_sealed_file_is_a_member_and_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let (key, id) = (SlotKey::generate().unwrap(), FileId::random().unwrap());
    let text = key.to_text(id).unwrap();
    std::fs::write(dir.path().join("key"), text.expose_bytes()).unwrap();
    let sealed = dir.path().join("secrets.sealed");
    SealedFile::create(&sealed, id, &NewSlot::new("test", key)).unwrap();
    let manifest = "[default]\nprovider = \"chain:env,sealed\"\n[default.providers]\nenv = \"env:?prefix=APP_\"\n\
         sealed = \"sealed:secrets.sealed?key_file=key\"\n\
         [default.secrets]\n\"api/token\" = { kind = \"token\" }\n\"new\" = { kind = \"token\" }\n";
    let connection = builder(dir.path(), "development", manifest)
        .connect()
        .await
        .unwrap();
    let described = connection.describe();
    assert_eq!(
        (described.address.as_str(), described.writable),
        ("chain:env,sealed", true)
    );
    let value = strongroom::Secret::from_text(TOKEN);
    let expect = strongroom::provider::Expect::Absent;
    connection.put(&name("new"), &value, expect).await.unwrap();
    assert!(answering(&connection, "new").starts_with("sealed:"));
    // The environment answers for this one, and can't be written.
    let refused = connection
        .put(
            &name("api/token"),
            &value,
            strongroom::provider::Expect::Any,
        )
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let secrets = connection.boot().await.unwrap();
    assert!(secrets.get("new").await.unwrap().verify(TOKEN));
    assert!(secrets.get("api/token").await.unwrap().verify(OTHER));
}

#[tokio::test]
async fn a_member_that_fails_stops_the_boot() {
    let dir = tempfile::tempdir().unwrap();
    // An entry of the overlay that can't be read is no absence.
    std::fs::write(dir.path().join(".env"), "API_TOKEN='unclosed\n").unwrap();
    let outcome = match builder(dir.path(), "development", OVERLAY).connect().await {
        Ok(connection) => connection.boot().await.map(drop),
        Err(error) => Err(error),
    };
    let shown = format!("{:?}", outcome.unwrap_err());
    assert!(
        shown.contains(".env") && !shown.contains("unclosed"),
        "{shown}"
    );
}

#[tokio::test]
async fn fields_of_one_document_come_from_one_member() {
    let dir = tempfile::tempdir().unwrap();
    for (member, document) in [
        ("one", r#"{"user": "one"}"#),
        (
            "two",
            r#"{"user": "two", "password": "tall-violet-otter-42"}"#,
        ),
    ] {
        let member = dir.path().join(member);
        std::fs::create_dir(&member).unwrap();
        std::fs::write(member.join("db.json"), document).unwrap();
    }
    let manifest = "[default]\nprovider = \"chain:one,two\"\n\
                    [default.providers]\none = \"file:one\"\ntwo = \"file:two\"\n\
                    [default.secrets]\n\"db#user\" = { kind = \"opaque\" }\n\
                    \"db#password\" = { kind = \"password\" }\n";
    let boot = || builder(dir.path(), "development", manifest);
    let error = boot().detect().await.unwrap_err();
    let report = error.report().unwrap().to_string();
    assert!(
        report.contains("db#password") && report.contains("`one` answers for all of `db`"),
        "{report}"
    );
    // A tool that reads the password alone is told the same.
    let connection = boot().connect().await.unwrap();
    let alone = connection.read(&name("db#password")).await.unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::Absent);
    std::fs::remove_file(dir.path().join("one/db.json")).unwrap();
    let secrets = boot().detect().await.unwrap();
    assert!(secrets.get("db#user").await.unwrap().verify("two"));
}

#[test]
fn the_trace_shows_the_members() {
    let dir = tempfile::tempdir().unwrap();
    let detection = builder(dir.path(), "development", OVERLAY)
        .explain()
        .unwrap();
    let chosen = detection.chosen().unwrap();
    assert_eq!(chosen.address, "chain:overlay,base");
    let members: Vec<_> = chosen
        .members
        .iter()
        .map(|m| (m.name.as_str(), m.address.as_str()))
        .collect();
    assert_eq!(
        members,
        [("overlay", "file:.env"), ("base", "env:?prefix=APP_")]
    );
    let shown = detection.to_string();
    for line in [
        "\n  member    overlay file:.env\n",
        "\n  member    base    env:?prefix=APP_\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let json = serde_json::to_string(&detection).unwrap();
    assert!(
        json.contains(r#""members":[{"name":"overlay","address":"file:.env"}"#),
        "{json}"
    );
}

#[tokio::test]
async fn any_place_that_takes_an_address_can_name_a_chain() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = OVERLAY.replacen(
        "provider = \"chain:overlay,base\"",
        "provider = \"env:\"",
        1,
    );
    std::fs::write(dir.path().join(".env"), "").unwrap();
    let flag =
        builder(dir.path(), "test", &manifest).provider_url("chain:base,overlay".parse().unwrap());
    let connection = flag.connect().await.unwrap();
    assert_eq!(connection.describe().address, "chain:base,overlay");
    let env = Env::empty()
        .with_working_dir(dir.path())
        .with_var("STRONGROOM_ENV", "test")
        .with_var("STRONGROOM_PROVIDER", "chain:base,overlay");
    let variable = builder(dir.path(), "test", &manifest).env(env);
    let connection = variable.clone().connect().await.unwrap();
    assert_eq!(connection.describe().address, "chain:base,overlay");
    let all: Vec<_> = connection
        .describe_all()
        .into_iter()
        .map(|d| d.scheme)
        .collect();
    assert_eq!(all, ["env", "file"]);

    let error = variable.explain_connect().unwrap_err();
    assert!(error.to_string().contains("several providers"), "{error}");
    let examination = variable.examine().await.unwrap();
    let names: Vec<_> = examination
        .providers
        .iter()
        .map(|p| p.provider.as_deref())
        .collect();
    assert_eq!(names, [Some("base"), Some("overlay")]);
}

#[tokio::test]
async fn a_source_names_a_member_directly() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), format!("API_TOKEN={TOKEN}\n")).unwrap();
    let manifest = OVERLAY.replacen(
        "{ kind = \"token\" }",
        "{ kind = \"token\", source = { provider = \"base\" } }",
        1,
    );
    let secrets = builder(dir.path(), "development", &manifest)
        .detect()
        .await
        .unwrap();
    assert!(secrets.get("api/token").await.unwrap().verify(OTHER));

    let leased = OVERLAY.replacen(
        "{ kind = \"token\" }",
        "{ kind = \"token\", source = { id = \"db/creds/app\", lease = true } }",
        1,
    );
    let error = builder(dir.path(), "development", &leased)
        .connect()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("api/token"), "{error}");
    assert!(error.help().unwrap().contains("`provider`"), "{error:?}");
}

#[test]
fn what_is_wrong_with_a_chain_says_what_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let nine = format!("chain:{}", ["overlay"; 9].join(","));
    let cases = [
        ("chain:", "from 2 to 8", "overlay"),
        ("chain:overlay", "from 2 to 8", "base, overlay"),
        (nine.as_str(), "from 2 to 8", "overlay"),
        ("chain:overlay,overlay", "`overlay` twice", "base"),
        ("chain:overlay,bse", "provider 2", "did you mean `base`?"),
        ("chain:overlay,file:canary", "provider 2", "base, overlay"),
        ("chain:overlay,", "provider 2", "base, overlay"),
        ("chain://overlay", "nothing but the names", "`chain:`"),
        (
            "chain:overlay,base?canary=canary",
            "nothing but the names",
            "`chain:`",
        ),
        ("chian:overlay,base", "`chian:`", "did you mean `chain:`?"),
    ];
    for (address, says, help) in cases {
        let url = address.parse().unwrap();
        let detection = builder(dir.path(), "development", OVERLAY)
            .provider_url(url)
            .explain()
            .unwrap();
        let error = detection.chosen().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{address}");
        assert!(error.to_string().contains(says), "{address}: {error}");
        assert!(error.help().unwrap().contains(help), "{address}: {error:?}");
        let shown = format!("{error:?}{detection}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    let none = builder(
        dir.path(),
        "development",
        "[default]\nprovider = \"chain:a,b\"\n",
    );
    let error = none.explain().unwrap().chosen().unwrap_err();
    assert!(
        error.help().unwrap().contains("[default.providers]"),
        "{error:?}"
    );

    let nested = OVERLAY.replace("base = \"env:?prefix=APP_\"", "base = \"chain:overlay,x\"");
    let error = builder(dir.path(), "development", &nested)
        .explain()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("`providers.base` is a chain"),
        "{error}"
    );
    assert!(error.help().unwrap().contains("as `provider`"), "{error:?}");

    let unknown = OVERLAY.replace("base = \"env:", "base = \"evn:");
    let error = builder(dir.path(), "development", &unknown)
        .explain()
        .unwrap()
        .chosen()
        .unwrap_err();
    assert!(error.to_string().contains("its provider `base`"), "{error}");
    assert!(error.help().unwrap().contains("`env:`"), "{error:?}");
}

#[tokio::test]
async fn allow_providers_limits_every_member() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), "").unwrap();
    let with = |rules: &str| {
        let manifest = OVERLAY.replacen(
            "[default]\n",
            &format!("[default]\nallow_providers = [{rules}]\n"),
            1,
        );
        builder(dir.path(), "development", &manifest)
    };
    for (rules, refused) in [
        ("\"env\"", "overlay"),
        ("\"file\"", "base"),
        ("\"chain\"", "overlay"),
    ] {
        let detection = with(rules).explain().unwrap();
        let error = detection.chosen().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(
            error.to_string().contains(&format!("`{refused}`")),
            "{error}"
        );
        assert_eq!(
            with(rules).connect().await.unwrap_err().kind(),
            ErrorKind::Policy
        );
    }
    with("\"env\", \"file:.env\"").connect().await.unwrap();
}

#[tokio::test]
async fn a_chain_of_one_remote_member_is_tried_again() {
    static MEMORY: LazyLock<Memory> = LazyLock::new(|| Memory::new().with("a", "value"));
    let store = Backend::new("store", "a store", |_| {
        Box::pin(async { Ok(Arc::new(MEMORY.clone()) as Arc<dyn SecretProvider>) })
    });
    let manifest = "[default]\nprovider = \"chain:store,env\"\n[default.retry]\nattempts = 2\n\
                    [default.providers]\nstore = \"store:\"\nenv = \"env:\"\n";
    let dir = tempfile::tempdir().unwrap();
    let connect = builder(dir.path(), "development", manifest)
        .backend(store.remote())
        .connect();
    let connection = connect.await.unwrap();
    MEMORY.fail("a", ErrorKind::Transient);
    let error = connection.read(&name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(MEMORY.calls(Operation::Fetch), 2);
}
