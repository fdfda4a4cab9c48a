//! The last step: the new value is put in force for good, or what was before is brought back.

use super::place::{may_have_happened, same};
use super::{
    Begun, Completed, Error, ErrorKind, Method, Previous, Result, Rotation, Secret, Stage, Version,
};
use crate::audit::{Event, Operation, Outcome};
use crate::provider::{Expect, Put};

/// How often an undo starts again because another field of the same document was written.
const ATTEMPTS: usize = 8;

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undone {
    /// The pending version was discarded; the one in force never changed.
    Discarded,
    /// The former value is in force again, as this version where the backend has versions.
    Restored(Option<Version>),
}

impl Begun {
    /// Puts the new value in force, where it isn't yet, and proves it by reading it back. Repeating it
    /// is fine.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if somebody else wrote meanwhile: nothing is touched then. Otherwise
    /// whatever the provider answers. Where the [`Method`] is [`Staged`](Method::Staged), the new
    /// value stays pending in each case.
    pub async fn complete(&self) -> Result<Completed> {
        let completed = self.put_in_force().await;
        self.record(Operation::RotationComplete, &completed);
        completed.map_err(|error| error.with_name(self.rotation.name()))
    }

    async fn put_in_force(&self) -> Result<Completed> {
        let place = &self.rotation.place;
        let mut now = place.read(Stage::Current).await?;
        if let (Method::Staged, Some(version)) = (self.rotation.method, &self.version)
            && !self.is_ours(&now)
        {
            if now.metadata().version() != self.rotation.former() {
                return Err(overtaken(&now));
            }
            let promoted = place.provider.promote(&place.target, version).await;
            now = place.read(Stage::Current).await?;
            // Its answer may have got lost.
            if !self.is_ours(&now) {
                promoted?;
            }
        }
        if !self.is_ours(&now) {
            return Err(match same(&now, &self.rotation.former) {
                true => {
                    let message = "the backend still answers with the former value";
                    Error::new(ErrorKind::Transient, message).with_help("look again in a moment")
                }
                false => overtaken(&now),
            });
        }
        Ok(Completed {
            version: now.metadata().version().cloned(),
            previous: self.rotation.previous().await,
        })
    }

    /// Brings back what was before [`begin`](Rotation::begin): discards the pending version, or writes
    /// the former value back. Repeating it is fine.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if somebody else wrote meanwhile: nothing is touched then. Otherwise
    /// whatever the provider answers, and nobody knows whether it was undone.
    pub async fn undo(&self) -> Result<Undone> {
        let undone = match self.rotation.method {
            Method::Staged => self.take_back().await,
            Method::Replacing => self.write_back().await,
        };
        self.record(Operation::RotationUndo, &undone);
        undone.map_err(|error| error.with_name(self.rotation.name()))
    }

    fn record<T>(&self, operation: Operation, outcome: &Result<T>) {
        let event = Event::new(operation, Outcome::of(outcome));
        let event = event.of(self.rotation.name(), self.version());
        self.rotation.connection.audit().note(event);
    }

    async fn take_back(&self) -> Result<Undone> {
        let Rotation { place, .. } = &self.rotation;
        let Some(version) = &self.version else {
            return Ok(Undone::Discarded);
        };
        let now = place.read(Stage::Current).await?;
        // It was put in force, and only the answer to that got lost.
        if let Some(former) = self.rotation.former().filter(|_| self.is_ours(&now)) {
            place.provider.promote(&place.target, former).await?;
            return Ok(Undone::Restored(Some(former.clone())));
        }
        self.rotation.discard(version).await?;
        Ok(Undone::Discarded)
    }

    async fn write_back(&self) -> Result<Undone> {
        let Rotation { place, former, .. } = &self.rotation;
        for _ in 0..ATTEMPTS {
            let now = match place.read(Stage::Current).await {
                Err(error) if error.kind() == ErrorKind::Absent => {
                    let message = "somebody else deleted it meanwhile";
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
                now => now?,
            };
            let restored = |now: &Secret| Undone::Restored(now.metadata().version().cloned());
            if same(&now, former) {
                return Ok(restored(&now));
            }
            if !self.is_ours(&now) {
                return Err(overtaken(&now));
            }
            let expect = match now.metadata().version() {
                Some(version) => Expect::Version(version.clone()),
                None => Expect::Any,
            };
            let put = Put::new(place.target.clone(), former.clone()).with_expect(expect);
            match place.provider.put(&put).await {
                Ok(version) => return Ok(Undone::Restored(version)),
                // The document has other fields, too: what is there is looked at again.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) if may_have_happened(&error) => {
                    let now = place.read(Stage::Current).await.ok();
                    return match now.filter(|now| same(now, former)) {
                        Some(now) => Ok(restored(&now)),
                        None => Err(error),
                    };
                }
                Err(error) => return Err(error),
            }
        }
        let message = "other writers came first, again and again";
        Err(Error::new(ErrorKind::Transient, message))
    }

    fn is_ours(&self, now: &Secret) -> bool {
        same(now, &self.stored)
    }
}

impl Rotation {
    /// Discards what an interrupted rotation left pending, and returns its version. The value in force
    /// stays.
    ///
    /// # Errors
    /// As [`resume`](Self::resume) where nothing is pending, and whatever the provider answers.
    pub async fn abort(self) -> Result<Version> {
        let aborted = match self.pending() {
            Some(version) => self.discard(version).await.map(|()| version.clone()),
            None => Err(self.nothing_pending().await),
        };
        let event = Event::new(Operation::RotationAbort, Outcome::of(&aborted));
        let event = event.of(self.name(), aborted.as_ref().ok());
        self.connection.audit().note(event);
        aborted.map_err(|error| error.with_name(self.name()))
    }

    async fn discard(&self, version: &Version) -> Result<()> {
        let provider = &self.place.provider;
        let discarded = provider.discard(&self.place.target, version).await;
        match discarded {
            Err(error) if may_have_happened(&error) => match self.place.look().await {
                Ok(found) if found.pending.is_none() => Ok(()),
                _ => Err(error),
            },
            discarded => discarded,
        }
    }

    /// The former value, if the backend keeps it.
    async fn previous(&self) -> Option<Previous> {
        let previous = self.place.read(Stage::Previous).await.ok()?;
        same(&previous, &self.former).then(|| Previous {
            version: previous.metadata().version().cloned(),
            until: previous.metadata().expires(),
        })
    }
}

fn overtaken(now: &Secret) -> Error {
    let version = now.metadata().version();
    let which = version.map_or_else(String::new, |version| format!(", version {version}"));
    let message = format!("somebody else wrote another value meanwhile{which}; it was not touched");
    Error::new(ErrorKind::Conflict, message)
        .with_help("find out which of the values the consumer has, then rotate once more")
}
