//! The audit layer: each access to a provider is recorded, whatever it comes to.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::audit::{Audit, Event, Operation, Outcome};
use crate::error::{Error, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target, VersionInfo,
};
use crate::secret::Version;

/// A provider whose accesses are recorded: one event for each secret that is read, one for each other
/// call that concerns secrets.
///
/// Where the log fails closed, what can't be recorded is not handed out, and nothing is written before
/// the log has it that it begins.
#[derive(Debug)]
pub(super) struct Recorded {
    inner: Arc<dyn SecretProvider>,
    audit: Arc<Audit>,
}

impl Recorded {
    pub(super) fn new(inner: Arc<dyn SecretProvider>, audit: Arc<Audit>) -> Self {
        Self { inner, audit }
    }

    fn event(&self, operation: Operation, outcome: Outcome) -> Event {
        Event::new(operation, outcome).at_provider(&self.inner.describe().address)
    }

    /// Makes a change, and records it; before it begins, too, where nothing may go unrecorded.
    async fn change<T>(
        &self,
        operation: Operation,
        target: &Target,
        version: impl FnOnce(&T) -> Option<Version>,
        change: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if self.audit.fails_closed() {
            let begun = self.event(operation, Outcome::Begun).of(&target.name, None);
            let recorded = self.audit.record(vec![begun]).await;
            recorded.map_err(|error| error.with_name(&target.name).with_no_effect())?;
        }
        let began = Instant::now();
        let changed = change.await;
        let version = changed.as_ref().ok().and_then(version);
        let event = self
            .event(operation, Outcome::of(&changed))
            .of(&target.name, version.as_ref())
            .took(began.elapsed());
        // It happened: that it did is what counts, and the log knows that it began.
        let _ = self.audit.record(vec![event]).await;
        changed
    }

    /// Looks at something, and records it.
    async fn look<T>(
        &self,
        about: impl FnOnce(Outcome) -> Event,
        look: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let found = look.await;
        let event = about(Outcome::of(&found)).took(began.elapsed());
        self.audit.record(vec![event]).await?;
        found
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SecretProvider for Recorded {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let began = Instant::now();
        let replies = self.inner.fetch(wanted).await;
        let took = began.elapsed();
        let events = wanted.iter().zip(&replies).map(|(request, reply)| {
            let version = match reply {
                Ok(Reply::Value(secret)) => secret.metadata().version(),
                Ok(Reply::Unchanged) => request.known.as_ref(),
                Err(_) => None,
            };
            self.event(Operation::Fetch, Outcome::of(reply))
                .of(&request.target.name, version)
                .took(took)
        });
        match self.audit.record(events.collect()).await {
            Ok(()) => replies,
            Err(error) => refuse(wanted, replies, &error),
        }
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let operation = match put.expect {
            Expect::Absent => Operation::Create,
            _ => Operation::Put,
        };
        self.change(operation, &put.target, Clone::clone, self.inner.put(put))
            .await
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let delete = self.inner.delete(target, expect);
        self.change(Operation::Delete, target, |()| None, delete)
            .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let about = |outcome| self.event(Operation::List, outcome).below(prefix);
        self.look(about, self.inner.list(prefix)).await
    }

    /// Concerns no secret.
    async fn health(&self) -> Result<ProviderHealth> {
        self.inner.health().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    async fn changed(&self) -> Result<()> {
        self.inner.changed().await
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let about = |outcome| {
            self.event(Operation::Versions, outcome)
                .of(&target.name, None)
        };
        self.look(about, self.inner.versions(target)).await
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let restore = self.inner.restore(target);
        self.change(Operation::Restore, target, |()| None, restore)
            .await
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let promote = self.inner.promote(target, version);
        let version = |(): &()| Some(version.clone());
        self.change(Operation::Promote, target, version, promote)
            .await
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        let discard = self.inner.discard(target, version);
        let version = |(): &()| Some(version.clone());
        self.change(Operation::Discard, target, version, discard)
            .await
    }
}

/// Hands out no value. What failed anyway says why.
fn refuse(wanted: &[Request], replies: Vec<Result<Reply>>, error: &Error) -> Vec<Result<Reply>> {
    let refuse = |(reply, request): (Result<Reply>, &Request)| match reply {
        Ok(_) => Err(error.clone().with_name(&request.target.name)),
        Err(error) => Err(error),
    };
    replies.into_iter().zip(wanted).map(refuse).collect()
}
