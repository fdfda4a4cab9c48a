//! A token bucket on tokio's clock.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

const NANOSECONDS: u64 = 1_000_000_000;

/// Holds as many tokens as come in a second. It begins full.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The time in which one token comes.
    interval: Duration,
    /// The time in which all tokens but one come.
    all_but_one: Duration,
    /// When it will be full again: that says how many tokens it holds at any time. Waiting callers
    /// queue up at the lock, which is fair and knows nothing of a caller who went away.
    full_at: Mutex<Instant>,
}

impl Bucket {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let interval = Duration::from_nanos(NANOSECONDS / NonZeroU64::from(per_second));
        Self {
            interval,
            all_but_one: interval.saturating_mul(per_second.get().saturating_sub(1)),
            full_at: Mutex::new(Instant::now()),
        }
    }

    /// Takes one token, as soon as there is one. Nothing is taken from a caller who goes away first.
    pub(super) async fn take(&self) {
        let mut full_at = self.full_at.lock().await;
        if let Some(one_at) = full_at.checked_sub(self.all_but_one)
            && one_at > Instant::now()
        {
            sleep_until(one_at).await;
        }
        let from = (*full_at).max(Instant::now());
        *full_at = from.checked_add(self.interval).unwrap_or(from);
    }
}
