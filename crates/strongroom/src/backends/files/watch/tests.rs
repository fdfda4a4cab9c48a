//! Every way in which files change, noticed and polled.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use super::*;

mod changes;
mod lifecycle;
mod settling;

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// A moment in which what is wrongly told would be told.
const MOMENT: Duration = Duration::from_millis(900);

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A watch that hears of everything by notices, or of nothing.
fn new_watch(polled: bool) -> Watch {
    const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
    Watch::with("file:test".to_owned(), polled, NEVER)
}

fn watch(polled: bool, subject: Subject) -> Watch {
    let watch = new_watch(polled);
    watch.add(subject);
    watch
}

async fn seen(watch: &Watch) {
    let told = tokio::time::timeout(PATIENCE, watch.changed()).await;
    assert!(told.expect("nothing was told").unwrap(), "closed");
}

async fn is_quiet(watch: &Watch) -> bool {
    let told = tokio::time::timeout(MOMENT, watch.changed()).await;
    told.is_err()
}

/// Writes another file, and renames it to `path`.
fn replace(path: &Path, content: &str) {
    let temporary = path.with_extension("new");
    fs::write(&temporary, content).unwrap();
    fs::rename(temporary, path).unwrap();
}

fn document(dir: &Path) -> Subject {
    Subject::Document(dir.join("dir/.env"))
}

fn a_document(dir: &Path) {
    fs::create_dir(dir.join("dir")).unwrap();
    fs::write(dir.join("dir/.env"), "A=1").unwrap();
}

fn directory(dir: &Path) -> Subject {
    Subject::Directory(dir.join("dir"))
}

/// One generation of a Kubernetes mount, swapped in as the kubelet does it.
fn swap(root: &Path, generation: u32) {
    let name = format!("..gen_{generation}");
    fs::create_dir_all(root.join(&name)).unwrap();
    fs::write(root.join(&name).join("token"), generation.to_string()).unwrap();
    let old = fs::read_link(root.join("..data")).ok();
    symlink(&name, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(root.join(old)).unwrap();
    }
}

fn a_mount(dir: &Path) {
    swap(&dir.join("dir"), 0);
    symlink("..data/token", dir.join("dir/token")).unwrap();
}

#[tokio::test]
async fn neighbours_are_no_change() {
    for polled in [false, true] {
        let dir = dir();
        a_document(dir.path());
        let one = watch(polled, document(dir.path()));
        let all = watch(polled, directory(dir.path()));
        let hidden = |name: &str| fs::write(dir.path().join("dir").join(name), "x").unwrap();
        for name in [".strongroom.lock", ".strongroom-1.tmp", ".env.swp"] {
            hidden(name);
        }
        let outside = dir.path().join("outside");
        fs::write(&outside, "x").unwrap();
        // Links that lead out are not followed, by which nothing of them is known.
        symlink(&outside, dir.path().join("dir/link")).unwrap();
        symlink("../outside", dir.path().join("dir/up")).unwrap();
        fs::write(&outside, "xy").unwrap();
        assert!(is_quiet(&all).await, "polled {polled}");
        hidden("neighbour");
        assert!(is_quiet(&one).await, "polled {polled}");
        seen(&all).await;
    }
}

#[tokio::test]
async fn several_changes_are_told_as_one_and_none_is_lost_between_two_waits() {
    for polled in [false, true] {
        let dir = dir();
        a_document(dir.path());
        let watch = watch(polled, document(dir.path()));
        for round in 0..2 {
            for change in 0..3 {
                replace(&dir.path().join("dir/.env"), &format!("A={round}{change}"));
            }
            seen(&watch).await;
            // The thread may have told a part of the three, and then the rest.
            while !is_quiet(&watch).await {}
        }
    }
}

/// Writes in place are one change, told after the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_write_is_told_when_it_is_over() {
    for polled in [false, true] {
        let dir = dir();
        a_document(dir.path());
        let path = dir.path().join("dir/.env");
        let watch = watch(polled, document(dir.path()));
        assert!(is_quiet(&watch).await);
        let writer = std::thread::spawn(move || {
            let (mut longest, mut last) = (Duration::ZERO, std::time::Instant::now());
            for length in 1..=12 {
                fs::write(&path, "x".repeat(length)).unwrap();
                longest = longest.max(last.elapsed());
                last = std::time::Instant::now();
                std::thread::sleep(Duration::from_millis(50));
            }
            longest
        });
        seen(&watch).await;
        let finished = writer.is_finished();
        let longest = writer.join().unwrap();
        // A machine that stops for so long makes several writes of it.
        if longest < settling_time() {
            assert!(finished, "told in the middle");
            assert!(is_quiet(&watch).await, "told twice");
        }
    }
}

fn settling_time() -> Duration {
    super::settling::REST - Duration::from_millis(20)
}

#[tokio::test]
async fn a_directory_that_is_too_deep_is_told_again_and_again() {
    let dir = dir();
    let deep = dir.path().join(vec!["d"; 20].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("token"), "v").unwrap();
    // Nothing is known of it, so that it may have changed.
    seen(&watch(false, Subject::Directory(dir.path().to_owned()))).await;
}

#[test]
fn links_in_a_loop_lead_nowhere() {
    let dir = dir();
    symlink("b", dir.path().join("a")).unwrap();
    symlink("a", dir.path().join("b")).unwrap();
    symlink(".", dir.path().join("dir")).unwrap();
    let at = |name: &str| dir.path().join(name);
    let subjects = [
        Subject::Document(at("a")),
        Subject::Anywhere(at("a/b")),
        Subject::Directory(at("a")),
        Subject::Anywhere(at("dir/dir/dir/nothing/../x")),
        Subject::Directory(at("dir")),
        Subject::Document("/".into()),
    ];
    assert!(Snapshot::take(&subjects).files.is_empty());
}
