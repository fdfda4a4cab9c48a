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
use crate::{ErrorKind, Secret, Secrets};

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

struct Model {
    backend: Scripted,
    secrets: Secrets,
    random: TestRng,
    eras: HashMap<&'static str, Vec<Era>>,
    /// The newest version of each name that a read has handed out, or that this program wrote.
    seen: HashMap<&'static str, u64>,
    reads: Vec<Read>,
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
        let mut eras = HashMap::new();
        for name in NAMES {
            let version = backend.set(name, &format!("value of {name}"));
            let era = Era {
                from: Instant::now(),
                version: Some(version),
            };
            eras.insert(name, vec![era]);
        }
        let secrets = boot_with(&backend, MANIFEST).await;
        Self {
            backend,
            secrets,
            random,
            eras,
            seen: HashMap::new(),
            reads: Vec::new(),
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
            40..50 => self.write_elsewhere(),
            50..55 => self.write_here().await,
            55..57 => self.delete_elsewhere(),
            57..62 => self.backend.notify(),
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
        let version = self
            .backend
            .set(name, &format!("{name} {}", self.random.next_u64()));
        self.begin_era(name, Some(version));
    }

    async fn write_here(&mut self) {
        let name = self.name();
        let value = Secret::from_text(format!("{name} {}", self.random.next_u64()));
        let written = self.secrets.put(name, &value, Expect::Any).await;
        if let Ok(Some(version)) = written {
            let version = version.as_str().parse().unwrap();
            self.begin_era(name, Some(version));
            // From now on nothing older may be handed out.
            let seen = self.seen.entry(name).or_default();
            *seen = (*seen).max(version);
        }
    }

    fn delete_elsewhere(&mut self) {
        let name = self.name();
        self.backend.remove(name);
        self.begin_era(name, None);
    }

    fn begin_era(&mut self, name: &'static str, version: Option<u64>) {
        let from = Instant::now();
        self.eras.get_mut(name).unwrap().push(Era { from, version });
    }

    fn ask_for_refresh(&mut self) {
        let secrets = self.secrets.clone();
        tokio::spawn(async move { secrets.refresh().await });
    }

    fn report(&mut self) {
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
        let mut state = self.backend.state();
        // While nothing works, calls are as rare as the pauses make them: a second each, beside what
        // readers, reports and requests ask for by themselves.
        let recent = state
            .calls
            .iter()
            .filter(|call| now.duration_since(call.0) < TTL);
        assert!(recent.count() < 600);
        state.calls.retain(|call| now.duration_since(call.0) < TTL);
    }

    /// Demands that a version was in force at most `max_stale` before the read began; and at most one
    /// time to live before, where the backend was well all the time.
    fn check_age(&self, name: &'static str, version: u64, began: Instant) {
        let eras = &self.eras[name];
        let at = eras.iter().rposition(|era| era.version == Some(version));
        let Some(at) = at else {
            // A write of ours that was still under way when it was read.
            let newest = eras.iter().rev().find_map(|era| era.version);
            assert!(
                newest.is_none_or(|newest| version > newest),
                "{name}: {version} was never"
            );
            return;
        };
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
    let version = secret.metadata().version().unwrap();
    Ok(version.as_str().parse().unwrap())
}
