//! Directory mode.

use super::*;

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
async fn puts_keep_the_form_that_is_there() {
    for (file, name) in [
        ("database.password", "database/password"),
        ("DATABASE_PASSWORD", "database/password"),
        ("database_password", "database#password"),
    ] {
        let dir = dir();
        let path = write(dir.path(), file, "old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let provider = open_at(dir.path()).await;
        put(&provider, name, "new").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(list(&provider).await, [file]);
    }
}

#[tokio::test]
async fn puts_new_secrets_as_nested_files_and_deletes_them() {
    let dir = dir();
    let provider = open_at(dir.path()).await;
    assert!(provider.describe().writable);
    for value in ["v", "", "two\nlines\n", "\n", "crlf\r\n", "cr\r", "ä"] {
        put(&provider, "a/b/c", value).await.unwrap();
        assert_eq!(text(&provider, "a/b/c").await, value);
    }
    let bytes = Secret::from_bytes(b"\xff\n".to_vec());
    provider.put(&Put::new(target("raw"), bytes)).await.unwrap();
    assert_eq!(
        fetch(&provider, "raw").await.unwrap().expose_bytes(),
        b"\xff\n"
    );
    let mode = |path: &str| {
        fs::metadata(dir.path().join(path))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("a/b/c") & 0o777, 0o600);
    assert_eq!(mode("a/b") & 0o777, 0o700);
    put(&provider, "db#user", "u").await.unwrap();
    put(&provider, "db#pass", "p\"").await.unwrap();
    put(&provider, "db#user", "u2").await.unwrap();
    assert_eq!(text(&provider, "db#user").await, "u2");
    assert_eq!(text(&provider, "db#pass").await, "p\"");
    assert_eq!(list(&provider).await, ["a/b/c", "db", "raw"]);
    assert_eq!(provider.list("a/").await.unwrap(), [name("a/b/c")]);
    let error = put(&provider, "raw/below", "x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    for gone in ["a/b/c", "db#user", "db#pass", "raw"] {
        provider.delete(&target(gone), &Expect::Any).await.unwrap();
        assert_eq!(refused(&provider, gone).await.kind(), ErrorKind::Absent);
        let error = provider
            .delete(&target(gone), &Expect::Any)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Absent);
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "only the lock file: {left:?}");
}

