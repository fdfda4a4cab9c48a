use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use super::*;
use crate::name::SecretName;
use crate::secret::Metadata;

const MINUTE: Duration = Duration::from_secs(60);

fn secret(text: &str) -> Secret {
    Secret::from_text(text)
}

fn expiring(text: &str, left: Duration) -> Secret {
    secret(text)
        .with_metadata(Metadata::new().with_expires(SystemTime::now().checked_add(left).unwrap()))
}

fn text(value: &Arc<Secret>) -> &str {
    value.expose_str().unwrap()
}

/// Polls once: `None` where the cursor waits.
fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn handles_of_secrets_can_be_shared_between_threads_and_tasks() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    fn sent<T: Send + Sync + 'static>() {}
    fn future<T: Send>(_: T) {}
    shared::<LiveSecret>();
    sent::<Publisher<Secret>>();
    sent::<Changes<Secret>>();
    let live = Live::fixed(secret("a"));
    future(live.changes().next());
    future(live.report_rejected(&live.current().unwrap()));
}

#[test]
fn clones_share_what_is_published() {
    let (publisher, live) = Live::channel(1);
    let clone = live.clone();
    publisher.publish(2);
    assert_eq!(live.with(|value| *value).unwrap(), 2);
    assert_eq!(*clone.current().unwrap(), 2);
    assert!(clone.previous().is_none());
}

#[test]
fn a_value_that_was_taken_outlives_its_replacement() {
    let (publisher, live) = Live::channel(secret("one"));
    let held = live.current().unwrap();
    live.with(|inside| {
        publisher.publish(secret("two"));
        publisher.publish(secret("three"));
        assert!(inside.verify("one"));
    })
    .unwrap();
    assert_eq!(text(&held), "one");
    assert!(live.verify("three"));
}

#[test]
fn nothing_is_handed_out_past_its_expiry() {
    let clock = Clock::manual();
    let (publisher, live) = Live::with_clock(expiring("lease", MINUTE), clock.clone());
    clock.advance(50);
    assert!(live.verify("lease"));
    clock.advance(11);
    assert_eq!(
        live.with(|_| panic!("handed out")).unwrap_err().kind(),
        ErrorKind::Stale
    );
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Stale);
    assert_eq!(live.version().unwrap_err().kind(), ErrorKind::Stale);
    assert!(!live.verify("lease"));

    publisher.publish(secret("for ever"));
    clock.advance(1_000_000_000);
    assert!(live.verify("for ever"));
}

#[test]
fn the_previous_value_lasts_as_long_as_the_overlap() {
    let clock = Clock::manual();
    let (publisher, live) = Live::with_clock(secret("one"), clock.clone());
    publisher.publish_with_overlap(secret("two"), MINUTE);
    clock.advance(59);
    assert_eq!(text(&live.previous().unwrap()), "one");
    assert!(live.verify("one") && live.verify("two"));
    clock.advance(1);
    assert!(live.previous().is_none());
    assert!(!live.verify("one"));
    assert!(live.verify("two"));
}

#[test]
fn an_overlap_does_not_outlast_the_expiry_of_the_previous_value() {
    let clock = Clock::manual();
    let (publisher, live) = Live::with_clock(expiring("one", MINUTE), clock.clone());
    publisher.publish_with_overlap(secret("two"), MINUTE * 10);
    clock.advance(50);
    assert!(live.previous().is_some());
    clock.advance(11);
    assert!(live.previous().is_none());
}

#[test]
fn a_third_value_ends_the_overlap_of_the_first() {
    let (publisher, live) = Live::channel(secret("one"));
    publisher.publish_with_overlap(secret("two"), MINUTE);
    publisher.publish_with_overlap(secret("three"), MINUTE);
    assert_eq!(text(&live.previous().unwrap()), "two");
    assert!(!live.verify("one"));
    publisher.publish(secret("four"));
    assert!(live.previous().is_none());
}

