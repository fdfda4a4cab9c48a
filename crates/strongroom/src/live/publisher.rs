//! The writing side of a live value.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

use super::{Held, Live, State};

/// Replaces the value of the [`Live`] handles made with it.
///
/// Any thread may publish; publications take effect one after another. Dropping the publisher
/// leaves the last value in force, with its expiry, and ends every cursor once it has delivered
/// what it had not delivered yet.
pub struct Publisher<T> {
    sender: watch::Sender<()>,
    live: Live<T>,
}

impl<T: 'static> Publisher<T> {
    /// Replaces the value. The former one is at once out of force, as a revoked one must be.
    ///
    /// After [`close`](Self::close) this does nothing but drop `value`.
    pub fn publish(&self, value: T) {
        self.publish_with_overlap(value, Duration::ZERO);
    }

    /// Replaces the value. The former one is [`Live::previous`] until `overlap` has passed or its
    /// own expiry comes.
    ///
    /// A value that was still in its own overlap is out of force: there is one previous value at
    /// most. The previous value's memory is released by the next publication or the end.
    ///
    /// After [`close`](Self::close) this does nothing but drop `value`.
    pub fn publish_with_overlap(&self, value: T, overlap: Duration) {
        let clock = &self.live.shared.clock;
        let next = Held::new(value, clock);
        self.replace(|former| {
            let end = clock.after(overlap);
            let previous = (!overlap.is_zero()).then(|| Held {
                value: former.value.clone(),
                until: Some(former.until.map_or(end, |until| until.min(end))),
            });
            (Some(next), previous)
        });
    }
}

impl<T> Publisher<T> {
    pub(super) fn new(sender: watch::Sender<()>, live: Live<T>) -> Self {
        Self { sender, live }
    }

    /// Ends the value: every handle answers [`ErrorKind::Closed`](crate::ErrorKind::Closed), every
    /// cursor ends, and what is held here is wiped as soon as no reader is in the middle of it.
    pub fn close(&self) {
        self.replace(|_| (None, None));
    }

    /// Puts the next current and previous value in force, unless the end came before.
    fn replace(&self, next: impl FnOnce(&Held<T>) -> (Option<Held<T>>, Option<Held<T>>)) {
        // The channel runs one closure at a time, which makes reading and storing one step.
        self.sender.send_if_modified(|()| {
            let former = self.live.shared.state.load();
            let Some(held) = &former.current else {
                return false;
            };
            let (current, previous) = next(held);
            let state = State {
                sequence: former.sequence.wrapping_add(1),
                current,
                previous,
            };
            self.live.shared.state.store(state.into());
            true
        });
    }
}

impl<T: 'static> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Publisher").field(&self.live).finish()
    }
}
