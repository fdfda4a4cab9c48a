//! What happens to secrets while a service runs.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::audit::{self, Audit, Operation, Outcome};
use crate::error::ErrorKind;
use crate::metrics;
use crate::name::SecretName;
use crate::secret::Version;

/// How many events a reader may be behind before it loses the oldest.
const KEPT: usize = 1_024;

/// Something that happened to a secret. It never holds a value.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The secret.
    pub name: SecretName,
    /// When it was noticed.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: SystemTime,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened to a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// Another value is in force.
    Rotated {
        /// The backend's version of it.
        version: Option<Version>,
    },
    /// The backend has another value, which was not taken up; the former one stays in force.
    Refused {
        /// Which rules it breaks, or what kept it back.
        reason: String,
    },
    /// The value could not be confirmed; it stays in force until `max_stale`. Told once an outage.
    Failing {
        /// The kind of error.
        #[serde(serialize_with = "as_word")]
        error: ErrorKind,
        /// The error's own sentence.
        reason: String,
    },
    /// The value is confirmed again.
    Recovered,
    /// The value was not confirmed for `max_stale`, or is past its own end: it is no longer handed out.
    Expired,
    /// The backend no longer has the secret or no longer hands it out: the value was wiped.
    Withdrawn {
        /// Absent or denied.
        #[serde(serialize_with = "as_word")]
        error: ErrorKind,
    },
    /// A consumer said that the value is refused where it is used. Told once for each reading that such
    /// reports lead to.
    Rejected,
}

fn as_word<S: serde::Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

fn as_rfc3339<S: serde::Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*at))
}

impl EventKind {
    /// Returns the word for it: `rotated`, `refused` and so on.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Rotated { .. } => "rotated",
            Self::Refused { .. } => "refused",
            Self::Failing { .. } => "failing",
            Self::Recovered => "recovered",
            Self::Expired => "expired",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rotated {
                version: Some(version),
            } => write!(f, "rotated to version {version}"),
            Self::Rotated { version: None } => f.write_str("rotated"),
            Self::Refused { reason } => write!(f, "a new value was refused: {reason}"),
            Self::Failing { error, reason } => write!(f, "can't be confirmed ({error}): {reason}"),
            Self::Recovered => f.write_str("confirmed again"),
            Self::Expired => f.write_str("no longer handed out: not confirmed in time"),
            Self::Withdrawn { error } => write!(f, "no longer handed out: {error}"),
            Self::Rejected => f.write_str("refused where it is used"),
        }
    }
}

/// The events of a [`Secrets`](crate::Secrets) or of one handle, from when it was asked for.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use strongroom::{Declared, Env, EventKind, Kind, Memory, Secret, SecretName, SecretsFactory};
///
/// let memory = Memory::new().with("api/token", "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF");
/// let token = Declared::new(SecretName::from_static("api/token"), Kind::Token);
/// let secrets = SecretsFactory::builder()
///     .env(Env::empty())
///     .provider(memory.clone())
///     .declare([token])
///     .detect()
///     .await?;
/// let mut events = secrets.events();
///
/// memory.set("api/token", Secret::from_text("Hn7c-Qy2wK5r_D8uM1xV4tG9bF6jL3zS"));
/// let event = events.next().await.unwrap();
/// assert!(matches!(event.kind, EventKind::Rotated { .. }));
/// # Ok::<(), strongroom::Error>(()) }).unwrap();
/// ```
pub struct Events {
    receiver: Option<broadcast::Receiver<Event>>,
    wanted: Wanted,
    missed: u64,
}

enum Wanted {
    Below(Arc<str>),
    Named(BTreeSet<SecretName>),
}

impl Events {
    /// Waits for the next event. `None` once there can be none: after the shutdown.
    ///
    /// Cancel-safe: dropping the future loses no event. A reader who is more than 1,024 events behind
    /// loses the oldest, and [`missed`](Self::missed) counts them.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.as_mut()?.recv().await {
                Ok(event) if self.wanted.holds(&event.name) => return Some(event),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => self.missed = self.missed.saturating_add(missed),
                Err(RecvError::Closed) => self.receiver = None,
            }
        }
    }

    /// Returns how many events of any secret were lost because this reader was too slow.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Returns what never has an event.
    pub(crate) fn none() -> Self {
        Self {
            receiver: None,
            wanted: Wanted::Named(BTreeSet::new()),
            missed: 0,
        }
    }
}

impl Wanted {
    fn holds(&self, name: &SecretName) -> bool {
        match self {
            Self::Below(prefix) => name.as_str().starts_with(&**prefix),
            Self::Named(names) => names.contains(name),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

/// What is recorded of an event. That a reading failed, or not any more, is recorded as an access.
fn recorded(kind: &EventKind) -> Option<audit::Event> {
    let (operation, outcome) = match kind {
        EventKind::Rotated { .. } => (Operation::Rotated, Outcome::Success),
        EventKind::Refused { .. } => (Operation::Refuse, Outcome::Failure("policy")),
        EventKind::Expired => (Operation::Expire, Outcome::Failure("stale")),
        EventKind::Withdrawn { error } => (Operation::Withdraw, Outcome::Failure(error.as_str())),
        EventKind::Rejected => (Operation::ReportRejected, Outcome::Success),
        EventKind::Failing { .. } | EventKind::Recovered => return None,
    };
    Some(audit::Event::new(operation, outcome))
}

/// Where events are told: to whoever listens, and to `tracing`.
#[derive(Debug, Clone)]
pub(crate) struct Teller {
    sender: Arc<Mutex<Option<broadcast::Sender<Event>>>>,
    audit: Arc<Audit>,
}

impl Teller {
    pub(crate) fn new(audit: &Arc<Audit>) -> Self {
        Self {
            sender: Arc::new(Mutex::new(Some(broadcast::channel(KEPT).0))),
            audit: Arc::clone(audit),
        }
    }

    /// Ends every stream of events, once it has delivered what was told.
    pub(crate) fn close(&self) {
        self.sender().take();
    }

    fn sender(&self) -> MutexGuard<'_, Option<broadcast::Sender<Event>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, name: &SecretName, kind: EventKind) {
        match &kind {
            EventKind::Rotated { .. } | EventKind::Recovered => {
                tracing::info!(secret = %name, "{kind}");
            }
            _ => tracing::warn!(secret = %name, "{kind}"),
        }
        metrics::event(name, &kind);
        if let Some(event) = recorded(&kind) {
            let version = match &kind {
                EventKind::Rotated { version } => version.as_ref(),
                _ => None,
            };
            self.audit.note(event.of(name, version));
        }
        let event = Event {
            name: name.clone(),
            at: SystemTime::now(),
            kind,
        };
        if let Some(sender) = &*self.sender() {
            // Nobody listening is no failure.
            let _ = sender.send(event);
        }
    }

    /// Returns the events of all names that begin with `prefix`.
    pub(crate) fn below(&self, prefix: &Arc<str>) -> Events {
        self.events(Wanted::Below(Arc::clone(prefix)))
    }

    pub(crate) fn of(&self, names: impl IntoIterator<Item = SecretName>) -> Events {
        self.events(Wanted::Named(names.into_iter().collect()))
    }

    fn events(&self, wanted: Wanted) -> Events {
        Events {
            receiver: self.sender().as_ref().map(broadcast::Sender::subscribe),
            wanted,
            missed: 0,
        }
    }
}
