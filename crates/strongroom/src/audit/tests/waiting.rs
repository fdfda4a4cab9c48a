//! What is written at once, what waits for whom, and in which order.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// Another process, as far as the log can tell.
fn another(path: &Path) -> Journal {
    Journal::new(path).unwrap()
}

fn sink_of(chain: Chain, in_place: bool) -> Sink {
    let identity = Identity::of_process(Some("test"));
    Sink::new(chain, identity, HEAD_EVERY, in_place).unwrap()
}

/// A sink whose log is begun.
fn begun(path: &Path) -> Sink {
    let mut chain = chain(path);
    chain.check().unwrap();
    sink_of(chain, false)
}

fn versions(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    read::<Error>(path, &Filter::default(), |entry| {
        found.extend(entry.version);
        Ok(true)
    })
    .unwrap();
    found
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_event_is_written_at_once_where_nothing_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let mut chain = chain(&path);
    assert!(chain.append_at_once(&[record(0)]).is_none(), "no file yet");
    chain.check().unwrap();
    assert_eq!(
        chain.append_at_once(&[record(1)]).unwrap().unwrap().seq(),
        2
    );

    let mut other = another(&path);
    let locked = other.lock().unwrap();
    assert!(chain.append_at_once(&[record(2)]).is_none(), "locked");
    drop(locked);
    // What another process appended is caught up with.
    super::chain(&path).append(&[record(3)]).unwrap();
    assert_eq!(
        chain.append_at_once(&[record(4)]).unwrap().unwrap().seq(),
        4
    );

    // Another file is for the slow way to look at.
    let text = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(chain.append_at_once(&[record(5)]).is_none(), "removed");
    fs::write(&path, text).unwrap();
    assert!(chain.append_at_once(&[record(5)]).is_none(), "replaced");
    chain.append(&[record(5)]).unwrap();
    assert_eq!(versions(&path), ["1", "3", "4", "5"]);
    verify(&path, &key(), None).unwrap();
}

#[test]
fn what_needs_the_disk_or_another_file_is_not_done_at_once() {
    type Change = fn(&mut LogSettings);
    let changes: [(&str, Change); 3] = [
        ("sync", |settings| settings.sync = true),
        ("max_bytes", |settings| settings.max_bytes = 1),
        ("max_age", |settings| {
            settings.max_age = Some(Duration::ZERO)
        }),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(&dir.path().join("audit.jsonl"));
        change(&mut settings);
        let mut chain = chain_with(settings, key());
        chain.check().unwrap();
        assert!(chain.append_at_once(&[record(0)]).is_none(), "{what}");
    }
}

#[test]
fn a_task_is_never_stalled_by_the_lock_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let sink = begun(&path);
    let mut other = another(&path);
    let locked = other.lock().unwrap();
    // Who waited for the lock here would never get to release it, and fail after its patience.
    assert!(poll(sink.write(vec![record(0)])).is_pending());
    assert!(poll(sink.write(vec![record(1)])).is_pending());
    sink.write_soon(vec![record(2)]);
    drop(locked);
    // Whoever stopped waiting has its event recorded all the same, before those that came later.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .unwrap()
        .block_on(sink.write(vec![record(3)]))
        .unwrap();
    assert_eq!(versions(&path), ["0", "1", "2", "3"]);
    assert!(sink.problem().is_none());
}

#[test]
fn a_single_event_is_there_when_the_call_returns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let sink = begun(&path);
    for n in 0..20 {
        match n % 2 {
            0 => assert!(matches!(
                poll(sink.write(vec![record(n)])),
                Poll::Ready(Ok(()))
            )),
            _ => sink.write_soon(vec![record(n)]),
        }
        assert_eq!(versions(&path).len(), n + 1);
    }
}

#[test]
fn tasks_of_several_threads_lose_nothing_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let sinks = [begun(&path), begun(&path)];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sink = &sinks[thread % 2];
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let runtime = runtime.unwrap();
                for n in (thread * 1_000..).take(60) {
                    match n % 3 {
                        0 => sink.write_soon(vec![record(n)]),
                        _ => runtime.block_on(sink.write(vec![record(n)])).unwrap(),
                    }
                }
                runtime.block_on(sink.write(Vec::new())).unwrap();
            });
        }
    });
    let found = versions(&path);
    for thread in 0..4_usize {
        let own: Vec<usize> = found
            .iter()
            .map(|version| version.parse().unwrap())
            .filter(|n| n / 1_000 == thread)
            .collect();
        let expected: Vec<usize> = (thread * 1_000..).take(60).collect();
        assert_eq!(own, expected);
    }
    verify(&path, &key(), None).unwrap();
}

#[test]
fn what_failed_at_once_is_told_by_the_next_event() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let sink = begun(&path);
    let away = dir.path().join("away.jsonl");
    fs::rename(&path, &away).unwrap();
    fs::create_dir(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    runtime.block_on(sink.write(vec![record(0)])).unwrap_err();
    assert!(sink.problem().is_some());
    fs::remove_dir(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    runtime.block_on(sink.write(vec![record(1)])).unwrap();
    assert!(sink.problem().is_none());
    let verified = verify(&path, &key(), None).unwrap();
    assert!(verified.notes[0].message.starts_with("1 events could not"));
}

#[test]
fn events_before_the_log_is_open_are_written_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let mut log = settings(&path);
    log.key = KeySource::Secret(NAME);
    let settings = Settings {
        log: Some(log),
        ..Settings::default()
    };
    let rails = GuardRails::new(crate::env::Deployment::Undeclared, []);
    let audit = Audit::new(settings, Arc::new(Env::empty()), rails, true);
    let event = |n: usize| {
        Event::new(Operation::Fetch, Outcome::Success).of(&NAME, Some(&Version::new(n.to_string())))
    };
    // Whatever the moment of the opening, nothing is kept for ever.
    std::thread::scope(|scope| {
        scope.spawn(|| (0..2_000).for_each(|n| audit.note(event(n))));
        let key = Secret::from_bytes((0..32).collect::<Vec<u8>>());
        audit.open(Some(&key)).unwrap();
    });
    let expected: Vec<_> = (0..2_000).map(|n| n.to_string()).collect();
    assert_eq!(versions(&path), expected);
}
