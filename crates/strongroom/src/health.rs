//! The state of what is held, for `/health` and for people.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::name::SecretName;
use crate::refresh::{Entry, Status};
use crate::report::Finding;
use crate::secret::{Source, Version};
use crate::snapshot;

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

    /// Returns the status of HTTP for a health endpoint: 200 as long as it works, 503 once it doesn't.
    ///
    /// With the word it is all that such an endpoint may tell the public.
    ///
    /// ```
    /// # use strongroom::HealthStatus;
    /// assert_eq!(HealthStatus::Degraded.http_status(), 200);
    /// assert_eq!(HealthStatus::Failed.http_status(), 503);
    /// ```
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Ready | Self::Degraded => 200,
            Self::Failed => 503,
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
    /// Whether it is live, stale, or from the snapshot that the service started from.
    pub source: Source,
    /// Seconds since the backend last confirmed it.
    pub confirmed_seconds: u64,
    /// Seconds until it is read again.
    pub next_refresh_seconds: Option<u64>,
    /// What is wrong with it, or with its refresh.
    pub problems: Vec<String>,
}

impl Health {
    /// `now` is by the clock of the refresh.
    pub(crate) fn of<'a>(
        connection: &Connection,
        outage: Option<Error>,
        scope: &str,
        now: Duration,
        held: impl Iterator<Item = &'a Entry>,
        unbuilt: &BTreeMap<SecretName, String>,
    ) -> Self {
        let mut health = Self {
            status: HealthStatus::Ready,
            reasons: Vec::new(),
            secrets: Vec::new(),
        };
        if let Some(error) = outage {
            health.reasons.push(error.message().to_owned());
            if error.kind() == ErrorKind::Closed {
                health.status = HealthStatus::Failed;
                return health;
            }
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
        let snapshot = connection.snapshot().filter(|_| scope.is_empty());
        let unkept = snapshot.and_then(|snapshot| snapshot.problem());
        let unkept = unkept.map(|problem| format!("no snapshot is kept: {problem}"));
        health.reasons.extend(unkept);
        let unrecorded = connection.audit().problem().filter(|_| scope.is_empty());
        let unrecorded = unrecorded.map(|problem| format!("events can't be recorded: {problem}"));
        health.reasons.extend(unrecorded);
        for entry in held {
            health.add(connection, entry, now, unbuilt.get(&entry.name));
        }
        if health.status == HealthStatus::Ready && !health.reasons.is_empty() {
            health.status = HealthStatus::Degraded;
        }
        health.secrets.sort_by(|a, b| a.name.cmp(&b.name));
        health
    }

    fn add(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        now: Duration,
        unbuilt: Option<&String>,
    ) {
        let status = entry.status().clone();
        let held = entry.live.held();
        let metadata = held.as_ref().map(|secret| secret.metadata());
        let age = metadata.and_then(|known| since(known.created()?));
        let is_snapshot = metadata.is_some_and(|known| known.source() == Source::Snapshot);
        let mut problems = problems(&status, entry.live.with(|_| ()).err());
        problems.extend(unbuilt.cloned());
        if let Some(terms) = entry.live.terms().filter(|_| is_snapshot)
            && terms.until > now
        {
            let ago = since(status.confirmed_at).unwrap_or_default();
            let left = terms.until.saturating_sub(now);
            problems.insert(0, snapshot::started(ago, left));
        }
        let declared = connection.declaration(entry.name.as_str());
        if let (Some(age), Some(limit)) = (age, declared.and_then(|known| known.rotate_after))
            && age > limit
        {
            let (limit, age) = (whole_seconds(limit), whole_seconds(age));
            problems.push(format!("should be rotated every {limit}, is {age} old"));
        }
        if entry.live.with(|_| ()).is_err() && declared.is_none_or(|known| known.required) {
            self.status = HealthStatus::Failed;
        }
        for problem in &problems {
            self.reasons.push(format!("{}: {problem}", entry.name));
        }
        let provider = connection.describe_for(&entry.name);
        self.secrets.push(SecretHealth {
            name: entry.name.clone(),
            provider: provider.map_or_else(|_| "unknown".to_owned(), |found| found.address),
            version: metadata.and_then(|known| known.version().cloned()),
            age_seconds: age.map(|age| age.as_secs()),
            source: match metadata {
                Some(known) if matches!(known.source(), Source::Default | Source::Snapshot) => {
                    known.source()
                }
                _ if entry.live.is_stale() => Source::Stale,
                _ => Source::Live,
            },
            confirmed_seconds: since(status.confirmed_at).map_or(0, |time| time.as_secs()),
            next_refresh_seconds: status.due.map(|due| due.saturating_sub(now).as_secs()),
            problems,
        });
    }
}

/// Says what is wrong with the refresh of a secret; `refusal` is what a read of it answers.
fn problems(status: &Status, refusal: Option<Error>) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(error) = refusal {
        problems.push(error.message().to_owned());
    }
    if let Some((kind, reason)) = &status.failing {
        problems.push(format!("can't be confirmed ({kind}): {reason}"));
    }
    if let Some(reason) = &status.refused {
        problems.push(format!("a new value was refused: {reason}"));
    }
    problems
}

fn since(moment: SystemTime) -> Option<Duration> {
    SystemTime::now().duration_since(moment).ok()
}

fn whole_seconds(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(time.as_secs()))
}
