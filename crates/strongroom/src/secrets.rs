//! What applications hold: every declared secret, proven at boot.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::factory::Detection;
use crate::health::Health;
use crate::live::{Live, LiveSecret, Publisher};
use crate::load::{FromSecrets, Loaded};
use crate::name::SecretName;
use crate::policy;
use crate::report::{Report, Severity};
use crate::secret::Secret;
use crate::validation;

mod following;

/// What applications hold: the declared secrets, read and proven at boot.
///
/// Cheap to clone; clones and scoped views share everything. A declared secret is answered from
/// memory, without a parse, an allocation or a lock. A name that is not declared is read from the
/// provider each time in development and test, and is an error everywhere else.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use strongroom::{Declared, Env, Kind, Memory, SecretName, SecretsFactory};
///
/// let token = Declared::new(SecretName::from_static("api/token"), Kind::Token);
/// let secrets = SecretsFactory::builder()
///     .env(Env::empty())
///     .provider(Memory::new().with("api/token", "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF"))
///     .declare([token])
///     .detect()
///     .await?;
/// let token = secrets.watch("api/token").await?;
/// assert!(token.verify("pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF"));
/// assert!(secrets.scoped("billing/")?.get("api/token").await.is_err());
/// # Ok::<(), strongroom::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Secrets {
    shared: Arc<Shared>,
    scope: Arc<str>,
}

struct Shared {
    connection: Connection,
    held: ArcSwap<HashMap<SecretName, Held>>,
    /// Serialises what changes `held`; readers never wait for it.
    filling: Mutex<()>,
    /// The tasks that attend to dynamic secrets; they end with this.
    following: std::sync::Mutex<JoinSet<()>>,
    closed: AtomicBool,
}

#[derive(Clone)]
struct Held {
    live: LiveSecret,
    publisher: Arc<Publisher<Secret>>,
}

impl Held {
    fn new(secret: Secret) -> Self {
        let (publisher, live) = Live::channel(secret);
        Self {
            live,
            publisher: Arc::new(publisher),
        }
    }
}

