//! Waiting, closing, dropping, and what the thread does meanwhile.

use super::*;

fn a_watch(dir: &tempfile::TempDir, polled: bool) -> Watch {
    a_document(dir.path());
    watch(polled, document(dir.path()))
}

fn thread_of(watch: &Watch) -> Weak<Shared> {
    Arc::downgrade(&watch.0)
}

/// The thread holds what it shares with the watch until it ends.
async fn ends(thread: Weak<Shared>) {
    tokio::time::timeout(PATIENCE, async {
        while thread.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the thread goes on");
}

#[tokio::test]
async fn there_is_a_thread_only_where_somebody_waits() {
    let dir = dir();
    let watch = a_watch(&dir, false);
    assert!(watch.0.waker().thread.is_none());
    let nothing = Watch::new("env:");
    assert!(is_quiet(&nothing).await);
    assert!(nothing.0.waker().thread.is_none());
    assert!(is_quiet(&watch).await);
    assert!(watch.0.waker().thread.is_some());
}

#[tokio::test]
async fn closing_ends_the_waiting_and_dropping_the_thread() {
    for polled in [false, true] {
        let dir = dir();
        let watch = Arc::new(a_watch(&dir, polled));
        let thread = thread_of(&watch);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let watch = Arc::clone(&watch);
                tokio::spawn(async move { watch.changed().await })
            })
            .collect();
        assert!(is_quiet(&watch).await);
        watch.close();
        for waiting in waiting {
            assert!(!waiting.await.unwrap().unwrap());
        }
        assert!(!watch.changed().await.unwrap());
        drop(watch);
        ends(thread).await;
    }
}

#[tokio::test]
async fn dropping_ends_the_thread_at_any_moment() {
    for polled in [false, true] {
        for pause in [0, 1, 300] {
            let dir = dir();
            let watch = a_watch(&dir, polled);
            let thread = thread_of(&watch);
            let pause = Duration::from_millis(pause);
            let _ = tokio::time::timeout(pause, watch.changed()).await;
            drop(watch);
            ends(thread).await;
        }
    }
}

#[tokio::test]
async fn a_closed_watch_ends_its_thread_while_it_is_held() {
    let dir = dir();
    let watch = a_watch(&dir, false);
    assert!(is_quiet(&watch).await);
    watch.close();
    tokio::time::timeout(PATIENCE, async {
        while Arc::strong_count(&watch.0) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the thread goes on");
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    for polled in [false, true] {
        let dir = dir();
        let watch = a_watch(&dir, polled);
        for _ in 0..5 {
            let _ = tokio::time::timeout(Duration::from_millis(1), watch.changed()).await;
        }
        replace(&dir.path().join("dir/.env"), "A=2");
        // Until it was surely told, to nobody.
        while watch.0.state().told != Snapshot::take(&[document(dir.path())]).files {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        seen(&watch).await;
        assert!(is_quiet(&watch).await);
    }
}

#[tokio::test]
async fn what_is_added_while_somebody_waits_is_watched() {
    for polled in [false, true] {
        let dir = dir();
        let watch = Arc::new(new_watch(polled));
        assert!(is_quiet(&watch).await);
        for name in ["one", "two"] {
            let path = dir.path().join(name);
            fs::write(&path, "v").unwrap();
            watch.add(Subject::Anywhere(path.clone()));
            watch.add(Subject::Anywhere(path.clone()));
            replace(&path, "w");
            seen(&watch).await;
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_notices_fail_it_polls() {
    use crate::backends::files::watch::thread::Source;
    let dir = dir();
    let watch = a_watch(&dir, false);
    let mut source = Source::open(&watch.0);
    assert!(matches!(source, Source::Notices(_)));
    assert!(watch.0.waker().pipe.is_some());
    source.give_up(&watch.0, &"the limit is reached");
    assert!(matches!(source, Source::Polling));
    assert!(watch.0.waker().pipe.is_none());
    let snapshot = source.look(&watch.0, &[document(dir.path())]);
    assert_eq!(snapshot.files.len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn closing_ends_a_wait_for_notices() {
    use crate::backends::files::watch::linux::Notices;
    let watch = Watch::new("file:test");
    let (mut notices, waker) = Notices::open().unwrap();
    watch.0.waker().pipe = Some(waker);
    let (done, is_done) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        // Nothing is watched that could end it.
        let a_day = Duration::from_secs(24 * 60 * 60);
        done.send(notices.wait(a_day, &mut Default::default()).unwrap())
    });
    watch.close();
    assert!(is_done.recv_timeout(PATIENCE).expect("it waits on"));
    waiting.join().unwrap().unwrap();
}
