//! Random histories against a simple model: whatever happens in whatever order, no rule is broken.
//!
//! Time is virtual. The reference knows which version each name had when, and what this program wrote;
//! from that it says which versions a read may hand out.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::scripted::Scripted;
use super::{boot_with, settle};
use crate::provider::Expect;
use crate::{
    Declared, ErrorKind, FromSecrets, Kind, Live, Loaded, Result, Secret, SecretName, Secrets,
    Version,
};

/// The steps of one run.
const STEPS: usize = 100_000;

const NAMES: [&str; 6] = ["a", "b", "c", "doc#user", "doc#password", "undeclared"];

const TTL: Duration = Duration::from_secs(60);
const MAX_STALE: Duration = Duration::from_secs(300);

const MANIFEST: &str = r#"
[default.cache]
ttl = "1m"
max_stale = "5m"
negative_ttl = "5s"
[default.secrets]
"a" = { kind = "opaque", required = false }
"b" = { kind = "opaque", required = false }
"c" = { kind = "opaque", required = false }
"doc#user" = { kind = "opaque", required = false }
"doc#password" = { kind = "opaque", required = false }
"#;

/// What a name was from some moment on. `None` while it was deleted.
struct Era {
    from: Instant,
    version: Option<u64>,
}

/// A read that began and has not been judged.
struct Read {
    name: &'static str,
    began: Instant,
    /// The least version that it may hand out: what was written or seen before it began.
    at_least: u64,
    answer: JoinHandle<Result<u64, ErrorKind>>,
}

/// The versions of the two fields of a document.
struct Document {
    user: u64,
    password: u64,
}

impl FromSecrets for Document {
    fn declared() -> Vec<Declared> {
        let field = |name| Declared::new(SecretName::from_static(name), Kind::Opaque);
        ["doc#user", "doc#password"].map(field).into()
    }

    fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
        Ok(Self {
            user: version(found.get("doc#user")?),
            password: version(found.get("doc#password")?),
        })
    }
}

struct Model {
    backend: Scripted,
    secrets: Secrets,
    document: Live<Document>,
    /// When somebody asked for a reading: those come beside the pauses.
    asked: Vec<Instant>,
    random: TestRng,
    eras: HashMap<String, Vec<Era>>,
    /// The newest version of each name that a read has handed out, or that this program wrote.
    seen: HashMap<&'static str, u64>,
    reads: Vec<Read>,
    writes: Vec<(&'static str, JoinHandle<Result<Option<Version>>>)>,
    /// Since when the backend has been well without a break.
    well_since: Option<Instant>,
    judged: usize,
    refused: usize,
}

#[tokio::test(start_paused = true)]
async fn no_history_breaks_a_rule() {
    let process = crate::Env::process();
    let seed = process.var("STRONGROOM_TEST_SEED").unwrap();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| getrandom::u64().unwrap());
    println!("again with STRONGROOM_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut model = Model::new(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)).await;
    for step in 0..STEPS {
        model.step().await;
        if step % 16 == 0 {
            model.judge().await;
        }
    }
    model.judge().await;
    assert!(model.judged > STEPS / 10, "{}", model.judged);
    assert!(model.refused > 100, "{}", model.refused);
    assert_eq!(
        model.backend.state().most_under_way,
        1,
        "one reading of a name at a time"
    );
}

impl Model {
    async fn new(random: TestRng) -> Self {
        let backend = Scripted::default();
        for name in NAMES {
            backend.set(name, &format!("value of {name}"));
        }
        let secrets = boot_with(&backend, MANIFEST).await;
        let document = secrets.watch_as().await.unwrap();
        Self {
            backend,
            secrets,
            document,
            asked: Vec::new(),
            random,
            eras: HashMap::new(),
            seen: HashMap::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            well_since: Some(Instant::now()),
            judged: 0,
            refused: 0,
        }
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.random.next_u32() % bound
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(6) as usize]
    }

    async fn step(&mut self) {
        match self.below(100) {
            0..40 => self.read(),
            40..46 => self.write_elsewhere(),
            46..50 => self.write_document_elsewhere(),
            50..55 => self.write_here(),
            55..57 => self.delete_elsewhere(),
            57..62 => {
                self.asked.push(Instant::now());
                self.backend.notify();
            }
            62..64 => self.ask_for_refresh(),
            64..68 => self.report(),
            68..72 => self.break_or_mend(),
            72..74 => {
                let latency = [0, 0, 5, 700, 5_000][self.below(5) as usize];
                self.backend.state().latency = Duration::from_millis(latency);
            }
            74..95 => {
                let time = u64::from(self.below(3_000));
                advance(Duration::from_millis(time)).await;
            }
            _ => {
                let time = u64::from(self.below(60));
                for _ in 0..time {
                    advance(Duration::from_secs(1)).await;
                    settle().await;
                }
            }
        }
        if self.below(2) == 0 {
            settle().await;
        }
        self.check_document();
        self.note_writes().await;
    }

    /// Demands that a typed value is made of what was in force together.
    fn check_document(&self) {
        let pairs = &self.backend.state().pairs;
        let check = |found: &Document| {
            let pair = (found.user, found.password);
            assert!(pairs.contains(&pair), "{pair:?} never were together");
        };
        let _ = self.document.with(check);
        if let Some(previous) = self.document.previous() {
            check(&previous);
        }
    }

    fn read(&mut self) {
        let name = self.name();
        let secrets = self.secrets.clone();
        let answer = tokio::spawn(async move { version_of(&secrets, name).await });
        self.reads.push(Read {
            name,
            began: Instant::now(),
            at_least: self.seen.get(name).copied().unwrap_or(0),
            answer,
        });
    }

