//! Directory mode: where a secret is found, what is read, what is listed.

use super::*;

mod kubernetes;
mod writing;

#[tokio::test]
async fn every_spelling_is_found() {
    for (file, content, asked) in [
        ("database/password", "v", "database/password"),
        ("database.password", "v", "database/password"),
        ("database_password", "v", "database/password"),
        ("DATABASE_PASSWORD", "v", "database/password"),
        ("session/signing-key", "v", "session/signing-key"),
        ("SESSION_SIGNING_KEY", "v", "session/signing-key"),
        (
            "database.json",
            "{\"password\": \"v\"}",
            "database#password",
        ),
        (
            "team/database.json",
            "{\"password\": \"v\"}",
            "team/database#password",
        ),
        (
            "team.database.json",
            "{\"password\": \"v\"}",
            "team/database#password",
        ),
        ("database.password", "v", "database#password"),
        ("DATABASE_PASSWORD", "v", "database#password"),
    ] {
        let dir = dir();
        write(dir.path(), file, content);
        let provider = open_at(dir.path()).await;
        assert_eq!(text(&provider, asked).await, "v", "{asked} in {file}");
        let error = refused(&provider, "another/name").await;
        assert_eq!(error.kind(), ErrorKind::Absent);
    }
}

#[tokio::test]
async fn fields_come_as_their_json_text_and_the_document_as_a_whole() {
    let dir = dir();
    let document = "{\"user\": \"u\", \"port\": 5432.0, \"tags\": [1, 2]}";
    write(dir.path(), "database.json", document);
    let provider = open_at(dir.path()).await;
    assert_eq!(text(&provider, "database#port").await, "5432.0");
    assert_eq!(text(&provider, "database#tags").await, "[1, 2]");
    assert_eq!(text(&provider, "database").await, document);
    assert_eq!(
        refused(&provider, "database#other").await.kind(),
        ErrorKind::Absent
    );
    let secret = fetch(&provider, "database#user").await.unwrap();
    assert!(secret.metadata().provenance().wipeable);
}

#[tokio::test]
async fn an_id_is_exactly_one_path() {
    let dir = dir();
    write(dir.path(), "odd name!.txt", "v");
    write(dir.path(), "odd.json", "{\"k\": \"w\"}");
    let provider = open_at(dir.path()).await;
    let get = async |target: Target| {
        let reply = provider.fetch(&[Request::new(target)]).await.pop().unwrap();
        match reply.unwrap() {
            Reply::Value(secret) => secret.expose_str().unwrap().to_owned(),
            Reply::Unchanged => unreachable!(),
        }
    };
    assert_eq!(get(target("a").with_id("odd name!.txt", None)).await, "v");
    assert_eq!(
        get(target("a").with_id("odd.json", Some("k".into()))).await,
        "w"
    );
}

#[tokio::test]
async fn two_spellings_are_an_error_that_names_both() {
    for (first, second, asked) in [
        (
            "database/password",
            "DATABASE_PASSWORD",
            "database/password",
        ),
        (
            "database.password",
            "database_password",
            "database/password",
        ),
        ("database.json", "database_password", "database#password"),
        ("a.b.json", "a_b.json", "a/b"),
        ("a/b.json", "a_b.json", "a/b"),
    ] {
        let dir = dir();
        write(dir.path(), first, "{\"password\": \"v\"}");
        write(dir.path(), second, "v");
        let provider = open_at(dir.path()).await;
        let error = refused(&provider, asked).await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(first), "{error}");
        assert!(error.to_string().contains(second), "{error}");
        // A write would not know which of the two it means.
        assert_eq!(
            put(&provider, asked, "x").await.unwrap_err().kind(),
            ErrorKind::Config
        );
        // Declared, it stops the boot.
        let declared = connect(dir.path()).with_declared(declare(&[asked]));
        assert_eq!(
            try_open(declared).await.unwrap_err().kind(),
            ErrorKind::Config
        );
    }
}

