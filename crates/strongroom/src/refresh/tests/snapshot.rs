//! The snapshot of a running service, and a boot from it, in virtual time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::backends::Bundle;
use crate::rails::GuardRails;
use crate::{Deployment, Source};

const KEY: &str = "8f3a61d7c02be94517adf6380c9e52b17e40d8ac361f95b2e7084dc63a9b15f2";

/// A place for a snapshot and its key, and the manifest that names both.
struct Room {
    dir: tempfile::TempDir,
    manifest: String,
}

impl Room {
    fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["state", "keys"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let room = dir.path().display();
        let manifest = format!(
            "{MANIFEST}\n[default.snapshot]\npath = \"{room}/state/app.snapshot\"\n\
             key_file = \"{room}/keys/snapshot.key\"\n{settings}"
        );
        let key = dir.path().join("keys/snapshot.key");
        std::fs::write(&key, KEY).unwrap();
        std::fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Self { dir, manifest }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state/app.snapshot")
    }

    async fn try_boot(&self, backend: &Scripted) -> Result<Secrets> {
        let env = Env::empty().with_var("STRONGROOM_ENV", "development");
        let builder = SecretsFactory::builder()
            .env(env)
            .manifest_text(&self.manifest)
            .block_in_place()
            .provider(backend.clone());
        let connection = builder.connect().await?;
        connection.boot_by(Clock::runtime()).await
    }

