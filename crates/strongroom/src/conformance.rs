//! The suite that every backend must pass, ours or a third party's (feature `conformance`).
//!
//! An author of a backend writes a [`Harness`], which opens the backend's provider on a store of
//! its own, and calls [`assert_conforms`] from a test. Each rule of [`SecretProvider`] is a case
//! with a readable name; each case gets a provider of its own.
//!
//! ```
//! use std::sync::Arc;
//! use strongroom::conformance::{self, Harness};
//! use strongroom::{Memory, Result, Secret, SecretName, SecretProvider};
//!
//! struct InMemory;
//!
//! #[async_trait::async_trait]
//! impl Harness for InMemory {
//!     async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
//!         let memory = Memory::new();
//!         conformance::fill(&memory, held).await?;
//!         Ok(Arc::new(memory))
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap().block_on(
//! conformance::assert_conforms(&InMemory)
//! # );
//! ```

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Put, SecretProvider, Target};
use crate::secret::Secret;

mod check;
mod deleting;
mod leaks;
mod lifecycle;
mod listing;
mod naming;
mod reading;
mod values;
mod versions;
mod writing;

use check::{Stop, Verdict};

/// What the suite needs to know of one backend.
///
/// The defaults describe a backend that holds any bytes under any name. A backend that doesn't says
/// so here, and says so in its documentation too.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens a provider on a new store that holds exactly `held`.
    ///
    /// A backend that can be written may use [`fill`]. A read-only one is given its secrets behind
    /// its back. One that can't trace what it holds back to names is opened with these names
    /// declared, and lists them.
    ///
    /// # Errors
    /// Whatever makes opening fail. For a value that the backend can't hold at all,
    /// [`ErrorKind::Malformed`] or [`ErrorKind::Unsupported`].
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>>;

    /// Replaces the document at `path` as a whole, in a store that [`open`](Self::open) made, so
    /// that `path#key` is the value of each key.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], which is the default, where the backend has no documents.
    async fn write_document(
        &self,
        provider: &dyn SecretProvider,
        path: &SecretName,
        keys: &[(&str, &str)],
    ) -> Result<()> {
        let _ = (path, keys);
        let message = format!("{} has no documents", provider.describe().address);
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Reports whether values need not be text. `true` unless it is said otherwise.
    fn holds_bytes(&self) -> bool {
        true
    }

    /// Reports whether one final newline of a text may get lost. `false` unless it is said
    /// otherwise.
    fn strips_final_newline(&self) -> bool {
        false
    }

    /// Reports whether names that differ in case or punctuation alone are different secrets.
    /// `true` unless it is said otherwise.
    fn tells_spellings_apart(&self) -> bool {
        true
    }

    /// Returns the credentials that the provider was opened with, which must show nowhere.
    fn credentials(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns how long one case may take before it counts as failed: a minute by default.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// Puts secrets into a provider, for a [`Harness`] of a backend that can be written.
///
/// # Errors
/// That of the first write that fails.
pub async fn fill(provider: &dyn SecretProvider, held: &[(SecretName, Secret)]) -> Result<()> {
    for (name, value) in held {
        let put = Put::new(Target::new(name.clone()), value.clone());
        provider.put(&put).await?;
    }
    Ok(())
}

/// What became of each case.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// The cases that held.
    pub passed: Vec<&'static str>,
    /// The cases that don't apply to the backend, each with the reason.
    pub skipped: Vec<(&'static str, String)>,
    /// The cases that failed, each with what was wrong.
    pub failed: Vec<(&'static str, String)>,
}

impl Outcome {
    /// Reports whether no case failed.
    pub fn is_conforming(&self) -> bool {
        self.failed.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, passed, skipped) = (&self.failed, &self.passed, &self.skipped);
        let counts = [passed.len(), skipped.len(), failed.len()];
        let [p, s, x] = counts;
        write!(f, "{p} cases passed, {s} don't apply, {x} failed")?;
        for (case, reason) in skipped {
            write!(f, "\n  - {case}: {reason}")?;
        }
        for (case, problem) in failed {
            write!(f, "\n  ✗ {case}: {problem}")?;
        }
        Ok(())
    }
}

/// Runs every case, each on a provider of its own, and returns what became of them.
///
/// Must be called within a tokio runtime whose clock is enabled. One of several threads finds more.
pub async fn run(harness: &dyn Harness) -> Outcome {
    let mut outcome = Outcome::default();
    for case in cases() {
        let verdict = tokio::time::timeout(harness.patience(), unwinding(case, harness)).await;
        let took_too_long = Stop::Failed(format!("no end after {:?}", harness.patience()));
        match verdict.unwrap_or(Err(took_too_long)) {
            Ok(()) => outcome.passed.push(case.name),
            Err(Stop::Skipped(reason)) => outcome.skipped.push((case.name, reason)),
            Err(Stop::Failed(problem)) => outcome.failed.push((case.name, problem)),
        }
    }
    outcome
}

/// Runs every case and panics with all that failed. See [`run`].
///
/// # Panics
/// If a case fails.
#[allow(
    clippy::panic,
    reason = "it is an assertion, for tests of backends to call"
)]
pub async fn assert_conforms(harness: &dyn Harness) {
    let outcome = run(harness).await;
    if !outcome.is_conforming() {
        panic!("the provider breaks its contract: {outcome}");
    }
}

/// One rule, and how it is tried.
struct Case {
    name: &'static str,
    run: for<'a> fn(&'a dyn Harness) -> Trial<'a>,
}

type Trial<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

impl Case {
    const fn new(name: &'static str, run: for<'a> fn(&'a dyn Harness) -> Trial<'a>) -> Self {
        Self { name, run }
    }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    [
        reading::CASES,
        naming::CASES,
        values::CASES,
        writing::CASES,
        deleting::CASES,
        versions::CASES,
        listing::CASES,
        lifecycle::CASES,
        leaks::CASES,
    ]
    .into_iter()
    .flatten()
}

/// A provider that panics fails its case; the others still run.
async fn unwinding(case: &Case, harness: &dyn Harness) -> Verdict {
    let mut trial = (case.run)(harness);
    poll_fn(move |context| {
        catch_unwind(AssertUnwindSafe(|| trial.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(Stop::Failed("the provider panicked".to_owned()))))
    })
    .await
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod through_memory;
