//! A provider that fails, and when it is tried again.

use std::time::Duration;

use super::settings::Settings;
use crate::error::ErrorKind;

/// Keeps readings that nobody waits for from a provider that fails, so that it is tried once a pause,
/// however many names are due.
#[derive(Default)]
pub(super) struct Gate {
    failures: u32,
    opens_at: Duration,
}

impl Gate {
    /// Notes that a whole reading failed, and returns the pause until the next one: at least the one
    /// that the backend asked for.
    pub(super) fn close(
        &mut self,
        settings: &Settings,
        now: Duration,
        random: u32,
        asked: Duration,
    ) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let pause = settings.pause_after(self.failures, random).max(asked);
        self.opens_at = now.saturating_add(pause);
        pause
    }

    pub(super) fn is_closed(&self, now: Duration) -> bool {
        now < self.opens_at
    }

    pub(super) fn opens_at(&self) -> Duration {
        self.opens_at
    }
}

/// Reports whether an error says something about the provider and not about the secret alone.
pub(super) fn concerns_provider(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Absent | ErrorKind::Denied | ErrorKind::Malformed | ErrorKind::Policy
    )
}
