//! Live values: one handle that follows a value which is replaced in place.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{Secret, Version};

mod changes;
mod publisher;
#[cfg(test)]
mod tests;

pub use changes::Changes;
pub use publisher::Publisher;

/// A live handle of one secret.
pub type LiveSecret = Live<Secret>;

/// A handle of a value that can be replaced while the service runs.
///
/// Cheap to clone; clones share the value. Reading takes no lock and copies nothing, however many
/// threads read and whoever publishes meanwhile. A reader never sees an older value after a newer
/// one.
///
/// A [`Secret`] that [expires](crate::Metadata::expires) is not handed out past that time; time
/// that the machine spent suspended counts, and a wall clock that is set back gives no time. Any
/// other value stays in force until it is replaced or closed.
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
}

struct Shared<T> {
    state: ArcSwap<State<T>>,
    /// Never read from itself: each cursor clones it.
    published: watch::Receiver<()>,
    clock: Clock,
}

struct State<T> {
    /// Rises with each publication and with the end.
    sequence: u64,
    /// `None` once closed.
    current: Option<Held<T>>,
    previous: Option<Held<T>>,
}

struct Held<T> {
    value: Arc<T>,
    /// By the [`Clock`]. A value without an end costs no look at the clock.
    until: Option<Duration>,
}

impl<T> Live<T> {
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
    /// [`ErrorKind::Stale`] past the value's expiry, [`ErrorKind::Closed`] after the end.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        let state = self.shared.state.load();
        Ok(f(state.current(&self.shared.clock)?))
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

    /// Says that a server refused `used`, and returns the value to try next.
    ///
    /// That is the current value if `used` is an older one, and the previous value if `used` is the
    /// current one and the overlap lasts: a rotation may have reached us before it reached that
    /// server. Try again once with what comes back. A caller who reports both in turn gets both in
    /// turn, so repeat in a bounded number of attempts only.
    ///
    /// Values are told apart by their `Arc`: pass the very one that [`current`](Self::current) or
    /// [`previous`](Self::previous) returned.
    ///
    /// # Errors
    /// [`ErrorKind::Stale`] if there is no other value to try, and as [`with`](Self::with).
    pub async fn report_rejected(&self, used: &Arc<T>) -> Result<Arc<T>>
    where
        T: 'static,
    {
        let state = self.shared.state.load();
        let clock = &self.shared.clock;
        let current = state.current(clock)?;
        if !Arc::ptr_eq(current, used) {
            return Ok(Arc::clone(current));
        }
        match state.previous(clock) {
            Some(previous) => Ok(Arc::clone(previous)),
            None => Err(rejected(used.as_ref())),
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
        let (sender, published) = watch::channel(());
        let state = State {
            sequence: 0,
            current: Some(Held::new(value, &clock)),
            previous: None,
        };
        let live = Self {
            shared: Arc::new(Shared {
                state: ArcSwap::from_pointee(state),
                published,
                clock,
            }),
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

impl<T> State<T> {
    fn current(&self, clock: &Clock) -> Result<&Arc<T>> {
        match &self.current {
            Some(held) if held.is_usable(clock) => Ok(&held.value),
            Some(_) => Err(stale()),
            None => Err(closed()),
        }
    }

    fn previous(&self, clock: &Clock) -> Option<&Arc<T>> {
        let held = self.previous.as_ref()?;
        held.is_usable(clock).then_some(&held.value)
    }
}

impl<T: 'static> Held<T> {
    fn new(value: T, clock: &Clock) -> Self {
        let expires = as_secret(&value).and_then(|secret| secret.metadata().expires());
        Self {
            value: Arc::new(value),
            until: expires.map(|date| clock.at(date)),
        }
    }
}

impl<T> Held<T> {
    fn is_usable(&self, clock: &Clock) -> bool {
        self.until.is_none_or(|until| clock.now() < until)
    }
}

/// Looks whether the value is a secret, which knows its expiry and may be shown, redacted.
fn as_secret<T: 'static>(value: &T) -> Option<&Secret> {
    (value as &dyn Any).downcast_ref()
}

#[cold]
fn stale() -> Error {
    Error::new(ErrorKind::Stale, "the value is past its expiry")
        .with_help("no newer value arrived in time: look at the backend and at the health report")
}

#[cold]
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the secrets were shut down")
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
        }
    }
}

impl<T: 'static> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.load();
        let value = state.current.as_ref().map(|held| held.value.as_ref());
        let mut out = f.debug_struct("Live");
        match value.map(|value| (value, as_secret(value))) {
            Some((_, Some(secret))) => out.field("current", secret),
            Some((_, None)) => out.field("current", &format_args!("[REDACTED]")),
            None => out.field("current", &format_args!("[CLOSED]")),
        };
        out.field("overlap", &state.previous(&self.shared.clock).is_some())
            .finish()
    }
}
