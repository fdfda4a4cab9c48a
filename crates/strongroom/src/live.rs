//! Live values: one handle that follows a value which is replaced in place.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::secret::{Secret, Version};

mod changes;
mod keeper;
mod publisher;
mod state;
#[cfg(test)]
mod tests;

pub use changes::Changes;
pub(crate) use keeper::Keeper;
pub use publisher::Publisher;
pub(crate) use state::Terms;
use state::{Current, Held, State};

/// A live handle of one secret.
pub type LiveSecret = Live<Secret>;

/// A handle of a value that can be replaced while the service runs.
///
/// Cheap to clone; clones share the value. Reading takes no lock and copies nothing, however many
/// threads read and whoever publishes meanwhile. A reader never sees an older value after a newer
/// one.
///
/// A [`Secret`] that [expires](crate::Metadata::expires) is not handed out past that time; time
/// that the machine spent suspended counts (a second at most after it wakes up), and a wall clock
/// that is set back gives no time. A handle from [`Secrets`](crate::Secrets) keeps its refresh
/// alive, and hands nothing out that the backend confirmed longer ago than `cache.max_stale`. Any
/// other value stays in force until it is replaced, withdrawn or closed.
///
/// After [`Publisher::close`], or the shutdown of the [`Secrets`](crate::Secrets) it comes from,
/// every read answers [`ErrorKind::Closed`], and what is held here is wiped.
///
/// ```
/// use strongroom::{Live, Secret};
///
/// let (publisher, token) = Live::channel(Secret::from_text("monday"));
/// assert_eq!(token.with(Secret::len)?, 6);
///
/// publisher.publish(Secret::from_text("tuesday"));
/// assert!(token.verify("tuesday"));
/// assert!(!token.verify("monday"));
/// # Ok::<(), strongroom::Error>(())
/// ```
pub struct Live<T> {
    shared: Arc<Shared<T>>,
    keeper: Option<Arc<dyn Keeper>>,
}

struct Shared<T> {
    state: ArcSwap<State<T>>,
    /// Never read from itself: each cursor clones it.
    published: watch::Receiver<()>,
    clock: Clock,
}

