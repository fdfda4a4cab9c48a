//! What `strongroom doctor` finds out: one check after the other, each with what to do about it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::Serialize;

use crate::error::{Error, ErrorKind};

/// A future that the `doctor` of a [`Backend`](crate::Backend) returns.
pub type Examining = Pin<Box<dyn Future<Output = Diagnosis> + Send>>;

/// One thing that was looked at. Never a value.
///
/// ```
/// use strongroom::{Check, CheckOutcome};
///
/// let check = Check::warning("clock", "ours is 40s ahead").with_help("let NTP set it");
/// assert_eq!(check.outcome, CheckOutcome::Warning);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at, in a word or two: `clock`.
    pub subject: String,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// What was found, as a sentence without its end.
    pub detail: String,
    /// What to do about it; empty where nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// The kind of error that it failed with, where it was one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_word")]
    pub kind: Option<ErrorKind>,
}

/// What came of a [`Check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// It is as it should be.
    Ok,
    /// It works, and should be looked at.
    Warning,
    /// It doesn't work.
    Failed,
}

impl Check {
    /// Says that something is as it should be.
    pub fn ok(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            outcome: CheckOutcome::Ok,
            detail: detail.into(),
            help: String::new(),
            kind: None,
        }
    }

    /// Says that something works and should be looked at.
    pub fn warning(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            outcome: CheckOutcome::Warning,
            ..Self::ok(subject, detail)
        }
    }

    /// Says that something doesn't work.
    pub fn failed(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            outcome: CheckOutcome::Failed,
            ..Self::ok(subject, detail)
        }
    }

    /// Says that something doesn't work, as an error tells it: its message and causes, help and kind.
    pub fn error(subject: impl Into<String>, error: &Error) -> Self {
        let chain = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let detail = chain.fold(error.to_string(), |all, cause| format!("{all}: {cause}"));
        Self {
            help: error.help().unwrap_or_default().to_owned(),
            kind: Some(error.kind()),
            ..Self::failed(subject, detail)
        }
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl CheckOutcome {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for CheckOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What was found out about one provider.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What was looked at, in this order.
    pub checks: Vec<Check>,
    /// The least that the backend must allow us for the declared secrets, in its own language, to be
    /// handed to its own tools. `None` where the backend has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl Diagnosis {
    /// Begins one, without checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check.
    pub fn push(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Sets the least policy.
    #[must_use]
    pub fn with_policy(mut self, policy: impl Into<String>) -> Self {
        self.policy = Some(policy.into());
        self
    }
}

/// What was found out about a whole boot: what the environment and the manifest say, and each
/// provider that declared secrets are read from.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Examination {
    /// The deployment, the manifest, the choice of the provider, the guard rails.
    pub configuration: Vec<Check>,
    /// The chosen provider, then those that a `source` names. Empty where none could be chosen.
    pub providers: Vec<Examined>,
}

/// What was found out about one provider of a boot.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Examined {
    /// Its name in the manifest's `providers`; `None` for the chosen one.
    pub provider: Option<String>,
    /// Its address.
    pub address: String,
    /// What was found out.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
}

impl Examination {
    /// Returns every check.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        let of_providers = self.providers.iter();
        let of_providers = of_providers.flat_map(|examined| &examined.diagnosis.checks);
        self.configuration.iter().chain(of_providers)
    }
}

fn as_word<S: serde::Serializer>(
    kind: &Option<ErrorKind>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match kind {
        Some(kind) => serializer.serialize_str(kind.as_str()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_its_help_and_its_causes() {
        let cause = Error::new(ErrorKind::Transient, "nobody answers");
        let error = Error::new(ErrorKind::Auth, "the login failed").with_help("log in");
        let check = Check::error("auth", &error.with_source(cause));
        assert_eq!(check.detail, "the login failed: nobody answers");
        assert_eq!(
            (check.kind, &*check.help),
            (Some(ErrorKind::Auth), "log in")
        );
        let json = serde_json::to_value(&check).unwrap();
        assert_eq!(
            (&json["outcome"], &json["kind"]),
            (&"failed".into(), &"auth".into())
        );
    }
}
