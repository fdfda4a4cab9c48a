//! Writing and deleting: forms that stay, expectations, locks, nothing left behind.

use super::*;
use crate::backends::files::{read, write};
use crate::backends::plain_file::document::MAX_DOCUMENT_BYTES;

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
async fn a_document_is_never_written_larger_than_it_can_be_read() {
    let small: String = (0..50).map(|n| format!(",\"k{n}\":1")).collect();
    let filler = MAX_DOCUMENT_BYTES - "{\"filler\":\"\"}".len() - small.len();
    let document = format!("{{\"filler\":\"{}\"{small}}}", "x".repeat(filler));
    assert_eq!(document.len(), MAX_DOCUMENT_BYTES);
    let dir = dir();
    let path = write(dir.path(), "db.json", &document);
    let provider = open_at(dir.path()).await;
    let error = put(&provider, "db#new", CANARY).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("db.json"), "{error}");
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    // The layout that is written takes more room than what was written by others.
    let delete = provider.delete(&target("db#k0"), &Expect::Any).await;
    assert_eq!(delete.unwrap_err().kind(), ErrorKind::Malformed);
    assert!(fs::read_to_string(&path).unwrap() == document);
    assert_eq!(text(&provider, "db#k0").await, "1");
    // What makes it smaller is written.
    provider
        .delete(&target("db#filler"), &Expect::Any)
        .await
        .unwrap();
    put(&provider, "db#new", "v").await.unwrap();
    assert_eq!(text(&provider, "db#new").await, "v");
}
