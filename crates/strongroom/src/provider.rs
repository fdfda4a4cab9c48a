//! The contract with authors of backends.
//!
//! Applications hold a [`Secrets`](crate::Secrets); a backend implements [`SecretProvider`]. The
//! trait is small and object-safe, and every answer that it allows is tested by the conformance
//! suite (feature `conformance`).

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::secret::{Secret, Version};

/// One secret of a backend, as a caller means it.
///
/// `name` is what the application calls it. `id`, when there is one, is the backend's own
/// identifier from the manifest's `source` (an ARN, `rds!db-1`): it replaces the mapping of the
/// name, and `field` then picks a field of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Target {
    /// The application's name for the secret.
    pub name: SecretName,
    /// The backend's own identifier, instead of the mapping of `name`.
    pub id: Option<String>,
    /// The field of `id` that is meant. Without an `id`, the field is part of `name`.
    pub field: Option<String>,
}

impl Target {
    /// Makes a target that the backend maps from its name.
    pub fn new(name: SecretName) -> Self {
        Self {
            name,
            id: None,
            field: None,
        }
    }

    /// Sets the backend's own identifier, and the field of it that is meant.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>, field: Option<String>) -> Self {
        (self.id, self.field) = (Some(id.into()), field);
        self
    }

    /// Returns what a backend reads as a whole to answer for it: the id, or the path of the name.
    pub(crate) fn document(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| self.name.path())
    }
}

/// Which version of a secret is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Stage {
    /// The one in force.
    #[default]
    Current,
    /// The one that was in force before.
    Previous,
    /// The one that is being rotated in.
    Pending,
    /// Exactly this one.
    Exact(Version),
}

/// One wanted value in a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// The secret.
    pub target: Target,
    /// The version the caller holds already; a backend that finds it unchanged says so instead of
    /// sending it again.
    pub known: Option<Version>,
    /// The version that is wanted.
    pub stage: Stage,
}

impl Request {
    /// Asks for the current value of a secret.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            known: None,
            stage: Stage::Current,
        }
    }

    /// Says which version the caller holds already.
    #[must_use]
    pub fn with_known(mut self, known: Version) -> Self {
        self.known = Some(known);
        self
    }

    /// Asks for another version than the current one.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }
}

impl From<SecretName> for Request {
    fn from(name: SecretName) -> Self {
        Self::new(Target::new(name))
    }
}

/// The answer to one [`Request`].
#[derive(Debug, Clone)]
pub enum Reply {
    /// The value, with its metadata.
    Value(Secret),
    /// The known version is still the current one. Only ever an answer to a request that knows one.
    Unchanged,
}

/// What a write expects to find.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Expect {
    /// Whatever is there.
    #[default]
    Any,
    /// No such secret.
    Absent,
    /// Exactly this version.
    Version(Version),
}

/// One secret to write.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Put {
    /// The secret.
    pub target: Target,
    /// Its new value.
    pub value: Secret,
    /// What must be there for the write to happen.
    pub expect: Expect,
    /// The stage that the new version gets: [`Stage::Current`] or [`Stage::Pending`].
    pub stage: Stage,
    /// How long the former value must stay readable as [`Stage::Previous`]; what the backend does
    /// by itself where nothing is said. A backend that can't promise it refuses the write as
    /// [`ErrorKind::Unsupported`].
    pub overlap: Option<Duration>,
}

impl Put {
    /// Makes a write that replaces whatever is there.
    pub fn new(target: Target, value: Secret) -> Self {
        Self {
            target,
            value,
            expect: Expect::Any,
            stage: Stage::Current,
            overlap: None,
        }
    }

    /// Sets what must be there for the write to happen.
    #[must_use]
    pub fn with_expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Sets the stage that the new version gets.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// Sets how long the former value must stay readable.
    #[must_use]
    pub fn with_overlap(mut self, overlap: Duration) -> Self {
        self.overlap = Some(overlap);
        self
    }
}

/// What a provider says about itself. Shown to operators; holds no credential.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The URL scheme of its backend, `vault` for example.
    pub scheme: String,
    /// Where it reads from, as an operator would write it, without credentials.
    pub address: String,
    /// Whether `put` and `delete` can succeed at all.
    pub writable: bool,
}

impl Description {
    /// Makes a description.
    pub fn new(scheme: impl Into<String>, address: impl Into<String>, writable: bool) -> Self {
        Self {
            scheme: scheme.into(),
            address: address.into(),
            writable,
        }
    }
}

/// The state of a provider as it sees itself.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ProviderHealth {
    /// Reasons why it works, but not as it should. Empty when all is well.
    pub degraded: Vec<String>,
}

impl ProviderHealth {
    /// Says that all is well.
    pub fn ready() -> Self {
        Self {
            degraded: Vec::new(),
        }
    }

    /// Adds a reason why it works, but not as it should.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.degraded.push(reason.into());
        self
    }
}

/// One version in a secret's history.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The version.
    pub version: Version,
    /// When it was made.
    #[serde(skip)]
    pub created: Option<SystemTime>,
    /// Whether it can still be read.
    pub readable: bool,
}

