//! What applications hold: every declared secret, proven at boot.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use crate::audit::{Audit, Event, Operation, Outcome};
use crate::clock::Clock;
use crate::connection::{Connection, check_runtime};
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::factory::Detection;
use crate::health::Health;
use crate::live::{Live, LiveSecret};
use crate::load::{FromSecrets, Loaded};
use crate::name::SecretName;
use crate::provider::Expect;
use crate::refresh::{Entry, Refresher};
use crate::report::{self, Finding};
use crate::secret::{Secret, Version};

/// How long the end of the providers' sessions may take at shutdown.
const GOODBYE: Duration = Duration::from_secs(5);

/// What applications hold: the declared secrets, read and proven at boot.
///
/// Cheap to clone; clones and scoped views share everything. What was read once is answered from
/// memory, without a parse, an allocation or a lock. A name that is not declared is read when it is
/// first asked for in development and test, and is an error everywhere else.
///
/// Everything held is kept fresh for as long as a `Secrets` or a handle exists: it is read again before
/// its time to live ends, and at once where the backend tells of a change. A new value is taken up if
/// it passes what the boot demanded. Through an outage the last value is handed out for as long as the
/// manifest's `cache.max_stale` allows (an hour, unless it says otherwise). One task does this, on the
/// runtime of the boot.
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
    refresher: Arc<Refresher>,
    closed: AtomicBool,
}

