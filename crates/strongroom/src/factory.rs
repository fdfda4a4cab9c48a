//! From an environment to [`Secrets`]: detect, connect, prove, hand out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::audit::{self, Anchors, Event, Outcome};
use crate::backends::{self, Backend, Connect, Opening};
use crate::connection::{Connection, check_runtime};
use crate::declared::Declared;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::layers;
use crate::load::FromSecrets;
use crate::manifest::{self, ManifestNames};
use crate::provider::{Description, SecretProvider};
use crate::provider_url::ProviderUrl;
use crate::rails::Rail;
use crate::secrets::Secrets;

mod audit_log;
mod chain;
mod detection;
mod examine;
mod plan;
mod postponed;
mod snapshot;
mod variables;

use plan::Plan;
use postponed::Postponed;

pub use chain::ChainMember;
pub use detection::{Candidate, Chosen, Detection, Verdict};

/// Where a service's boot begins: `SecretsFactory::detect().await?`.
#[derive(Debug, Clone, Copy)]
pub struct SecretsFactory;

impl SecretsFactory {
    /// Chooses the backend from the process environment, connects, reads every declared secret and
    /// checks its strength.
    ///
    /// # Errors
    /// As [`SecretsBuilder::detect`].
    pub async fn detect() -> Result<Secrets> {
        Self::builder().detect().await
    }

    /// As [`detect`](Self::detect), for a type that declares what it needs and is then loaded.
    ///
    /// # Errors
    /// As [`SecretsBuilder::detect_for`].
    pub async fn detect_for<T: FromSecrets>() -> Result<(T, Secrets)> {
        Self::builder().detect_for().await
    }

    /// Returns the rows of the backends that every boot knows. Those given to
    /// [`SecretsBuilder::backend`] come beside them.
    pub const fn backends() -> &'static [Backend] {
        backends::ALL
    }

    /// Begins a boot that is told more than the environment says.
    pub fn builder() -> SecretsBuilder {
        SecretsBuilder::default()
    }
}

/// A boot in preparation.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use strongroom::{Env, SecretsFactory};
///
/// let secrets = SecretsFactory::builder()
///     .env(Env::empty()
///         .with_var("STRONGROOM_PROVIDER", "env:?prefix=APP_")
///         .with_var("APP_API_TOKEN", "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF"))
///     .manifest_text("[default.secrets]\n\"api/token\" = { kind = \"token\" }")
///     .detect()
///     .await?;
/// assert!(secrets.get("api/token").await?.verify("pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF"));
/// # Ok::<(), strongroom::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct SecretsBuilder {
    env: Option<Env>,
    manifest: manifest::Choice,
    distrust_found_manifest: bool,
    profile: Option<String>,
    provider_url: Option<ProviderUrl>,
    provider_name: Option<String>,
    provider: Option<Arc<dyn SecretProvider>>,
    declared: Vec<Declared>,
    backends: Vec<Backend>,
    block_in_place: bool,
}

