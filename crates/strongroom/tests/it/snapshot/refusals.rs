//! When the snapshot doesn't stand in, and what is said then.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Takes a snapshot, lets something happen to it, and boots while the backend can't be reached.
async fn boot_after(change: impl FnOnce(&mut Room)) -> Error {
    let mut room = Room::new();
    room.take().await;
    change(&mut room);
    room.fail(Some(ErrorKind::Transient));
    let error = room.boot().await.unwrap_err();
    assert!(
        report(&error).contains("[unreachable]"),
        "the failure itself: {error:?}"
    );
    error
}

#[track_caller]
fn assert_says(error: &Error, kind: ErrorKind, words: &str) {
    let report = report(error);
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(report.contains(words), "{report}");
    assert!(!format!("{error:?}").contains("cnry"), "{error:?}");
}

#[tokio::test]
async fn a_failure_that_time_does_not_mend_is_none_for_a_snapshot() {
    for kind in [
        ErrorKind::Denied,
        ErrorKind::Auth,
        ErrorKind::Absent,
        ErrorKind::Malformed,
        ErrorKind::Integrity,
        // As a certificate that is refused.
        ErrorKind::Config,
    ] {
        let room = Room::new();
        room.take().await;
        room.fail(Some(kind));
        let error = room.boot().await.unwrap_err();
        // What is wrong with the secret itself is the policy's.
        let expected = match kind {
            ErrorKind::Absent | ErrorKind::Malformed => ErrorKind::Policy,
            kind => kind,
        };
        assert_eq!(error.kind(), expected, "{kind}");
        assert!(!report(&error).contains("snapshot"), "{}", report(&error));
        room.fail(None);
        room.store(|store| store.opening = Some(kind));
        assert_eq!(room.boot().await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_snapshot_that_is_too_old_serves_nothing() {
    let error = boot_after(|room| room.date(SystemTime::now() - 24 * HOUR)).await;
    assert_says(
        &error,
        ErrorKind::Transient,
        "it is too old: taken 1day ago",
    );
    let error = boot_after(|room| {
        room.snapshot.push_str("\nmax_age = \"1h\"");
        room.date(SystemTime::now() - HOUR);
    });
    assert_says(
        &error.await,
        ErrorKind::Transient,
        "`snapshot.max_age` is 1h",
    );

    let room = Room::new();
    room.take().await;
    room.date(SystemTime::now() - 23 * HOUR);
    room.fail(Some(ErrorKind::Transient));
    let secrets = room.boot().await.unwrap();
    let problem = &secrets.health().secrets[0].problems[0];
    assert!(
        problem.contains("a snapshot of 23h ago; it ends in 59m"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_snapshot_from_the_future_is_refused() {
    let error = boot_after(|room| room.date(SystemTime::now() + HOUR)).await;
    let words = "the clock or the file is wrong";
    assert_says(&error, ErrorKind::Transient, words);
}

#[tokio::test]
async fn a_snapshot_that_was_changed_stops_the_boot_as_such() {
    let error = boot_after(|room| {
        let text = std::fs::read_to_string(room.path()).unwrap();
        std::fs::write(room.path(), text.replace("epoch 1\n", "epoch 2\n")).unwrap();
    });
    assert_says(&error.await, ErrorKind::Integrity, "the seal is broken");

    // While the backend works nobody needs it, and it is replaced.
    let room = Room::new();
    std::fs::write(room.path(), "no snapshot at all").unwrap();
    room.take().await;
    let error = boot_after(|room| std::fs::write(room.path(), "no snapshot at all").unwrap()).await;
    assert_says(&error, ErrorKind::Transient, "this is not a sealed file");
}

#[tokio::test]
async fn a_snapshot_of_something_else_serves_nothing() {
    let words = "another profile, deployment or provider";
    let error = boot_after(|room| room.deployment = "staging").await;
    assert_says(&error, ErrorKind::Transient, words);
    let error = boot_after(|room| {
        room.address.push_str("-other");
    });
    assert_says(&error.await, ErrorKind::Transient, words);
}

#[tokio::test]
async fn without_a_snapshot_or_its_key_a_boot_needs_the_backend() {
    let error = boot_after(|room| std::fs::remove_file(room.path()).unwrap()).await;
    assert_says(&error, ErrorKind::Transient, "app.snapshot does not exist");
    let error = boot_after(|room| {
        std::fs::remove_file(room.dir.path().join("keys/snapshot.key")).unwrap();
    });
    assert_says(
        &error.await,
        ErrorKind::Transient,
        "snapshot.key does not exist",
    );
    let error = boot_after(|room| room.write_key(&KEY.replace("8f3a", "8f3b"), 0o600)).await;
    assert_says(&error, ErrorKind::Transient, "app.snapshot: ");
}

#[tokio::test]
async fn a_key_that_is_missing_stops_no_boot_and_is_said_at_each() {
    let room = Room::new();
    std::fs::remove_file(room.dir.path().join("keys/snapshot.key")).unwrap();
    for _ in 0..2 {
        let secrets = room.boot().await.unwrap();
        let health = secrets.health();
        assert_eq!(health.status, HealthStatus::Degraded);
        assert!(
            health.reasons[0].contains("no snapshot is kept: the key's file"),
            "{health:?}"
        );
        secrets.shutdown().await.unwrap();
    }
    let connection = room.builder().connect().await.unwrap();
    let report = connection.validate().await.report;
    assert!(report.is_clean());
    assert!(
        report.to_string().contains("no snapshot is kept"),
        "{report}"
    );
    assert!(!room.path().exists());
}

#[tokio::test]
async fn a_key_beside_the_snapshot_is_refused_whatever_the_way_to_it() {
    let mut room = Room::new();
    let state = room.dir.path().join("state");
    std::fs::create_dir(state.join("below")).unwrap();
    std::os::unix::fs::symlink(&state, room.dir.path().join("elsewhere")).unwrap();
    std::fs::write(state.join("below/key"), KEY).unwrap();
    std::os::unix::fs::symlink(state.join("below/key"), room.dir.path().join("link")).unwrap();
    for key in [
        "state/snapshot.key",
        "state/below/key",
        "elsewhere/below/key",
        "elsewhere/snapshot.key",
        "link",
        "keys/../state/snapshot.key",
    ] {
        room.snapshot = format!("path = \"state/app.snapshot\"\nkey_file = \"{key}\"");
        let error = room.boot().await.unwrap_err();
        assert_says(&error, ErrorKind::Config, "beside what it opens");
        assert!(!room.path().exists(), "{key}");
    }
    // A link beside the snapshot to a key elsewhere is no key beside it.
    let key = room.dir.path().join("keys/snapshot.key");
    std::os::unix::fs::symlink(key, state.join("snapshot.key")).unwrap();
    room.snapshot = "path = \"state/app.snapshot\"\nkey_file = \"state/snapshot.key\"".to_owned();
    room.take().await;
}

#[tokio::test]
async fn the_guard_rails_hold_for_the_key_and_the_directory() {
    let mut room = Room::new();
    room.write_key(KEY, 0o644);
    let error = room.boot().await.unwrap_err();
    assert_says(&error, ErrorKind::Policy, "can be read by group or world");
    room.deployment = "development";
    room.take().await;
    let secrets = room.boot().await.unwrap();
    let reasons = secrets.health().reasons.join("\n");
    assert!(
        reasons.contains("can be read by group or world"),
        "{reasons}"
    );

    let room = Room::new();
    let state = room.dir.path().join("state");
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o777)).unwrap();
    let error = room.boot().await.unwrap_err();
    assert_says(&error, ErrorKind::Policy, "can be written by anyone");

    let room = Room::new();
    room.write_key(&"0".repeat(64), 0o600);
    let error = room.boot().await.unwrap_err();
    assert_says(&error, ErrorKind::Policy, "the key is too weak");
}

#[tokio::test]
async fn a_manifest_that_nobody_named_gets_no_snapshot() {
    let room = Room::new();
    let secrets = room
        .builder()
        .distrust_found_manifest()
        .detect()
        .await
        .unwrap();
    secrets.refresh().await.unwrap();
    let reasons = secrets.health().reasons.join("\n");
    assert!(
        reasons.contains("`snapshot` is ignored: nobody named this manifest"),
        "{reasons}"
    );
    secrets.shutdown().await.unwrap();
    assert!(room.files("state").is_empty());

    room.take().await;
    room.fail(Some(ErrorKind::Transient));
    let booted = room.builder().distrust_found_manifest().detect().await;
    assert_eq!(booted.unwrap_err().kind(), ErrorKind::Transient);
}

#[tokio::test]
async fn the_settings_are_checked_and_a_variable_overrides_the_age() {
    let mut room = Room::new();
    let good = room.snapshot.clone();
    for (settings, words) in [
        ("path = \"a\"", "`snapshot` needs a `path` and a `key_file`"),
        (
            "key_file = \"a\"",
            "`snapshot` needs a `path` and a `key_file`",
        ),
        (
            "max_age = \"59s\"",
            "`snapshot.max_age` must be a length of time from 1m to 1day",
        ),
        ("max_age = \"25h\"", "`snapshot.max_age` must be"),
        ("max_age = \"4m\"", "is shorter than `cache.ttl`"),
        ("max_ages = \"1h\"", "unknown key `max_ages` in `snapshot`"),
    ] {
        room.snapshot = match settings.starts_with("max_") {
            true => format!("{good}\n{settings}"),
            false => settings.to_owned(),
        };
        let error = room.boot().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(words), "{error}");
    }
    room.snapshot = good;
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", room.deployment)
        .with_var("STRONGROOM_CFG_SNAPSHOT__MAX_AGE", "2h")
        .with_working_dir(room.dir.path());
    let detection = room.builder().env(env).explain().unwrap();
    let settings = detection.settings.iter();
    let mut shown = settings.filter(|setting| setting.key.starts_with("snapshot."));
    let age = shown
        .find(|setting| setting.key == "snapshot.max_age")
        .unwrap();
    assert_eq!(age.value, "2h");
    assert_eq!(age.origin, "STRONGROOM_CFG_SNAPSHOT__MAX_AGE");
    assert!(
        detection
            .settings
            .iter()
            .any(|setting| setting.key == "snapshot.path")
    );
}
