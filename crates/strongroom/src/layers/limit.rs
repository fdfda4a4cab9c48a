//! The limit layer: how many calls are under way to one backend, and how many begin in a second.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Result;
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target, VersionInfo,
};
use crate::secret::Version;

mod bucket;

use bucket::Bucket;

/// How many calls one provider gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The most calls that are under way at one time.
    pub(crate) concurrency: NonZeroU32,
    /// The calls that may begin in a second. An idle second saves up as many, and no more.
    pub(crate) per_second: NonZeroU32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: const { NonZeroU32::new(32).unwrap() },
            per_second: const { NonZeroU32::new(100).unwrap() },
        }
    }
}

/// A provider whose calls are limited in number and rate.
///
/// Calls are counted, not requests: a batch is one call, however many values it reads, since only
/// the backend knows what that costs. Callers over the limit wait in the order in which they came;
/// who gives up leaves the queue, and what it had comes back. Closing, and waiting for a notice,
/// count for nothing.
#[derive(Debug)]
pub(super) struct Limit {
    inner: Arc<dyn SecretProvider>,
    permits: Semaphore,
    bucket: Bucket,
}

impl Limit {
    pub(super) fn new(inner: Arc<dyn SecretProvider>, settings: Settings) -> Self {
        let most = usize::try_from(settings.concurrency.get()).unwrap_or(usize::MAX);
        Self {
            inner,
            permits: Semaphore::new(most.min(Semaphore::MAX_PERMITS)),
            bucket: Bucket::new(settings.per_second),
        }
    }

    /// Waits until a call may begin. It is under way until what this returns is dropped.
    async fn admit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so that there always is a permit.
        let permit = self.permits.acquire().await.ok();
        // The token is taken last: one that waited for a permit would let calls begin in a rush.
        self.bucket.take().await;
        permit
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SecretProvider for Limit {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let _under_way = self.admit().await;
        self.inner.fetch(wanted).await
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let _under_way = self.admit().await;
        self.inner.put(put).await
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let _under_way = self.admit().await;
        self.inner.delete(target, expect).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let _under_way = self.admit().await;
        self.inner.list(prefix).await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        let _under_way = self.admit().await;
        self.inner.health().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    async fn changed(&self) -> Result<()> {
        self.inner.changed().await
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let _under_way = self.admit().await;
        self.inner.versions(target).await
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let _under_way = self.admit().await;
        self.inner.restore(target).await
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let _under_way = self.admit().await;
        self.inner.promote(target, version).await
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        let _under_way = self.admit().await;
        self.inner.discard(target, version).await
    }
}

#[cfg(test)]
mod tests;
