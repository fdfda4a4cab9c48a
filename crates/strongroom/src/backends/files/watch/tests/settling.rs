//! What is told at once and what has to rest, by a clock of the test's.

use std::path::PathBuf;
use std::time::Instant;

use super::super::settling::{REST, Settling};
use super::*;

/// Looks at a directory, at moments that the test chooses.
struct Looking {
    dir: tempfile::TempDir,
    told: Files,
    settling: Settling,
    begun: Instant,
}

impl Looking {
    fn new(files: &[&str]) -> Self {
        let dir = dir();
        for file in files {
            fs::write(dir.path().join(file), "v").unwrap();
        }
        let mut looking = Self {
            dir,
            told: Files::new(),
            settling: Settling::default(),
            begun: Instant::now(),
        };
        looking.told = looking.files();
        looking
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn files(&self) -> Files {
        Snapshot::take(&[Subject::Directory(self.dir.path().to_owned())]).files
    }

    /// Looks so many milliseconds after the beginning; returns whether something is told.
    fn look(&mut self, moment: u64) -> bool {
        let (found, now) = (self.files(), self.begun + Duration::from_millis(moment));
        let outcome = self.settling.compare(&mut self.told, &found, now);
        if !outcome.changed && self.told != found {
            let again = outcome.again.expect("it would be forgotten");
            assert!(again > now && again <= now + REST);
        }
        outcome.changed
    }

    fn write(&self, name: &str, length: usize) {
        fs::write(self.at(name), "x".repeat(length)).unwrap();
    }
}

#[test]
fn what_is_written_in_place_has_to_rest() {
    let mut looking = Looking::new(&["token"]);
    assert!(!looking.look(0));
    for (moment, length) in [(0, 2), (150, 3), (300, 4)] {
        looking.write("token", length);
        assert!(!looking.look(moment));
    }
    assert!(!looking.look(499));
    assert!(looking.look(500));
    assert!(!looking.look(501));
}

#[test]
fn what_is_gone_may_come_back() {
    let mut looking = Looking::new(&["token"]);
    fs::rename(looking.at("token"), looking.at(".aside")).unwrap();
    assert!(!looking.look(0));
    assert!(!looking.look(199));
    looking.write("token", 2);
    assert!(!looking.look(200));
    assert!(looking.look(400));
    fs::remove_file(looking.at("token")).unwrap();
    assert!(!looking.look(500));
    assert!(looking.look(700));
    assert!(looking.told.is_empty());
}

#[test]
fn what_was_renamed_is_whole_unless_it_was_written_since() {
    let mut looking = Looking::new(&["token"]);
    let path = looking.at("token");
    replace(&path, "w");
    looking.settling.renamed(path.clone());
    assert!(looking.look(0));
    replace(&path, "x");
    looking.settling.renamed(path.clone());
    looking.settling.touched(&path);
    assert!(!looking.look(10));
    assert!(looking.look(210));
    // That it was renamed once says nothing of what is written later.
    looking.write("token", 9);
    assert!(!looking.look(300));
    assert!(looking.look(500));
}

#[test]
fn a_new_generation_is_whole() {
    let mut looking = Looking::new(&[]);
    swap(looking.dir.path(), 0);
    fs::write(looking.dir.path().join("..data/gone"), "v").unwrap();
    looking.told = looking.files();
    swap(looking.dir.path(), 1);
    assert!(looking.look(0));
    assert_eq!(looking.told, looking.files());
    // In place, in the generation that is there.
    fs::write(looking.dir.path().join("..data/token"), "in place").unwrap();
    assert!(!looking.look(10));
    assert!(looking.look(210));
}

#[test]
fn a_file_that_never_rests_holds_nobody_up_and_is_said_once() {
    let mut looking = Looking::new(&["log", "token"]);
    let mut said = 0;
    let mut told = 0;
    for moment in 0..300_u64 {
        looking.write("log", 1 + moment as usize);
        if moment == 100 {
            looking.write("token", 2);
        }
        let now = looking.begun + Duration::from_millis(moment * 100);
        let found = looking.files();
        let outcome = looking.settling.compare(&mut looking.told, &found, now);
        said += usize::from(outcome.restless == Some(looking.dir.path().join("log")));
        told += usize::from(outcome.changed);
    }
    assert_eq!((said, told), (1, 1));
    assert!(!looking.look(30_000));
    assert!(looking.look(30_200));
}
