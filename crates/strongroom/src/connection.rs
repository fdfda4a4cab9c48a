//! Connected providers, and the route of each name to one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::audit::{Audit, Event, Operation, Outcome};
use crate::chain::Chain;
use crate::clock::Clock;
use crate::declared::{Declared, Encoding};
use crate::error::{Error, ErrorKind, Result};
use crate::factory::Detection;
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target,
};
use crate::rails::GuardRails;
use crate::refresh;
use crate::secret::{MAX_VALUE_BYTES, Metadata, Secret, Source, Version};
use crate::secrets::Secrets;
use crate::snapshot::{self, Snapshot};
use crate::validation::Validation;

/// Connected providers, and the route of each name to one of them.
///
/// What tools work with: it reads and writes as the manifest says (source, encoding, default), but
/// holds nothing and demands no strength. Services hold [`Secrets`].
#[derive(Debug, Clone)]
pub struct Connection(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    detection: Detection,
    rails: GuardRails,
    cache: refresh::Settings,
    declared: BTreeMap<SecretName, Declared>,
    main: Arc<dyn SecretProvider>,
    /// `main` once more, where it is a chain.
    chain: Option<Arc<Chain>>,
    named: BTreeMap<String, Arc<dyn SecretProvider>>,
    audit: Arc<Audit>,
    /// What a boot may start from while a provider can't be reached.
    snapshot: Option<Arc<Snapshot>>,
}

impl Connection {
    pub(crate) fn new(
        detection: Detection,
        rails: GuardRails,
        cache: refresh::Settings,
        declared: Vec<Declared>,
        main: Arc<dyn SecretProvider>,
    ) -> Self {
        let declared = declared
            .into_iter()
            .map(|declared| (declared.name.clone(), declared));
        let declared = declared.collect();
        Self(Arc::new(Inner {
            detection,
            rails,
            cache,
            declared,
            main,
            chain: None,
            named: BTreeMap::new(),
            audit: Arc::new(Audit::traced()),
            snapshot: None,
        }))
    }

    pub(crate) fn set_snapshot(&mut self, snapshot: Option<Snapshot>) {
        Arc::make_mut(&mut self.0).snapshot = snapshot.map(Arc::new);
    }

