//! Document mode.

use super::*;
use crate::backends::plain_file::document::MAX_DOCUMENT_BYTES;

const JSON: &str =
    r#"{"database": {"password": "p", "port": 5432}, "flat.key": "f", "API_TOKEN": "t"}"#;
const TOML: &str = "\"flat.key\" = 'f'\nAPI_TOKEN = 't'\n[database]\npassword = 'p'\nport = 5432\n";
const DOTENV: &str = "DATABASE_PASSWORD=p\nDATABASE_PORT=5432\nflat_key=f\nAPI_TOKEN=t\n";
#[cfg(feature = "yaml")]
const YAML: &str = "flat.key: f\nAPI_TOKEN: t\ndatabase:\n  password: p\n  port: 5432\n";

fn every_format() -> Vec<(&'static str, &'static str)> {
    vec![
        ("secrets.json", JSON),
        ("secrets.toml", TOML),
        (".env", DOTENV),
        ("app.env", DOTENV),
        (".env.local", DOTENV),
        #[cfg(feature = "yaml")]
        ("secrets.yaml", YAML),
        #[cfg(feature = "yaml")]
        ("secrets.yml", YAML),
    ]
}

#[tokio::test]
async fn every_format_answers_the_same_names() {
    for (file, content) in every_format() {
        let dir = dir();
        let provider = open_at(&write(dir.path(), file, content)).await;
        for (name, value) in [
            ("database/password", "p"),
            ("database#password", "p"),
            ("database/port", "5432"),
            ("flat/key", "f"),
            ("api/token", "t"),
            ("api#token", "t"),
        ] {
            assert_eq!(text(&provider, name).await, value, "{name} in {file}");
        }
        let error = refused(&provider, "other").await;
        assert_eq!(error.kind(), ErrorKind::Absent);
        for name in list(&provider).await {
            fetch(&provider, &name).await.unwrap();
        }
        assert_eq!(list(&provider).await.len(), 4, "{file}");
        assert_eq!(provider.list("API").await.unwrap(), [name("API_TOKEN")]);
        assert!(provider.health().await.unwrap().degraded.is_empty());
    }
}

#[tokio::test]
async fn provenance_and_versions() {
    let dir = dir();
    for (file, content) in every_format() {
        let path = write(dir.path(), file, content);
        let provider = open_at(&path).await;
        let secret = fetch(&provider, "api/token").await.unwrap();
        let provenance = secret.metadata().provenance();
        assert_eq!(provenance.file_mode, Some(0o600));
        let wiped = file.ends_with(".json") || file.contains("env");
        assert_eq!(provenance.wipeable, wiped, "{file}");
        let known = secret.metadata().version().unwrap().clone();
        let ask = Request::from(name("api/token")).with_known(known);
        let reply = provider
            .fetch(std::slice::from_ref(&ask))
            .await
            .pop()
            .unwrap();
        assert!(matches!(reply, Ok(Reply::Unchanged)));
        write(
            dir.path(),
            file,
            content.replace('t', "u").replace("u = ", "t = "),
        );
        fs::rename(&path, dir.path().join("old")).unwrap();
        write(dir.path(), file, content);
        let reply = provider.fetch(&[ask]).await.pop().unwrap();
        assert!(matches!(reply, Ok(Reply::Value(_))));
    }
}

