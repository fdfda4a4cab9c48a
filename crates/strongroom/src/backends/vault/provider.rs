//! Vault as a provider: one read of a path answers every request for one of its fields.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::session::Session;
use super::settings::Settings;
use super::store::Store;
use crate::backends::files::batch::{fail_all, repeat};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Stage, Target,
    VersionInfo,
};
use crate::secret::Version;

/// One mount of one server.
pub(super) struct Provider {
    shown: String,
    session: Arc<Session>,
    store: Arc<Store>,
    closed: AtomicBool,
}

impl Provider {
    pub(super) fn new(session: Arc<Session>, settings: Settings) -> Self {
        Self {
            shown: settings.shown.clone(),
            store: Arc::new(Store::new(Arc::clone(&session), settings)),
            session,
            closed: AtomicBool::new(false),
        }
    }

    fn store(&self) -> Result<&Arc<Store>> {
        if self.closed.load(Ordering::Acquire) {
            let message = format!("{} was closed", self.shown);
            return Err(Error::new(ErrorKind::Closed, message));
        }
        Ok(&self.store)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("address", &self.shown)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretProvider for Provider {
    fn describe(&self) -> Description {
        Description::new("vault", &self.shown, true)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let store = match self.store() {
            Ok(store) => store,
            Err(error) => return fail_all(wanted, &error),
        };
        let mut answers: Vec<Option<Result<Reply>>> = wanted.iter().map(|_| None).collect();
        let mut reads: HashMap<(String, &Stage), Vec<(usize, Request)>> = HashMap::new();
        for (at, (request, answer)) in wanted.iter().zip(&mut answers).enumerate() {
            match store.place(&request.target) {
                Ok(place) => {
                    let read = reads.entry((place.path, &request.stage)).or_default();
                    read.push((at, request.clone()));
                }
                Err(error) => *answer = Some(Err(error)),
            }
        }
        let mut running = JoinSet::new();
        for requests in reads.into_values() {
            let store = Arc::clone(store);
            running.spawn(async move { read(&store, requests).await });
        }
        while let Some(read) = running.join_next().await {
            // A read that panicked leaves its requests without an answer; that is said below.
            for (at, reply) in read.unwrap_or_default() {
                if let Some(answer) = answers.get_mut(at) {
                    *answer = Some(reply);
                }
            }
        }
        let unanswered = || Error::new(ErrorKind::Malformed, "the read came to no end");
        let pairs = answers.into_iter().zip(wanted);
        pairs
            .map(|(answer, request)| {
                let answer = answer.unwrap_or_else(|| Err(unanswered()));
                answer.map_err(|error| error.with_name(&request.target.name))
            })
            .collect()
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let written = self.store()?.put(put).await;
        written.map_err(|error| error.with_name(&put.target.name))
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let deleted = self.store()?.delete(target, expect).await;
        deleted.map_err(|error| error.with_name(&target.name))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        Arc::clone(self.store()?).list(prefix).await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.store()?;
        self.session.health().await
    }

    async fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.session.close().await
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let versions = self.store()?.versions(target).await;
        versions.map_err(|error| error.with_name(&target.name))
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let restored = self.store()?.restore(target).await;
        restored.map_err(|error| error.with_name(&target.name))
    }
}

/// Reads one version of one path, and answers all requests for its fields from it.
async fn read(store: &Store, requests: Vec<(usize, Request)>) -> Vec<(usize, Result<Reply>)> {
    let document = match requests.first() {
        Some((_, first)) => match store.place(&first.target) {
            Ok(place) => store.read(&place, &first.stage).await,
            Err(error) => Err(error),
        },
        None => return Vec::new(),
    };
    let answer = |request: &Request| match &document {
        Ok(document) => store.reply(&store.place(&request.target)?, document, request),
        Err(error) => Err(repeat(error)),
    };
    let answered = requests.iter().map(|(at, request)| (*at, answer(request)));
    answered.collect()
}