impl Secrets {
    /// Holds what the boot read from `began` on, and keeps it fresh.
    pub(crate) fn new(
        connection: Connection,
        values: BTreeMap<SecretName, Secret>,
        clock: Clock,
        began: Duration,
    ) -> Self {
        let refresher = Refresher::start(connection.clone(), values, clock, began);
        let shared = Shared {
            connection,
            refresher,
            closed: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
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
        let every = self.audit().records_every_read();
        let held = self.refresher().store().with(name, |entry| {
            let (secret, sequence) = entry.get()?;
            let is_recorded = !every && entry.is_recorded(sequence);
            Ok::<_, Error>((secret, (!is_recorded).then(|| Arc::clone(entry))))
        });
        match held {
            Some(Ok((secret, None))) => Ok(secret),
            Some(Ok((_, Some(entry)))) => self.hand_out(&entry).await,
            Some(Err(_)) | None => {
                let name = self.readable(name)?;
                self.hand_out(&self.read(&name, None, false).await?).await
            }
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
        let mut readings = Vec::new();
        for name in names {
            self.admit(name.as_str())?;
            let held = self.refresher().store().find(name.as_str());
            readings.push(match held.filter(|entry| entry.get().is_ok()) {
                Some(entry) => Ok(entry),
                None => Err(self.readable(name.as_str())?),
            });
        }
        let missing = readings.iter().filter_map(|reading| reading.as_ref().err());
        let mut read = self.read_all(missing).await.into_iter();
        let one = |reading: Result<Arc<Entry>, SecretName>| match reading {
            Ok(entry) => Ok(entry),
            Err(_) => read.next().unwrap_or_else(|| Err(closed())),
        };
        let entries = readings.into_iter().map(one).collect::<Result<Vec<_>>>()?;
        self.hand_out_all(&entries).await
    }

    /// Returns a live handle, whose value is replaced in place when the secret rotates.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn watch(&self, name: impl AsRef<str>) -> Result<LiveSecret> {
        let name = name.as_ref();
        self.admit(name)?;
        if let Some(entry) = self.refresher().store().find(name) {
            // Taken first: it keeps what nobody else holds from being let go of.
            let live = self.refresher().handle(&entry);
            if live.with(|_| ()).is_ok() {
                self.hand_out(&entry).await?;
                return Ok(live);
            }
        }
        let name = self.readable(name)?;
        let entry = self.read(&name, None, true).await?;
        let live = self.refresher().handle(&entry);
        self.hand_out(&entry).await?;
        Ok(live)
    }

    /// Returns a live handle of a type that is built from the secrets it declares: whenever one of them
    /// rotates, the type is built again, once, and replaced as a whole.
    ///
    /// Fields of one document are always of one version. Where the type can't be built from the new
    /// values, the former stays in force and [`health`](Self::health) says so. An optional secret that
    /// is absent now is not waited for.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn watch_as<T>(&self) -> Result<Live<T>>
    where
        T: FromSecrets + Send + Sync + 'static,
    {
        let found = self.find_declared(&T::declared()).await?;
        self.refresher().derive(found)
    }

    /// Builds a type from the secrets it declares.
    ///
    /// # Errors
    /// As [`get`](Self::get) for every required secret, in one error with a report where several fail, and
    /// whatever the type's own parsing fails with. In production the declarations must have been given to the boot, by
    /// [`SecretsFactory::detect_for`](crate::SecretsFactory::detect_for) or
    /// [`SecretsBuilder::declare`](crate::SecretsBuilder::declare).
    pub async fn load<T: FromSecrets>(&self) -> Result<T> {
        let found = self.find_declared(&T::declared()).await?;
        let loaded = {
            let _reading = self.refresher().store().reading();
            Loaded::new(&found)?
        };
        T::from_secrets(&loaded)
    }

    /// Says that a server refused a value, and returns the one to try next, as
    /// [`Live::report_rejected`] does.
    ///
    /// # Errors
    /// [`ErrorKind::Stale`] if there is no other value to try, [`ErrorKind::Config`] for a secret that
    /// didn't come from here, and as [`get`](Self::get).
    pub async fn report_rejected(&self, used: &Secret) -> Result<Secret> {
        let Some(name) = used.metadata().name() else {
            let message = "the refused value has no name: it didn't come from these secrets";
            return Err(Error::new(ErrorKind::Config, message));
        };
        let live = self.watch(name).await?;
        let next = live.report_rejected(&Arc::new(used.clone())).await?;
        Ok(Secret::clone(&next))
    }

    /// Reads everything held again, and returns when what came of it is in force. A view reads what is
    /// in its scope.
    ///
    /// For an operator's request (SIGHUP): all that rotates is found without it.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] after shutdown. How the readings went is in [`health`](Self::health) and
    /// [`events`](Self::events).
    pub async fn refresh(&self) -> Result<()> {
        if self.is_closed() {
            return Err(closed());
        }
        self.refresher().refresh(&self.scope).await
    }

    /// Writes a secret, and puts it in force here; other services find it within their refresh time.
    /// Returns its version, where the backend has versions.
    ///
    /// For services that own a secret. One that others use too is rotated as
    /// [`Connection`] does it, in steps.
    ///
    /// # Errors
    /// As [`get`](Self::get), and as [`Connection::put`]. After a failure that may have had an effect
    /// the secret is read again.
    pub async fn put(
        &self,
        name: impl AsRef<str>,
        value: &Secret,
        expect: Expect,
    ) -> Result<Option<Version>> {
        let name = name.as_ref();
        self.admit(name)?;
        let name = self.readable(name)?;
        self.refresher().put(&name, value, expect).await
    }

    /// Returns what happens to the secrets of this view from now on.
    pub fn events(&self) -> Events {
        self.refresher().events_below(&self.scope)
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
        let refresher = self.refresher();
        let all = refresher.store().all();
        let inside = |entry: &&Arc<Entry>| entry.name.as_str().starts_with(&*self.scope);
        let entries = all.iter().filter(inside).map(Arc::as_ref);
        let now = refresher.clock().now();
        Health::of(
            &self.shared.connection,
            refresher.outage(),
            &self.scope,
            now,
            entries,
            &refresher.store().unbuilt(),
        )
    }

    /// Returns the explained choice of the provider.
    pub fn detection(&self) -> &Detection {
        self.shared.connection.detection()
    }

    /// Ends the providers' sessions and tasks, and wipes what is held here. Handles, and every
    /// clone and view of this `Secrets`, answer [`ErrorKind::Closed`] from now on. A value that an
    /// application cloned out is wiped when it drops it.
    ///
    /// The tasks end within a second, the sessions are given 5 s.
    ///
    /// # Errors
    /// The first error of a provider's own end, and [`ErrorKind::Config`] without a tokio runtime, where
    /// the providers' sessions can't be ended; everything here is shut down all the same.
    pub async fn shutdown(&self) -> Result<()> {
        self.shared.closed.store(true, Ordering::Release);
        self.refresher().end().await;
        check_runtime()?;
        let ended = timeout(GOODBYE, self.shared.connection.close()).await;
        ended.unwrap_or_else(|_| {
            let message = format!(
                "a provider's session did not end within {} s",
                GOODBYE.as_secs()
            );
            Err(Error::new(ErrorKind::Transient, message)
                .with_help("what it was lent ends by itself; here everything is shut down"))
        })
    }

    /// Keeps something for as long as a `Secrets` or a handle exists.
    pub(crate) fn keep_beside(&self, kept: Arc<dyn Any + Send + Sync>) {
        self.refresher().keep_beside(kept);
    }

    fn refresher(&self) -> &Arc<Refresher> {
        &self.shared.refresher
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
            return Ok(());
        }
        let error = outside(name, &self.scope);
        Err(match error.name().cloned() {
            Some(name) => self.refuse(&name, error),
            None => error,
        })
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
            let error = Error::new(ErrorKind::Config, message)
                .with_help("declare it in the manifest's `secrets`, so that the boot proves it")
                .with_name(&name);
            return Err(self.refuse(&name, error));
        }
        Ok(name)
    }

    async fn read(
        &self,
        name: &SecretName,
        own: Option<&Declared>,
        keep: bool,
    ) -> Result<Arc<Entry>> {
        self.refresher().read(name, own, keep).await
    }

    /// Reads these at one time, so that they take one call together.
    async fn read_all(&self, names: impl Iterator<Item = &SecretName>) -> Vec<Result<Arc<Entry>>> {
        let readings: Vec<_> = names
            .map(|name| self.refresher().read(name, None, false))
            .collect();
        let mut read = Vec::new();
        for reading in readings {
            read.push(reading.await);
        }
        read
    }

    /// Returns the handles of what a type declares; optional secrets that are absent are left out.
    async fn find_declared(
        &self,
        declared: &[Declared],
    ) -> Result<BTreeMap<SecretName, LiveSecret>> {
        let mut found = BTreeMap::new();
        let mut failures = Vec::new();
        for declared in declared {
            match self.watch_declared(declared).await {
                Ok(live) => {
                    found.insert(declared.name.clone(), live);
                }
                Err(error) if error.kind() == ErrorKind::Absent && !declared.required => {}
                Err(error) => failures.push((declared, error)),
            }
        }
        match &failures[..] {
            [] => Ok(found),
            [(_, error)] => Err(error.clone()),
            several => {
                let message = format!("{} of the declared secrets can't be read", several.len());
                let finding = |(declared, error): &(&Declared, Error)| {
                    let finding = Finding::of_error(&declared.name, error);
                    (
                        error.kind(),
                        finding.needed_by(declared.needed_by.as_deref()),
                    )
                };
                Err(report::gathered(message, several.iter().map(finding)))
            }
        }
    }

    /// Returns the handle of a secret that a type declares, on the type's own terms where the boot
    /// knew none.
    async fn watch_declared(&self, declared: &Declared) -> Result<LiveSecret> {
        let connection = &self.shared.connection;
        if connection.declaration(declared.name.as_str()).is_some() {
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
        let entry = self.read(&name, Some(declared), true).await?;
        let live = self.refresher().handle(&entry);
        self.hand_out(&entry).await?;
        Ok(live)
    }

    fn audit(&self) -> &Audit {
        self.shared.connection.audit()
    }

    /// Returns a value, once it is recorded that this version is handed out.
    async fn hand_out(&self, entry: &Arc<Entry>) -> Result<Secret> {
        let mut handed = self.hand_out_all(std::slice::from_ref(entry)).await?;
        handed.pop().ok_or_else(closed)
    }

    async fn hand_out_all(&self, entries: &[Arc<Entry>]) -> Result<Vec<Secret>> {
        let found: Vec<_> = entries
            .iter()
            .map(|entry| entry.get().map(|found| (entry, found)))
            .collect::<Result<_>>()?;
        let every = self.audit().records_every_read();
        let unrecorded: Vec<_> = found
            .iter()
            .filter(|(entry, (_, sequence))| every || !entry.is_recorded(*sequence))
            .collect();
        if !unrecorded.is_empty() {
            let event = |(entry, (secret, _)): &&(&Arc<Entry>, (Secret, u64))| {
                Event::new(Operation::HandOut, Outcome::Success)
                    .of(&entry.name, secret.metadata().version())
            };
            let events = unrecorded.iter().map(event).collect();
            self.audit().record(events).await?;
            for (entry, (_, sequence)) in unrecorded {
                entry.set_recorded(*sequence);
            }
        }
        Ok(found.into_iter().map(|(_, (secret, _))| secret).collect())
    }

    /// Records that something was refused before any provider was asked.
    fn refuse(&self, name: &SecretName, error: Error) -> Error {
        let failed = Outcome::Failure(error.kind().as_str());
        self.audit()
            .note(Event::new(Operation::HandOut, failed).of(name, None));
        error
    }
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
            .field(
                "held",
                &self
                    .refresher()
                    .store()
                    .all()
                    .iter()
                    .map(|entry| &entry.name)
                    .filter(|name| name.as_str().starts_with(&*self.scope))
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