#[tokio::test]
async fn two_declared_names_on_one_file_are_an_error_that_names_both() {
    let dir = dir();
    write(dir.path(), "A_B", "v");
    let connected = || connect(dir.path()).with_declared(declare(&["a/b", "a-b", "other"]));
    let error = try_open(connected()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in ["`a/b`", "`a-b`", "A_B"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // Files of their own are fine, and a shared one that comes later is refused when it is read.
    fs::remove_file(dir.path().join("A_B")).unwrap();
    write(dir.path(), "a/b", "1");
    write(dir.path(), "a-b", "2");
    let provider = try_open(connected()).await.unwrap();
    assert_eq!(text(&provider, "a-b").await, "2");
    fs::remove_file(dir.path().join("a-b")).unwrap();
    write(dir.path(), "A_B", "3");
    assert_eq!(refused(&provider, "a-b").await.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn one_trailing_newline_is_taken_from_text_and_none_from_bytes() {
    let dir = dir();
    let connect = connect(dir.path());
    let rails = connect.rails.clone();
    let provider = try_open(connect).await.unwrap();
    for (content, expected, warns) in [
        (&b"abc"[..], &b"abc"[..], false),
        (b"abc\n", b"abc", false),
        (b"abc\r\n", b"abc", false),
        (b"abc\r", b"abc\r", false),
        (b"\n", b"", false),
        (b"", b"", false),
        (b"a\xff\n", b"a\xff\n", false),
        (b"abc\n\n", b"abc\n", true),
    ] {
        write(dir.path(), "token", content);
        let secret = fetch(&provider, "token").await.unwrap();
        assert_eq!(secret.expose_bytes(), expected);
        let said = rails
            .said()
            .iter()
            .any(|finding| finding.rule == "trailing-newline");
        assert_eq!(said, warns, "{content:?}");
    }
}

#[tokio::test]
async fn the_size_of_a_value_is_bounded() {
    let dir = dir();
    let provider = open_at(dir.path()).await;
    let most = "a".repeat(MAX_VALUE_BYTES);
    for fits in [most.clone(), format!("{most}\n"), format!("{most}\r\n")] {
        write(dir.path(), "token", fits);
        assert_eq!(text(&provider, "token").await, most);
    }
    for too_large in [
        format!("{most}a"),
        format!("{most}aa\n"),
        "a".repeat(1 << 24),
    ] {
        write(dir.path(), "token", too_large);
        assert_eq!(
            refused(&provider, "token").await.kind(),
            ErrorKind::Malformed
        );
    }
    put(&provider, "new", &most).await.unwrap();
    assert_eq!(text(&provider, "new").await, most);
    let error = put(&provider, "new", &format!("{most}a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    // A document may be larger than a value, but not without bound.
    let filler = "f".repeat(super::super::document::MAX_DOCUMENT_BYTES);
    write(
        dir.path(),
        "big.json",
        format!("{{\"k\": \"v\", \"f\": \"{filler}\"}}"),
    );
    assert_eq!(
        refused(&provider, "big#k").await.kind(),
        ErrorKind::Malformed
    );
    write(
        dir.path(),
        "big.json",
        format!("{{\"k\": \"v\", \"f\": \"{most}a\"}}"),
    );
    assert_eq!(text(&provider, "big#k").await, "v");
    assert_eq!(
        refused(&provider, "big#f").await.kind(),
        ErrorKind::Malformed
    );
}

#[tokio::test]
async fn nothing_leaves_the_root() {
    let outside = dir();
    write(outside.path(), "token", CANARY);
    let dir = dir();
    symlink(outside.path().join("token"), dir.path().join("absolute")).unwrap();
    let relative = Path::new("..").join(outside.path().file_name().unwrap());
    symlink(relative.join("token"), dir.path().join("relative")).unwrap();
    symlink(&relative, dir.path().join("folder")).unwrap();
    // A `..data` that leads out is refused for every name.
    for target in [outside.path(), relative.as_path()] {
        symlink(target, dir.path().join("..data")).unwrap();
        let error = try_open(connect(dir.path())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        fs::remove_file(dir.path().join("..data")).unwrap();
    }
    let provider = open_at(dir.path()).await;
    for name in ["absolute", "relative", "folder/token"] {
        let error = refused(&provider, name).await;
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        assert!(error.to_string().contains("leads out of"), "{error}");
        put(&provider, name, "overwritten").await.unwrap_err();
    }
    assert_eq!(
        fs::read_to_string(outside.path().join("token")).unwrap(),
        CANARY
    );
    assert!(list(&provider).await.is_empty());
    // Inside the root links are fine to read.
    write(dir.path(), "real/token", "v");
    symlink("real/token", dir.path().join("inside")).unwrap();
    assert_eq!(text(&provider, "inside").await, "v");
    symlink("loop", dir.path().join("loop")).unwrap();
    assert_eq!(
        refused(&provider, "loop").await.kind(),
        ErrorKind::Malformed
    );
}

#[tokio::test]
async fn what_is_not_a_file_is_refused_at_once() {
    let dir = dir();
    let fifo = dir.path().join("fifo");
    make_fifo(&fifo);
    fs::create_dir(dir.path().join("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let provider = open_at(dir.path()).await;
    for (name, what) in [
        ("fifo", "FIFO"),
        ("folder", "directory"),
        ("socket", "socket"),
    ] {
        let asked = tokio::time::timeout(Duration::from_secs(20), refused(&provider, name));
        let error = asked.await.expect("it must not hang");
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(list(&provider).await.is_empty());
    // The platform's own device, where there is one.
    if Path::new("/dev/null").exists() {
        let error = fetch(&open_at(Path::new("/dev")).await, "null")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

#[tokio::test]
async fn versions_tell_whether_a_file_changed() {
    let dir = dir();
    write(dir.path(), "token", "one");
    let provider = open_at(dir.path()).await;
    let first = fetch(&provider, "token").await.unwrap();
    let version = first.metadata().version().unwrap().clone();
    assert!(first.metadata().created().is_some());
    let ask = || Request::from(name("token")).with_known(version.clone());
    let reply = provider.fetch(&[ask()]).await.pop().unwrap().unwrap();
    assert!(matches!(reply, Reply::Unchanged));
    // The same bytes, written anew, are another version: it does not depend on the value.
    let new = put(&provider, "token", "one").await.unwrap();
    assert_ne!(new, version);
    let Ok(Reply::Value(second)) = provider.fetch(&[ask()]).await.pop().unwrap() else {
        panic!("must be a value");
    };
    assert_eq!(second.metadata().version(), Some(&new));
}

#[tokio::test]
async fn leftovers_and_hidden_entries_are_no_secrets() {
    let dir = dir();
    write(dir.path(), ".strongroom-0011223344556677.tmp", CANARY);
    write(dir.path(), ".hidden", CANARY);
    write(dir.path(), "..old/token", CANARY);
    write(dir.path(), "token", "v");
    write(dir.path(), "not a name", "v");
    let provider = open_at(dir.path()).await;
    assert_eq!(list(&provider).await, ["token"]);
    put(&provider, "token", "w").await.unwrap();
    assert_eq!(text(&provider, "token").await, "w");
}

#[tokio::test]
async fn declared_names_are_listed_as_they_are_declared() {
    let dir = dir();
    for file in ["DATABASE_PASSWORD", "db_user", "other.key"] {
        write(dir.path(), file, "v");
    }
    write(dir.path(), "account.json", "{\"user\": \"u\"}");
    let declared = ["database/password", "db#user", "account#user", "not/there"];
    let dotenv = write(
        dir.path(),
        ".env",
        "DATABASE_PASSWORD=v\ndb_user=v\nOTHER=v\n",
    );
    let at = connect(dir.path()).with_declared(declare(&declared));
    let expected = ["account", "database/password", "db#user", "other.key"];
    assert_eq!(list(&try_open(at).await.unwrap()).await, expected);
    let at = connect(&dotenv).with_declared(declare(&declared));
    let expected = ["OTHER", "database/password", "db#user"];
    assert_eq!(list(&try_open(at).await.unwrap()).await, expected);
}

#[tokio::test]
async fn listing_is_bounded() {
    let dir = dir();
    let deep = "d/".repeat(40);
    write(dir.path(), &format!("{deep}token"), "v");
    let provider = open_at(dir.path()).await;
    let error = provider.list("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(text(&provider, &format!("{deep}token")).await, "v");
}

#[tokio::test]
async fn a_malformed_document_is_placed_and_never_quoted() {
    let dir = dir();
    let provider = open_at(dir.path()).await;
    for content in [
        format!("{{\"password\": \"{CANARY}\n\"}}"),
        format!("{{\"password\": \"{CANARY}\", \"password\": \"{CANARY}\"}}"),
        CANARY.to_owned(),
    ] {
        let path = write(dir.path(), "db.json", content);
        let error = refused(&provider, "db#password").await;
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}

#[tokio::test]
async fn health_follows_the_directory() {
    let parent = dir();
    let root = parent.path().join("secrets");
    write(&root, "token", "v");
    let provider = open_at(&root).await;
    assert!(provider.health().await.unwrap().degraded.is_empty());
    fs::rename(&root, parent.path().join("elsewhere")).unwrap();
    // A mount that is gone says nothing about its secrets: they are not deleted.
    let error = provider.health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    let error = refused(&provider, "token").await;
    assert_eq!(error.kind(), ErrorKind::Transient);
}
