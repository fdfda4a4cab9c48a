//! Starting without the backend: a good boot, an outage, a boot from the snapshot; and every reason not
//! to.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strongroom::provider::{Expect, Stage};
use strongroom::sealed_file::{SealedFile, SlotKey};
use strongroom::{
    Backend, Env, Error, ErrorKind, HealthStatus, Memory, Result, Secret, SecretName, Secrets,
    SecretsBuilder, SecretsFactory, Source,
};

use crate::canary::seen::Seen;

mod refusals;

const TOKEN: &str = "cnry2Vx-K8wTq5ZsLn4Hd7RfB1gJm_P9yC";
const PASSWORD: &str = "cnry-violet-Kayak-19-thunder";
const KEY: &str = "8f3a61d7c02be94517adf6380c9e52b17e40d8ac361f95b2e7084dc63a9b15f2";

/// A backend behind a network, which tests take away: by the path of its address.
const STORE: Backend = Backend::new("store", "a store of the tests", |connect| {
    Box::pin(async move {
        let mut stores = STORES.lock().unwrap();
        let store = stores.entry(connect.url.path().to_owned()).or_default();
        match store.opening {
            Some(kind) => Err(Error::new(kind, "the store can't be opened")),
            None => Ok(Arc::new(store.open()) as Arc<dyn strongroom::SecretProvider>),
        }
    })
});

static STORES: LazyLock<Mutex<BTreeMap<String, Store>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Store {
    /// Those that were opened, each of which is closed by itself.
    opened: Vec<Memory>,
    /// What opening it fails with.
    opening: Option<ErrorKind>,
    /// What reading any secret fails with.
    reading: Option<ErrorKind>,
}

impl Store {
    fn open(&mut self) -> Memory {
        let database = format!(r#"{{"user":"app","password":"{PASSWORD}"}}"#);
        let memory = Memory::new().with("api/token", TOKEN).with("db", database);
        self.opened.push(memory.clone());
        self.fail(self.reading);
        memory
    }

    fn fail(&mut self, kind: Option<ErrorKind>) {
        self.reading = kind;
        for memory in &self.opened {
            for name in ["api/token", "db#user", "db#password", "maybe"] {
                match kind {
                    Some(kind) => memory.fail(name, kind),
                    None => memory.heal(name),
                }
            }
        }
    }
}

/// A machine with one service on it.
struct Room {
    dir: tempfile::TempDir,
    /// Of the service's manifest.
    snapshot: String,
    deployment: &'static str,
    address: String,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["state", "keys"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let address = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let room = Self {
            dir,
            snapshot: "path = \"state/app.snapshot\"\nkey_file = \"keys/snapshot.key\"".to_owned(),
            deployment: "production",
            address: format!("store:{address}"),
        };
        room.write_key(KEY, 0o600);
        room
    }

    fn write_key(&self, key: &str, mode: u32) {
        let path = self.dir.path().join("keys/snapshot.key");
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state/app.snapshot")
    }

    fn store<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut stores = STORES.lock().unwrap();
        let path = self.address.trim_start_matches("store:");
        change(stores.entry(path.to_owned()).or_default())
    }

    /// Makes every reading of a declared secret fail, or none.
    fn fail(&self, kind: Option<ErrorKind>) {
        self.store(|store| store.fail(kind));
    }

    fn manifest(&self) -> String {
        let section = match self.snapshot.as_str() {
            "" => String::new(),
            settings => format!("[default.snapshot]\n{settings}\n"),
        };
        format!(
            "[default]\nprovider = \"{}\"\n{section}\n[default.secrets]\n\
             \"api/token\" = {{ kind = \"token\" }}\n\
             \"db#user\" = {{ kind = \"opaque\" }}\n\
             \"db#password\" = {{ kind = \"password\" }}\n\
             \"maybe\" = {{ kind = \"opaque\", required = false }}\n",
            self.address
        )
    }

    fn builder(&self) -> SecretsBuilder {
        std::fs::write(self.dir.path().join("strongroom.toml"), self.manifest()).unwrap();
        let env = Env::empty()
            .with_var("STRONGROOM_ENV", self.deployment)
            .with_working_dir(self.dir.path())
            .with_mounted_secrets(self.dir.path().join("no-mount"));
        SecretsFactory::builder().env(env).backend(STORE)
    }

    async fn boot(&self) -> Result<Secrets> {
        self.builder().detect().await
    }

    /// Boots while the backend works, and waits until the snapshot is there.
    async fn take(&self) {
        let secrets = self.boot().await.unwrap();
        for _ in 0..2_000 {
            if self.path().exists() {
                return secrets.shutdown().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no snapshot: {:?}", secrets.health());
    }

    /// Says that the snapshot was taken then.
    fn date(&self, taken: SystemTime) {
        let key = SlotKey::from_text(&Secret::from_text(KEY)).unwrap();
        let file = SealedFile::open(self.path(), key).unwrap();
        let about = SecretName::from_static("about");
        let text = file.get(&about, &Stage::Current).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(text.expose_str().unwrap()).unwrap();
        let seconds = taken.duration_since(UNIX_EPOCH).unwrap().as_secs();
        json["taken"] = seconds.into();
        let text = Secret::from_text(json.to_string());
        file.put(&about, &text, &Expect::Any).unwrap();
    }

    /// Returns everything in every file of a directory.
    fn files(&self, dir: &str) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(self.dir.path().join(dir)).unwrap();
        let file = |path: &Path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        };
        entries.map(|entry| file(&entry.unwrap().path())).collect()
    }
}

