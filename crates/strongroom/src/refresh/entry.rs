//! One held secret: its handle, who replaces its value, and how its refresh goes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock::Clock;
use crate::connection::Document;
use crate::declared::Declared;
use crate::error::ErrorKind;
use crate::live::{Live, LiveSecret, Publisher, Terms};
use crate::name::SecretName;
use crate::secret::{Secret, Source};

use super::is_snapshot;

/// A secret that is held, and kept fresh.
pub(crate) struct Entry {
    pub(crate) name: SecretName,
    pub(super) document: Document,
    /// Keeps nothing else alive.
    pub(crate) live: LiveSecret,
    pub(super) publisher: Publisher<Secret>,
    /// What a type declares of a secret that the boot didn't know.
    pub(super) own: Option<Arc<Declared>>,
    /// Whether it was asked for since the last refresh.
    used: AtomicBool,
    /// The number of the value that the log knows to be handed out.
    recorded: AtomicU64,
    status: Mutex<Status>,
}

/// How the refresh of one secret goes.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    /// When the backend last confirmed the value.
    pub(crate) confirmed_at: SystemTime,
    /// When it is read next, by the clock of the refresh.
    pub(crate) due: Option<Duration>,
    /// Why the last reading brought nothing, since the value was confirmed.
    pub(crate) failing: Option<(ErrorKind, String)>,
    /// Why a new value was not taken up.
    pub(crate) refused: Option<String>,
    /// Whether it was told that the value is no longer handed out.
    pub(super) expired: bool,
}

impl Entry {
    pub(super) fn new(
        name: SecretName,
        document: Document,
        secret: Secret,
        own: Option<Arc<Declared>>,
        terms: Terms,
        clock: &Clock,
    ) -> Self {
        let confirmed_at = secret.metadata().fetched_at();
        let failing = is_snapshot(&secret).then(|| {
            let reason = "it could not be read when the service started";
            (ErrorKind::Transient, reason.to_owned())
        });
        let (publisher, live) = Live::with_terms(secret, terms, clock.clone());
        Self {
            name,
            document,
            live,
            publisher,
            own,
            used: AtomicBool::new(true),
            recorded: AtomicU64::new(u64::MAX),
            status: Mutex::new(Status {
                confirmed_at,
                due: None,
                failing,
                refused: None,
                expired: false,
            }),
        }
    }

    /// Returns the value and its number, and notes that somebody uses it.
    pub(crate) fn get(&self) -> crate::Result<(Secret, u64)> {
        // Looked at first: a write would take the cache line from every other reader.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        self.live
            .with_sequence(|secret, sequence| (secret.clone(), sequence))
    }

    /// Reports whether it is recorded that the value of this number was handed out.
    pub(crate) fn is_recorded(&self, sequence: u64) -> bool {
        self.recorded.load(Ordering::Relaxed) == sequence
    }

    pub(crate) fn set_recorded(&self, sequence: u64) {
        self.recorded.store(sequence, Ordering::Relaxed);
    }

    /// Hands the same value out on new terms, with what is newly known of it.
    pub(super) fn confirm(&self, renewed: Option<Secret>, terms: Terms) {
        let Some(held) = self.live.held() else {
            return;
        };
        let former = held.metadata();
        let renewed = renewed.filter(|secret| {
            let known = secret.metadata();
            known.version() != former.version()
                || known.expires() != former.expires()
                || known.created() != former.created()
                || known.source() != former.source()
        });
        let was_stale = matches!(former.source(), Source::Stale | Source::Snapshot);
        let renewed = renewed.or_else(|| {
            let metadata = former.clone().with_source(Source::Live);
            was_stale.then(|| Secret::clone(&held).with_metadata(metadata))
        });
        match renewed {
            Some(secret) => self.publisher.renew(secret, terms),
            None => self.publisher.extend(terms),
        }
    }

    /// Reports whether nobody asked for it since this was asked last, and nobody holds a handle.
    pub(super) fn is_idle(&self) -> bool {
        !self.used.swap(false, Ordering::Relaxed) && !self.publisher.is_held_beside(1)
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