#[tokio::test]
async fn two_spellings_are_an_error_that_names_both() {
    for (file, content, first, second) in [
        (
            "a.json",
            r#"{"db": {"pass": 1}, "db.pass": 2}"#,
            "db → pass",
            "db.pass",
        ),
        (
            "a.toml",
            "db_pass = 1\n'db/pass' = 2\n",
            "db/pass",
            "db_pass",
        ),
        (".env", "db_pass=1\nDB_PASS=2\n", "db_pass", "DB_PASS"),
    ] {
        let dir = dir();
        let path = write(dir.path(), file, content);
        let provider = open_at(&path).await;
        for asked in ["db/pass", "db#pass"] {
            let error = refused(&provider, asked).await;
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = error.to_string();
            assert!(shown.contains(first) && shown.contains(second), "{shown}");
        }
        let error = try_open(connect(&path).with_declared(declare(&["db/pass"])));
        assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn two_declared_names_on_one_key_are_an_error_that_names_both() {
    let dir = dir();
    let path = write(dir.path(), ".env", "A_B=v\nC=w\n");
    let connect = connect(&path).with_declared(declare(&["a/b", "a-b", "c"]));
    let error = try_open(connect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let shown = error.to_string();
    assert!(
        shown.contains("`a/b`") && shown.contains("`a-b`") && shown.contains("A_B"),
        "{shown}"
    );
}

#[tokio::test]
async fn malformed_documents_are_placed_and_never_quoted() {
    let dir = dir();
    for (file, good, content) in [
        ("a.json", "{}", format!("{{\n\"a\": \"{CANARY}\" {CANARY}")),
        (
            "a.json",
            "{}",
            format!("{{\n\"a\": 1, \"a\": \"{CANARY}\"}}"),
        ),
        ("a.toml", "", format!("\na = '{CANARY}' {CANARY}\n")),
        ("a.toml", "", format!("\na = {CANARY}\n")),
        (".env", "", format!("\n{CANARY}\n")),
        (".env", "", format!("\nA='{CANARY}\n")),
        #[cfg(feature = "yaml")]
        ("a.yaml", "{}", format!("b: 1\na: '{CANARY}' {CANARY}\n")),
    ] {
        let path = write(dir.path(), file, good);
        let provider = open_at(&path).await;
        write(dir.path(), file, content);
        for error in [
            refused(&provider, "a").await,
            provider.health().await.unwrap_err(),
            provider.list("").await.unwrap_err(),
            try_open(connect(&path)).await.unwrap_err(),
        ] {
            let shown = format!("{error:?}");
            assert_eq!(error.kind(), ErrorKind::Malformed, "{shown}");
            assert!(shown.contains(path.to_str().unwrap()), "{shown}");
            assert!(shown.contains("line 2"), "{shown}");
            assert!(!shown.contains(CANARY), "{shown}");
        }
    }
}

#[tokio::test]
async fn the_size_of_a_document_is_bounded() {
    let dir = dir();
    let filled = |size: usize| {
        let mut content = b"A=b\n#".to_vec();
        content.resize(size, b'x');
        content
    };
    let path = write(dir.path(), ".env", filled(MAX_DOCUMENT_BYTES));
    let provider = open_at(&path).await;
    assert_eq!(text(&provider, "a").await, "b");
    write(dir.path(), ".env", filled(MAX_DOCUMENT_BYTES + 1));
    assert_eq!(refused(&provider, "a").await.kind(), ErrorKind::Malformed);
    assert_eq!(
        put(&provider, "a", "c").await.unwrap_err().kind(),
        ErrorKind::Malformed
    );
    write(
        dir.path(),
        ".env",
        format!("A={}", "x".repeat(MAX_VALUE_BYTES + 1)),
    );
    assert_eq!(refused(&provider, "a").await.kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn dotenv_is_written_in_place() {
    let dir = dir();
    let path = write(dir.path(), ".env", "# top\nA=1 # one\n\nB='2'\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let provider = open_at(&path).await;
    assert!(provider.describe().writable);
    put(&provider, "a", "x y").await.unwrap();
    put(&provider, "new/name", "pa$word").await.unwrap();
    let version = put(&provider, "b", "3").await.unwrap();
    let expected = "# top\nA='x y' # one\n\nB=3\nNEW_NAME='pa$word'\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let secret = fetch(&provider, "new/name").await.unwrap();
    assert_eq!(secret.metadata().version(), Some(&version));

    let expect = |expect| Put::new(target("a"), Secret::from_text("z")).with_expect(expect);
    for wrong in [Expect::Absent, Expect::Version(Version::new("other"))] {
        let error = provider.put(&expect(wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    provider
        .put(&expect(Expect::Version(version)))
        .await
        .unwrap();
    provider.delete(&target("a"), &Expect::Any).await.unwrap();
    let expected = "# top\n\nB=3\nNEW_NAME='pa$word'\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    let error = provider
        .delete(&target("a"), &Expect::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);

    let binary = Put::new(target("a"), Secret::from_bytes(vec![0xff]));
    let error = provider.put(&binary).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.help().unwrap().contains("encoding"));
    let error = put(&provider, "a", "nul\0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    // No variable begins with a digit.
    put(&provider, "1st", "digit").await.unwrap();
    assert_eq!(text(&provider, "1st").await, "digit");
    assert!(fs::read_to_string(&path).unwrap().ends_with("_1ST=digit\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_one_dotenv_lose_nothing() {
    let dir = dir();
    let path = write(dir.path(), ".env", "# kept\n");
    two_writers_lose_nothing(&path).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "# kept\nCOUNTER=80\n");
}

#[tokio::test]
async fn the_others_are_read_only() {
    let dir = dir();
    for (file, content) in every_format() {
        if file.contains("env") {
            continue;
        }
        let provider = open_at(&write(dir.path(), file, content)).await;
        assert!(!provider.describe().writable);
        for error in [
            put(&provider, "api/token", "x").await.unwrap_err(),
            provider
                .delete(&target("api/token"), &Expect::Any)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.help().is_some());
        }
        assert_eq!(fs::read_to_string(dir.path().join(file)).unwrap(), content);
    }
}

#[tokio::test]
async fn links_and_special_files_are_refused() {
    let outside = dir();
    let other = write(outside.path(), "other.env", format!("A={CANARY}"));
    let dir = dir();
    symlink(&other, dir.path().join("link.env")).unwrap();
    let error = try_open(connect(&dir.path().join("link.env")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");

    write(dir.path(), "real.env", "A=v");
    symlink("real.env", dir.path().join("inner.env")).unwrap();
    let provider = open_at(&dir.path().join("inner.env")).await;
    assert_eq!(text(&provider, "a").await, "v");
    let error = put(&provider, "a", "w").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    let fifo = dir.path().join("fifo.env");
    make_fifo(&fifo);
    let opened = tokio::time::timeout(Duration::from_secs(20), try_open(connect(&fifo)));
    let error = opened.await.expect("it must not hang").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[cfg(not(feature = "yaml"))]
#[tokio::test]
async fn without_the_feature_yaml_is_an_error_that_names_it() {
    let dir = dir();
    let path = write(dir.path(), "a.yaml", "a: 1");
    let error = try_open(connect(&path)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.help().unwrap().contains("`yaml`"));
}
