//! How held values stay fresh: read again before they are stale, replaced in place, kept through an
//! outage for exactly as long as the manifest allows.
//!
//! Readers look into the [`Store`] and take no lock. One task, the [`supervisor`], plans every reading
//! ([`table`]), has it done ([`flight`]) and puts what comes back in force. It lives as long as a
//! [`Refresher`] does, which every `Secrets` and every handle holds.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::connection::{Connection, check_runtime};
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Events, Teller};
use crate::live::{Keeper, Live, LiveSecret, Terms};
use crate::load::{FromSecrets, Loaded};
use crate::name::SecretName;
use crate::provider::Expect;
use crate::secret::{Metadata, Secret, Source, Version};
use crate::validation;

mod derived;
mod duplicates;
mod entry;
mod families;
mod flight;
mod gate;
mod settings;
mod store;
mod supervisor;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use entry::{Entry, Status};
pub(crate) use settings::Settings;
pub(crate) use store::Store;

use derived::Typed;
use supervisor::{Command, Supervisor, Written};

/// How long the end waits for the supervisor's.
const END: Duration = Duration::from_secs(1);

/// Keeps the refresh alive, and passes on what it is asked for.
pub(crate) struct Refresher {
    connection: Connection,
    store: Arc<Store>,
    clock: Clock,
    teller: Teller,
    commands: mpsc::UnboundedSender<Command>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
    /// Held while this program writes: so its writes have an order.
    writing: Mutex<()>,
    ended: AtomicBool,
    /// What this needs to go on: the thread of a program without a runtime of its own.
    beside: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Refresher {
    /// Holds these values from now on, and keeps them fresh. They were read from `began` on.
    pub(crate) fn start(
        connection: Connection,
        values: BTreeMap<SecretName, Secret>,
        clock: Clock,
        began: Duration,
    ) -> Arc<Self> {
        let settings = connection.cache();
        let terms = Terms {
            until: began.saturating_add(settings.max_stale),
            fresh: began.saturating_add(settings.ttl),
        };
        let entry = |(name, secret): (SecretName, Secret)| {
            let document = connection.document(&name);
            let old = connection.snapshot().filter(|_| is_snapshot(&secret));
            let terms = old.map_or(terms, |snapshot| Terms {
                until: clock.at(snapshot.ends(secret.metadata().fetched_at())),
                fresh: began,
            });
            let entry = Entry::new(name.clone(), document, secret, None, terms, &clock);
            (name, Arc::new(entry))
        };
        let entries = values.into_iter().map(entry).collect();
        let store = Arc::new(Store::new(entries));
        let teller = Teller::new(connection.audit());
        let (commands, receiver) = mpsc::unbounded_channel();
        let supervisor = Supervisor::new(
            connection.clone(),
            Arc::clone(&store),
            clock.clone(),
            teller.clone(),
            receiver,
            began,
        );
        let task = tokio::spawn(supervisor.run(commands.clone()));
        Arc::new(Self {
            connection,
            store,
            clock,
            teller,
            commands,
            task: std::sync::Mutex::new(Some(task)),
            writing: Mutex::new(()),
            ended: AtomicBool::new(false),
            beside: OnceLock::new(),
        })
    }

    pub(crate) fn keep_beside(&self, kept: Arc<dyn Any + Send + Sync>) {
        // It is called once, right after the start.
        let _ = self.beside.set(kept);
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns what is held of a name, after a reading if nothing is. `keep` holds it for good.
    ///
    /// It is asked for by the call, before the future is polled: what is asked for at one time is read
    /// together.
    ///
    /// # Errors
    /// Whatever the reading answers, now or a moment ago.
    pub(crate) fn read<'a>(
        &'a self,
        name: &SecretName,
        own: Option<&Declared>,
        keep: bool,
    ) -> impl Future<Output = Result<Arc<Entry>>> + Send + use<'a> {
        let (reply, answer) = oneshot::channel();
        let asked = self.command(Command::Read {
            name: name.clone(),
            own: own.map(|own| Arc::new(own.clone())),
            keep,
            reply,
        });
        async move {
            asked?;
            answer.await.unwrap_or_else(|_| Err(self.unattended()))
        }
    }

    /// Returns a handle that keeps the refresh alive.
    pub(crate) fn handle(self: &Arc<Self>, entry: &Entry) -> LiveSecret {
        let watching = Watching {
            refresher: Arc::clone(self),
            names: vec![entry.name.clone()],
        };
        entry.live.kept_by(Arc::new(watching))
    }