#[test]
fn close_ends_every_handle_and_lets_go_of_every_value() {
    let (publisher, live) = Live::channel(secret("one"));
    publisher.publish_with_overlap(secret("two"), MINUTE);
    let one = Arc::downgrade(&live.previous().unwrap());
    let two = Arc::downgrade(&live.current().unwrap());
    publisher.close();
    publisher.publish(secret("three"));
    publisher.close();
    assert_eq!(live.with(|_| ()).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Closed);
    assert!(live.previous().is_none());
    assert!(!live.verify("two"));
    assert!(poll(live.changes().next()).unwrap().is_none());
    assert!(one.upgrade().is_none() && two.upgrade().is_none());
}

#[test]
fn a_dropped_publisher_leaves_the_last_value_in_force() {
    let (publisher, live) = Live::channel(1);
    let mut changes = live.changes();
    publisher.publish(2);
    drop(publisher);
    assert_eq!(*live.current().unwrap(), 2);
    assert_eq!(*poll(changes.next()).unwrap().unwrap().unwrap(), 2);
    assert!(poll(changes.next()).unwrap().is_none());
    assert!(poll(Live::fixed(1).changes().next()).unwrap().is_none());
}

#[test]
fn a_cursor_loses_no_change_and_delivers_none_twice() {
    let (publisher, live) = Live::channel(0);
    publisher.publish(1);
    let mut changes = live.changes();
    assert!(poll(changes.next()).is_none(), "before the cursor");
    publisher.publish(2);
    publisher.publish(3);
    assert_eq!(*poll(changes.next()).unwrap().unwrap().unwrap(), 3);
    assert!(poll(changes.next()).is_none());
    publisher.publish(4);
    // A future that is dropped unpolled, and one dropped while it waits, take nothing with them.
    drop(changes.next());
    assert_eq!(*poll(changes.next()).unwrap().unwrap().unwrap(), 4);
}

#[test]
fn each_cursor_has_its_own_place() {
    let (publisher, live) = Live::channel(0);
    let mut early = live.changes();
    publisher.publish(1);
    let mut late = live.changes();
    assert!(poll(late.next()).is_none());
    assert_eq!(*poll(early.next()).unwrap().unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_waiting_cursor_wakes_for_a_change_and_for_the_end() {
    let (publisher, live) = Live::channel(0);
    let mut changes = live.changes();
    let reader = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(value) = changes.next().await {
            seen.push(*value.unwrap());
        }
        seen
    });
    tokio::task::yield_now().await;
    publisher.publish(1);
    tokio::task::yield_now().await;
    publisher.publish(2);
    tokio::task::yield_now().await;
    publisher.close();
    assert_eq!(reader.await.unwrap(), [1, 2]);
}

#[test]
fn a_change_that_expired_before_it_was_fetched_is_an_error() {
    let clock = Clock::manual();
    let (publisher, live) = Live::with_clock(secret("one"), clock.clone());
    let mut changes = live.changes();
    publisher.publish(expiring("two", MINUTE));
    clock.advance(61);
    let answer = poll(changes.next()).unwrap().unwrap();
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Stale);
    assert!(poll(changes.next()).is_none());
}

