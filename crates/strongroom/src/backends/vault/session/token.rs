//! One token, and what is known of its time.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::life::Life;
use crate::backends::vault::login::Granted;
use crate::clock::Clock;

/// A token in force. A renewal makes a new one of the same generation.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    /// The number of the login that brought it.
    pub(super) generation: u64,
    pub(super) ours: bool,
    pub(super) batch: bool,
    pub(super) life: Life,
    since: Moment,
}

/// A moment by two clocks. Of the time since, the longer is believed: one of them stands still
/// while the machine is suspended.
#[derive(Clone, Copy)]
pub(in crate::backends::vault) struct Moment {
    instant: Instant,
    clock: Duration,
}

impl Moment {
    pub(in crate::backends::vault) fn now() -> Self {
        Self {
            instant: Instant::now(),
            clock: Clock::System.now(),
        }
    }

    pub(in crate::backends::vault) fn elapsed(&self) -> Duration {
        let suspended = Clock::System.now().saturating_sub(self.clock);
        self.instant.elapsed().max(suspended)
    }
}

impl Token {
    /// `asked` is the moment before the request that brought it: its time began no earlier.
    pub(super) fn new(granted: Granted, generation: u64, asked: Moment) -> Self {
        Self {
            header: granted.header,
            generation,
            ours: granted.ours,
            batch: granted.batch,
            life: Life::new(granted.ttl, granted.renewable && !granted.batch),
            since: asked,
        }
    }

    /// The same token, after a renewal.
    pub(super) fn renewed(&self, ttl: Duration, renewable: bool, asked: Moment) -> Self {
        Self {
            header: self.header.clone(),
            life: self.life.renewed(ttl, renewable),
            since: asked,
            ..*self
        }
    }

    /// The same token, which Vault won't renew any more.
    pub(super) fn unrenewable(&self) -> Self {
        Self {
            header: self.header.clone(),
            life: self.life.unrenewable(),
            ..*self
        }
    }

    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Reports whether its time is over, as far as we were told.
    pub(super) fn is_over(&self) -> bool {
        self.life.ttl.is_some_and(|ttl| self.age() >= ttl)
    }
}