    /// Builds a type from these, and keeps it up to date.
    ///
    /// # Errors
    /// Whatever building it fails with.
    pub(crate) fn derive<T: FromSecrets + Send + Sync + 'static>(
        self: &Arc<Self>,
        found: BTreeMap<SecretName, LiveSecret>,
    ) -> Result<Live<T>> {
        let names = found.keys().cloned().collect();
        let found = found
            .iter()
            .map(|(name, live)| (name.clone(), live.unkept()));
        let found: BTreeMap<_, _> = found.collect();
        let optional = T::declared().into_iter().filter(|known| !known.required);
        let optional = optional.map(|known| known.name).collect();
        let changes = || found.values().map(LiveSecret::sequence).collect::<Vec<_>>();
        let (value, _reading) = loop {
            let (loaded, before) = {
                let _reading = self.store.reading();
                (Loaded::new(&found)?, changes())
            };
            // No lock is held while a type's own code runs.
            let value = T::from_secrets(&loaded)?;
            let reading = self.store.reading();
            // What is built and what is registered must not miss a change between the two.
            if changes() == before {
                break (value, reading);
            }
        };
        let overlap = self.connection.cache().overlap;
        let (typed, live) = Typed::new(value, found, optional, overlap, self.clock.clone());
        let watching = Watching {
            refresher: Arc::clone(self),
            names,
        };
        let live = live.kept_by(Arc::new(watching));
        self.store.derive(Arc::new(typed));
        Ok(live)
    }

    /// Reads everything below a prefix again, and returns when it is in force.
    pub(crate) async fn refresh(&self, prefix: &Arc<str>) -> Result<()> {
        let (done, over) = mpsc::channel(1);
        let prefix = Arc::clone(prefix);
        self.command(Command::Refresh { prefix, done })?;
        is_over(over).await;
        Ok(())
    }

    /// Reads what was refused where it is used again, unless that was just done.
    pub(crate) async fn rejected(&self, names: Vec<SecretName>) {
        let (done, over) = mpsc::channel(1);
        if self.command(Command::Rejected { names, done }).is_ok() {
            is_over(over).await;
        }
    }

    /// Writes a secret, and puts it in force.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`] if a declared one is too weak, and whatever the provider answers.
    pub(crate) async fn put(
        &self,
        name: &SecretName,
        secret: &Secret,
        expect: Expect,
    ) -> Result<Option<Version>> {
        let secret = match self.connection.declaration(name.as_str()) {
            Some(declared) => flight::prove(declared, secret.clone())?,
            None => secret.clone(),
        };
        let new = HashMap::from([(name.clone(), secret.clone())]);
        if let Some(error) = duplicates::refusals(&self.connection, &self.store, &new).remove(name)
        {
            return Err(error);
        }
        let _writing = self.writing.lock().await;
        self.command(Command::WriteBegan(name.clone()))?;
        let write = Write {
            refresher: self,
            name,
            began: self.clock.now(),
        };
        let put = timeout(flight::LIMIT, self.connection.put(name, &secret, expect));
        let version = put.await.unwrap_or_else(|_| Err(flight::slow(name)))?;
        let mut metadata = Metadata::new().with_name(name);
        if let Some(version) = &version {
            metadata = metadata.with_version(version.clone());
        }
        let strong = secret.metadata().is_strong();
        let secret = validation::mark(secret.with_metadata(metadata), strong);
        write.succeeded(secret).await?;
        Ok(version)
    }

    pub(crate) fn events_below(&self, prefix: &Arc<str>) -> Events {
        self.teller.below(prefix)
    }

    /// Ends the refresh: handles answer Closed, and what is held here is wiped.
    pub(crate) async fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let task = self.task().take();
        if let Some(task) = task {
            task.abort();
            // On a runtime that no longer runs it never ends, and holds nothing after the next line.
            self.store.close();
            if check_runtime().is_ok() {
                let _ = timeout(END, task).await;
            }
        }
        self.store.close();
        self.teller.close();
    }

    fn command(&self, command: Command) -> Result<()> {
        let sent = self.commands.send(command);
        sent.map_err(|_| self.unattended())
    }

    /// Says why nothing is kept fresh any more, if that is so.
    pub(crate) fn outage(&self) -> Option<Error> {
        let is_over = self.ended.load(Ordering::Acquire) || self.commands.is_closed();
        is_over.then(|| self.unattended())
    }

    /// Says why nobody answers.
    fn unattended(&self) -> Error {
        if self.ended.load(Ordering::Acquire) {
            return Error::new(ErrorKind::Closed, "the secrets were shut down");
        }
        let message = "the runtime that the secrets were booted on has ended";
        Error::new(ErrorKind::Config, message)
            .with_help("boot on the runtime that the service runs on")
    }

    fn task(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }
}

/// Reports whether a value is from a snapshot, and was not confirmed since.
fn is_snapshot(secret: &Secret) -> bool {
    secret.metadata().source() == Source::Snapshot
}

/// Waits until nobody holds the other end, which carries nothing.
async fn is_over(mut over: mpsc::Receiver<()>) {
    while over.recv().await.is_some() {}
}

/// A write under way. However it ends, the supervisor learns of it.
struct Write<'a> {
    refresher: &'a Refresher,
    name: &'a SecretName,
    began: Duration,
}

impl Write<'_> {
    /// Returns when what was written is in force.
    async fn succeeded(self, secret: Secret) -> Result<()> {
        let (done, over) = mpsc::channel(1);
        let name = self.name.clone();
        let (refresher, began) = (self.refresher, self.began);
        std::mem::forget(self);
        let written = Some(Written {
            secret,
            began,
            done,
        });
        refresher.command(Command::WriteEnded { name, written })?;
        is_over(over).await;
        Ok(())
    }
}

impl Drop for Write<'_> {
    /// It failed, or nobody waits for it any more: what is there now has to be read.
    fn drop(&mut self) {
        let _ = self.refresher.command(Command::WriteEnded {
            name: self.name.clone(),
            written: None,
        });
    }
}

/// What a handle keeps alive.
struct Watching {
    refresher: Arc<Refresher>,
    names: Vec<SecretName>,
}

#[async_trait]
impl Keeper for Watching {
    async fn rejected(&self) {
        self.refresher.rejected(self.names.clone()).await;
    }

    fn events(&self) -> Events {
        self.refresher.teller.of(self.names.iter().cloned())
    }
}