impl<T: 'static> Live<T> {
    /// Calls `f` with the current value, and returns what it returns.
    ///
    /// Takes no lock, allocates nothing and copies nothing. The value stays alive while `f` runs,
    /// so `f` should be short; use [`current`](Self::current) to hold a value across an await.
    ///
    /// ```
    /// # use strongroom::{Live, Secret};
    /// let password = Live::fixed(Secret::from_text("violet-Kayak-19"));
    /// let connected = password.with(|password| password.expose_bytes().starts_with(b"violet"))?;
    /// assert!(connected);
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Stale`] past the value's expiry or `cache.max_stale`, [`ErrorKind::Absent`] and
    /// [`ErrorKind::Denied`] once the backend said so, [`ErrorKind::Closed`] after the end.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let state = self.shared.state.load();
        Ok(f(state.current(&self.shared.clock)?))
    }

    /// As [`with`](Self::with), with the number of the value: it rises with each other one.
    pub(crate) fn with_sequence<R>(&self, f: impl FnOnce(&T, u64) -> R) -> Result<R> {
        let state = self.shared.state.load();
        Ok(f(state.current(&self.shared.clock)?, state.sequence))
    }

    /// Returns the current value, to hold across an await.
    ///
    /// What is returned stays as it is when the value rotates: take a new one for each use, and
    /// don't store it.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn current(&self) -> Result<Arc<T>> {
        let state = self.shared.state.load();
        state.current(&self.shared.clock).map(Arc::clone)
    }

    /// Returns the value before the current one, while the overlap of a rotation lasts.
    ///
    /// It is for checking what others still send, or for a server that doesn't know the new value
    /// yet. Outside an overlap, past its own expiry and after the end there is none.
    pub fn previous(&self) -> Option<Arc<T>> {
        let state = self.shared.state.load();
        state.previous(&self.shared.clock).map(Arc::clone)
    }

    /// Returns a cursor over the changes from now on.
    ///
    /// Take the cursor before reading the value that you start with: then no change falls between
    /// the two.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use strongroom::Live;
    /// let (publisher, size) = Live::channel(1);
    /// let mut changes = size.changes();
    /// let mut pool = *size.current()?;
    ///
    /// publisher.publish(2);
    /// publisher.publish(3);
    /// drop(publisher);
    /// while let Some(size) = changes.next().await {
    ///     pool = *size?;
    /// }
    /// assert_eq!(pool, 3);
    /// # Ok::<(), strongroom::Error>(()) }).unwrap();
    /// ```
    pub fn changes(&self) -> Changes<T> {
        Changes::new(self.clone())
    }

    /// Reports whether the backend has not confirmed the value within its time to live, because it
    /// can't be reached or answers with what is refused.
    pub fn is_stale(&self) -> bool {
        let state = self.shared.state.load();
        match &state.current {
            Current::Held(held) => !held.is_fresh(&self.shared.clock),
            Current::Gone(_) | Current::Closed => false,
        }
    }

    /// Returns what happens to the value from now on: rotations, refusals, outages.
    ///
    /// Nothing happens to a value that comes from no [`Secrets`](crate::Secrets).
    pub fn events(&self) -> Events {
        match &self.keeper {
            Some(keeper) => keeper.events(),
            None => Events::none(),
        }
    }

    /// Says that a server refused `used`, and returns the value to try next.
    ///
    /// A handle from [`Secrets`](crate::Secrets) asks the backend first, unless a newer value than
    /// `used` is here already. Any number of reports at one time lead to one reading, and reports
    /// within 10 s of it to none. What comes back is the current value if `used` is an older one, and
    /// the previous value if `used` is the current one and the overlap lasts: a rotation may have
    /// reached us before it reached that server. Try again once with what comes back. A caller who
    /// reports both in turn gets both in turn, so repeat in a bounded number of attempts only.
    ///
    /// Pass the very value that [`current`](Self::current) or [`previous`](Self::previous) returned.
    ///
    /// # Errors
    /// [`ErrorKind::Stale`] if there is no other value to try, and as [`with`](Self::with).
    pub async fn report_rejected(&self, used: &Arc<T>) -> Result<Arc<T>> {
        let current = self.current()?;
        if !same(&current, used) {
            return Ok(current);
        }
        if let Some(keeper) = &self.keeper {
            keeper.rejected().await;
        }
        let state = self.shared.state.load_full();
        let current = state.current(&self.shared.clock)?;
        if !same(current, used) {
            return Ok(Arc::clone(current));
        }
        match state.previous(&self.shared.clock) {
            Some(previous) => Ok(Arc::clone(previous)),
            None => Err(rejected(used.as_ref())),
        }
    }

    /// Returns the same handle, which keeps alive and reports to whoever replaces its value.
    pub(crate) fn kept_by(&self, keeper: Arc<dyn Keeper>) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            keeper: Some(keeper),
        }
    }

    /// Returns the same handle, which keeps nothing alive: for what lives as long as the refresh itself.
    pub(crate) fn unkept(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            keeper: None,
        }
    }

    /// Returns what is held, whether it is still handed out or not.
    pub(crate) fn held(&self) -> Option<Arc<T>> {
        match &self.shared.state.load().current {
            Current::Held(held) => Some(Arc::clone(&held.value)),
            Current::Gone(_) | Current::Closed => None,
        }
    }

    /// Returns a number that rises with each value that is another one.
    pub(crate) fn sequence(&self) -> u64 {
        self.shared.state.load().sequence
    }

    /// Returns until when the value is handed out, and until when it is fresh.
    pub(crate) fn terms(&self) -> Option<Terms> {
        match &self.shared.state.load().current {
            Current::Held(held) => Some(held.terms()),
            Current::Gone(_) | Current::Closed => None,
        }
    }
}

