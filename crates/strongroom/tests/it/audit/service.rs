//! What a service records, and what it does where it can't.

use std::fs;
use std::path::{Path, PathBuf};

use strongroom::audit::{self, Entry, Filter};
use strongroom::provider::Expect;
use strongroom::{
    Env, Error, ErrorKind, HealthStatus, Memory, Secret, SecretsBuilder, SecretsFactory,
};
use tempfile::TempDir;

pub(super) const NAMES: [&str; 2] = ["api/token", "database/token"];
pub(super) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

const ONE: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
const TWO: &str = "Hn7c-Qy2wK5r_D8uM1xV4tG9bF6jL3zS";
const THREE: &str = "Zk3m-Bv8nQ1x_T6cL9wR2yF5hJ4gP7dS";

pub(super) fn key() -> audit::Key {
    audit::Key::from_text(&Secret::from_text(KEY)).unwrap()
}

pub(super) fn manifest(more: &str) -> String {
    format!(
        "[default.secrets]\n\"api/token\" = {{ kind = \"token\" }}\n\
         [default.audit]\npath = \"audit.jsonl\"\nkey_file = \"audit.key\"\nservice = \"shop\"\n{more}\n"
    )
}

struct Room {
    dir: TempDir,
    memory: Memory,
    more: String,
}

impl Room {
    fn new(more: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("audit.key");
        fs::write(&key, KEY).unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            dir,
            memory: Memory::new()
                .with("api/token", ONE)
                .with("database/token", TWO),
            more: more.to_owned(),
        }
    }

    fn builder(&self) -> SecretsBuilder {
        self.builder_in("development")
    }

    fn builder_in(&self, deployment: &str) -> SecretsBuilder {
        let env = Env::empty()
            .with_var("STRONGROOM_ENV", deployment)
            .with_working_dir(self.dir.path());
        SecretsFactory::builder()
            .env(env)
            .manifest_text(manifest(&self.more))
            .provider(self.memory.clone())
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("audit.jsonl")
    }

    /// Verifies the log, and returns `operation name outcome` of each event.
    fn events(&self) -> Vec<String> {
        audit::verify(&self.path(), &key(), None).unwrap();
        entries(&self.path())
            .into_iter()
            .map(|entry| {
                let name = entry.name.unwrap_or_default();
                let outcome = entry.detail.unwrap_or(entry.outcome);
                format!("{} {name} {outcome}", entry.operation)
            })
            .collect()
    }
}

fn entries(path: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    audit::read::<Error>(path, &Filter::default(), |entry| {
        entries.push(entry);
        Ok(true)
    })
    .unwrap();
    entries
}

#[tokio::test]
async fn a_service_records_what_it_does_and_no_value() {
    let room = Room::new("");
    room.memory.fail("database/token", ErrorKind::Denied);
    let secrets = room.builder().detect().await.unwrap();
    for _ in 0..3 {
        secrets.get("api/token").await.unwrap();
    }
    secrets.get("database/token").await.unwrap_err();
    secrets
        .scoped("other")
        .unwrap()
        .get("api/token")
        .await
        .unwrap_err();
    let three = Secret::from_text(THREE);
    secrets.put("api/token", &three, Expect::Any).await.unwrap();
    secrets.get("api/token").await.unwrap();
    secrets.shutdown().await.unwrap();

    let mut events = room.events();
    // The provider tells of the change, so that it may be read again, any number of times.
    let mut fetched = 0;
    events.retain(|event| {
        fetched += usize::from(event == "fetch api/token success");
        event != "fetch api/token success" || fetched == 1
    });
    assert_eq!(
        events,
        [
            "audit.open audit.jsonl success",
            "fetch api/token success",
            "hand_out api/token success",
            "fetch database/token denied",
            "hand_out api/token denied",
            "put api/token success",
            "rotated api/token success",
            "hand_out api/token success",
        ]
    );
    let text = fs::read_to_string(room.path()).unwrap();
    for value in [ONE, TWO, THREE, KEY.trim()] {
        assert!(!text.contains(value) && !text.contains(&value[..12]));
    }
    let entry = entries(&room.path()).pop().unwrap();
    assert_eq!(entry.service.as_deref(), Some("shop"));
    assert!(entry.version.is_some());
}

