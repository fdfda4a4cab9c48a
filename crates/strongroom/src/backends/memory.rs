//! Memory, for tests: a whole backend without a server, with scripted faults.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::{Backend, Connect};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{SecretProvider, Target};
use crate::secret::{Secret, Version};

mod json;
mod provider;
mod script;
mod store;

pub use script::{Fault, Operation};

use script::Script;
use store::Store;

pub(super) const BACKEND: Backend = Backend::new("memory", "memory, for tests", |connect| {
    Box::pin(async move { open(&connect) })
});

fn open(connect: &Connect) -> Result<Arc<dyn SecretProvider>> {
    if !connect.url.path().is_empty() || connect.url.authority().is_some() {
        return Err(Error::new(
            ErrorKind::Config,
            "a `memory:` address has nothing after its colon",
        )
        .with_help("write `memory:`; it opens empty"));
    }
    Ok(Arc::new(Memory::new()))
}

/// A backend that lives in memory, for tests of applications and of layers.
///
/// It is complete: versions, stages, compare-and-set, undeleting and change notices. Clones share
/// everything, so a test keeps one to change values and to script faults while the service under
/// test holds another. [`latency`](Self::latency) is waited out on tokio's clock, which a test can
/// pause.
///
/// An entry is found by its whole name. Where there is none, `path#field` is the key `field` of the
/// JSON object in the entry `path`. Such a field is read, but written and deleted only with its
/// whole entry. An entry whose key is no [`SecretName`](crate::SecretName) is reached by a request's `id`, and is not
/// listed.
///
/// ```
/// use strongroom::provider::{Reply, SecretProvider};
/// use strongroom::{ErrorKind, Fault, Memory, Operation, SecretName};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let memory = Memory::new().with("database/password", "correct horse battery staple");
/// memory.fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Transient));
///
/// let wanted = [SecretName::from_static("database/password").into()];
/// assert!(memory.fetch(&wanted).await[0].as_ref().is_err_and(|error| error.is_retryable()));
/// assert!(matches!(memory.fetch(&wanted).await[0], Ok(Reply::Value(_))));
/// assert_eq!(memory.calls(Operation::Fetch), 2);
/// # });
/// ```
#[derive(Clone, Default)]
pub struct Memory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    // `None` once it is closed.
    store: Mutex<Contents>,
    script: Mutex<Script>,
    changes: Notify,
}

enum Contents {
    Open(Store),
    Closed,
}

impl Default for Contents {
    fn default() -> Self {
        Self::Open(Store::default())
    }
}

impl Memory {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry that is there from the beginning: no change is noticed.
    #[must_use]
    pub fn with(self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        let value = Zeroizing::new(value.as_ref().to_vec());
        if let Contents::Open(store) = &mut *self.contents() {
            store.set(name.into(), Secret::from_utf8_or_bytes(value));
        }
        self
    }

    /// Makes `value` the current version of an entry, as if another program had written it.
    ///
    /// The value's expiry, when its metadata has one, is kept and handed out with it. No fault
    /// applies and no call is counted. Returns `None` where the memory is closed.
    pub fn set(&self, name: impl Into<String>, value: Secret) -> Option<Version> {
        let version = match &mut *self.contents() {
            Contents::Open(store) => store.set(name.into(), value),
            Contents::Closed => return None,
        };
        self.0.changes.notify_one();
        Some(version)
    }

    /// Deletes an entry, as if another program had. Reports whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let removed = match &mut *self.contents() {
            Contents::Open(store) => store.remove(name),
            Contents::Closed => false,
        };
        if removed {
            self.0.changes.notify_one();
        }
        removed
    }

    /// Makes the next call of an operation go wrong. Faults of one operation queue up.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.script().fail_next(operation, fault);
    }

    /// Makes every read and write of one name fail, until [`heal`](Self::heal).
    pub fn fail(&self, name: impl Into<String>, kind: ErrorKind) {
        self.script().fail(name.into(), kind);
    }

    /// Ends what [`fail`](Self::fail) began.
    pub fn heal(&self, name: &str) {
        self.script().heal(name);
    }

    /// Makes every call take this long on tokio's clock, before it does anything.
    pub fn latency(&self, latency: Duration) {
        self.script().set_latency(latency);
    }

    /// Returns how many calls of an operation were begun.
    pub fn calls(&self, operation: Operation) -> usize {
        self.script().calls(operation)
    }

    /// Returns the most calls, of any operation, that were under way at one time.
    pub fn most_concurrent(&self) -> usize {
        self.script().most_concurrent()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one operation as the script says. `work` runs under the lock and without an await, so
    /// that a dropped call has happened as a whole or not at all.
    async fn call<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Contents) -> Result<T>,
    ) -> Result<T> {
        let (latency, fault) = self.script().begin(operation);
        let _under_way = UnderWay(self);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Fail(kind)) => Err(scripted(kind).with_no_effect()),
            Some(Fault::LoseAnswer(kind)) => {
                work(&mut self.contents())?;
                Err(scripted(kind))
            }
            None => work(&mut self.contents()),
        }
    }

    async fn with_store<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Store) -> Result<T>,
    ) -> Result<T> {
        let work = |contents: &mut Contents| match contents {
            Contents::Open(store) => work(store),
            Contents::Closed => Err(closed()),
        };
        self.call(operation, work).await
    }

    async fn write<T>(
        &self,
        operation: Operation,
        target: &Target,
        work: impl FnOnce(&mut Store) -> Result<T>,
    ) -> Result<T> {
        let work = |store: &mut Store| {
            self.check(target)?;
            let done = work(store)?;
            self.0.changes.notify_one();
            Ok(done)
        };
        let done = self.with_store(operation, work).await;
        done.map_err(|error| error.with_name(&target.name))
    }

    /// Fails where the script says that this name does.
    fn check(&self, target: &Target) -> Result<()> {
        let key = target.id.as_deref().unwrap_or(target.name.as_str());
        match self.script().fault_of(key) {
            Some(kind) => Err(scripted(kind).with_name(&target.name).with_no_effect()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// Counts a call as under way until it ends or is dropped.
struct UnderWay<'a>(&'a Memory);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.script().end();
    }
}

fn scripted(kind: ErrorKind) -> Error {
    Error::new(kind, format!("the test's script says {kind}"))
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the memory was closed")
}

#[cfg(test)]
mod tests;
