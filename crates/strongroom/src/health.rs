//! The state of what is held, for `/health` and for people.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::connection::Connection;
use crate::live::LiveSecret;
use crate::name::SecretName;
use crate::report::Finding;
use crate::secret::{Secret, Source, Version};

/// The state of a [`Secrets`](crate::Secrets).
///
/// [`status`](Self::status) may be shown to anybody; the rest names secrets and belongs to operators.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The state in one word.
    pub status: HealthStatus,
    /// Why it is not [`HealthStatus::Ready`].
    pub reasons: Vec<String>,
    /// Every secret held, by name.
    pub secrets: Vec<SecretHealth>,
}

/// A state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All is well.
    Ready,
    /// It works, and something should be looked at.
    Degraded,
    /// It doesn't work.
    Failed,
}

impl HealthStatus {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

/// The state of one secret.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SecretHealth {
    /// Its name.
    pub name: SecretName,
    /// The address of the provider that answers for it.
    pub provider: String,
    /// The backend's version.
    pub version: Option<Version>,
    /// Seconds since this version was made, where the backend knows.
    pub age_seconds: Option<u64>,
    /// Whether it is live, cached or stale.
    pub source: Source,
}

impl Health {
    pub(crate) fn of<'a>(
        connection: &Connection,
        closed: bool,
        scope: &str,
        held: impl Iterator<Item = (&'a SecretName, &'a LiveSecret)>,
    ) -> Self {
        let mut health = Self {
            status: HealthStatus::Ready,
            reasons: Vec::new(),
            secrets: Vec::new(),
        };
        if closed {
            health.status = HealthStatus::Failed;
            health.reasons.push("the secrets were shut down".to_owned());
            return health;
        }
        let said = connection.rails().said();
        // A view tells nothing of what lies outside it.
        let inside = |finding: &&Finding| match &finding.name {
            Some(name) => name.as_str().starts_with(scope),
            None => scope.is_empty(),
        };
        let said = said.iter().filter(inside);
        health
            .reasons
            .extend(said.map(|finding| finding.message.clone()));
        for (name, live) in held {
            match live.with(Secret::clone) {
                Ok(secret) => health.add(connection, name, &secret),
                Err(error) => {
                    health.status = HealthStatus::Failed;
                    health.reasons.push(format!("{name}: {error}"));
                }
            }
        }
        if health.status == HealthStatus::Ready && !health.reasons.is_empty() {
            health.status = HealthStatus::Degraded;
        }
        health.secrets.sort_by(|a, b| a.name.cmp(&b.name));
        health
    }

    fn add(&mut self, connection: &Connection, name: &SecretName, secret: &Secret) {
        let metadata = secret.metadata();
        let created = metadata.created();
        let age = created.and_then(|made| SystemTime::now().duration_since(made).ok());
        let limit = connection
            .declaration(name.as_str())
            .and_then(|known| known.rotate_after);
        if let (Some(age), Some(limit)) = (age, limit)
            && age > limit
        {
            let whole =
                |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs()));
            let reason = format!(
                "{name}: should be rotated every {}, is {} old",
                whole(limit),
                whole(age)
            );
            self.reasons.push(reason);
        }
        let provider = connection.describe_for(name);
        self.secrets.push(SecretHealth {
            name: name.clone(),
            provider: provider.map_or_else(|_| "unknown".to_owned(), |found| found.address),
            version: metadata.version().cloned(),
            age_seconds: age.map(|age| age.as_secs()),
            source: metadata.source(),
        });
    }
}