    fn write_elsewhere(&mut self) {
        let name = self.name();
        let value = format!("{name} {}", self.random.next_u64());
        self.backend.set(name, &value);
    }

    fn write_document_elsewhere(&mut self) {
        let values = [self.random.next_u64(), self.random.next_u64()].map(|it| it.to_string());
        let fields = [("doc#user", &*values[0]), ("doc#password", &*values[1])];
        self.backend.set_together(fields);
    }

    /// Writes, while everything else goes on.
    fn write_here(&mut self) {
        self.asked.push(Instant::now());
        let name = self.name();
        let value = Secret::from_text(format!("{name} {}", self.random.next_u64()));
        let secrets = self.secrets.clone();
        let writing = async move { secrets.put(name, &value, Expect::Any).await };
        self.writes.push((name, tokio::spawn(writing)));
    }

    /// From the end of a write on nothing older may be handed out.
    async fn note_writes(&mut self) {
        for at in (0..self.writes.len()).rev() {
            if self.writes[at].1.is_finished() {
                let (name, write) = self.writes.remove(at);
                self.asked.push(Instant::now());
                if let Ok(Some(written)) = write.await.unwrap() {
                    let written = written.as_str().parse().unwrap();
                    let seen = self.seen.entry(name).or_default();
                    *seen = (*seen).max(written);
                }
            }
        }
    }

    fn delete_elsewhere(&mut self) {
        let name = self.name();
        self.backend.remove(name);
    }

    /// Takes notice of what happened in the backend.
    fn begin_eras(&mut self) {
        for (from, name, version) in std::mem::take(&mut self.backend.state().log) {
            let eras = self.eras.entry(name).or_default();
            eras.push(Era { from, version });
        }
    }

    fn ask_for_refresh(&mut self) {
        self.asked.push(Instant::now());
        let secrets = self.secrets.clone();
        tokio::spawn(async move { secrets.refresh().await });
    }

    fn report(&mut self) {
        self.asked.push(Instant::now());
        let name = self.name();
        let secrets = self.secrets.clone();
        tokio::spawn(async move {
            if let Ok(used) = secrets.get(name).await {
                let _ = secrets.report_rejected(&used).await;
            }
        });
    }

    fn break_or_mend(&mut self) {
        let (failing, sick) = match self.below(8) {
            0 => (Some(ErrorKind::Transient), false),
            1 => (Some(ErrorKind::Auth), false),
            2 => (Some(ErrorKind::Denied), true),
            3 => (Some(ErrorKind::Malformed), false),
            4 => (Some(ErrorKind::Denied), false),
            _ => (None, false),
        };
        let mut state = self.backend.state();
        (state.failing, state.sick) = (failing, sick);
        drop(state);
        match failing {
            Some(_) => self.well_since = None,
            None => {
                self.well_since.get_or_insert(Instant::now());
            }
        }
    }

    /// Judges the reads that ended, and forgets what can no longer matter.
    async fn judge(&mut self) {
        settle().await;
        self.begin_eras();
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.reads)
            .into_iter()
            .partition(|read| read.answer.is_finished());
        self.reads = waiting;
        for read in done {
            self.judged += 1;
            let name = read.name;
            match read.answer.await.unwrap() {
                Ok(version) => {
                    assert!(
                        version >= read.at_least,
                        "{name}: version {version} after {} was written or seen",
                        read.at_least
                    );
                    self.check_age(name, version, read.began);
                    let seen = self.seen.entry(name).or_default();
                    *seen = (*seen).max(version);
                }
                Err(_) => self.refused += 1,
            }
        }
        let now = Instant::now();
        let old = |from: Instant| now.duration_since(from) > 4 * MAX_STALE;
        for eras in self.eras.values_mut() {
            while eras.len() > 1 && old(eras[1].from) {
                eras.remove(0);
            }
        }
        self.check_rate(now);
    }

    /// Demands that what nobody asked for comes a second apart at least, however the backend does.
    fn check_rate(&mut self, now: Instant) {
        let lately = |at: &Instant| now.duration_since(*at) < TTL;
        let mut state = self.backend.state();
        state.calls.retain(|call| lately(&call.0));
        self.asked.retain(lately);
        let most = TTL.as_secs() as usize + self.asked.len();
        assert!(
            state.calls.len() <= most,
            "{} calls in a minute, of {most}",
            state.calls.len()
        );
    }

    /// Demands that a version was in force at most `max_stale` before the read began; and at most one
    /// time to live before, where the backend was well all the time.
    fn check_age(&self, name: &'static str, version: u64, began: Instant) {
        let eras = &self.eras[name];
        let at = eras.iter().rposition(|era| era.version == Some(version));
        let at = at.unwrap_or_else(|| panic!("{name}: {version} was never"));
        let Some(next) = eras.get(at + 1) else {
            return;
        };
        let replaced = began.saturating_duration_since(next.from);
        assert!(
            replaced <= MAX_STALE,
            "{name}: version {version} is {replaced:?} too old"
        );
        let well = self
            .well_since
            .map(|since| began.saturating_duration_since(since));
        // A minute of pause after a failure, one of latency limit, and one time to live.
        if well.is_some_and(|well| well > 4 * TTL) {
            assert!(
                replaced <= TTL + Duration::from_secs(15),
                "{name}: {replaced:?} behind"
            );
        }
    }
}

async fn version_of(secrets: &Secrets, name: &str) -> Result<u64, ErrorKind> {
    let secret = secrets.get(name).await.map_err(|error| error.kind())?;
    Ok(version(&secret))
}

fn version(secret: &Secret) -> u64 {
    let version = secret.metadata().version().unwrap();
    version.as_str().parse().unwrap()
}
