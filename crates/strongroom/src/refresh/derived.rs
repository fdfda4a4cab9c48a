//! Typed values that are built from several secrets, and built again when one of them rotates.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::live::{Live, LiveSecret, Publisher, Terms};
use crate::load::{FromSecrets, Loaded};
use crate::name::SecretName;

/// A value that follows others.
pub(super) trait Derived: Send + Sync {
    /// Takes notice of what was confirmed or replaced, and of which of these are other values now. The
    /// type's own code runs in it.
    fn update(&self, heard: &HashSet<SecretName>, changed: &HashSet<SecretName>) -> Update;

    /// Says why it is not built from what is there now.
    fn unbuilt(&self) -> Option<String>;

    /// Lists what it is built from.
    fn names(&self) -> Vec<SecretName>;

    /// Ends it.
    fn close(&self);
}

/// What became of a value that follows others.
pub(super) enum Update {
    /// It is made of what is there now.
    Current,
    /// It can't be built from what is there now, and is as before.
    Unbuilt(String),
    /// Nobody holds it any more.
    Unused,
}

/// A value of a type that is built from what it declares.
pub(super) struct Typed<T> {
    found: BTreeMap<SecretName, LiveSecret>,
    publisher: Publisher<T>,
    overlap: Duration,
    /// May be missing.
    optional: HashSet<SecretName>,
    /// Why it is not built from what is there now.
    unbuilt: Mutex<Option<String>>,
}

impl<T: FromSecrets + Send + Sync + 'static> Typed<T> {
    /// Follows these with a value that was built from them.
    pub(super) fn new(
        value: T,
        found: BTreeMap<SecretName, LiveSecret>,
        optional: HashSet<SecretName>,
        overlap: Duration,
        clock: Clock,
    ) -> (Self, Live<T>) {
        let (publisher, live) = Live::with_terms(value, terms(&found), clock);
        let typed = Self {
            found,
            publisher,
            overlap,
            optional,
            unbuilt: Mutex::default(),
        };
        (typed, live)
    }

    /// Builds the value anew. What a type's own code does must not end the refresh of everything.
    fn build(&self) -> Result<T> {
        let mut found = self.found.clone();
        found.retain(|name, live| {
            let absent = |error: &Error| error.kind() == ErrorKind::Absent;
            !self.optional.contains(name) || !live.with(|_| ()).is_err_and(|error| absent(&error))
        });
        let loaded = Loaded::new(&found)?;
        let built = catch_unwind(AssertUnwindSafe(|| T::from_secrets(&loaded)));
        built.unwrap_or_else(|_| {
            let message = "building the type from its secrets panicked";
            Err(Error::new(ErrorKind::Malformed, message))
        })
    }

    fn unbuilt_reason(&self) -> MutexGuard<'_, Option<String>> {
        self.unbuilt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: FromSecrets + Send + Sync + 'static> Derived for Typed<T> {
    fn update(&self, heard: &HashSet<SecretName>, changed: &HashSet<SecretName>) -> Update {
        if !self.publisher.is_held_beside(0) {
            return Update::Unused;
        }
        if !self.found.keys().any(|name| heard.contains(name)) {
            self.publisher.forget_what_is_over();
            return Update::Current;
        }
        let is_current = self.unbuilt_reason().is_none();
        if is_current && !self.found.keys().any(|name| changed.contains(name)) {
            self.publisher.extend(terms(&self.found));
            self.publisher.forget_what_is_over();
            return Update::Current;
        }
        match self.build() {
            Ok(value) => {
                *self.unbuilt_reason() = None;
                let terms = terms(&self.found);
                self.publisher.publish_on(value, terms, self.overlap);
                Update::Current
            }
            Err(error) if matches!(error.kind(), ErrorKind::Absent | ErrorKind::Denied) => {
                *self.unbuilt_reason() = None;
                self.publisher.withdraw(error.kind());
                Update::Current
            }
            // Its terms stay as they are: what it is made of is no longer confirmed.
            Err(error) => {
                let reason = format!("its type can't be built: {error}");
                *self.unbuilt_reason() = Some(reason.clone());
                self.publisher.forget_what_is_over();
                Update::Unbuilt(reason)
            }
        }
    }

    fn unbuilt(&self) -> Option<String> {
        let is_used = self.publisher.is_held_beside(0);
        self.unbuilt_reason().clone().filter(|_| is_used)
    }

    fn names(&self) -> Vec<SecretName> {
        self.found.keys().cloned().collect()
    }

    fn close(&self) {
        self.publisher.close();
    }
}

/// A whole is handed out for as long as each of its parts.
fn terms(found: &BTreeMap<SecretName, LiveSecret>) -> Terms {
    let parts = found.values().filter_map(LiveSecret::terms);
    parts.fold(Terms::UNLIMITED, Terms::and)
}