    async fn boot(&self, backend: &Scripted) -> Secrets {
        let secrets = self.try_boot(backend).await.unwrap();
        settle().await;
        secrets
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    fn bundle(&self) -> Bundle {
        let rails = GuardRails::new(Deployment::Development, []);
        let key = self.dir.path().join("keys/snapshot.key");
        Bundle::new(self.path(), key, Arc::new(Env::empty()), rails).in_place(true)
    }

    /// Returns the names of which the snapshot has a value.
    async fn names(&self) -> BTreeSet<String> {
        let entries = self.bundle().read().await.unwrap();
        let known = entries.iter().filter(|(entry, _)| {
            let stem = entry.strip_suffix("/known");
            stem.is_some_and(|stem| entries.contains_key(&format!("{stem}/value")))
        });
        let name = |known: &Secret| {
            let json: serde_json::Value =
                serde_json::from_str(known.expose_str().unwrap()).unwrap();
            json["name"].as_str().unwrap().to_owned()
        };
        known.map(|(_, known)| name(known)).collect()
    }
}

fn source(secrets: &Secrets, name: &str) -> Source {
    let health = secrets.health();
    let found = health.secrets.iter().find(|s| s.name.as_str() == name);
    found.unwrap().source
}

#[tokio::test(start_paused = true)]
async fn a_boot_without_the_backend_starts_from_the_snapshot_and_recovers_by_itself() {
    let (room, backend) = (Room::new(""), backend());
    room.boot(&backend).await.shutdown().await.unwrap();
    let held = BTreeSet::from(["api/other", "api/token", "db#password", "db#user"]);
    assert_eq!(
        room.names().await,
        held.iter().map(|&n| n.to_owned()).collect()
    );

    backend.fail(Some(ErrorKind::Transient));
    let secrets = room.boot(&backend).await;
    let mut events = secrets.events();
    let token = secrets.get("api/token").await.unwrap();
    assert!(token.verify(MONDAY));
    assert_eq!(token.metadata().source(), Source::Snapshot);
    assert_eq!(token.metadata().version().unwrap().as_str(), "1");
    assert!(
        token.fingerprint().is_some(),
        "it passed the policy as any other"
    );
    let health = secrets.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert_eq!(source(&secrets, "api/token"), Source::Snapshot);
    let problem = &health.secrets[0].problems[0];
    assert!(
        problem.starts_with("started from a snapshot of ")
            && problem.ends_with("s ago; it ends in 23h 59m"),
        "{problem}"
    );

    // Past `max_stale`, which is for what was confirmed by this process.
    pass(90 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await.unwrap(), MONDAY);
    assert_eq!(source(&secrets, "api/token"), Source::Snapshot);
    assert_eq!(so_far(&mut events).await, Vec::<String>::new());

    backend.fail(None);
    backend.set("db#user", "app-2");
    pass(2 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await.unwrap(), MONDAY);
    assert_eq!(value(&secrets, "db#user").await.unwrap(), "app-2");
    for name in ["api/token", "db#user"] {
        let secret = secrets.get(name).await.unwrap();
        assert_eq!(secret.metadata().source(), Source::Live, "{name}");
        assert_eq!(source(&secrets, name), Source::Live, "{name}");
    }
    assert_eq!(
        secrets.health().status,
        HealthStatus::Ready,
        "{:?}",
        secrets.health()
    );
    let told = so_far(&mut events).await;
    let recovered = told
        .iter()
        .filter(|event| event.ends_with("confirmed again"));
    assert_eq!(recovered.count(), 4, "{told:?}");
    // One value changed; the others were replaced silently.
    assert_eq!(told.len(), 5, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_value_of_a_snapshot_ends_with_the_age_that_the_manifest_allows() {
    let (room, backend) = (Room::new("max_age = \"2h\""), backend());
    room.boot(&backend).await.shutdown().await.unwrap();
    backend.fail(Some(ErrorKind::Transient));
    let secrets = room.boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let calls = backend.calls();
    pass(119 * MINUTE).await;
    assert!(live.verify(MONDAY));
    let called = backend.calls() - calls;
    // Once a minute at the most, and it is still being tried.
    assert!((60..=240).contains(&called), "{called}");
    pass(MINUTE + Duration::from_secs(5)).await;
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Stale);
    assert_eq!(secrets.health().status, HealthStatus::Failed);
    let problems = &secrets.health().secrets[1].problems;
    assert!(
        !problems.iter().any(|p| p.contains("it ends in")),
        "{problems:?}"
    );

    backend.fail(None);
    pass(2 * MINUTE).await;
    assert!(live.verify(MONDAY));
}

#[tokio::test(start_paused = true)]
async fn an_outage_makes_no_snapshot_look_new() {
    let (room, backend) = (Room::new(""), backend());
    let secrets = room.boot(&backend).await;
    pass(30 * MINUTE).await;
    backend.fail(Some(ErrorKind::Transient));
    pass(6 * MINUTE).await;
    let last = room.bytes();
    pass(120 * MINUTE).await;
    assert!(room.bytes() == last, "written without a confirmation");
    secrets.shutdown().await.unwrap();

    // Nor does a service that started from it.
    let secrets = room.boot(&backend).await;
    pass(30 * MINUTE).await;
    assert!(room.bytes() == last);
    // One secret is confirmed, the others are not.
    backend.fail(None);
    backend
        .state()
        .failing_names
        .insert("api/other".into(), ErrorKind::Transient);
    pass(30 * MINUTE).await;
    assert_eq!(source(&secrets, "api/token"), Source::Live);
    assert!(room.bytes() == last);
    backend.state().failing_names.clear();
    pass(2 * MINUTE).await;
    assert!(room.bytes() != last, "all is confirmed again");
}

#[tokio::test(start_paused = true)]
async fn it_is_written_every_five_minutes_at_the_most_and_follows_rotations() {
    let (mut room, backend) = (Room::new(""), backend());
    room.manifest = room.manifest.replace("ttl = \"5m\"", "ttl = \"20s\"");
    let secrets = room.boot(&backend).await;
    let mut states = BTreeSet::from([room.bytes()]);
    for _ in 0..12 * 60 {
        pass(Duration::from_secs(5)).await;
        states.insert(room.bytes());
    }
    assert!((11..=13).contains(&states.len()), "{}", states.len());

    backend.set("api/token", TUESDAY);
    pass(6 * MINUTE).await;
    secrets.shutdown().await.unwrap();
    let last = room.bytes();
    pass(30 * MINUTE).await;
    assert!(room.bytes() == last, "written after the end");
    backend.fail(Some(ErrorKind::Transient));
    let secrets = room.boot(&backend).await;
    assert_eq!(value(&secrets, "api/token").await.unwrap(), TUESDAY);
}

#[tokio::test(start_paused = true)]
async fn what_the_backend_withdraws_leaves_the_snapshot() {
    for (kind, optional_boots) in [(ErrorKind::Absent, true), (ErrorKind::Denied, false)] {
        let (room, backend) = (Room::new(""), backend());
        backend.set("maybe", "an optional value");
        let secrets = room.boot(&backend).await;
        assert!(room.names().await.contains("maybe"));
        backend.state().failing_names.insert("maybe".into(), kind);
        pass(11 * MINUTE).await;
        assert!(!room.names().await.contains("maybe"), "{kind}");
        secrets.shutdown().await.unwrap();

        backend.state().failing_names.clear();
        backend.fail(Some(ErrorKind::Transient));
        let booted = room.try_boot(&backend).await;
        assert_eq!(booted.is_ok(), optional_boots, "{kind}");
        backend.fail(None);
        backend.remove("api/token");
        if let Ok(secrets) = booted {
            let read = value(&secrets, "maybe").await;
            assert_eq!(read.unwrap(), "an optional value");
            pass(2 * MINUTE).await;
            assert_eq!(value(&secrets, "api/token").await, Err(ErrorKind::Absent));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fields_of_one_document_are_all_from_the_backend_or_all_from_the_snapshot() {
    let (room, backend) = (Room::new(""), backend());
    room.boot(&backend).await.shutdown().await.unwrap();
    backend.set("db#user", "app-2");
    backend.set("db#password", "other-Walrus-42-lantern");
    backend.set("api/other", "changed too");
    backend
        .state()
        .failing_names
        .insert("db#user".into(), ErrorKind::Transient);
    let secrets = room.boot(&backend).await;
    assert_eq!(value(&secrets, "db#user").await.unwrap(), "app-1");
    assert_eq!(
        value(&secrets, "db#password").await.unwrap(),
        "violet-Kayak-19-thunder"
    );
    assert_eq!(source(&secrets, "db#password"), Source::Snapshot);
    // Another document is what the backend says.
    assert_eq!(value(&secrets, "api/other").await.unwrap(), "changed too");
    assert_eq!(source(&secrets, "api/other"), Source::Live);
    secrets.shutdown().await.unwrap();

    // What the backend refuses of a document keeps the snapshot out of it.
    for kind in [ErrorKind::Denied, ErrorKind::Absent, ErrorKind::Malformed] {
        backend
            .state()
            .failing_names
            .insert("db#password".into(), kind);
        let error = room.try_boot(&backend).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        let report = error.report().unwrap().to_string();
        assert!(
            report.contains("the snapshot can't stand in: `db#password`"),
            "{report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_lent_is_never_kept() {
    let (mut room, backend) = (Room::new(""), backend());
    room.manifest.push_str(
        "\n[default.secrets.lent]\nkind = \"opaque\"\nsource = { id = \"db/creds\", lease = true }\n",
    );
    backend.set("lent", "lent for an hour");
    room.boot(&backend).await.shutdown().await.unwrap();
    let names = room.names().await;
    assert!(
        names.contains("api/token") && !names.contains("lent"),
        "{names:?}"
    );
    backend.fail(Some(ErrorKind::Transient));
    let error = room.try_boot(&backend).await.unwrap_err();
    let report = error.report().unwrap().to_string();
    assert!(report.contains("what is lent is never kept"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_read_elsewhere_now_is_another_one() {
    let (mut room, backend) = (Room::new(""), backend());
    room.boot(&backend).await.shutdown().await.unwrap();
    backend.fail(Some(ErrorKind::Transient));
    room.manifest = room.manifest.replace(
        "\"api/other\" = { kind = \"opaque\" }",
        "\"api/other\" = { kind = \"opaque\", source = { name = \"api/new\" } }",
    );
    let error = room.try_boot(&backend).await.unwrap_err();
    let report = error.report().unwrap().to_string();
    assert!(
        report.contains("it holds no value of `api/other`"),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_passes_the_policy_like_any_other_value() {
    let (mut room, backend) = (Room::new(""), backend());
    room.boot(&backend).await.shutdown().await.unwrap();
    backend.fail(Some(ErrorKind::Transient));
    room.manifest = room
        .manifest
        .replace("kind = \"token\"", "kind = \"token\", min_length = 60");
    let error = room.try_boot(&backend).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_can_not_be_written_is_said_once_and_tried_again() {
    let (room, backend) = (Room::new(""), backend());
    let key = room.dir.path().join("keys/snapshot.key");
    let text = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let secrets = room.boot(&backend).await;
    let health = secrets.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert!(
        health.reasons[0].starts_with("no snapshot is kept: the key's file"),
        "{health:?}"
    );
    // A view says nothing of what is not its own.
    assert_eq!(
        secrets.scoped("api/").unwrap().health().status,
        HealthStatus::Ready
    );
    pass(20 * MINUTE).await;
    assert!(!room.path().exists());

    std::fs::write(&key, text).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    pass(6 * MINUTE).await;
    assert!(room.path().exists());
    assert_eq!(secrets.health().status, HealthStatus::Ready);
}

#[tokio::test]
async fn a_reader_meets_the_old_file_or_the_new_one() {
    let room = Room::new("");
    let bundle = room.bundle();
    let write = |round: usize| {
        let values =
            (0..20).map(|at| (format!("entry/{at}"), Secret::from_text(round.to_string())));
        bundle.write(values.collect())
    };
    write(0).await.unwrap();
    let reader = std::thread::spawn({
        let bundle = room.bundle();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            for _ in 0..100 {
                let entries = runtime.block_on(bundle.read()).unwrap();
                assert_eq!(entries.len(), 20);
                let first = &entries["entry/0"];
                assert!(
                    entries
                        .values()
                        .all(|value| value.verify(first.expose_bytes()))
                );
            }
        }
    });
    let mut round = 0;
    while !reader.is_finished() {
        round += 1;
        write(round).await.unwrap();
    }
    reader.join().unwrap();
    let left: Vec<_> = files(room.path().parent().unwrap());
    assert_eq!(left, [".strongroom.lock", "app.snapshot"]);
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
