//! What is a change, whoever makes it and however.

use super::*;

/// Tries a change, noticed and polled, before the first wait and while one is waiting.
async fn is_seen(
    subject: impl Fn(&Path) -> Subject,
    before: impl Fn(&Path),
    change: impl Fn(&Path),
) {
    let is_seen = async |polled, waiting| {
        let dir = dir();
        before(dir.path());
        let watch = watch(polled, subject(dir.path()));
        if waiting {
            let wait = tokio::time::timeout(Duration::from_millis(100), watch.changed());
            assert!(wait.await.is_err(), "polled {polled}: nothing happened");
        }
        change(dir.path());
        seen(&watch).await;
    };
    tokio::join!(
        is_seen(false, false),
        is_seen(false, true),
        is_seen(true, false),
        is_seen(true, true)
    );
}

#[tokio::test]
async fn a_rename_over_a_file() {
    let change = |dir: &Path| replace(&dir.join("dir/.env"), "A=2");
    is_seen(document, a_document, change).await;
}

#[tokio::test]
async fn a_file_written_in_place() {
    let change = |dir: &Path| fs::write(dir.join("dir/.env"), "A=22").unwrap();
    is_seen(document, a_document, change).await;
}

#[tokio::test]
async fn a_file_removed_and_made_again() {
    let change = |dir: &Path| {
        fs::remove_file(dir.join("dir/.env")).unwrap();
        fs::write(dir.join("dir/.env"), "A=2").unwrap();
    };
    is_seen(document, a_document, change).await;
    let change = |dir: &Path| fs::remove_file(dir.join("dir/.env")).unwrap();
    is_seen(document, a_document, change).await;
}

#[tokio::test]
async fn a_directory_that_was_not_there() {
    is_seen(document, |_| {}, a_document).await;
    is_seen(
        directory,
        |_| {},
        |dir| {
            fs::create_dir(dir.join("dir")).unwrap();
            fs::write(dir.join("dir/token"), "v").unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_directory_removed_and_made_again() {
    let change = |dir: &Path| {
        fs::remove_dir_all(dir.join("dir")).unwrap();
        a_document(dir);
    };
    is_seen(document, a_document, change).await;
    // What is in the new one is watched too.
    for polled in [false, true] {
        let dir = dir();
        a_document(dir.path());
        let watch = watch(polled, document(dir.path()));
        change(dir.path());
        seen(&watch).await;
        while !is_quiet(&watch).await {}
        replace(&dir.path().join("dir/.env"), "A=3");
        seen(&watch).await;
    }
}

#[tokio::test]
async fn a_swap_of_a_kubernetes_mount() {
    let before = |dir: &Path| {
        fs::create_dir(dir.join("dir")).unwrap();
        a_mount(dir);
    };
    let change = |dir: &Path| swap(&dir.join("dir"), 1);
    is_seen(directory, before, change).await;
    is_seen(
        |dir| Subject::Document(dir.join("dir/token")),
        before,
        change,
    )
    .await;
    is_seen(
        |dir| Subject::Anywhere(dir.join("dir/token")),
        before,
        change,
    )
    .await;
    // Below the root.
    is_seen(|dir| Subject::Directory(dir.to_owned()), before, change).await;
}

#[tokio::test]
async fn a_key_that_the_next_generation_lacks() {
    let before = |dir: &Path| {
        fs::create_dir(dir.join("dir")).unwrap();
        a_mount(dir);
        fs::write(dir.join("dir/..data/gone"), "v").unwrap();
    };
    is_seen(directory, before, |dir| swap(&dir.join("dir"), 1)).await;
}

#[tokio::test]
async fn the_file_that_a_link_leads_to() {
    let before = |dir: &Path| {
        fs::create_dir_all(dir.join("dir/.real")).unwrap();
        fs::write(dir.join("dir/.real/file"), "A=1").unwrap();
        symlink(".real/file", dir.join("dir/.env")).unwrap();
    };
    let change = |dir: &Path| replace(&dir.join("dir/.real/file"), "A=2");
    is_seen(document, before, change).await;
    let elsewhere = |dir: &Path| Subject::Anywhere(dir.join("link"));
    let linked = |dir: &Path| {
        before(dir);
        symlink(dir.join("dir/.real/file"), dir.join("link")).unwrap();
    };
    is_seen(elsewhere, linked, change).await;
    // In a directory of secrets too.
    let linked = |dir: &Path| {
        before(dir);
        symlink(".real/file", dir.join("dir/token")).unwrap();
    };
    is_seen(directory, linked, change).await;
}

#[tokio::test]
async fn a_link_on_the_way() {
    let before = |dir: &Path| {
        for release in ["1", "2"] {
            fs::create_dir_all(dir.join(release)).unwrap();
            fs::write(dir.join(release).join(".env"), release).unwrap();
        }
        symlink("1", dir.join("dir")).unwrap();
    };
    let change = |dir: &Path| {
        symlink("2", dir.join("next")).unwrap();
        fs::rename(dir.join("next"), dir.join("dir")).unwrap();
    };
    is_seen(document, before, change).await;
    // The directory that the link leads to is watched, not the one it led to.
    for polled in [false, true] {
        let dir = dir();
        before(dir.path());
        let watch = watch(polled, document(dir.path()));
        change(dir.path());
        seen(&watch).await;
        replace(&dir.path().join("2/.env"), "3");
        seen(&watch).await;
        replace(&dir.path().join("1/.env"), "4");
        assert!(is_quiet(&watch).await);
    }
}

#[tokio::test]
async fn files_of_a_directory_come_change_and_go() {
    let before = |dir: &Path| {
        fs::create_dir_all(dir.join("dir/database")).unwrap();
        fs::write(dir.join("dir/database/password"), "v").unwrap();
    };
    let nested = |dir: &Path| replace(&dir.join("dir/database/password"), "w");
    is_seen(directory, before, nested).await;
    is_seen(directory, before, |dir| {
        fs::create_dir(dir.join("dir/api")).unwrap();
        fs::write(dir.join("dir/api/token"), "v").unwrap();
    })
    .await;
    is_seen(directory, before, |dir| {
        fs::remove_dir_all(dir.join("dir/database")).unwrap();
    })
    .await;
}

/// As with a file that a container's engine mounts by itself, its directory knows nothing of it.
#[tokio::test]
async fn a_write_by_another_name() {
    let before = |dir: &Path| {
        a_document(dir);
        fs::create_dir(dir.join("other")).unwrap();
        fs::hard_link(dir.join("dir/.env"), dir.join("other/name")).unwrap();
    };
    let change = |dir: &Path| fs::write(dir.join("other/name"), "A=22").unwrap();
    is_seen(document, before, change).await;
}
