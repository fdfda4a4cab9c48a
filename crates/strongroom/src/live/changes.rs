//! The cursor over the changes of a live value.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Current, Live};
use crate::error::Result;

/// A cursor over the changes of a [`Live`] value, from [`Live::changes`].
///
/// It remembers what it delivered, so no change between two calls is lost. Several changes between
/// two calls arrive as one, with the newest value.
pub struct Changes<T> {
    live: Live<T>,
    published: watch::Receiver<()>,
    delivered: u64,
}

impl<T: 'static> Changes<T> {
    pub(super) fn new(live: Live<T>) -> Self {
        let published = live.shared.published.clone();
        let delivered = live.shared.state.load().sequence;
        Self {
            live,
            published,
            delivered,
        }
    }

    /// Waits for a value that is newer than the last one delivered, and returns it, or the error
    /// that [`Live::current`] answers now.
    ///
    /// A value that the backend no longer hands out is a change too: then that error comes.
    /// Returns `None` when no change can come any more: after the end, and when the value is fixed
    /// or its publisher is gone. A value that reaches its expiry without a successor is no change.
    ///
    /// Cancel-safe: dropping the future loses no change.
    pub async fn next(&mut self) -> Option<Result<Arc<T>>> {
        loop {
            let newest = {
                let state = self.live.shared.state.load();
                if matches!(state.current, Current::Closed) {
                    return None;
                }
                let value = || state.current(&self.live.shared.clock).map(Arc::clone);
                (state.sequence != self.delivered).then(|| (state.sequence, value()))
            };
            if let Some((sequence, value)) = newest {
                self.delivered = sequence;
                return Some(value);
            }
            self.published.changed().await.ok()?;
        }
    }
}

impl<T: 'static> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}