#[tokio::test]
async fn every_read_is_recorded_where_that_is_asked_for() {
    let room = Room::new("reads = \"every\"");
    let secrets = room.builder().detect().await.unwrap();
    for _ in 0..3 {
        secrets.get("api/token").await.unwrap();
    }
    let names = [
        "api/token".parse().unwrap(),
        "database/token".parse().unwrap(),
    ];
    secrets.get_many(&names).await.unwrap();
    secrets.watch("api/token").await.unwrap();
    secrets.shutdown().await.unwrap();
    let handed = room
        .events()
        .into_iter()
        .filter(|event| event.starts_with("hand_out"));
    assert_eq!(handed.count(), 6);
}

#[tokio::test]
async fn a_boot_that_is_refused_is_recorded() {
    let room = Room::new("");
    room.memory.set("api/token", Secret::from_text("changeme"));
    room.builder().detect().await.unwrap_err();
    let events = room.events();
    assert!(
        events.contains(&"refuse api/token placeholder".to_owned()),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_rotation_is_recorded_step_by_step() {
    let room = Room::new("");
    let connection = room.builder().connect().await.unwrap();
    let name = "api/token".parse().unwrap();
    let begun = connection
        .rotation(&name)
        .await
        .unwrap()
        .begin(None)
        .await
        .unwrap();
    begun.complete().await.unwrap();
    connection.close().await.unwrap();
    let events = room.events();
    for step in ["rotation.begin", "rotation.complete"] {
        assert!(
            events.contains(&format!("{step} api/token success")),
            "{events:?}"
        );
    }
    assert!(!fs::read_to_string(room.path()).unwrap().contains(ONE));
}

/// Takes the log away, and lets a directory stand in its place.
fn block(room: &Room) {
    fs::rename(room.path(), room.dir.path().join("away")).unwrap();
    fs::create_dir(room.path()).unwrap();
}

fn unblock(room: &Room) {
    fs::remove_dir(room.path()).unwrap();
    fs::rename(room.dir.path().join("away"), room.path()).unwrap();
}

#[tokio::test]
async fn a_service_that_fails_closed_hands_out_and_writes_nothing_unrecorded() {
    let room = Room::new("fail_closed = true");
    let secrets = room.builder().detect().await.unwrap();
    block(&room);
    let error = secrets.get("api/token").await.unwrap_err();
    assert!(error.to_string().contains("can't be recorded"), "{error}");
    assert!(
        !matches!(error.kind(), ErrorKind::Absent | ErrorKind::Denied),
        "{error}"
    );
    secrets.get("database/token").await.unwrap_err();
    secrets.watch("api/token").await.unwrap_err();
    let three = Secret::from_text(THREE);
    secrets
        .put("api/token", &three, Expect::Any)
        .await
        .unwrap_err();
    assert_eq!(room.memory.calls(strongroom::Operation::Put), 0);
    assert_eq!(secrets.health().status, HealthStatus::Degraded);

    unblock(&room);
    secrets.get("api/token").await.unwrap();
    secrets.shutdown().await.unwrap();
    let events = room.events();
    assert!(
        events.contains(&"audit.gap  transient".to_owned()),
        "{events:?}"
    );

    block(&room);
    let error = room.builder().detect().await.unwrap_err();
    assert!(error.to_string().contains("audit log"), "{error}");
}

#[tokio::test]
async fn a_service_that_doesnt_fail_closed_goes_on_and_says_so() {
    let room = Room::new("");
    let secrets = room.builder().detect().await.unwrap();
    block(&room);
    secrets.get("api/token").await.unwrap();
    let health = secrets.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert!(
        health
            .reasons
            .iter()
            .any(|reason| reason.contains("events can't be recorded"))
    );
    unblock(&room);
    secrets.get("database/token").await.unwrap();
    assert_eq!(secrets.health().status, HealthStatus::Ready);
    secrets.shutdown().await.unwrap();
    let verified = audit::verify(&room.path(), &key(), None).unwrap();
    assert_eq!(verified.notes.len(), 1);
    assert!(
        verified.notes[0]
            .message
            .contains("1 events could not be recorded")
    );
}

#[tokio::test]
async fn a_key_that_is_missing_or_weakly_kept_stops_a_boot() {
    use std::os::unix::fs::PermissionsExt as _;
    let room = Room::new("");
    let key = room.dir.path().join("audit.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = room.builder_in("production").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy, "{error}");
    fs::write(&key, "no key at all").unwrap();
    let error = room.builder().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    fs::remove_file(&key).unwrap();
    let error = room.builder().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
}

#[tokio::test]
async fn the_key_may_be_a_secret_of_the_provider() {
    let mut room = Room::new("");
    room.memory.set("audit/key", Secret::from_text(KEY.trim()));
    room.more = "key_secret = \"audit/key\"".to_owned();
    let manifest = manifest(&room.more).replace("key_file = \"audit.key\"\n", "");
    let builder = || room.builder().manifest_text(manifest.as_str());
    let connection = builder().connect().await.unwrap();
    connection
        .read(&"api/token".parse().unwrap())
        .await
        .unwrap();
    connection.close().await.unwrap();
    let events = room.events();
    // What was done to get the key is recorded with it.
    assert_eq!(
        events[1..],
        ["fetch audit/key success", "fetch api/token success"]
    );
    let log = builder().audit_log().unwrap().unwrap();
    assert_eq!(log.key_secret.unwrap().as_str(), "audit/key");
}

#[test]
fn a_manifest_that_nobody_named_writes_no_log() {
    let room = Room::new("fail_closed = true");
    fs::write(
        room.dir.path().join("strongroom.toml"),
        manifest(&room.more),
    )
    .unwrap();
    let env = Env::empty().with_working_dir(room.dir.path());
    let builder = SecretsFactory::builder()
        .env(env)
        .provider(room.memory.clone())
        .distrust_found_manifest();
    assert_eq!(builder.audit_log().unwrap(), None);
    let detection = builder.explain().unwrap();
    let warned = |rule: &str| {
        detection
            .warnings
            .iter()
            .any(|warning| warning.rule == rule)
    };
    assert!(warned("untrusted-manifest"));
    assert!(!room.path().exists());
}

#[test]
fn a_section_that_says_too_little_or_too_much_is_refused() {
    for (section, says) in [
        ("fail_closed = true", "names no file"),
        ("path = \"a\"", "needs one key"),
        ("key_file = \"a\"", "no `path`"),
        (
            "path = \"a\"\nkey_file = \"k\"\nkey_secret = \"k\"",
            "needs one key",
        ),
        (
            "path = \"a\"\nkey_file = \"k\"\nreads = \"some\"",
            "must be \"first\" or \"every\"",
        ),
        ("path = \"a\"\nkey_file = \"k\"\nmax_bytes = 1", "from 4096"),
        (
            "path = \"a\"\nkey_file = \"k\"\nkept = 1",
            "unknown key `kept`",
        ),
    ] {
        let error = SecretsFactory::builder()
            .env(Env::empty())
            .manifest_text(format!("[default.audit]\n{section}\n"))
            .explain()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(says), "{section}: {error}");
    }
    for variable in [
        "STRONGROOM_CFG_AUDIT__FAIL_CLOSED",
        "STRONGROOM_CFG_AUDIT__READS",
    ] {
        let env = Env::empty().with_var(variable, "false");
        let builder = SecretsFactory::builder()
            .env(env)
            .manifest_text("[default]");
        let error = builder.explain().unwrap_err();
        assert!(
            error.to_string().contains("what must be recorded"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_states_of_a_sealed_file_are_anchored() {
    use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
    let room = Room::new("");
    let (id, slot) = (FileId::random().unwrap(), SlotKey::generate().unwrap());
    let path = room.dir.path().join("s.sealed");
    SealedFile::create(&path, id, &NewSlot::new("test", slot.clone())).unwrap();
    fs::write(
        room.dir.path().join("slot.key"),
        slot.to_text(id).unwrap().expose_bytes(),
    )
    .unwrap();
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", "development")
        .with_working_dir(room.dir.path());
    let connection = SecretsFactory::builder()
        .env(env)
        .manifest_text(manifest(""))
        .provider_url("sealed:s.sealed?key_file=slot.key".parse().unwrap())
        .connect()
        .await
        .unwrap();
    let name = "api/token".parse().unwrap();
    for value in [ONE, TWO] {
        connection
            .put(&name, &Secret::from_text(value), Expect::Any)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
    let verified = audit::verify(&room.path(), &key(), None).unwrap();
    let anchor = &verified.anchors[0];
    assert_eq!(
        (anchor.subject.as_str(), anchor.epoch),
        (&*format!("sealed file {id}"), 3)
    );
    let outline = strongroom::sealed_file::Outline::read(fs::read(&path).unwrap()).unwrap();
    assert_eq!(anchor.seal, outline.seal);
}
