//! What is in force at one moment, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::as_secret;
use crate::clock::{Clock, nanos};
use crate::error::{Error, ErrorKind, Result};

/// What a reader finds: swapped as a whole.
pub(super) struct State<T> {
    /// Rises with each value that is another one, and with the end.
    pub(super) sequence: u64,
    pub(super) current: Current<T>,
    pub(super) previous: Option<Held<T>>,
}

pub(super) enum Current<T> {
    Held(Held<T>),
    /// The backend said that there is none, or that we may not have it.
    Gone(ErrorKind),
    Closed,
}

/// A value, and until when it is handed out.
pub(super) struct Held<T> {
    pub(super) value: Arc<T>,
    /// When it ends by itself, whatever the terms are.
    pub(super) end: Duration,
    /// Both in nanoseconds by the [`Clock`]; the largest number is never, and costs no look at it.
    until: AtomicU64,
    fresh: AtomicU64,
}

/// How long a value is handed out, as moments of the [`Clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// When it stops being handed out.
    pub(crate) until: Duration,
    /// When it begins to be stale.
    pub(crate) fresh: Duration,
}

impl Terms {
    pub(crate) const UNLIMITED: Self = Self {
        until: Duration::MAX,
        fresh: Duration::MAX,
    };

    /// Returns what keeps both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            until: self.until.min(other.until),
            fresh: self.fresh.min(other.fresh),
        }
    }
}

impl<T: 'static> State<T> {
    pub(super) fn current(&self, clock: &Clock) -> Result<&Arc<T>> {
        match &self.current {
            Current::Held(held) if held.is_usable(clock) => Ok(&held.value),
            current => Err(current.refusal()),
        }
    }

    pub(super) fn previous(&self, clock: &Clock) -> Option<&Arc<T>> {
        let held = self.previous.as_ref()?;
        held.is_usable(clock).then_some(&held.value)
    }
}

impl<T: 'static> Current<T> {
    #[cold]
    fn refusal(&self) -> Error {
        match self {
            Self::Held(held) => {
                let message = "the value is past its expiry, or was not confirmed for too long";
                let error = Error::new(ErrorKind::Stale, message).with_help(
                    "no newer value arrived in time: look at the backend and at the health report",
                );
                let secret = as_secret(held.value.as_ref());
                match secret.and_then(|secret| secret.metadata().name()) {
                    Some(name) => error.with_name(name),
                    None => error,
                }
            }
            Self::Gone(ErrorKind::Absent) => {
                let message = "the secret was deleted in the backend";
                Error::new(ErrorKind::Absent, message)
                    .with_help("create it again; the handle follows within its refresh time")
            }
            Self::Gone(kind) => Error::new(*kind, "the backend no longer hands the secret out")
                .with_help("give this service the permission to read it again"),
            Self::Closed => Error::new(ErrorKind::Closed, "the secrets were shut down"),
        }
    }
}

impl<T> Current<T> {
    /// Returns the same once more.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Held(held) => Self::Held(held.ending(Duration::MAX)),
            Self::Gone(kind) => Self::Gone(*kind),
            Self::Closed => Self::Closed,
        }
    }
}

impl<T: 'static> Held<T> {
    /// Holds a value on these terms, and no longer than it lasts by itself.
    pub(super) fn new(value: T, terms: Terms, clock: &Clock) -> Self {
        let expires = as_secret(&value).and_then(|secret| secret.metadata().expires());
        let end = expires.map_or(Duration::MAX, |date| clock.at(date));
        Self::of(Arc::new(value), end, terms)
    }

    /// Returns the date on which it ends by itself.
    pub(super) fn expires(&self) -> Option<SystemTime> {
        as_secret(self.value.as_ref()).and_then(|secret| secret.metadata().expires())
    }
}

impl<T> Held<T> {
    fn of(value: Arc<T>, end: Duration, terms: Terms) -> Self {
        Self {
            value,
            end,
            until: AtomicU64::new(nanos(terms.until.min(end))),
            fresh: AtomicU64::new(nanos(terms.fresh.min(end))),
        }
    }

    /// Returns the same, until `end` at the latest.
    pub(super) fn ending(&self, end: Duration) -> Self {
        Self::of(Arc::clone(&self.value), self.end.min(end), self.terms())
    }

    /// Changes the terms in place, for readers who hold this state too.
    pub(super) fn extend(&self, terms: Terms) {
        let (until, fresh) = (terms.until.min(self.end), terms.fresh.min(self.end));
        self.until.store(nanos(until), Ordering::Relaxed);
        self.fresh.store(nanos(fresh), Ordering::Relaxed);
    }

    pub(super) fn terms(&self) -> Terms {
        Terms {
            until: moment(self.until.load(Ordering::Relaxed)),
            fresh: moment(self.fresh.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn is_usable(&self, clock: &Clock) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until == u64::MAX || clock.glance() < until
    }

    pub(super) fn is_fresh(&self, clock: &Clock) -> bool {
        clock.glance() < self.fresh.load(Ordering::Relaxed)
    }
}

fn moment(nanos: u64) -> Duration {
    if nanos == u64::MAX {
        Duration::MAX
    } else {
        Duration::from_nanos(nanos)
    }
}