#[tokio::test]
async fn a_rejected_value_gives_the_newer_one_or_the_previous_one_or_an_error() {
    let clock = Clock::manual();
    let named = Metadata::new().with_name(&SecretName::from_static("database/password"));
    let two = secret("two").with_metadata(named);
    let (publisher, live) = Live::with_clock(secret("one"), clock.clone());
    let used = live.current().unwrap();
    assert_eq!(
        live.report_rejected(&used).await.unwrap_err().kind(),
        ErrorKind::Stale
    );

    publisher.publish_with_overlap(two, MINUTE);
    let newer = live.report_rejected(&used).await.unwrap();
    assert_eq!(text(&newer), "two");
    let previous = live.report_rejected(&newer).await.unwrap();
    assert!(Arc::ptr_eq(&previous, &used));

    clock.advance(60);
    let error = live.report_rejected(&newer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stale);
    assert_eq!(error.name().unwrap().as_str(), "database/password");
    assert!(error.help().is_some());

    publisher.close();
    let error = live.report_rejected(&newer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn debug_shows_no_value() {
    struct Opaque;
    let (publisher, live) = Live::channel(secret("canary-77"));
    publisher.publish_with_overlap(secret("canary-78"), MINUTE);
    let shown = format!("{live:?} {publisher:?} {:?}", live.changes());
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("[REDACTED]") && shown.contains("overlap: true"));
    publisher.close();
    assert!(format!("{live:?}").contains("CLOSED"));
    assert!(format!("{:?}", Live::fixed("canary-79".to_owned())).contains("[REDACTED]"));
    let _needs_no_debug = format!("{:?}", Live::fixed(Opaque));
}

#[test]
fn a_wall_clock_that_is_set_back_gives_no_time() {
    let clock = Clock::manual();
    let (publisher, live) = Live::with_clock(expiring("lease", MINUTE), clock.clone());
    // The clock of the deadlines goes on while the date stands still.
    clock.advance(40);
    let renewed = live.with(Secret::clone).unwrap();
    let metadata = renewed.metadata().clone().with_source(crate::Source::Stale);
    publisher.renew(renewed.with_metadata(metadata), Terms::UNLIMITED);
    clock.advance(21);
    assert!(!live.verify("lease"));
    // Another date is another end.
    publisher.renew(expiring("lease", MINUTE), Terms::UNLIMITED);
    assert!(live.verify("lease"));
}

/// Whatever the writer does, a reader sees whole values, none older than one seen before, and nothing
/// of what was withdrawn.
#[test]
fn readers_of_every_kind_keep_up_with_a_writer_that_does_everything() {
    const LAST: u64 = 20_000;
    let clock = Clock::manual();
    let named = |value: u64| {
        let metadata = Metadata::new().with_version(Version::new(value.to_string()));
        Secret::from_text(format!("{value}")).with_metadata(metadata)
    };
    let number = |secret: &Secret| -> u64 {
        let value = secret.expose_str().unwrap().parse().unwrap();
        let version = secret.metadata().version().unwrap().as_str();
        assert_eq!(version, secret.expose_str().unwrap(), "torn");
        value
    };
    let (publisher, live) = Live::with_clock(named(0), clock.clone());
    // Everything below it is withdrawn for good.
    let withdrawn = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut newest = 0;
                let mut errors = 0_u64;
                loop {
                    let gone = withdrawn.load(Ordering::SeqCst);
                    let before = live.previous().map_or(0, |former| number(&former));
                    match live.with(number) {
                        Ok(value) => {
                            assert!(value >= newest && value >= before, "{value} after {newest}");
                            assert!(value > gone || value == 0, "{value}: {gone} was withdrawn");
                            newest = value;
                        }
                        Err(error) if error.kind() == ErrorKind::Closed => break,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Absent);
                            errors += 1;
                        }
                    }
                    if let Ok(value) = live.current() {
                        assert!(number(&value) >= newest);
                    }
                }
                errors
            });
        }
        for value in 1..=LAST {
            let terms = Terms {
                until: clock.after(MINUTE),
                fresh: clock.after(MINUTE),
            };
            match value % 16 {
                0 => {
                    publisher.withdraw(ErrorKind::Absent);
                    withdrawn.store(value - 1, Ordering::SeqCst);
                    publisher.publish_on(named(value), terms, MINUTE);
                }
                1 => {
                    publisher.publish_on(named(value), terms, Duration::ZERO);
                    publisher.extend(terms);
                }
                _ => {
                    publisher.publish_on(named(value), terms, MINUTE);
                    publisher.renew(named(value), terms);
                    publisher.extend(Terms::UNLIMITED);
                }
            }
            if value % 64 == 0 {
                clock.advance(1);
            }
        }
        assert_eq!(live.with(number).unwrap(), LAST);
        publisher.close();
    });
}

#[test]
fn readers_never_see_a_torn_or_an_older_value() {
    const LAST: u64 = 100_000;
    let (publisher, live) = Live::channel((0, !0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut newest = 0;
                while newest < LAST && !stop.load(Ordering::Relaxed) {
                    let before = live.previous().map_or(0, |pair| pair.0);
                    let (value, complement) = live.with(|pair| *pair).unwrap();
                    assert_eq!(value, !complement);
                    assert!(value >= newest && value >= before);
                    newest = value;
                }
            });
        }
        // A reader that fails must not leave the other one waiting for the last value.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        for value in 1..LAST {
            publisher.publish_with_overlap((value, !value), MINUTE);
        }
        publisher.publish((LAST, !LAST));
    });
    assert_eq!(live.with(|pair| pair.0).unwrap(), LAST);
}
