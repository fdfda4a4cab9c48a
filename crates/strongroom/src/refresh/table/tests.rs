use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::*;
use crate::error::ErrorKind;

const NAME: SecretName = SecretName::from_static("api/token");

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn launch(table: &mut Table<u32>, now: u64) -> usize {
    table.launch(seconds(now), |_| Background::Read).len()
}

fn waited(landing: Landing<u32>) -> Vec<u32> {
    match landing {
        Landing::Counts(waited) => waited,
        Landing::Void => panic!("void"),
    }
}

#[test]
fn whoever_asks_joins_the_reading_under_way() {
    let mut table = Table::new();
    assert!(table.want(&NAME, 1, seconds(1)).is_none());
    assert!(table.want(&NAME, 2, seconds(1)).is_none());
    assert_eq!(launch(&mut table, 1), 1);
    assert!(table.want(&NAME, 3, seconds(2)).is_none());
    assert_eq!(launch(&mut table, 2), 0);
    assert_eq!(waited(table.land(&NAME, seconds(3))), [1, 2, 3]);
    assert_eq!(launch(&mut table, 3), 0);
}

#[test]
fn who_needs_a_newer_reading_waits_for_the_next() {
    let mut table = Table::new();
    table.hold(&NAME, seconds(100));
    table.touch(&NAME, seconds(1));
    assert_eq!(launch(&mut table, 1), 1);
    table.want_newer(&NAME, 1, seconds(2));
    assert!(waited(table.land(&NAME, seconds(3))).is_empty());
    assert_eq!(launch(&mut table, 3), 1);
    assert_eq!(waited(table.land(&NAME, seconds(4))), [1]);
}

#[test]
fn a_failure_answers_until_its_pause_is_over() {
    let mut table = Table::new();
    assert!(table.want(&NAME, 1, seconds(1)).is_none());
    assert_eq!(launch(&mut table, 1), 1);
    assert_eq!(waited(table.land(&NAME, seconds(1))), [1]);
    let error = Error::new(ErrorKind::Absent, "none");
    table.refuse(&NAME, error, seconds(5), seconds(5));
    assert!(matches!(table.want(&NAME, 2, seconds(4)), Some((2, _))));
    assert!(table.want(&NAME, 3, seconds(5)).is_none());
    assert_eq!(launch(&mut table, 5), 1);
    // What nobody holds and nobody asks for is forgotten.
    assert_eq!(waited(table.land(&NAME, seconds(6))), [3]);
    let error = Error::new(ErrorKind::Absent, "none");
    table.refuse(&NAME, error, seconds(10), seconds(8));
    assert_eq!(launch(&mut table, 10), 0);
    assert_eq!(table.names().count(), 1);
    assert!(matches!(table.want(&NAME, 4, seconds(9)), Some((4, _))));
    assert_eq!(launch(&mut table, 70), 0);
    assert_eq!(table.names().count(), 0);
}

#[test]
fn a_notice_ends_a_refusal_and_is_followed_by_a_reading_that_begins_after_it() {
    let mut table = Table::new();
    table.hold(&NAME, seconds(100));
    let error = Error::new(ErrorKind::Transient, "none");
    table.refuse(&NAME, error, seconds(50), seconds(50));
    table.touch(&NAME, seconds(1));
    assert!(table.want(&NAME, 1, seconds(1)).is_none());
    assert_eq!(launch(&mut table, 1), 1);
    table.touch(&NAME, seconds(2));
    table.touch(&NAME, seconds(2));
    assert_eq!(launch(&mut table, 2), 0);
    assert_eq!(waited(table.land(&NAME, seconds(3))), [1]);
    assert_eq!(launch(&mut table, 3), 1);
    assert!(waited(table.land(&NAME, seconds(4))).is_empty());
    table.hold(&NAME, seconds(100));
    assert_eq!(launch(&mut table, 4), 0);
}

