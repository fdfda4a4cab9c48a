//! The chain: written, continued, torn, cut, tampered with in every way.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::chain::{Chain, Record};
use super::event::{Event, Operation, Outcome};
use super::identity::Identity;
use super::settings::{KeySource, LogSettings};
use super::*;
use crate::secret::Version;

mod rotation;
mod tampering;
mod tearing;
mod waiting;

const NAME: SecretName = SecretName::from_static("database/password");

fn key() -> Key {
    Key::from_text(&Secret::from_bytes((0..32).collect::<Vec<u8>>())).unwrap()
}

fn other_key() -> Key {
    Key::from_text(&Secret::from_bytes(vec![9; 32])).unwrap()
}

fn settings(path: &Path) -> LogSettings {
    LogSettings {
        path: path.to_owned(),
        key: KeySource::File(PathBuf::from("unused")),
        max_bytes: MAX_BYTES,
        max_age: None,
        keep: None,
        keep_for: None,
        head_every: HEAD_EVERY,
        sync: false,
    }
}

fn chain_with(settings: LogSettings, key: Key) -> Chain {
    let journal = Journal::new(&settings.path).unwrap();
    Chain::new(journal, key, settings, Identity::of_process(Some("test")))
}

fn chain(path: &Path) -> Chain {
    chain_with(settings(path), key())
}

fn record(n: usize) -> Record {
    let event = Event::new(Operation::Fetch, Outcome::Success)
        .of(&NAME, Some(&Version::new(n.to_string())))
        .at_provider("memory:")
        .took(Duration::from_millis(3));
    (
        event.to_json(&Identity::of_process(Some("test"))),
        event.extras,
    )
}

/// A log of so many events, and the directory that it lies in.
fn log_of(events: usize) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let mut chain = chain(&path);
    for n in 0..events {
        chain.append(&[record(n)]).unwrap();
    }
    (dir, path)
}

#[track_caller]
fn refused(path: &Path, expect: Option<&Head>) -> Error {
    let error = verify(path, &key(), expect).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    error
}

#[test]
fn what_is_written_verifies_and_says_what_happened() {
    let (_dir, path) = log_of(5);
    let verified = verify(&path, &key(), None).unwrap();
    assert_eq!(
        (verified.events, verified.first, verified.head.seq()),
        (6, 1, 6)
    );
    assert!(verified.notes.is_empty());
    verify(&path, &key(), Some(&verified.head)).unwrap();

    let mut entries = Vec::new();
    let passed = read::<Error>(&path, &Filter::default(), |entry| {
        entries.push(entry);
        Ok(true)
    });
    assert_eq!(passed.unwrap(), 0);
    assert_eq!(entries[0].operation, "audit.open");
    let last = entries.pop().unwrap();
    assert_eq!((last.seq, last.operation.as_str()), (6, "fetch"));
    assert_eq!(last.name.as_deref(), Some("database/password"));
    assert_eq!(last.version.as_deref(), Some("4"));
    assert_eq!(last.service.as_deref(), Some("test"));
    assert_eq!(last.process, Some(std::process::id()));
    assert_eq!(last.duration, Some(3));
}

#[test]
fn an_event_has_every_attribute_that_its_class_requires() {
    let (_dir, path) = log_of(1);
    for line in fs::read_to_string(&path).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["class_uid"], 6003);
        assert_eq!(event["category_uid"], 6);
        let activity = event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], 600_300 + activity);
        assert_eq!(event["severity_id"], 1);
        assert_eq!(event["status_id"], 1);
        assert!(event["time"].as_u64().unwrap() > 1_600_000_000_000);
        assert_eq!(event["metadata"]["version"], "1.3.0");
        assert_eq!(event["metadata"]["product"]["vendor_name"], "strongroom");
        assert!(event["actor"]["process"]["pid"].is_u64());
        assert!(event["actor"]["user"]["uid"].is_string());
        assert!(event["src_endpoint"]["hostname"].is_string());
        assert!(event["api"]["operation"].is_string());
    }
}

