//! The writing side of a live value.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

use super::{Current, Held, Live, State, Terms};
use crate::error::ErrorKind;

/// Replaces the value of the [`Live`] handles made with it.
///
/// Any thread may publish; publications take effect one after another. Dropping the publisher
/// leaves the last value in force, with its expiry, and ends every cursor once it has delivered
/// what it had not delivered yet.
pub struct Publisher<T> {
    sender: watch::Sender<()>,
    live: Live<T>,
}

/// What a replacement is for those who wait for changes.
enum Notice {
    Change,
    Silent,
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
        self.publish_on(value, Terms::UNLIMITED, overlap);
    }

    /// Replaces the value by one that is handed out on these terms, and until its own expiry.
    pub(crate) fn publish_on(&self, value: T, terms: Terms, overlap: Duration) {
        let clock = &self.live.shared.clock;
        let next = Held::new(value, terms, clock);
        self.replace(Notice::Change, |former| {
            let previous = match former {
                Current::Held(former) if !overlap.is_zero() => {
                    Some(former.ending(clock.after(overlap)))
                }
                _ => None,
            };
            (Current::Held(next), previous)
        });
    }

    /// Replaces what is known about the value: it is still the same one, so nobody is told.
    pub(crate) fn renew(&self, value: T, terms: Terms) {
        let clock = &self.live.shared.clock;
        let next = Held::new(value, terms, clock);
        self.modify(Notice::Silent, |former| {
            let next = match &former.current {
                // The same date is the same moment, whatever the wall clock says by now.
                Current::Held(held) if held.expires() == next.expires() => next.ending(held.end),
                _ => next,
            };
            let previous = former.previous.as_ref();
            let previous = previous.filter(|held| held.is_usable(clock));
            (
                Current::Held(next),
                previous.map(|held| held.ending(Duration::MAX)),
            )
        });
    }

    /// Withdraws the value: until the next publication every read answers an error of this kind, and
    /// what is held here is wiped as soon as no reader is in the middle of it.
    pub(crate) fn withdraw(&self, kind: ErrorKind) {
        self.replace(Notice::Change, |_| (Current::Gone(kind), None));
    }

    /// Hands the same value out on new terms.
    pub(crate) fn extend(&self, terms: Terms) {
        if let Current::Held(held) = &self.live.shared.state.load().current {
            held.extend(terms);
        }
    }

    /// Lets go of a previous value whose overlap is over.
    pub(crate) fn forget_what_is_over(&self) {
        let is_over = {
            let state = self.live.shared.state.load();
            let over = |held: &Held<T>| !held.is_usable(&self.live.shared.clock);
            state.previous.as_ref().is_some_and(over)
        };
        if is_over {
            self.replace(Notice::Silent, |former| (former.share(), None));
        }
    }
}

impl<T> Publisher<T> {
    pub(super) fn new(sender: watch::Sender<()>, live: Live<T>) -> Self {
        Self { sender, live }
    }

    /// Ends the value: every handle answers [`ErrorKind::Closed`](crate::ErrorKind::Closed), every
    /// cursor ends, and what is held here is wiped as soon as no reader is in the middle of it.
    pub fn close(&self) {
        self.replace(Notice::Change, |_| (Current::Closed, None));
    }

    /// Reports whether anybody holds a handle besides this publisher and `ours`.
    pub(crate) fn is_held_beside(&self, ours: usize) -> bool {
        std::sync::Arc::strong_count(&self.live.shared) > ours.saturating_add(1)
    }

    fn replace(
        &self,
        notice: Notice,
        next: impl FnOnce(&Current<T>) -> (Current<T>, Option<Held<T>>),
    ) {
        self.modify(notice, |former| next(&former.current));
    }

    /// Puts the next current and previous value in force, unless the end came before.
    fn modify(
        &self,
        notice: Notice,
        next: impl FnOnce(&State<T>) -> (Current<T>, Option<Held<T>>),
    ) {
        let mut out_of_force = None;
        // The channel runs one closure at a time, which makes reading and storing one step.
        self.sender.send_if_modified(|()| {
            let former = self.live.shared.state.load_full();
            if matches!(former.current, Current::Closed) {
                return false;
            }
            let (current, previous) = next(&former);
            let told = matches!(notice, Notice::Change);
            let state = State {
                sequence: former.sequence.wrapping_add(u64::from(told)),
                current,
                previous,
            };
            self.live.shared.state.store(state.into());
            out_of_force = Some(former);
            told
        });
        // A type's own code may run when it is dropped: after everybody was told.
        drop(out_of_force);
    }
}

impl<T: 'static> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Publisher").field(&self.live).finish()
    }
}
