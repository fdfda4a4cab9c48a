//! A provider that a test plays: it knows what was asked of it, and when.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target,
};
use crate::{Error, ErrorKind, Metadata, Result, Secret, SecretName, Version};

#[derive(Debug, Clone, Default)]
pub(super) struct Scripted(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    notice: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) values: BTreeMap<String, (u64, String)>,
    pub(super) versions: u64,
    /// What every reading fails with.
    pub(super) failing: Option<ErrorKind>,
    /// How long it asks to be left alone then.
    pub(super) asking: Option<Duration>,
    /// What readings of one name fail with.
    pub(super) failing_names: HashMap<String, ErrorKind>,
    pub(super) sick: bool,
    pub(super) latency: Duration,
    /// When each reading began, and of which names.
    pub(super) calls: Vec<(Instant, Vec<String>)>,
    pub(super) under_way: HashMap<String, usize>,
    pub(super) most_under_way: usize,
    pub(super) health_asked: usize,
    /// How long each answer lasts, by its own expiry.
    pub(super) lasting: Option<Lasting>,
    /// What each name became, and when.
    pub(super) log: Vec<(Instant, String, Option<u64>)>,
    /// Which versions of the document's two fields were in force together, at some time.
    pub(super) pairs: HashSet<(u64, u64)>,
}

/// An expiry, from the moment of the answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lasting {
    For(Duration),
    /// It is over already.
    Over,
}

impl Scripted {
    pub(super) fn with<const N: usize>(values: [(&str, &str); N]) -> Self {
        let scripted = Self::default();
        for (name, value) in values {
            scripted.set(name, value);
        }
        scripted
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Writes as another program would.
    pub(super) fn set(&self, name: &str, value: &str) -> u64 {
        self.set_together([(name, value)])
    }

    /// Writes several at one time, under one version.
    pub(super) fn set_together<const N: usize>(&self, values: [(&str, &str); N]) -> u64 {
        let mut state = self.state();
        state.versions += 1;
        let version = state.versions;
        for (name, value) in values {
            state
                .values
                .insert(name.to_owned(), (version, value.to_owned()));
            state
                .log
                .push((Instant::now(), name.to_owned(), Some(version)));
        }
        let field = |name: &str| state.values.get(name).map(|(version, _)| *version);
        if let (Some(user), Some(password)) = (field("doc#user"), field("doc#password")) {
            state.pairs.insert((user, password));
        }
        version
    }

    pub(super) fn remove(&self, name: &str) {
        let mut state = self.state();
        state.values.remove(name);
        state.log.push((Instant::now(), name.to_owned(), None));
    }

    pub(super) fn fail(&self, kind: Option<ErrorKind>) {
        self.state().failing = kind;
    }

    /// Tells that something changed.
    pub(super) fn notify(&self) {
        self.0.notice.notify_one();
    }

    pub(super) fn calls(&self) -> usize {
        self.state().calls.len()
    }
}

/// Counts a reading as under way, also if it is dropped.
struct UnderWay<'a>(&'a Scripted, Vec<String>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        for name in &self.1 {
            *state.under_way.get_mut(name).unwrap() -= 1;
        }
    }
}

#[async_trait]
impl SecretProvider for Scripted {
    fn describe(&self) -> Description {
        Description::new("scripted", "scripted:", true)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let names: Vec<_> = wanted
            .iter()
            .map(|request| request.target.name.to_string())
            .collect();
        let latency = {
            let mut state = self.state();
            state.calls.push((Instant::now(), names.clone()));
            for name in &names {
                let now = state.under_way.entry(name.clone()).or_default();
                *now += 1;
                let now = *now;
                state.most_under_way = state.most_under_way.max(now);
            }
            state.latency
        };
        let _under_way = UnderWay(self, names);
        // Half of the time passes before the backend looks, half after.
        sleep(latency / 2).await;
        let answers = {
            let state = self.state();
            wanted.iter().map(|request| state.answer(request)).collect()
        };
        sleep(latency / 2).await;
        answers
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let latency = self.state().latency;
        sleep(latency / 2).await;
        let failing = self.state().failing;
        if let Some(kind) = failing {
            return Err(Error::new(kind, "scripted"));
        }
        let value = put.value.expose_str()?.to_owned();
        let version = self.set(put.target.name.as_str(), &value);
        sleep(latency / 2).await;
        Ok(Some(Version::new(version.to_string())))
    }

    async fn delete(&self, target: &Target, _: &Expect) -> Result<()> {
        self.remove(target.name.as_str());
        Ok(())
    }

    async fn list(&self, _: &str) -> Result<Vec<SecretName>> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Result<ProviderHealth> {
        let mut state = self.state();
        state.health_asked += 1;
        if state.sick {
            return Err(Error::new(ErrorKind::Auth, "our credential is dead"));
        }
        Ok(ProviderHealth::ready())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }

    async fn changed(&self) -> Result<()> {
        self.0.notice.notified().await;
        Ok(())
    }
}

impl State {
    fn answer(&self, request: &Request) -> Result<Reply> {
        let name = request.target.name.as_str();
        if let Some(kind) = self.failing.or(self.failing_names.get(name).copied()) {
            let error = Error::new(kind, "scripted").with_name(&request.target.name);
            return Err(match self.asking {
                Some(pause) => error.with_retry_after(pause),
                None => error,
            });
        }
        let Some((version, value)) = self.values.get(name) else {
            return Err(Error::new(ErrorKind::Absent, "none").with_name(&request.target.name));
        };
        let version = Version::new(version.to_string());
        if request.known.as_ref() == Some(&version) {
            return Ok(Reply::Unchanged);
        }
        let mut metadata = Metadata::new().with_version(version);
        if let Some(lasting) = self.lasting {
            let now = SystemTime::now();
            metadata = metadata.with_expires(match lasting {
                Lasting::For(time) => now + time,
                Lasting::Over => now - Duration::from_secs(60),
            });
        }
        Ok(Reply::Value(
            Secret::from_text(value.clone()).with_metadata(metadata),
        ))
    }
}