#[test]
fn no_reading_begins_during_a_write() {
    let mut table = Table::new();
    table.hold(&NAME, seconds(1));
    table.begin_write(&NAME);
    assert!(table.want(&NAME, 1, seconds(1)).is_none());
    table.want_newer(&NAME, 2, seconds(1));
    table.touch(&NAME, seconds(1));
    assert!(!table.launch_along(&NAME));
    assert_eq!(launch(&mut table, 2), 0);
    table.end_write(&NAME, seconds(3));
    assert_eq!(launch(&mut table, 3), 1);
    assert_eq!(waited(table.land(&NAME, seconds(4))), [1, 2]);
}

#[test]
fn reports_join_and_are_rare() {
    let interval = seconds(10);
    let mut table = Table::new();
    table.hold(&NAME, seconds(100));
    for who in 0..5 {
        let reported = table.report(&NAME, who, seconds(1), interval);
        assert_eq!(matches!(reported, Reported::Leads), who == 0);
    }
    assert_eq!(launch(&mut table, 1), 1);
    let reported = table.report(&NAME, 5, seconds(1), interval);
    assert!(matches!(reported, Reported::Joins));
    assert_eq!(waited(table.land(&NAME, seconds(2))), [0, 1, 2, 3, 4, 5]);
    table.hold(&NAME, seconds(100));
    let reported = table.report(&NAME, 6, seconds(10), interval);
    assert!(matches!(reported, Reported::Recent(6)));
    let reported = table.report(&NAME, 7, seconds(11), interval);
    assert!(matches!(reported, Reported::Leads));
    assert_eq!(launch(&mut table, 11), 1);
}

#[test]
fn what_is_due_within_a_tick_comes_along() {
    let other = SecretName::from_static("other");
    let mut table: Table<u32> = Table::new();
    table.hold(&NAME, seconds(10));
    table.hold(&other, seconds(10) + TICK);
    assert_eq!(launch(&mut table, 9), 0);
    assert_eq!(launch(&mut table, 10), 2);
}

/// What two readers, one writer and the backend share.
struct World {
    inside: Mutex<Inside>,
    backend: AtomicU32,
}

struct Inside {
    table: Table<u32>,
    held: u32,
    under_way: u32,
    answered: Vec<u32>,
}

impl World {
    /// Does the readings that are due, as the supervisor's tasks do.
    fn read_what_is_due(&self) {
        loop {
            {
                let mut inside = self.inside.lock().unwrap();
                if launch(&mut inside.table, 1) == 0 {
                    return;
                }
                inside.under_way += 1;
                assert_eq!(inside.under_way, 1, "one reading at a time");
            }
            let found = self.backend.load(Ordering::SeqCst);
            let mut inside = self.inside.lock().unwrap();
            inside.under_way -= 1;
            if let Landing::Counts(waited) = inside.table.land(&NAME, seconds(1)) {
                inside.held = found;
                inside.answered.extend(waited);
                inside.table.hold(&NAME, seconds(100));
            }
        }
    }

    fn write(&self) {
        self.inside.lock().unwrap().table.begin_write(&NAME);
        let written = self.backend.fetch_add(1, Ordering::SeqCst) + 1;
        let mut inside = self.inside.lock().unwrap();
        inside.table.end_write(&NAME, seconds(1));
        inside.held = written;
    }
}

/// Every interleaving of two readers and a writer, with up to three preemptions: one reading at a time,
/// everybody is answered once, and no reading undoes what was written.
#[test]
fn single_flight_holds_in_every_interleaving() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let inside = Inside {
            table: Table::new(),
            held: 0,
            under_way: 0,
            answered: Vec::new(),
        };
        let world = Arc::new(World {
            inside: Mutex::new(inside),
            backend: AtomicU32::new(1),
        });
        let reader = |who| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut inside = world.inside.lock().unwrap();
                assert!(inside.table.want(&NAME, who, seconds(1)).is_none());
                drop(inside);
                world.read_what_is_due();
            })
        };
        let readers = [reader(1), reader(2)];
        world.write();
        for reader in readers {
            reader.join().unwrap();
        }
        world.read_what_is_due();
        let mut inside = world.inside.lock().unwrap();
        assert_eq!(inside.held, 2, "an older reading was put in force");
        inside.answered.sort_unstable();
        assert_eq!(inside.answered, [1, 2]);
    });
}