    pub(crate) fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.0.snapshot.as_ref()
    }

    pub(crate) fn set_audit(&mut self, audit: &Arc<Audit>) {
        Arc::make_mut(&mut self.0).audit = Arc::clone(audit);
    }

    /// Returns what records what is done.
    pub(crate) fn audit(&self) -> &Arc<Audit> {
        &self.0.audit
    }

    pub(crate) fn set_chain(&mut self, chain: Option<Arc<Chain>>) {
        Arc::make_mut(&mut self.0).chain = chain;
    }

    pub(crate) fn add(&mut self, name: &str, provider: Arc<dyn SecretProvider>) {
        Arc::make_mut(&mut self.0)
            .named
            .insert(name.to_owned(), provider);
    }

    /// Returns the explained choice of the provider.
    pub fn detection(&self) -> &Detection {
        &self.0.detection
    }

    /// Returns the guard rails, with what they said so far.
    pub fn rails(&self) -> &GuardRails {
        &self.0.rails
    }

    /// Returns how long values are held.
    pub(crate) fn cache(&self) -> refresh::Settings {
        self.0.cache
    }

    /// Returns the declared secrets, by name.
    pub fn declared(&self) -> impl Iterator<Item = &Declared> {
        self.0.declared.values()
    }

    /// Returns what is declared of a name.
    pub fn declaration(&self, name: &str) -> Option<&Declared> {
        self.0.declared.get(name)
    }

    /// Describes the chosen provider.
    pub fn describe(&self) -> Description {
        self.0.main.describe()
    }

    /// Describes the provider that a name is read from: of a chain, the member that answers for it,
    /// once there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the manifest's `source` names a provider that it doesn't have.
    pub fn describe_for(&self, name: &SecretName) -> Result<Description> {
        let route = self.route(name)?;
        let chain = self.0.chain.as_ref().filter(|_| route.key.is_none());
        let member = chain.and_then(|chain| chain.describe_for(&route.target));
        Ok(member.unwrap_or_else(|| route.provider.describe()))
    }

    /// Describes every provider that is connected: the chosen one, or all members where that is a
    /// chain, and those that the sources of declared secrets name.
    pub fn describe_all(&self) -> Vec<Description> {
        let mut all: Vec<_> = match &self.0.chain {
            Some(chain) => chain.describe_members().collect(),
            None => vec![self.describe()],
        };
        all.extend(self.0.named.values().map(|provider| provider.describe()));
        all
    }

    /// Reads many secrets now: one call to each provider involved, one answer for each name, in
    /// order. Values are decoded; a development default stands in for an absent one.
    pub async fn fetch(&self, names: &[SecretName]) -> Vec<Result<Secret>> {
        let wanted: Vec<_> = names.iter().map(|name| (name.clone(), None)).collect();
        let replies = self.fetch_unless_known(&wanted).await.into_iter();
        let value = |(reply, name): (Result<Reply>, &SecretName)| match reply? {
            Reply::Value(secret) => Ok(secret),
            Reply::Unchanged => Err(nothing_known(name)),
        };
        replies.zip(names).map(value).collect()
    }

    /// Reads as [`fetch`](Self::fetch) does, but for what is known: there the answer may be that
    /// nothing changed.
    pub(crate) async fn fetch_unless_known(
        &self,
        wanted: &[(SecretName, Option<Version>)],
    ) -> Vec<Result<Reply>> {
        if tokio::runtime::Handle::try_current().is_err() {
            let fail = |(name, _): &(SecretName, _)| Err(no_runtime().with_name(name));
            return wanted.iter().map(fail).collect();
        }
        let mut answers: Vec<Option<Result<Reply>>> = wanted.iter().map(|_| None).collect();
        let mut batches: BTreeMap<Option<&str>, (Vec<usize>, Vec<Request>)> = BTreeMap::new();
        for (at, (name, known)) in wanted.iter().enumerate() {
            match self.route(name) {
                Ok(route) => {
                    let (places, requests) = batches.entry(route.key).or_default();
                    places.push(at);
                    let request = Request::new(route.target);
                    requests.push(match known {
                        Some(known) => request.with_known(known.clone()),
                        None => request,
                    });
                }
                Err(error) => set(&mut answers, at, Err(error)),
            }
        }
        let mut running = JoinSet::new();
        for (key, (places, requests)) in batches {
            let provider = Arc::clone(self.provider(key));
            running.spawn(async move { (places, provider.fetch(&requests).await) });
        }
        while let Some(batch) = running.join_next().await {
            // A provider that panicked leaves its names without an answer; that is said below.
            let Ok((places, replies)) = batch else {
                continue;
            };
            for (at, reply) in places.into_iter().zip(replies) {
                if let Some((name, known)) = wanted.get(at) {
                    set(&mut answers, at, self.finish(name, known.is_some(), reply));
                }
            }
        }
        let unanswered = |name| {
            Error::new(ErrorKind::Malformed, "the provider gave no answer for it").with_name(name)
        };
        let pairs = answers.into_iter().zip(wanted);
        pairs
            .map(|(answer, (name, _))| answer.unwrap_or_else(|| Err(unanswered(name))))
            .collect()
    }

    /// Reads one secret now, as [`fetch`](Self::fetch) does.
    ///
    /// # Errors
    /// Whatever the provider answers, and [`ErrorKind::Malformed`] if the value is not of the
    /// declared encoding.
    pub async fn read(&self, name: &SecretName) -> Result<Secret> {
        let answer = self.fetch(std::slice::from_ref(name)).await.pop();
        answer.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Malformed, "the provider gave no answer").with_name(name))
        })
    }

    /// Turns a provider's reply into a value that has the right name, size and encoding.
    fn finish(&self, name: &SecretName, known: bool, reply: Result<Reply>) -> Result<Reply> {
        let declared = self.0.declared.get(name);
        let secret = match reply {
            Ok(Reply::Value(secret)) => secret,
            Ok(Reply::Unchanged) if known => return Ok(Reply::Unchanged),
            Ok(Reply::Unchanged) => return Err(nothing_known(name)),
            Err(error) if error.kind() == ErrorKind::Absent => {
                let default = declared.and_then(Self::default_of);
                return default.map(Reply::Value).ok_or(error);
            }
            Err(error) => return Err(error),
        };
        check_size(name, &secret)?;
        let metadata = secret.metadata().clone().with_name(name);
        let secret = secret.with_metadata(metadata);
        let encoding = declared.map_or(Encoding::Text, |declared| declared.encoding);
        let secret = encoding.decode(&secret)?;
        check_locked(name, &secret)?;
        Ok(Reply::Value(secret))
    }

    /// Returns what stands in for a secret that the backend doesn't have.
    pub(crate) fn default_of(declared: &Declared) -> Option<Secret> {
        let metadata = Metadata::new().with_name(&declared.name);
        let default = declared.default.clone()?;
        Some(default.with_metadata(metadata.with_source(Source::Default)))
    }

    /// Writes one secret, encoded as the manifest declares it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if what is there is not what was expected, [`ErrorKind::Unsupported`]
    /// if the provider is read-only, and whatever the provider answers.
    pub async fn put(
        &self,
        name: &SecretName,
        value: &Secret,
        expect: Expect,
    ) -> Result<Option<Version>> {
        let route = self.route(name)?;
        let encoding = self
            .0
            .declared
            .get(name)
            .map_or(Encoding::Text, |known| known.encoding);
        let value = encoding.encode(value);
        check_size(name, &value)?;
        route
            .provider
            .put(&Put::new(route.target, value).with_expect(expect))
            .await
    }

    /// Deletes one secret.
    ///
    /// # Errors
    /// As [`put`](Self::put), and [`ErrorKind::Absent`] if there is none.
    pub async fn delete(&self, name: &SecretName, expect: Expect) -> Result<()> {
        let route = self.route(name)?;
        route.provider.delete(&route.target, &expect).await
    }

    /// Lists the names of the chosen provider that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// Whatever the provider answers.
    pub async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.0.main.list(prefix).await
    }

    /// Asks every provider whether it works; the answers are put together.
    ///
    /// # Errors
    /// The first provider's that doesn't.
    pub async fn health(&self) -> Result<ProviderHealth> {
        let mut health = self.0.main.health().await?;
        for provider in self.0.named.values() {
            health.degraded.extend(provider.health().await?.degraded);
        }
        Ok(health)
    }

    /// Reads every declared secret and judges it. It judges what the provider has: no snapshot stands
    /// in for anything.
    pub async fn validate(&self) -> Validation {
        Validation::of(self, false).await.0
    }

    /// Reads every declared secret, demands that each is there and strong, and hands them out. Where
    /// the manifest has a `snapshot`, it stands in for what can't be read at present.
    ///
    /// # Errors
    /// One error with the whole [`Report`](crate::Report), as [`SecretsBuilder::detect`] says.
    ///
    /// [`SecretsBuilder::detect`]: crate::SecretsBuilder::detect
    pub async fn boot(self) -> Result<Secrets> {
        self.boot_by(Clock::coarse()).await
    }

    pub(crate) async fn boot_by(self, clock: Clock) -> Result<Secrets> {
        let began = clock.now();
        let (validation, values) = Validation::of(&self, true).await;
        for warning in validation.report.warnings() {
            if warning.rule == snapshot::RULE {
                // Health says it, for as long as it is so.
                let secret = warning.name.as_ref().map(SecretName::as_str);
                tracing::warn!(rule = warning.rule, secret, "{}", warning.message);
            } else {
                self.0.rails.say(warning.clone());
            }
        }
        for finding in validation.report.violations() {
            let refused = Event::new(Operation::Refuse, Outcome::Failure(finding.rule));
            self.0.audit.note(match &finding.name {
                Some(name) => refused.of(name, None),
                None => refused,
            });
        }
        match validation.into_error() {
            Some(error) => {
                // The error that stops the boot matters more than one of closing.
                let _ = self.close().await;
                Err(error)
            }
            None => Ok(Secrets::new(self, values, clock, began)),
        }
    }

    /// Returns the providers, each under the name that the manifest has for it.
    pub(crate) fn providers(&self) -> Vec<(Option<String>, Arc<dyn SecretProvider>)> {
        let named = self.0.named.iter();
        let named = named.map(|(name, provider)| (Some(name.clone()), Arc::clone(provider)));
        std::iter::once((None, Arc::clone(&self.0.main)))
            .chain(named)
            .collect()
    }

    /// Returns the document that a name is read from. Names of one document belong together.
    pub(crate) fn document(&self, name: &SecretName) -> Document {
        let declared = self.0.declared.get(name);
        let target = declared.map_or_else(|| Target::new(name.clone()), Declared::target);
        let source = declared.and_then(|known| known.source.as_ref());
        Document {
            provider: source.and_then(|source| source.provider.clone()),
            place: target.id.unwrap_or_else(|| target.name.path().to_owned()),
        }
    }

    /// Reports whether a name is lent: reading it anew is how its new end is learnt.
    pub(crate) fn is_lent(&self, name: &SecretName) -> bool {
        self.0.declared.get(name).is_some_and(Declared::is_leased)
    }

    /// Asks the provider of this name whether it works and whether our credential does.
    pub(crate) async fn health_of(&self, key: Option<&str>) -> Result<ProviderHealth> {
        self.provider(key).health().await
    }

    /// Ends every provider's sessions and tasks.
    ///
    /// # Errors
    /// The first error of a provider; all are closed all the same.
    pub async fn close(&self) -> Result<()> {
        let mut outcome = self.0.main.close().await;
        for provider in self.0.named.values() {
            let closed = provider.close().await;
            outcome = outcome.and(closed);
        }
        self.0.audit.flush().await;
        outcome
    }

    /// The provider of a name, and what to ask it for.
    pub(crate) fn place(&self, name: &SecretName) -> Result<(Arc<dyn SecretProvider>, Target)> {
        let route = self.route(name)?;
        Ok((Arc::clone(route.provider), route.target))
    }

    fn provider(&self, key: Option<&str>) -> &Arc<dyn SecretProvider> {
        key.and_then(|name| self.0.named.get(name))
            .unwrap_or(&self.0.main)
    }

    /// Finds the provider of a name, and what to ask it for.
    fn route(&self, name: &SecretName) -> Result<Route<'_>> {
        let declared = self.0.declared.get(name);
        let target = declared.map_or_else(|| Target::new(name.clone()), Declared::target);
        let source = declared.and_then(|known| known.source.as_ref());
        let Some(key) = source.and_then(|source| source.provider.as_deref()) else {
            return Ok(Route {
                key: None,
                provider: &self.0.main,
                target,
            });
        };
        match self.0.named.get(key) {
            Some(provider) => Ok(Route {
                key: Some(key),
                provider,
                target,
            }),
            None => {
                let message =
                    format!("its source names the provider `{key}`, which is not declared");
                Err(Error::new(ErrorKind::Config, message).with_name(name))
            }
        }
    }
}

