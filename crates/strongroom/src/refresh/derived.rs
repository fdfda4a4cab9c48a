//! Typed values that are built from several secrets, and built again when one of them rotates.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::live::{Live, LiveSecret, Publisher, Terms};
use crate::load::{FromSecrets, Loaded};
use crate::name::SecretName;

/// A value that follows others.
pub(super) trait Derived: Send {
    /// Takes notice of what was read, and of which of these are other values now.
    fn update(&self, read: &HashSet<SecretName>, changed: &HashSet<SecretName>) -> Update;

    /// Lists what it is built from.
    fn names(&self) -> Vec<SecretName>;

    /// Ends it.
    fn close(&self);
}

/// What became of a value that follows others.
pub(super) enum Update {
    /// It is as before.
    Kept,
    Built,
    /// It can't be built from what is there now, and is as before.
    Unbuilt(Error),
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
}

impl<T: FromSecrets + Send + Sync + 'static> Typed<T> {
    /// Builds the value for the first time.
    pub(super) fn new(
        found: BTreeMap<SecretName, LiveSecret>,
        overlap: Duration,
        clock: Clock,
    ) -> Result<(Self, Live<T>)> {
        let value = T::from_secrets(&Loaded::new(&found)?)?;
        let (publisher, live) = Live::with_terms(value, terms(&found), clock);
        let typed = Self {
            found,
            publisher,
            overlap,
            optional: T::declared()
                .into_iter()
                .filter(|declared| !declared.required)
                .map(|declared| declared.name)
                .collect(),
        };
        Ok((typed, live))
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
}

impl<T: FromSecrets + Send + Sync + 'static> Derived for Typed<T> {
    fn update(&self, read: &HashSet<SecretName>, changed: &HashSet<SecretName>) -> Update {
        if !self.publisher.is_held_beside(0) {
            return Update::Unused;
        }
        if !self.found.keys().any(|name| read.contains(name)) {
            return Update::Kept;
        }
        if !self.found.keys().any(|name| changed.contains(name)) {
            self.publisher.extend(terms(&self.found));
            return Update::Kept;
        }
        match self.build() {
            Ok(value) => {
                let terms = terms(&self.found);
                self.publisher.publish_on(value, terms, self.overlap);
                Update::Built
            }
            Err(error) if matches!(error.kind(), ErrorKind::Absent | ErrorKind::Denied) => {
                self.publisher.withdraw(error.kind());
                Update::Built
            }
            Err(error) => Update::Unbuilt(error),
        }
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