impl VersionInfo {
    /// Makes an entry of the history.
    pub fn new(version: Version, created: Option<SystemTime>, readable: bool) -> Self {
        Self {
            version,
            created,
            readable,
        }
    }
}

/// A backend's connection: what authors of backends implement.
///
/// Rules that every method keeps, and that the conformance suite tries:
/// - Absent, denied, auth, malformed, transient and conflict are different [`ErrorKind`]s, decided
///   by status or error code.
/// - No error, log line or `Debug` output holds a value, a credential, or a foreign parser's message.
/// - Values come back as they were put, byte for byte; nothing is trimmed that the backend's
///   documentation doesn't say is trimmed.
/// - A backend without stages refuses to read and to write [`Stage::Pending`] as
///   [`ErrorKind::Unsupported`]; one that has them and nothing pending answers
///   [`ErrorKind::Absent`].
/// - A write either happened as a whole or not at all, and a value larger than
///   [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES) is refused as [`ErrorKind::Malformed`].
/// - Dropping a future in the middle leaves the provider usable.
///
/// ```
/// use async_trait::async_trait;
/// use strongroom::provider::*;
/// use strongroom::{Error, ErrorKind, Result, Secret, SecretName, Version};
///
/// /// Answers every name with its own text.
/// #[derive(Debug)]
/// struct Echo;
///
/// #[async_trait]
/// impl SecretProvider for Echo {
///     fn describe(&self) -> Description {
///         Description::new("echo", "echo:", false)
///     }
///     async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
///         let echo = |r: &Request| Ok(Reply::Value(Secret::from_text(r.target.name.as_str())));
///         wanted.iter().map(echo).collect()
///     }
///     async fn put(&self, _: &Put) -> Result<Option<Version>> {
///         Err(Error::new(ErrorKind::Unsupported, "echo: is read-only"))
///     }
///     async fn delete(&self, _: &Target, _: &Expect) -> Result<()> {
///         Err(Error::new(ErrorKind::Unsupported, "echo: is read-only"))
///     }
///     async fn list(&self, _: &str) -> Result<Vec<SecretName>> {
///         Ok(Vec::new())
///     }
///     async fn health(&self) -> Result<ProviderHealth> {
///         Ok(ProviderHealth::ready())
///     }
///     async fn close(&self) -> Result<()> {
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait SecretProvider: Debug + Send + Sync {
    /// Says what this provider is. Never touches the backend.
    fn describe(&self) -> Description;

    /// Reads many secrets: one answer for each request, in the same order.
    ///
    /// Requests that come from one document of the backend are answered from one version of it, so
    /// that a user and its password always belong together. One failing request fails alone.
    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>>;

    /// Writes one secret, and returns its new version where the backend has versions.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if what is there is not what was expected, [`ErrorKind::Unsupported`]
    /// if this backend can't be written, and whatever the backend answers.
    async fn put(&self, put: &Put) -> Result<Option<Version>>;

    /// Deletes one secret.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if there is none, and as [`put`](Self::put).
    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()>;

    /// Lists the names that begin with `prefix` (a plain text prefix; empty for all), sorted.
    ///
    /// A secret of several fields may be listed by its path alone.
    ///
    /// # Errors
    /// Whatever the backend answers.
    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>>;

    /// Asks the backend whether it works and whether our credential does.
    ///
    /// # Errors
    /// Whatever would fail a read.
    async fn health(&self) -> Result<ProviderHealth>;

    /// Ends sessions and tasks. Later calls answer [`ErrorKind::Closed`]; closing twice is fine.
    ///
    /// # Errors
    /// Whatever the backend answers to the end of the session; the provider is closed all the same.
    async fn close(&self) -> Result<()>;

    /// Returns when something in the backend may have changed since the last call.
    ///
    /// The default never returns, for backends that can't tell: these are polled.
    ///
    /// # Errors
    /// Whatever ends the notices; the caller polls from then on.
    async fn changed(&self) -> Result<()> {
        std::future::pending().await
    }

    /// Lists the versions of one secret, newest first.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless the backend keeps versions, and as a read.
    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        Err(unsupported(self.describe(), target, "keeps no versions"))
    }

    /// Brings back a secret that was deleted and that the backend still holds.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless the backend can, and as a write.
    async fn restore(&self, target: &Target) -> Result<()> {
        Err(unsupported(
            self.describe(),
            target,
            "can't restore what was deleted",
        ))
    }

    /// Makes an existing version the current one; the current one becomes the previous.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless the backend has stages, and as a write.
    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let _ = version;
        Err(unsupported(self.describe(), target, "has no stages"))
    }

    /// Takes back a version that is pending: then nothing is, and what is current stays so.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless the backend has stages, [`ErrorKind::Conflict`] if this
    /// version is not the pending one or is current by now, and as a write.
    async fn discard(&self, target: &Target, version: &Version) -> Result<()> {
        let _ = version;
        Err(unsupported(self.describe(), target, "has no stages"))
    }
}

fn unsupported(description: Description, target: &Target, what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{} {what}", description.address),
    )
    .with_name(&target.name)
}