impl Shared {
    fn following(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.following
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets {
    pub(crate) fn new(connection: Connection, values: BTreeMap<SecretName, Secret>) -> Self {
        let held = values
            .into_iter()
            .map(|(name, secret)| (name, Held::new(secret)));
        let shared = Shared {
            connection,
            held: ArcSwap::from_pointee(held.collect()),
            filling: Mutex::new(()),
            following: std::sync::Mutex::default(),
            closed: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        *shared.following() = following::follow(&shared);
        Self {
            shared,
            scope: Arc::from(""),
        }
    }

    /// Returns a secret.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none, [`ErrorKind::Denied`] outside a scoped view's prefix,
    /// [`ErrorKind::Config`] for a text that is no name and, in production, for a name that is not
    /// declared, [`ErrorKind::Policy`] if a declared secret turned up that is too weak,
    /// [`ErrorKind::Closed`] after shutdown, and whatever the provider answers.
    pub async fn get(&self, name: impl AsRef<str>) -> Result<Secret> {
        let name = name.as_ref();
        self.admit(name)?;
        if let Some(held) = self.shared.held.load().get(name) {
            return held.live.with(Secret::clone);
        }
        let name = self.readable(name)?;
        match self.shared.connection.declaration(name.as_str()) {
            Some(declared) => self.fill(declared).await?.live.with(Secret::clone),
            None => self.shared.connection.read(&name).await,
        }
    }

    /// Returns a secret, or `None` if the backend holds none.
    ///
    /// # Errors
    /// As [`get`](Self::get), except [`ErrorKind::Absent`].
    pub async fn get_optional(&self, name: impl AsRef<str>) -> Result<Option<Secret>> {
        match self.get(name).await {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns many secrets, in the order asked; those that are not held take one call together.
    ///
    /// # Errors
    /// As [`get`](Self::get), for the first that fails.
    pub async fn get_many(&self, names: &[SecretName]) -> Result<Vec<Secret>> {
        let mut missing = Vec::new();
        for name in names {
            self.admit(name.as_str())?;
            if !self.shared.held.load().contains_key(name) {
                missing.push(self.readable(name.as_str())?);
            }
        }
        let mut fetched = HashMap::new();
        if !missing.is_empty() {
            let answers = self.shared.connection.fetch(&missing).await;
            for (name, answer) in missing.into_iter().zip(answers) {
                let secret = match self.shared.connection.declaration(name.as_str()) {
                    Some(declared) => prove(declared, answer?)?,
                    None => answer?,
                };
                fetched.insert(name, secret);
            }
        }
        let held = self.shared.held.load();
        let one = |name: &SecretName| match (held.get(name), fetched.get(name)) {
            (Some(held), _) => held.live.with(Secret::clone),
            (None, Some(secret)) => Ok(secret.clone()),
            (None, None) => Err(closed()),
        };
        names.iter().map(one).collect()
    }

    /// Returns a live handle, whose value is replaced in place when the secret rotates.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn watch(&self, name: impl AsRef<str>) -> Result<LiveSecret> {
        let name = name.as_ref();
        self.admit(name)?;
        if let Some(held) = self.shared.held.load().get(name) {
            return Ok(held.live.clone());
        }
        let name = self.readable(name)?;
        let held = match self.shared.connection.declaration(name.as_str()) {
            Some(declared) => self.fill(declared).await?,
            None => {
                self.hold(&name, self.shared.connection.read(&name).await?)
                    .await?
            }
        };
        Ok(held.live)
    }

    /// Builds a type from the secrets it declares.
    ///
    /// # Errors
    /// As [`get`](Self::get) for every required secret, and whatever the type's own parsing fails
    /// with. In production the declarations must have been given to the boot, by
    /// [`SecretsFactory::detect_for`](crate::SecretsFactory::detect_for) or
    /// [`SecretsBuilder::declare`](crate::SecretsBuilder::declare).
    pub async fn load<T: FromSecrets>(&self) -> Result<T> {
        let mut found = BTreeMap::new();
        for declared in T::declared() {
            match self.watch_declared(&declared).await {
                Ok(live) => {
                    found.insert(declared.name, live);
                }
                Err(error) if error.kind() == ErrorKind::Absent && !declared.required => {}
                Err(error) => return Err(error),
            }
        }
        T::from_secrets(&Loaded::new(&found)?)
    }

    /// Returns a view that can reach nothing outside `prefix`. Names stay whole: one name means one
    /// secret everywhere.
    ///
    /// The prefix is whole segments: `payments/` (or `payments`) holds `payments/key` and not
    /// `payments-old/key`. A view of a view reaches what both reach.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `prefix` is no path of a name, [`ErrorKind::Denied`] if it lies
    /// outside this view.
    pub fn scoped(&self, prefix: &str) -> Result<Secrets> {
        let path = prefix.strip_suffix('/').unwrap_or(prefix);
        let name = SecretName::parse(path)?;
        if name.field().is_some() {
            return Err(
                Error::new(ErrorKind::Config, "a scope is a path without a `#field`")
                    .with_name(&name),
            );
        }
        let scope = format!("{path}/");
        if !scope.starts_with(&*self.scope) {
            return Err(outside(&scope, &self.scope));
        }
        Ok(Self {
            shared: Arc::clone(&self.shared),
            scope: scope.into(),
        })
    }

    /// Reports the state of everything held, without asking the backend.
    pub fn health(&self) -> Health {
        let held = self.shared.held.load();
        let live = held
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(&*self.scope));
        let live = live.map(|(name, held)| (name, &held.live));
        Health::of(&self.shared.connection, self.is_closed(), &self.scope, live)
    }

    /// Returns the explained choice of the provider.
    pub fn detection(&self) -> &Detection {
        self.shared.connection.detection()
    }

    /// Ends the providers' sessions and tasks, and wipes what is held here. Handles, and every
    /// clone and view of this `Secrets`, answer [`ErrorKind::Closed`] from now on. A value that an
    /// application cloned out is wiped when it drops it.
    ///
    /// # Errors
    /// The first error of a provider's own end; everything is shut down all the same.
    pub async fn shutdown(&self) -> Result<()> {
        let _filling = self.shared.filling.lock().await;
        self.shared.closed.store(true, Ordering::Release);
        self.shared.following().abort_all();
        let held = self.shared.held.swap(Arc::default());
        for held in held.values() {
            held.publisher.close();
        }
        self.shared.connection.close().await
    }

    fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Refuses what is outside the scope, and everything after shutdown.
    fn admit(&self, name: &str) -> Result<()> {
        if self.is_closed() {
            return Err(closed());
        }
        if name.starts_with(&*self.scope) {
            Ok(())
        } else {
            Err(outside(name, &self.scope))
        }
    }

    /// Parses a name that is not held, and refuses an undeclared one where guard rails are strict.
    fn readable(&self, name: &str) -> Result<SecretName> {
        let name = SecretName::parse(name)?;
        let connection = &self.shared.connection;
        let deployment = connection.rails().deployment();
        if connection.declaration(name.as_str()).is_none() && deployment.is_strict() {
            let message = match deployment {
                crate::Deployment::Undeclared => {
                    "it is not declared, which is an error where no deployment is declared"
                        .to_owned()
                }
                deployment => format!("it is not declared, which is an error in {deployment}"),
            };
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("declare it in the manifest's `secrets`, so that the boot proves it")
                .with_name(&name));
        }
        Ok(name)
    }

    /// Returns the handle of a secret that a type declares, on the type's own terms where the boot
    /// knew none.
    async fn watch_declared(&self, declared: &Declared) -> Result<LiveSecret> {
        if self
            .shared
            .connection
            .declaration(declared.name.as_str())
            .is_some()
        {
            return self.watch(&declared.name).await;
        }
        self.admit(declared.name.as_str())?;
        let name = self.readable(declared.name.as_str())?;
        if declared.source.is_some() || declared.variable.is_some() || declared.default.is_some() {
            // These are settled when the providers are opened: reading by the name alone would
            // hand out another secret.
            let message =
                "it is declared with a source, variable or default that the boot didn't know";
            return Err(Error::new(ErrorKind::Config, message)
                .with_help(
                    "boot by SecretsFactory::detect_for, or give it to SecretsBuilder::declare",
                )
                .with_name(&name));
        }
        let secret = declared
            .encoding
            .decode(&self.shared.connection.read(&name).await?)?;
        let secret = prove(declared, secret)?;
        Ok(self.hold(&name, secret).await?.live)
    }

    /// Reads a declared secret that was not there at boot, and holds it if it is strong.
    async fn fill(&self, declared: &Declared) -> Result<Held> {
        let secret = self.shared.connection.read(&declared.name).await?;
        self.hold(&declared.name, prove(declared, secret)?).await
    }

    /// Holds a value, unless another reader was faster.
    async fn hold(&self, name: &SecretName, secret: Secret) -> Result<Held> {
        let _filling = self.shared.filling.lock().await;
        if self.is_closed() {
            return Err(closed());
        }
        if let Some(held) = self.shared.held.load().get(name) {
            return Ok(held.clone());
        }
        let fresh = Held::new(secret);
        let mut held = HashMap::clone(&self.shared.held.load());
        held.insert(name.clone(), fresh.clone());
        self.shared.held.store(Arc::new(held));
        Ok(fresh)
    }
}

/// Demands of one value what the boot demanded of all.
fn prove(declared: &Declared, secret: Secret) -> Result<Secret> {
    let findings = policy::check_one(declared, &secret);
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Violation)
    {
        let error = Error::new(
            ErrorKind::Policy,
            "the value doesn't pass the strength policy",
        );
        return Err(error
            .with_name(&declared.name)
            .with_report(Report::new(findings)));
    }
    let strong = policy::is_strong(declared, &secret, &findings);
    Ok(validation::mark(secret, strong))
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the secrets were shut down")
}

fn outside(name: &str, scope: &str) -> Error {
    // The text may not be a name at all, so it is not repeated.
    match SecretName::parse(name.trim_end_matches('/')) {
        Ok(name) => Error::new(
            ErrorKind::Denied,
            format!("outside this view's scope `{scope}`"),
        )
        .with_help("ask a view that covers it")
        .with_name(&name),
        Err(error) => error,
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("provider", &self.shared.connection.describe().address)
            .field("scope", &self.scope)
            .field("held", &self.shared.held.load().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
