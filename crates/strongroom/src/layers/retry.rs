//! The retry layer: what fails now and may succeed later is tried again, within a deadline.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Error, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target, VersionInfo,
};
use crate::random;
use crate::secret::Version;

mod batch;
mod call;

use call::Call;

/// How often and how long a call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The most attempts, the first one included.
    pub(crate) attempts: NonZeroU32,
    /// The time of the whole call: attempts, pauses, and waiting for the limit.
    pub(crate) deadline: Duration,
    /// The longest pause after the first attempt. It doubles with each further one.
    pub(crate) base: Duration,
    /// The longest pause that is ours; a backend may ask for a longer one.
    pub(crate) cap: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: const { NonZeroU32::new(4).unwrap() },
            deadline: Duration::from_secs(15),
            base: Duration::from_millis(100),
            cap: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// The longest pause after so many attempts.
    fn longest_pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// A provider whose transient failures are tried again.
///
/// Only an error that [is retryable](Error::is_retryable) leads to another attempt. Pauses have full
/// jitter: any length up to the longest one is as likely, so that services that failed together
/// don't come back together. A pause that the backend asks for comes first and is kept; where it
/// doesn't fit into the deadline, the call ends at once.
///
/// A write is repeated only if its error says that it [had no effect](Error::had_no_effect). After
/// any other failure it may have happened, and a repetition would report a conflict with ourselves,
/// make a second version, or undo what somebody else wrote since.
#[derive(Debug)]
pub(super) struct Retry {
    inner: Arc<dyn SecretProvider>,
    settings: Settings,
    random: fn() -> Option<u32>,
}

impl Retry {
    pub(super) fn new(inner: Arc<dyn SecretProvider>, settings: Settings) -> Self {
        Self {
            inner,
            settings,
            random: random::spread,
        }
    }

    /// Makes one call, with as many attempts as it takes and may have.
    async fn call<T, F>(&self, call: Call<'_>, attempt: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let deadline = self.deadline();
        let mut last = None;
        let mut attempts = 0_u32;
        loop {
            attempts = attempts.saturating_add(1);
            let Ok(outcome) = timeout_at(deadline, attempt()).await else {
                return Err(call.end(call.out_of_time(self.settings.deadline, last)));
            };
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = self.round(attempts, deadline).pause(call, &error) else {
                return Err(call.end(error));
            };
            call.log(attempts, 1, pause);
            sleep(pause).await;
            last = Some(error);
        }
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.settings.deadline).unwrap_or(now)
    }

    /// Draws what comes after so many attempts. Without random bytes the pause is the longest one.
    fn round(&self, attempts: u32, deadline: Instant) -> Round {
        let longest = self.settings.longest_pause(attempts);
        let drawn = |random: u32| {
            longest
                .mul_f64(f64::from(random) / f64::from(u32::MAX))
                .min(longest)
        };
        Round {
            is_last: attempts >= self.settings.attempts.get(),
            jitter: (self.random)().map_or(longest, drawn),
            left: deadline.saturating_duration_since(Instant::now()),
        }
    }
}

/// Where a call stands after an attempt.
struct Round {
    is_last: bool,
    jitter: Duration,
    left: Duration,
}

impl Round {
    /// Decides whether a failed call is tried again, and how long from now.
    fn pause(&self, call: Call<'_>, error: &Error) -> Option<Duration> {
        let repeatable = error.is_retryable() && (!call.writes || error.had_no_effect());
        let asked = error.retry_after().unwrap_or_default();
        let pause = asked.saturating_add(self.jitter);
        (repeatable && !self.is_last && pause < self.left).then_some(pause)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SecretProvider for Retry {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        self.batch(wanted).await
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let call = Call::write("put", &put.target);
        self.call(call, || self.inner.put(put)).await
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let call = Call::write("delete", target);
        self.call(call, || self.inner.delete(target, expect)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let call = Call::read("list", None);
        self.call(call, || self.inner.list(prefix)).await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        let call = Call::read("health", None);
        self.call(call, || self.inner.health()).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }

    async fn changed(&self) -> Result<()> {
        self.inner.changed().await
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let call = Call::read("versions", Some(&target.name));
        self.call(call, || self.inner.versions(target)).await
    }

    async fn restore(&self, target: &Target) -> Result<()> {
        let call = Call::write("restore", target);
        self.call(call, || self.inner.restore(target)).await
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let call = Call::write("promote", target);
        self.call(call, || self.inner.promote(target, version))
            .await
    }

    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        let call = Call::write("discard", target);
        self.call(call, || self.inner.discard(target, version))
            .await
    }
}

#[cfg(test)]
mod tests;
