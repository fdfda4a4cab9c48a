//! Vault as a provider: one read of a path answers every request for one of its fields.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::leases::Leases;
use super::session::Session;
use super::settings::{self, Settings};
use super::store::{Place, Store, VALUE};
use crate::backends::files::batch::{fail_all, repeat};
use crate::declared::Declared;
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
    leases: Arc<Leases>,
    /// The names whose source says that reading it makes the secret.
    lent: HashSet<SecretName>,
    closed: AtomicBool,
}

/// What answers a read: a version of what a path holds, or what reading it makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Store,
    Lease,
}

impl Provider {
    pub(super) fn new(session: Arc<Session>, settings: Settings, declared: &[Declared]) -> Self {
        let lent = declared.iter().filter(|declared| {
            let source = declared.source.as_ref();
            source.is_some_and(|source| source.lease)
        });
        Self {
            leases: Arc::new(Leases::new(Arc::clone(&session), &settings.shown)),
            lent: lent.map(|declared| declared.name.clone()).collect(),
            shown: settings.shown.clone(),
            store: Arc::new(Store::new(Arc::clone(&session), settings)),
            session,
            closed: AtomicBool::new(false),
        }
    }

    fn place(&self, request: &Request) -> Result<(Origin, Place)> {
        let target = &request.target;
        let Some(id) = target
            .id
            .as_ref()
            .filter(|_| self.lent.contains(&target.name))
        else {
            return Ok((Origin::Store, self.store.place(target)?));
        };
        if request.stage != Stage::Current {
            return Err(lent());
        }
        let path = settings::path("the `id` in the secret's source", id)?;
        let field = target.field.as_deref().unwrap_or(VALUE).to_owned();
        Ok((Origin::Lease, Place { path, field }))
    }

    fn check_not_lent(&self, target: &Target) -> Result<()> {
        match target.id.is_some() && self.lent.contains(&target.name) {
            true => Err(lent().with_name(&target.name)),
            false => Ok(()),
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
        let from_store = |request| matches!(self.place(request), Ok((Origin::Store, _)));
        // Asked once, and not by each path where the answer is a failure.
        if wanted.iter().any(from_store)
            && let Err(error) = store.find_generation().await
        {
            return fail_all(wanted, &error);
        }
        let mut answers: Vec<Option<Result<Reply>>> = wanted.iter().map(|_| None).collect();
        let mut reads: HashMap<(Origin, String, &Stage), Vec<Wanted>> = HashMap::new();
        for (at, (request, answer)) in wanted.iter().zip(&mut answers).enumerate() {
            match self.place(request) {
                Ok((origin, place)) => {
                    let key = (origin, place.path.clone(), &request.stage);
                    let request = request.clone();
                    reads
                        .entry(key)
                        .or_default()
                        .push(Wanted { at, place, request });
                }
                Err(error) => *answer = Some(Err(error)),
            }
        }
        let mut running = JoinSet::new();
        for ((origin, path, stage), wanted) in reads {
            let (store, leases, stage) =
                (Arc::clone(store), Arc::clone(&self.leases), stage.clone());
            running.spawn(async move {
                match origin {
                    Origin::Store => read(&store, &path, &stage, &wanted).await,
                    Origin::Lease => borrow(&leases, &path, &wanted).await,
                }
            });
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
        let store = self.store()?;
        self.check_not_lent(&put.target)?;
        let written = store.put(put).await;
        written.map_err(|error| error.with_name(&put.target.name))
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let store = self.store()?;
        self.check_not_lent(target)?;
        let deleted = store.delete(target, expect).await;
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
        self.leases.close().await;
        self.session.close().await
    }

    async fn changed(&self) -> Result<()> {
        self.store()?;
        self.leases.changed().await;
        self.store().map(drop)
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let store = self.store()?;
        self.check_not_lent(target)?;
        let versions = store.versions(target).await;
        versions.map_err(|error| error.with_name(&target.name))
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let store = self.store()?;
        self.check_not_lent(target)?;
        let restored = store.restore(target).await;
        restored.map_err(|error| error.with_name(&target.name))
    }
}

/// One request of a batch, and its place in it.
struct Wanted {
    at: usize,
    place: Place,
    request: Request,
}

type Answered = Vec<(usize, Result<Reply>)>;

/// Reads one version of one path, and answers all requests for its fields from it.
async fn read(store: &Store, path: &str, stage: &Stage, wanted: &[Wanted]) -> Answered {
    let document = store.read(path, stage).await;
    answer(wanted, |wanted| match &document {
        Ok(document) => store.reply(&wanted.place, document, &wanted.request),
        Err(error) => Err(repeat(error)),
    })
}

/// Gets what a path lends, and answers all requests for its fields from it.
async fn borrow(leases: &Leases, path: &str, wanted: &[Wanted]) -> Answered {
    let lease = leases.read(path).await;
    answer(wanted, |wanted| {
        let lease = lease.as_ref().map_err(repeat)?;
        let (known, version) = (&wanted.request.known, lease.version());
        let Some(secret) = lease.field(&wanted.place.field)? else {
            let message = format!("what `{path}` lends has no field `{}`", wanted.place.field);
            let help = format!("its fields are: {}", lease.fields().join(", "));
            return Err(Error::new(ErrorKind::Absent, message).with_help(help));
        };
        if version.is_some() && *known == version {
            return Ok(Reply::Unchanged);
        }
        let metadata = secret
            .metadata()
            .clone()
            .with_name(&wanted.request.target.name);
        Ok(Reply::Value(secret.with_metadata(metadata)))
    })
}

fn answer(wanted: &[Wanted], reply: impl Fn(&Wanted) -> Result<Reply>) -> Answered {
    wanted
        .iter()
        .map(|wanted| (wanted.at, reply(wanted)))
        .collect()
}

fn lent() -> Error {
    let message = "a dynamic secret is made by reading it: it has one version, and is not written";
    Error::new(ErrorKind::Unsupported, message)
}