impl SecretsBuilder {
    /// Uses this environment instead of the process's.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// Uses this manifest file. Relative paths in it start from its directory.
    #[must_use]
    pub fn manifest_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.manifest = manifest::Choice::File(path.into());
        self
    }

    /// Uses this manifest, compiled in with `include_str!` for example. Relative paths in it start
    /// from the working directory.
    #[must_use]
    pub fn manifest_text(mut self, text: impl Into<String>) -> Self {
        self.manifest = manifest::Choice::Text(text.into());
        self
    }

    /// Ignores the `danger_…` keys of a manifest that nobody named, with a warning, and sends no
    /// credential of the environment to an address that stands there alone.
    ///
    /// A service trusts its own working directory. A tool that runs in directories of others, a
    /// fresh checkout for example, must not, unless the user vouches for this very text
    /// ([`trust`](crate::trust)).
    #[must_use]
    pub fn distrust_found_manifest(mut self) -> Self {
        self.distrust_found_manifest = true;
        self
    }

    /// Uses this profile of the manifest instead of the one that follows the deployment.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Uses the provider at this address, whatever the environment says.
    #[must_use]
    pub fn provider_url(mut self, url: ProviderUrl) -> Self {
        self.provider_url = Some(url);
        self
    }

    /// Uses the provider of this name in the manifest's `providers`, whatever the environment says.
    ///
    /// A name that the manifest doesn't have is an error when the choice is made.
    #[must_use]
    pub fn provider_named(mut self, name: impl Into<String>) -> Self {
        self.provider_name = Some(name.into());
        self
    }

    /// Uses this provider itself, whatever the environment says.
    ///
    /// Its calls are not repeated and not limited: that is for what an address leads to, see
    /// [`Backend::remote`].
    #[must_use]
    pub fn provider(mut self, provider: impl SecretProvider + 'static) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Declares secrets beside the manifest's.
    ///
    /// Where both declare a name, the manifest says where the secret is (its source, variable and
    /// encoding) and may tighten what is asked of it; nothing loosens: a secret is required if
    /// either requires it, and the longer of two least lengths holds. A manifest that says nothing of
    /// the encoding, or `opaque` of the kind, leaves these to what is declared here. Two kinds, or two
    /// lengths of a key, are an error that names both places.
    #[must_use]
    pub fn declare(mut self, declared: impl IntoIterator<Item = Declared>) -> Self {
        self.declared.extend(declared);
        self
    }

    /// Registers a further backend under its own scheme. `chain` is taken, by chains.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backends.push(backend);
        self
    }

    /// Reads and writes files on the calling thread, instead of on threads for work that blocks.
    ///
    /// For a command, which has nothing else to do meanwhile: starting a thread takes longer than
    /// reading a file. In a service, a slow disk would hold up every other task.
    #[must_use]
    pub fn block_in_place(mut self) -> Self {
        self.block_in_place = true;
        self
    }

    /// Reads the names that the manifest introduces, and decides nothing: for what completes names while
    /// they are typed.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the manifest can't be read, or is no TOML.
    pub fn manifest_names(&self) -> Result<ManifestNames> {
        let env = self.env.clone().unwrap_or_else(Env::process);
        ManifestNames::read(&self.manifest, &env)
    }

    /// Decides, connects to nothing, and explains the decision.
    ///
    /// A choice that can't be made (two candidates, none) is part of the explanation, not an error.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the environment or the manifest can't be understood at all.
    pub fn explain(&self) -> Result<Detection> {
        Ok(self.plan()?.detection)
    }

    /// Decides, connects to nothing, and returns what the chosen backend would get.
    ///
    /// For tools that work with one backend's own type, as with
    /// [`SealedFile::connect`](crate::sealed_file::SealedFile::connect).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if no choice can be made, a provider itself was handed over or a chain is
    /// chosen, and [`ErrorKind::Policy`] if a guard rail refuses the address.
    pub fn explain_connect(&self) -> Result<Connect> {
        let plan = self.plan()?;
        let connect = self.connect_to_chosen(&plan)?;
        // What is done with it is recorded, where that takes no secret of the provider.
        plan.audit.open(None)?;
        Ok(connect)
    }

    /// Decides and connects, without reading any secret.
    ///
    /// For tools: a service calls [`detect`](Self::detect).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if no choice can be made or there is no tokio runtime,
    /// [`ErrorKind::Unsupported`] if the backend is not in this build, [`ErrorKind::Policy`] if a
    /// guard rail refuses it, and whatever the backend answers to opening it.
    pub async fn connect(self) -> Result<Connection> {
        check_runtime()?;
        let plan = self.plan()?;
        self.connect_as(plan).await
    }

    async fn connect_as(self, plan: Plan) -> Result<Connection> {
        let chosen = plan.detection.chosen()?;
        tracing::info!(
            provider = %chosen.address, class = %chosen.class, because = %chosen.because,
            deployment = %plan.rails.deployment(), "strongroom chose a provider"
        );
        for warning in &plan.detection.warnings {
            plan.rails.say(warning.clone());
        }
        let mut chain = None;
        let main: Arc<dyn SecretProvider> = match &self.provider {
            Some(provider) if chosen.url.is_none() => {
                layers::wrap(Arc::clone(provider), None, &plan.audit)
            }
            _ if !chosen.members.is_empty() => {
                let opened = Arc::new(self.open_chain(&plan, &chosen.members).await?);
                chain = Some(Arc::clone(&opened));
                opened
            }
            _ => self.open(&plan, self.connect_to_chosen(&plan)?).await?,
        };
        let mut connection = Connection::new(
            plan.detection.clone(),
            plan.rails.clone(),
            plan.manifest.cache,
            plan.declared.clone(),
            main,
        );
        connection.set_chain(chain);
        connection.set_audit(&plan.audit);
        connection.set_snapshot(self.snapshot(&plan, chosen));
        for (name, url) in &plan.manifest.providers {
            let used = |declared: &Declared| serves(declared, Some(name));
            if plan.declared.iter().any(used) {
                let connect = self.connect_to_named(&plan, url, Some(name))?;
                let opened = self.open(&plan, connect).await?;
                connection.add(name, opened);
            }
        }
        self.open_log(&plan, &connection).await?;
        Ok(connection)
    }

    /// Decides, connects, reads every declared secret and checks its strength.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and one error with the whole [`Report`](crate::Report) if
    /// any declared secret is missing, weak or unreadable. Its kind is [`ErrorKind::Policy`] unless
    /// a secret could not be read for another reason than its own state: then it is that kind.
    ///
    /// Where the manifest has a `snapshot`, what fails as [`ErrorKind::Transient`] is taken from it,
    /// and a provider that can't be opened for that reason is opened later.
    pub async fn detect(self) -> Result<Secrets> {
        check_runtime()?;
        let mut plan = self.plan()?;
        plan.may_postpone = plan.manifest.snapshot.is_some();
        self.connect_as(plan).await?.boot().await
    }

    /// As [`detect`](Self::detect), for a type that declares what it needs and is then loaded.
    ///
    /// What the type declares is merged into the manifest as by [`declare`](Self::declare).
    ///
    /// # Errors
    /// As [`detect`](Self::detect), [`ErrorKind::Config`] if the manifest contradicts the type, and
    /// whatever building the type fails with; nothing is left running then.
    pub async fn detect_for<T: FromSecrets>(self) -> Result<(T, Secrets)> {
        let secrets = self.declare(T::declared()).detect().await?;
        match secrets.load().await {
            Ok(loaded) => Ok((loaded, secrets)),
            Err(error) => {
                // Why the type can't be built matters more than how a session ends.
                let _ = secrets.shutdown().await;
                Err(error)
            }
        }
    }

    /// What the chosen backend gets, once the guard rails let its address through.
    fn connect_to_chosen(&self, plan: &Plan) -> Result<Connect> {
        let chosen = plan.detection.chosen()?;
        if !chosen.members.is_empty() {
            let message = format!("{} is several providers", chosen.address);
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("name the address of one of them by --provider"));
        }
        for (rail, sentence) in &chosen.rails {
            plan.rails.check(*rail, sentence, None)?;
        }
        let url = chosen.url.as_ref();
        let url = url.ok_or_else(|| Error::new(ErrorKind::Config, "it has no address"))?;
        let trusted = !chosen.in_manifest || !plan.manifest.distrusted;
        self.connect_to(plan, url, chosen.base_dir.clone(), trusted, None)
    }

    /// What the backend of a provider gets that the manifest names, to serve what is declared with
    /// this source.
    fn connect_to_named(
        &self,
        plan: &Plan,
        url: &ProviderUrl,
        source: Option<&str>,
    ) -> Result<Connect> {
        detection::check_allowed(&plan.manifest, url)?;
        let base_dir = plan.manifest.base_dir.clone();
        let trusted = !plan.manifest.distrusted;
        self.connect_to(plan, url, base_dir, trusted, source)
    }

    fn connect_to(
        &self,
        plan: &Plan,
        url: &ProviderUrl,
        base_dir: PathBuf,
        trusted: bool,
        provider: Option<&str>,
    ) -> Result<Connect> {
        let backend = self.backend_of(url)?;
        if url.is_plaintext_to_elsewhere() {
            let sentence = format!("{url} is reached by plain http");
            plan.rails.check(Rail::PlaintextHttp, &sentence, None)?;
        }
        let declared = plan
            .declared
            .iter()
            .filter(|declared| serves(declared, provider));
        let declared: Arc<[Declared]> = declared.cloned().collect();
        if let Some(leased) = declared
            .iter()
            .find(|declared| declared.is_leased())
            .filter(|_| !backend.has_leases())
        {
            let message = format!(
                "{} lends no secrets, and its source asks for a lease",
                backend.title()
            );
            let error = Error::new(ErrorKind::Config, message).with_name(&leased.name);
            return Err(error.with_help("take `lease = true` out of its source"));
        }
        Ok(Connect {
            url: url.clone(),
            env: Arc::clone(&plan.env),
            rails: plan.rails.clone(),
            declared,
            base_dir,
            block_in_place: self.block_in_place,
            trusted,
            anchors: Anchors::of(&plan.audit),
        })
    }

    async fn open(&self, plan: &Plan, connect: Connect) -> Result<Arc<dyn SecretProvider>> {
        let backend = *self.backend_of(&connect.url)?;
        let settings = backend.is_remote().then_some(plan.manifest.layers);
        let url = connect.url.clone();
        let audit = Arc::clone(&plan.audit);
        let open = move || -> Opening {
            let (connect, audit) = (connect.clone(), Arc::clone(&audit));
            Box::pin(async move {
                let (address, began) = (connect.url.to_string(), Instant::now());
                let opened = backend.open(connect).await;
                let event = Event::new(audit::Operation::Open, Outcome::of(&opened));
                let event = event.at_provider(&address).took(began.elapsed());
                audit.record(vec![event]).await?;
                Ok(layers::wrap(opened?, settings.as_ref(), &audit))
            })
        };
        match open().await {
            Err(error) if error.is_retryable() && plan.may_postpone => {
                tracing::warn!(provider = %url, "a provider can't be opened yet: {error}");
                // It may be writable; a write will tell.
                let description = Description::new(url.scheme(), url.to_string(), true);
                Ok(Arc::new(Postponed::new(description, open)))
            }
            opened => opened,
        }
    }
}

/// Reports whether a declared secret is read from the provider of this name, the chosen one being
/// `None`.
pub(crate) fn serves(declared: &Declared, provider: Option<&str>) -> bool {
    declared
        .source
        .as_ref()
        .and_then(|source| source.provider.as_deref())
        == provider
}