#[tokio::test]
async fn writes_expect_what_is_there() {
    let dir = dir();
    let provider = open_at(dir.path()).await;
    let write = async |value: &str, expect: Expect| {
        let put = Put::new(target("a/b"), Secret::from_text(value)).with_expect(expect);
        provider.put(&put).await.map_err(|error| error.kind())
    };
    let conflict = Err(ErrorKind::Conflict);
    let other = Version::new("other");
    assert_eq!(write("1", Expect::Version(other.clone())).await, conflict);
    let first = write("1", Expect::Absent).await.unwrap().unwrap();
    assert_eq!(write("2", Expect::Absent).await, conflict);
    let second = write("2", Expect::Version(first.clone()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(write("3", Expect::Version(first.clone())).await, conflict);
    assert_eq!(text(&provider, "a/b").await, "2");
    let delete = async |expect| {
        let deleted = provider.delete(&target("a/b"), &expect).await;
        deleted.map_err(|error| error.kind())
    };
    assert_eq!(
        delete(Expect::Version(first)).await,
        Err(ErrorKind::Conflict)
    );
    assert_eq!(delete(Expect::Absent).await, Err(ErrorKind::Conflict));
    assert_eq!(delete(Expect::Version(second)).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_at_once_lose_nothing() {
    let dir = dir();
    two_writers_lose_nothing(dir.path()).await;
    assert_eq!(list(&open_at(dir.path()).await).await, ["counter"]);
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
async fn a_lock_that_is_no_file_is_refused_at_once() {
    let dir = dir();
    let lock = dir.path().join(".strongroom.lock");
    let provider = open_at(dir.path()).await;
    make_fifo(&lock);
    let wrote = tokio::time::timeout(Duration::from_secs(20), put(&provider, "token", "v"));
    let error = wrote.await.expect("it must not hang").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    fs::remove_file(&lock).unwrap();
    let victim = write(dir.path(), "victim", "kept");
    symlink(&victim, &lock).unwrap();
    put(&provider, "token", "v").await.unwrap_err();
    assert_eq!(fs::read_to_string(victim).unwrap(), "kept");
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_behind() {
    let dir = dir();
    fs::create_dir(dir.path().join("token")).unwrap();
    let root = read::open_root(dir.path()).unwrap();
    // A directory can't be replaced by a file.
    write::replace(&root, "token", CANARY.as_bytes(), None).unwrap_err();
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
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

/// One generation of a Kubernetes mount, swapped in as the kubelet does it.
fn swap(root: &Path, generation: u32) {
    let name = format!("..gen_{generation}");
    for key in ["user", "pass", "nested/key"] {
        write(&root.join(&name), key, generation.to_string());
    }
    let data = root.join("..data");
    let old = fs::read_link(&data).ok();
    symlink(&name, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), &data).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(root.join(old)).unwrap();
    }
}

fn kubernetes(root: &Path) {
    swap(root, 0);
    for key in ["user", "pass", "nested"] {
        symlink(Path::new("..data").join(key), root.join(key)).unwrap();
    }
}

async fn generations_never_mix(root: &Path, mount: PathBuf, names: [&str; 3]) {
    let provider = open_at(root).await;
    let done = Arc::new(AtomicBool::new(false));
    let swapper = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            for generation in 1..=300 {
                swap(&mount, generation);
                std::thread::sleep(Duration::from_micros(500));
            }
            done.store(true, Ordering::Release);
        })
    };
    let wanted = names.map(|text| Request::from(name(text)));
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let last = done.load(Ordering::Acquire);
        let replies = provider.fetch(&wanted).await;
        let mut values = replies.into_iter().map(|reply| match reply.unwrap() {
            Reply::Value(secret) => secret.expose_str().unwrap().to_owned(),
            Reply::Unchanged => unreachable!(),
        });
        let first = values.next().unwrap();
        assert!(
            values.all(|value| value == first),
            "two generations in one batch"
        );
        seen.insert(first);
        if last {
            break;
        }
    }
    swapper.join().unwrap();
    assert!(seen.contains("300") && seen.len() > 1, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_generations_never_mix() {
    let dir = dir();
    kubernetes(dir.path());
    let mount = dir.path().to_owned();
    generations_never_mix(dir.path(), mount, ["user", "pass", "nested/key"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_those_of_a_mount_below_the_root() {
    let dir = dir();
    let mount = dir.path().join("db");
    fs::create_dir(&mount).unwrap();
    kubernetes(&mount);
    generations_never_mix(dir.path(), mount, ["db/user", "db/pass", "db/nested/key"]).await;
}

#[tokio::test]
async fn a_kubernetes_mount_is_read_only_and_listed_by_its_keys() {
    let dir = dir();
    kubernetes(dir.path());
    let provider = open_at(dir.path()).await;
    assert!(!provider.describe().writable);
    assert_eq!(list(&provider).await, ["nested/key", "pass", "user"]);
    for error in [
        put(&provider, "user", "x").await.unwrap_err(),
        put(&provider, "new", "x").await.unwrap_err(),
        provider
            .delete(&target("user"), &Expect::Any)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.help().is_some());
    }
    let secret = fetch(&provider, "user").await.unwrap();
    assert!(secret.metadata().version().is_some());
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        5,
        "no lock file in a mount"
    );
    // The same below a directory that can be written, and for a single link.
    let outer = self::dir();
    fs::create_dir(outer.path().join("db")).unwrap();
    kubernetes(&outer.path().join("db"));
    write(outer.path(), "real", "v");
    symlink("real", outer.path().join("link")).unwrap();
    let provider = open_at(outer.path()).await;
    for name in ["db/user", "db/new", "link"] {
        let error = put(&provider, name, "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
    }
    assert_eq!(text(&provider, "real").await, "v");
}