/// Where a name is read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Document {
    pub(crate) provider: Option<String>,
    place: String,
}

struct Route<'a> {
    key: Option<&'a str>,
    provider: &'a Arc<dyn SecretProvider>,
    target: Target,
}

fn nothing_known(name: &SecretName) -> Error {
    let message = "the provider answered that nothing changed, but no version was held";
    Error::new(ErrorKind::Malformed, message).with_name(name)
}

fn set(answers: &mut [Option<Result<Reply>>], at: usize, answer: Result<Reply>) {
    if let Some(place) = answers.get_mut(at) {
        *place = Some(answer);
    }
}

/// Demands a runtime that can run what keeps secrets fresh.
pub(crate) fn check_runtime() -> Result<()> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(no_runtime());
    }
    // There is no other way to ask.
    match std::panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))) {
        Ok(()) => Ok(()),
        Err(_) => Err(Error::new(
            ErrorKind::Config,
            "the tokio runtime on this thread has no timers",
        )
        .with_help("build it with `enable_time` or `enable_all`")),
    }
}

pub(crate) fn no_runtime() -> Error {
    Error::new(
        ErrorKind::Config,
        "there is no tokio runtime on this thread",
    )
    .with_help("call it from async code, or use strongroom::blocking")
}

pub(crate) fn check_size(name: &SecretName, secret: &Secret) -> Result<()> {
    if secret.len() <= MAX_VALUE_BYTES {
        return Ok(());
    }
    let message = format!(
        "the value has {} bytes; {MAX_VALUE_BYTES} are the most",
        secret.len()
    );
    Err(Error::new(ErrorKind::Malformed, message).with_name(name))
}

/// Refuses a value that the system doesn't lock, where the program was built to have it so.
fn check_locked(name: &SecretName, secret: &Secret) -> Result<()> {
    if !cfg!(feature = "locked-memory") || secret.is_locked() {
        return Ok(());
    }
    let message = "the value can't be locked in memory: the limit of this process (RLIMIT_MEMLOCK) is \
                   used up";
    Err(Error::new(ErrorKind::Config, message)
        .with_name(name)
        .with_help(
            "raise it (`ulimit -l`, `LimitMEMLOCK=` of systemd, `--ulimit memlock=` of containers), or \
             build without strongroom's feature `locked-memory`",
        ))
}
