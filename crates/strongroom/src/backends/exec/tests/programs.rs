//! Which files are run, and which are not.

use std::os::unix::fs::symlink;

use super::*;

#[tokio::test]
async fn only_an_absolute_path_without_detours_is_an_address() {
    for address in [
        "exec:",
        "exec:program",
        "exec:./program",
        "exec://host/program",
        "exec:/bin/../bin/sh",
        "exec:/bin/sh/",
        "exec:/",
    ] {
        refused(open(address).await, ErrorKind::Config);
    }
    for query in [
        "?timeout=1ms",
        "?timeout=6m",
        "?timeout=x",
        "?pass=A%3DB",
        "?pass=1A",
    ] {
        let fixture = Fixture::new(ANSWER);
        refused(open(&fixture.address(query)).await, ErrorKind::Config);
    }
    let fixture = Fixture::new(ANSWER);
    open(&fixture.address("?timeout=2s&pass=A,B_1&config=x"))
        .await
        .unwrap();
    open(&fixture.address("").replace("exec:", "exec://"))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_no_program_is_not_run() {
    let fixture = Fixture::new(ANSWER);
    let path = fixture.path();
    let address = fixture.address("");
    mode(&path, 0o644);
    assert!(refused(open(&address).await, ErrorKind::Config).contains("not executable"));
    mode(&path, 0o4755);
    assert!(refused(open(&address).await, ErrorKind::Config).contains("set-user-id"));
    fs::remove_file(&path).unwrap();
    assert!(refused(open(&address).await, ErrorKind::Config).contains("does not exist"));
    fs::create_dir(&path).unwrap();
    assert!(refused(open(&address).await, ErrorKind::Config).contains("a directory"));
    fs::remove_dir(&path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o700),
        0,
    )
    .unwrap();
    assert!(refused(open(&address).await, ErrorKind::Config).contains("a FIFO"));
    for text in [CANARY, "#!/no/such/interpreter\n"] {
        fixture.install(text);
        refused(open(&address).await, ErrorKind::Config);
    }
}

#[tokio::test]
async fn a_program_that_others_could_replace_is_not_run() {
    let fixture = Fixture::new(ANSWER);
    let (path, address) = (fixture.path(), fixture.address(""));
    for bad in [0o777, 0o757, 0o775] {
        mode(&path, bad);
        let shown = refused(open(&address).await, ErrorKind::Policy);
        assert!(shown.contains("written by group or world"), "{shown}");
    }
    mode(&path, 0o755);
    open(&address).await.unwrap();

    // Its own directory, and one above; a sticky one of ours is no better.
    let deep = path.parent().unwrap().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    fs::rename(&path, deep.join("program")).unwrap();
    let address = format!("exec:{}/program", deep.display());
    for dir in [deep.as_path(), deep.parent().unwrap()] {
        for bad in [0o777, 0o775] {
            mode(dir, bad);
            refused(open(&address).await, ErrorKind::Policy);
        }
        mode(dir, 0o755);
        open(&address).await.unwrap();
    }
    mode(&deep, 0o1777);
    refused(open(&address).await, ErrorKind::Policy);
    mode(&deep, 0o755);
    open(&address).await.unwrap();
}

#[tokio::test]
async fn a_symbolic_link_is_not_followed_to_a_program() {
    let fixture = Fixture::new(ANSWER);
    let dir = fixture.path().parent().unwrap().to_owned();
    symlink(fixture.path(), dir.join("link")).unwrap();
    symlink(&dir, dir.join("folder")).unwrap();
    for path in ["link", "folder/program"] {
        let address = format!("exec:{}/{path}", dir.display());
        let shown = refused(open(&address).await, ErrorKind::Policy);
        assert!(shown.contains("symbolic link"), "{shown}");
    }
}

#[tokio::test]
async fn a_program_or_folder_of_another_user_is_not_run() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new(ANSWER);
    let (path, address) = (fixture.path(), fixture.address(""));
    let chown = |path: &Path, user| std::os::unix::fs::chown(path, Some(user), None).unwrap();
    for what in [path.as_path(), path.parent().unwrap()] {
        chown(what, 65534);
        let shown = refused(open(&address).await, ErrorKind::Policy);
        assert!(shown.contains("another user"), "{shown}");
        chown(what, 0);
    }
    // Nobody can take what is ours out of a sticky directory of root's; of another user's he can.
    let dir = path.parent().unwrap();
    fs::create_dir(dir.join("ours")).unwrap();
    fs::rename(&path, dir.join("ours/program")).unwrap();
    let address = format!("exec:{}/ours/program", dir.display());
    mode(dir, 0o1777);
    open(&address).await.unwrap();
    chown(dir, 65534);
    refused(open(&address).await, ErrorKind::Policy);
}

#[tokio::test]
async fn each_call_looks_at_the_program_again() {
    let fixture = Fixture::new(ANSWER);
    let provider = fixture.open("").await;
    read(&*provider).await.unwrap();
    // An upgrade is fine.
    fixture.install(&format!(
        "{GOOD}{}",
        ANSWER.replace("value of a", "another")
    ));
    assert_eq!(read(&*provider).await.unwrap().expose_bytes(), b"another");
    mode(&fixture.path(), 0o757);
    refused(read(&*provider).await, ErrorKind::Policy);
    fs::remove_file(fixture.path()).unwrap();
    let error = read(&*provider).await.unwrap_err();
    assert!(error.is_retryable() && error.had_no_effect(), "{error:?}");
    fixture.install(&format!("{GOOD}{ANSWER}"));
    read(&*provider).await.unwrap();
}