impl<T: 'static> Live<T> {
    /// Makes a handle whose value never changes, for tests and for settings that can't rotate.
    pub fn fixed(value: T) -> Self {
        // Without a publisher, cursors know that no change can come.
        Self::channel(value).1
    }

    /// Makes a handle, and the publisher that replaces its value.
    pub fn channel(value: T) -> (Publisher<T>, Self) {
        Self::with_clock(value, Clock::default())
    }

    fn with_clock(value: T, clock: Clock) -> (Publisher<T>, Self) {
        Self::with_terms(value, Terms::UNLIMITED, clock)
    }

    /// Makes a handle whose value is handed out on these terms, and until its own expiry.
    pub(crate) fn with_terms(value: T, terms: Terms, clock: Clock) -> (Publisher<T>, Self) {
        let (sender, published) = watch::channel(());
        let state = State {
            sequence: 0,
            current: Current::Held(Held::new(value, terms, &clock)),
            previous: None,
        };
        let live = Self {
            shared: Arc::new(Shared {
                state: ArcSwap::from_pointee(state),
                published,
                clock,
            }),
            keeper: None,
        };
        (Publisher::new(sender, live.clone()), live)
    }
}

impl Live<Secret> {
    /// Compares a candidate in constant time with the current value and, during an overlap, with
    /// the previous one.
    ///
    /// Both comparisons are always made, so that the time taken doesn't tell which one matched. A
    /// value past its expiry, or after the end, matches nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use strongroom::{Live, Secret};
    /// let (publisher, token) = Live::channel(Secret::from_text("monday"));
    /// publisher.publish_with_overlap(Secret::from_text("tuesday"), Duration::from_secs(60));
    /// assert!(token.verify("tuesday") && token.verify("monday"));
    /// assert!(!token.verify("sunday"));
    /// ```
    pub fn verify(&self, candidate: impl AsRef<[u8]>) -> bool {
        let candidate = candidate.as_ref();
        let state = self.shared.state.load();
        let clock = &self.shared.clock;
        let matches = |value: &Arc<Secret>| value.verify(candidate);
        let current = state.current(clock).is_ok_and(matches);
        let previous = state.previous(clock).is_some_and(matches);
        current | previous
    }

    /// Returns the backend's version of the current value, where the backend has versions.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn version(&self) -> Result<Option<Version>> {
        self.with(|secret| secret.metadata().version().cloned())
    }
}

/// Looks whether the value is a secret, which knows its expiry and may be shown, redacted.
fn as_secret<T: 'static>(value: &T) -> Option<&Secret> {
    (value as &dyn Any).downcast_ref()
}

/// Reports whether two values are one. A secret that was read anew, with another date for example, is
/// still the same.
fn same<T: 'static>(a: &Arc<T>, b: &Arc<T>) -> bool {
    // EXPOSES: to a comparison in constant time
    let equal = |a: &Secret, b: &Secret| a.verify(b.expose_bytes());
    Arc::ptr_eq(a, b)
        || matches!((as_secret(a.as_ref()), as_secret(b.as_ref())), (Some(a), Some(b)) if equal(a, b))
}

fn rejected<T: 'static>(used: &T) -> Error {
    let message = "the value was refused where it was used, and there is no other one to try";
    let error = Error::new(ErrorKind::Stale, message).with_help(
        "the server and the secrets backend disagree: finish the rotation, or correct the value",
    );
    match as_secret(used).and_then(|secret| secret.metadata().name()) {
        Some(name) => error.with_name(name),
        None => error,
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            keeper: self.keeper.clone(),
        }
    }
}

impl<T: 'static> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.load();
        let mut out = f.debug_struct("Live");
        match &state.current {
            Current::Held(held) => match as_secret(held.value.as_ref()) {
                Some(secret) => out.field("current", secret),
                None => out.field("current", &format_args!("[REDACTED]")),
            },
            Current::Gone(kind) => out.field("current", &format_args!("[{kind}]")),
            Current::Closed => out.field("current", &format_args!("[CLOSED]")),
        };
        out.field("overlap", &state.previous(&self.shared.clock).is_some())
            .finish()
    }
}
