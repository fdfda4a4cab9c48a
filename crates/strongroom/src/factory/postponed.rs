//! A provider whose backend could not be opened at boot: each call tries again, until one succeeds.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::{Mutex, Notify};

use crate::backends::Opening;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target, VersionInfo,
};
use crate::secret::Version;

#[cfg(test)]
mod tests;

/// A provider that is opened by the first call that succeeds in it. Until then the error of the opening
/// is the answer to every call that came before its end: those who call at one time cause one opening.
pub(super) struct Postponed {
    description: Description,
    open: Box<dyn Fn() -> Opening + Send + Sync>,
    opened: OnceLock<Arc<dyn SecretProvider>>,
    /// Held by whoever opens or closes; the error of the last opening.
    opening: Mutex<Option<Error>>,
    failures: AtomicU64,
    has_opened: Notify,
    closed: AtomicBool,
}

impl Postponed {
    pub(super) fn new(
        description: Description,
        open: impl Fn() -> Opening + Send + Sync + 'static,
    ) -> Self {
        Self {
            description,
            open: Box::new(open),
            opened: OnceLock::new(),
            opening: Mutex::default(),
            failures: AtomicU64::new(0),
            has_opened: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    async fn provider(&self) -> Result<&Arc<dyn SecretProvider>> {
        if let Some(provider) = self.opened.get() {
            return Ok(provider);
        }
        let failures = self.failures.load(Ordering::Acquire);
        let mut last = self.opening.lock().await;
        if let Some(provider) = self.opened.get() {
            return Ok(provider);
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the provider was closed"));
        }
        if let Some(error) = last.as_ref()
            && self.failures.load(Ordering::Acquire) != failures
        {
            // It ended while this call waited for it.
            return Err(error.clone());
        }
        match (self.open)().await {
            Ok(provider) => {
                let provider = self.opened.get_or_init(|| provider);
                self.has_opened.notify_waiters();
                Ok(provider)
            }
            Err(error) => {
                // Nothing was asked of the backend yet.
                let error = error.with_no_effect();
                *last = Some(error.clone());
                self.failures.fetch_add(1, Ordering::AcqRel);
                Err(error)
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SecretProvider for Postponed {
    fn describe(&self) -> Description {
        match self.opened.get() {
            Some(provider) => provider.describe(),
            None => self.description.clone(),
        }
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        match self.provider().await {
            Ok(provider) => provider.fetch(wanted).await,
            Err(error) => {
                let names = wanted.iter().map(|request| &request.target.name);
                names
                    .map(|name| Err(error.clone().with_name(name)))
                    .collect()
            }
        }
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        self.provider().await?.put(put).await
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        self.provider().await?.delete(target, expect).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.provider().await?.list(prefix).await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.provider().await?.health().await
    }

    /// Opens nothing, and waits for an opening under way: what it opens is closed.
    async fn close(&self) -> Result<()> {
        let _opening = self.opening.lock().await;
        self.closed.store(true, Ordering::Release);
        match self.opened.get() {
            Some(provider) => provider.close().await,
            None => Ok(()),
        }
    }

    /// Waits until another call has opened it.
    async fn changed(&self) -> Result<()> {
        let mut has_opened = std::pin::pin!(self.has_opened.notified());
        // Before the look, so that no opening falls between the two.
        has_opened.as_mut().enable();
        if self.opened.get().is_none() {
            has_opened.await;
        }
        match self.opened.get() {
            Some(provider) => provider.changed().await,
            None => std::future::pending().await,
        }
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        self.provider().await?.versions(target).await
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        self.provider().await?.restore(target).await
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        self.provider().await?.promote(target, version).await
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        self.provider().await?.discard(target, version).await
    }
}

impl fmt::Debug for Postponed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postponed")
            .field("address", &self.description.address)
            .field("opened", &self.opened.get())
            .finish_non_exhaustive()
    }
}