#[test]
fn a_failure_says_its_kind_and_how_bad_it_is() {
    for (kind, severity) in [
        (ErrorKind::Absent, 2),
        (ErrorKind::Denied, 3),
        (ErrorKind::Policy, 3),
        (ErrorKind::Integrity, 4),
    ] {
        let failed: Result<()> = Err(Error::new(kind, "a message of somebody else"));
        let event = Event::new(Operation::Fetch, Outcome::of(&failed));
        let json = event.to_json(&Identity::of_process(None));
        let event: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(event["status_detail"], kind.as_str());
        assert_eq!(event["severity_id"], severity);
        assert!(!event.to_string().contains("somebody else"));
    }
}

#[test]
fn several_writers_continue_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let mut writers: Vec<_> = (0..4).map(|_| chain(&path)).collect();
    for n in 0..40 {
        writers[n % 4].append(&[record(n), record(n)]).unwrap();
    }
    let verified = verify(&path, &key(), None).unwrap();
    assert_eq!((verified.events, verified.files), (81, 1));
}

#[test]
fn a_log_of_another_key_is_neither_continued_nor_verified() {
    let (_dir, path) = log_of(2);
    let before = fs::read(&path).unwrap();
    let error = chain_with(settings(&path), other_key())
        .append(&[record(0)])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(fs::read(&path).unwrap(), before);
    let error = verify(&path, &other_key(), None).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn what_is_no_regular_file_is_neither_followed_nor_written() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("elsewhere"), "untouched").unwrap();
    std::os::unix::fs::symlink(at("elsewhere"), at("link")).unwrap();
    fs::hard_link(at("elsewhere"), at("hard")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    for name in ["link", "hard", "dir", "fifo"] {
        let error = chain(&at(name)).append(&[record(0)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}: {error}");
        let error = verify(&at(name), &key(), None).unwrap_err();
        assert!(!error.to_string().contains("untouched"), "{name}: {error}");
    }
    assert_eq!(fs::read_to_string(at("elsewhere")).unwrap(), "untouched");
    // Nor is the lock a way around.
    std::os::unix::fs::symlink(at("elsewhere"), at("log.lock")).unwrap();
    assert!(chain(&at("log")).append(&[record(0)]).is_err());
    assert!(!at("log").exists());
}

#[test]
fn a_file_that_is_replaced_while_a_writer_runs_is_noticed() {
    let (dir, path) = log_of(0);
    let mut writer = chain(&path);
    writer.append(&[record(0)]).unwrap();
    let old = fs::read(&path).unwrap();
    writer.append(&[record(1)]).unwrap();

    // An older copy, under the same name.
    fs::write(dir.path().join("copy"), &old).unwrap();
    fs::rename(dir.path().join("copy"), &path).unwrap();
    writer.append(&[record(2)]).unwrap();
    let error = refused(&path, None);
    assert!(
        error
            .to_string()
            .contains("event 3 was written, and is gone"),
        "{error}"
    );

    // Its whole directory is gone: that is an error, and no new log somewhere else.
    fs::remove_dir_all(dir.path()).unwrap();
    assert!(writer.append(&[record(3)]).is_err());
}

#[test]
fn a_log_cut_in_place_or_removed_while_a_writer_runs_is_noticed() {
    for remove in [false, true] {
        let (_dir, path) = log_of(0);
        let mut writer = chain(&path);
        writer.append(&[record(0)]).unwrap();
        let kept = fs::metadata(&path).unwrap().len();
        writer.append(&[record(1)]).unwrap();
        match remove {
            true => fs::remove_file(&path).unwrap(),
            false => fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(kept)
                .unwrap(),
        }
        writer.append(&[record(2)]).unwrap();
        let error = refused(&path, None);
        assert!(
            error.to_string().contains("the log was cut before it"),
            "{error}"
        );
    }
}

#[test]
fn a_lock_file_that_is_taken_away_locks_all_the_same() {
    let (_dir, path) = log_of(0);
    let (mut one, mut two) = (chain(&path), chain(&path));
    for n in 0..10 {
        one.append(&[record(n)]).unwrap();
        fs::remove_file(path.with_file_name("audit.jsonl.lock")).unwrap();
        two.append(&[record(n)]).unwrap();
    }
    assert_eq!(verify(&path, &key(), None).unwrap().events, 21);
}
