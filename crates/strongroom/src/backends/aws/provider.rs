//! AWS Secrets Manager as a provider: one read of a secret answers every request for one of its
//! fields, and up to 20 secrets are read in one call.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::client::Client;
use super::place::Place;
use super::settings::Settings;
use super::store::{Document, Store};
use crate::backends::files::batch::{fail_all, repeat};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Stage, Target,
    VersionInfo,
};
use crate::secret::Version;

/// The secrets of one account, region and prefix.
pub(super) struct Provider {
    shown: String,
    store: Arc<Store>,
    closed: AtomicBool,
}

/// One request of a batch, and its place in it.
struct Wanted {
    at: usize,
    place: Place,
    request: Request,
}

/// The requests for one version of each secret.
type Reads = HashMap<(String, Stage), Vec<Wanted>>;

impl Provider {
    pub(super) fn new(client: Client, settings: Settings) -> Self {
        Self {
            shown: settings.shown.clone(),
            store: Arc::new(Store::new(client, settings)),
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

/// Reads each version once: those in force together, the others one by one.
async fn read(store: &Arc<Store>, reads: &Reads) -> HashMap<(String, Stage), Result<Document>> {
    let mut running = JoinSet::new();
    let in_force = reads.keys().filter(|(_, stage)| *stage == Stage::Current);
    let in_force: Vec<_> = in_force.map(|(id, _)| id.clone()).collect();
    if !in_force.is_empty() {
        let store = Arc::clone(store);
        running.spawn(async move {
            let answers = store.read_many(&in_force).await.into_iter();
            let answers = answers.map(|(id, read)| ((id, Stage::Current), read));
            answers.collect::<Vec<_>>()
        });
    }
    for (id, stage) in reads.keys().filter(|(_, stage)| *stage != Stage::Current) {
        let (store, id, stage) = (Arc::clone(store), id.clone(), stage.clone());
        running.spawn(async move {
            let read = store.read(&id, &stage).await;
            vec![((id, stage), read)]
        });
    }
    let mut answers = HashMap::new();
    while let Some(read) = running.join_next().await {
        // A read that panicked leaves its requests without an answer; that is said later.
        answers.extend(read.unwrap_or_default());
    }
    answers
}

/// The version that all requests know, where they are for the one in force of a single secret.
///
/// Then AWS is asked whether it still is, which costs no decryption and shows no value. For several
/// secrets one call that reads them all is cheaper than one such question for each.
fn known(reads: &Reads) -> Option<(&str, &Version)> {
    let mut reads = reads.iter();
    let ((id, stage), wanted) = reads.next()?;
    let known = wanted.first()?.request.known.as_ref()?;
    let same = |wanted: &Wanted| wanted.request.known.as_ref() == Some(known);
    let only = reads.next().is_none() && *stage == Stage::Current && wanted.iter().all(same);
    only.then_some((id, known))
}

#[async_trait]
impl SecretProvider for Provider {
    fn describe(&self) -> Description {
        Description::new("aws", &self.shown, true)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let store = match self.store() {
            Ok(store) => store,
            Err(error) => return fail_all(wanted, &error),
        };
        let mut answers: Vec<Option<Result<Reply>>> = wanted.iter().map(|_| None).collect();
        let mut reads = Reads::new();
        for (at, (request, answer)) in wanted.iter().zip(&mut answers).enumerate() {
            match Place::of(store.settings(), &request.target) {
                Ok(place) => {
                    let key = (place.id.clone(), request.stage.clone());
                    let request = request.clone();
                    let wanted = Wanted { at, place, request };
                    reads.entry(key).or_default().push(wanted);
                }
                Err(error) => *answer = Some(Err(error)),
            }
        }
        let asked = match known(&reads) {
            Some((id, version)) => store.is_current(id, version).await,
            None => Ok(false),
        };
        let unchanged = matches!(asked, Ok(true));
        let documents = match asked {
            Ok(true) => HashMap::new(),
            Ok(false) => read(store, &reads).await,
            Err(error) => {
                let failed = |key: &(String, Stage)| (key.clone(), Err(repeat(&error)));
                reads.keys().map(failed).collect()
            }
        };
        for (key, wanted) in &reads {
            for wanted in wanted {
                let reply = match documents.get(key) {
                    _ if unchanged => Ok(Reply::Unchanged),
                    Some(Ok(document)) => store.reply(&wanted.place, document, &wanted.request),
                    Some(Err(error)) => Err(repeat(error)),
                    None => continue,
                };
                if let Some(answer) = answers.get_mut(wanted.at) {
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
        written
            .map(Some)
            .map_err(|error| error.with_name(&put.target.name))
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let deleted = self.store()?.delete(target, expect).await;
        deleted.map_err(|error| error.with_name(&target.name))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.store()?.list(prefix).await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.store()?.ping().await.outcome?;
        Ok(ProviderHealth::ready())
    }

    async fn close(&self) -> Result<()> {
        // There is no session to end: AWS's credentials end by themselves.
        self.closed.store(true, Ordering::Release);
        Ok(())
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let versions = self.store()?.versions(target).await;
        versions.map_err(|error| error.with_name(&target.name))
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let restored = self.store()?.restore(target).await;
        restored.map_err(|error| error.with_name(&target.name))
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let promoted = self.store()?.promote(target, version).await;
        promoted.map_err(|error| error.with_name(&target.name))
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        let discarded = self.store()?.discard(target, version).await;
        discarded.map_err(|error| error.with_name(&target.name))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("address", &self.shown)
            .finish_non_exhaustive()
    }
}
