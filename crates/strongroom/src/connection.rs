//! Connected providers, and the route of each name to one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::declared::{Declared, Encoding};
use crate::error::{Error, ErrorKind, Result};
use crate::factory::Detection;
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target,
};
use crate::rails::GuardRails;
use crate::secret::{MAX_VALUE_BYTES, Metadata, Secret, Source, Version};
use crate::secrets::Secrets;
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
    declared: BTreeMap<SecretName, Declared>,
    main: Arc<dyn SecretProvider>,
    named: BTreeMap<String, Arc<dyn SecretProvider>>,
}

impl Connection {
    pub(crate) fn new(
        detection: Detection,
        rails: GuardRails,
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
            declared,
            main,
            named: BTreeMap::new(),
        }))
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

    /// Describes the provider that a name is read from.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the manifest's `source` names a provider that it doesn't have.
    pub fn describe_for(&self, name: &SecretName) -> Result<Description> {
        Ok(self.route(name)?.provider.describe())
    }

    /// Reads many secrets now: one call to each provider involved, one answer for each name, in
    /// order. Values are decoded; a development default stands in for an absent one.
    pub async fn fetch(&self, names: &[SecretName]) -> Vec<Result<Secret>> {
        if tokio::runtime::Handle::try_current().is_err() {
            let fail = |name| Err(no_runtime().with_name(name));
            return names.iter().map(fail).collect();
        }
        let mut answers: Vec<Option<Result<Secret>>> = names.iter().map(|_| None).collect();
        let mut batches: BTreeMap<Option<&str>, (Vec<usize>, Vec<Request>)> = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            match self.route(name) {
                Ok(route) => {
                    let (places, requests) = batches.entry(route.key).or_default();
                    places.push(at);
                    requests.push(Request::new(route.target));
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
                if let Some(name) = names.get(at) {
                    set(&mut answers, at, self.finish(name, reply));
                }
            }
        }
        let unanswered = |name| {
            Error::new(ErrorKind::Malformed, "the provider gave no answer for it").with_name(name)
        };
        let pairs = answers.into_iter().zip(names);
        pairs
            .map(|(answer, name)| answer.unwrap_or_else(|| Err(unanswered(name))))
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
    fn finish(&self, name: &SecretName, reply: Result<Reply>) -> Result<Secret> {
        let declared = self.0.declared.get(name);
        let secret = match reply {
            Ok(Reply::Value(secret)) => secret,
            Ok(Reply::Unchanged) => {
                let message = "the provider answered that nothing changed, but no version was held";
                return Err(Error::new(ErrorKind::Malformed, message).with_name(name));
            }
            Err(error) if error.kind() == ErrorKind::Absent => {
                let default = declared.and_then(|declared| declared.default.clone());
                return match default {
                    Some(default) => {
                        let metadata = Metadata::new().with_name(name).with_source(Source::Default);
                        Ok(default.with_metadata(metadata))
                    }
                    None => Err(error),
                };
            }
            Err(error) => return Err(error),
        };
        check_size(name, &secret)?;
        let metadata = secret.metadata().clone().with_name(name);
        let secret = secret.with_metadata(metadata);
        declared
            .map_or(Encoding::Text, |declared| declared.encoding)
            .decode(&secret)
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

    /// Reads every declared secret and judges it.
    pub async fn validate(&self) -> Validation {
        Validation::of(self).await.0
    }

    /// Reads every declared secret, demands that each is there and strong, and hands them out.
    ///
    /// # Errors
    /// One error with the whole [`Report`](crate::Report), as [`SecretsBuilder::detect`] says.
    ///
    /// [`SecretsBuilder::detect`]: crate::SecretsBuilder::detect
    pub async fn boot(self) -> Result<Secrets> {
        let (validation, values) = Validation::of(&self).await;
        for warning in validation.report.warnings() {
            self.0.rails.say(warning.clone());
        }
        match validation.into_error() {
            Some(error) => {
                // The error that stops the boot matters more than one of closing.
                let _ = self.close().await;
                Err(error)
            }
            None => Ok(Secrets::new(self, values)),
        }
    }

    /// The providers that lend declared secrets, each with the names of these.
    pub(crate) fn lending(&self) -> Vec<(Arc<dyn SecretProvider>, Vec<SecretName>)> {
        let mut lending: BTreeMap<Option<&str>, Vec<SecretName>> = BTreeMap::new();
        for declared in self.declared() {
            let source = declared.source.as_ref().filter(|source| source.lease);
            if let Some(source) = source {
                let names = lending.entry(source.provider.as_deref()).or_default();
                names.push(declared.name.clone());
            }
        }
        let lending = lending.into_iter();
        lending
            .map(|(key, names)| (Arc::clone(self.provider(key)), names))
            .collect()
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

struct Route<'a> {
    key: Option<&'a str>,
    provider: &'a Arc<dyn SecretProvider>,
    target: Target,
}

fn set(answers: &mut [Option<Result<Secret>>], at: usize, answer: Result<Secret>) {
    if let Some(place) = answers.get_mut(at) {
        *place = Some(answer);
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