fn report(error: &Error) -> String {
    error.report().map(ToString::to_string).unwrap_or_default()
}

async fn assert_served(secrets: &Secrets) {
    assert!(secrets.get("api/token").await.unwrap().verify(TOKEN));
    assert!(secrets.get("db#user").await.unwrap().verify("app"));
    assert!(secrets.get("db#password").await.unwrap().verify(PASSWORD));
}

fn sources(secrets: &Secrets) -> Vec<Source> {
    let health = secrets.health();
    health.secrets.iter().map(|secret| secret.source).collect()
}

#[tokio::test]
async fn a_service_starts_through_an_outage_and_says_so() {
    let seen = Seen::with_logs();
    let room = Room::new();
    room.take().await;
    room.fail(Some(ErrorKind::Transient));
    let secrets = room.boot().await.unwrap();
    assert_served(&secrets).await;
    assert_eq!(sources(&secrets), [Source::Snapshot; 3]);
    let health = secrets.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    let token = &health.secrets[0].problems[0];
    assert!(token.starts_with("started from a snapshot of "), "{token}");
    assert!(token.contains("; it ends in 23h 59m"), "{token}");
    assert!(secrets.get("maybe").await.is_err());

    room.fail(None);
    secrets.refresh().await.unwrap();
    assert_served(&secrets).await;
    assert_eq!(sources(&secrets), [Source::Live; 3]);
    assert_eq!(
        secrets.health().status,
        HealthStatus::Ready,
        "{:?}",
        secrets.health()
    );

    seen.debug(&secrets);
    seen.debug(&health);
    seen.json(&health);
    assert!(seen.holds("started from a snapshot of"), "the boot warns");
    seen.assert_clean(&[TOKEN, PASSWORD, KEY], "a boot from a snapshot");
    secrets.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_provider_that_can_not_be_opened_is_opened_later() {
    let room = Room::new();
    room.take().await;
    room.store(|store| store.opening = Some(ErrorKind::Transient));
    let secrets = room.boot().await.unwrap();
    assert_served(&secrets).await;
    assert_eq!(sources(&secrets), [Source::Snapshot; 3]);
    let mut events = secrets.events();
    room.store(|store| store.opening = None);
    // By itself, within the pauses between two readings.
    let mut confirmed = 0;
    while confirmed < 3 {
        let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
        let event = event.unwrap().unwrap();
        confirmed += usize::from(matches!(event.kind, strongroom::EventKind::Recovered));
    }
    assert_eq!(sources(&secrets), [Source::Live; 3]);
    assert_served(&secrets).await;
    secrets.shutdown().await.unwrap();
}

#[tokio::test]
async fn tools_judge_the_backend_and_use_no_snapshot() {
    let room = Room::new();
    room.take().await;
    room.store(|store| store.opening = Some(ErrorKind::Transient));
    let error = room.builder().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    room.store(|store| store.opening = None);
    room.fail(Some(ErrorKind::Transient));
    let before = room.files("state");
    let connection = room.builder().connect().await.unwrap();
    let validation = connection.validate().await;
    assert_eq!(validation.inconclusive(), Some(ErrorKind::Transient));
    let token = "api/token".parse().unwrap();
    let read = connection.read(&token).await.unwrap_err();
    assert_eq!(read.kind(), ErrorKind::Transient);
    connection.close().await.unwrap();
    assert!(room.files("state") == before);
}

#[tokio::test]
async fn without_the_section_nothing_is_written_and_nothing_read() {
    let mut room = Room::new();
    let settings = std::mem::take(&mut room.snapshot);
    let secrets = room.boot().await.unwrap();
    secrets.refresh().await.unwrap();
    secrets.shutdown().await.unwrap();
    assert!(room.files("state").is_empty());

    room.snapshot = settings;
    room.take().await;
    room.snapshot.clear();
    room.fail(Some(ErrorKind::Transient));
    let error = room.boot().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(!report(&error).contains("snapshot"));
    room.store(|store| store.opening = Some(ErrorKind::Transient));
    assert_eq!(room.boot().await.unwrap_err().kind(), ErrorKind::Transient);
}

#[tokio::test]
async fn no_value_stands_in_clear_in_any_file() {
    let room = Room::new();
    room.take().await;
    let files = room.files("state");
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"app.snapshot"), "{names:?}");
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        // Names of secrets are sealed, too.
        for clear in [TOKEN, PASSWORD, KEY, "api/token", "password", "store:"] {
            assert!(!text.contains(clear), "{clear} in {name}");
        }
    }
    let mode = std::fs::metadata(room.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
