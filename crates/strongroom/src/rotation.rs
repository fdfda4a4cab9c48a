//! Replacing a secret's value by whoever owns it: begin, tell the consumer's side, complete or undo.
//!
//! The consumer is what accepts the secret: a database whose role has the password, a partner whose API
//! has the token. A rotation changes two sides that no transaction spans, so it is an explicit sequence
//! whose every step can be the last one:
//!
//! 1. [`Connection::rotation`] looks: what is in force, how this backend rotates, and whether a rotation
//!    that was interrupted is pending.
//! 2. [`Rotation::begin`] writes the new value.
//! 3. The caller tells the consumer's side, with [`Begun::value`].
//! 4. [`Begun::complete`] puts the new value in force and proves it by reading it back;
//!    [`Begun::undo`] brings back what was.
//!
//! What the steps do depends on the backend, which says by itself what it has ([`Method`]). On one with
//! stages nothing is lost whenever the process dies: the new value waits as the pending version, and
//! [`Rotation::resume`] or [`Rotation::abort`] take it from there. On any other the new value is in force
//! once it is written; only that can be known afterwards.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let declared = strongroom::Declared::new("database/password".parse()?, strongroom::Kind::Password);
//! # let memory = strongroom::Memory::new().with("database/password", "what was in force so far");
//! # let connection = strongroom::SecretsFactory::builder().env(strongroom::Env::empty())
//! #     .declare([declared]).provider(memory).connect().await?;
//! let rotation = connection.rotation(&"database/password".parse()?).await?;
//! let begun = rotation.begin(None).await?;
//! match tell_the_database(begun.value()).await {
//!     Ok(()) => drop(begun.complete().await?),
//!     Err(_) => drop(begun.undo().await?),
//! }
//! # async fn tell_the_database(_: &strongroom::Secret) -> Result<(), ()> { Ok(()) }
//! # Ok::<(), strongroom::Error>(()) }).unwrap();
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::connection::Connection;
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{SecretProvider, Stage, Target};
use crate::report::Finding;
use crate::secret::{Secret, Version};

mod begin;
mod end;
mod judge;
mod place;

pub use end::Undone;

use place::Place;

/// How a backend rotates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Method {
    /// It has stages: the new value waits as the pending version until it is put in force, and
    /// readers get the former one until then.
    Staged,
    /// It has none: the new value is in force at once, and the former one is written back by an undo.
    Replacing,
}

/// What is there of a secret that is to be rotated. Nothing was changed yet.
#[derive(Debug, Clone)]
pub struct Rotation {
    connection: Connection,
    declared: Declared,
    place: Place,
    method: Method,
    /// As the backend holds it.
    former: Secret,
    pending: Option<Pending>,
    overlap: Option<Duration>,
}

/// A version that waits to be put in force.
#[derive(Debug, Clone)]
struct Pending {
    version: Version,
    /// As the backend holds it; `None` where it has no such field.
    value: Option<Secret>,
}

/// A rotation whose new value is written, and which is neither completed nor undone.
///
/// Dropping it does neither: what it leaves behind is what an interrupted process would.
#[derive(Debug)]
#[must_use = "the rotation waits for `complete` or `undo`"]
pub struct Begun {
    rotation: Rotation,
    /// As the application uses it.
    value: Secret,
    /// As the backend holds it.
    stored: Secret,
    version: Option<Version>,
    warnings: Vec<Finding>,
}

/// What a completed rotation left behind.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Completed {
    /// The version in force, where the backend has versions.
    pub version: Option<Version>,
    /// The former value, where the backend keeps it: services that got it can still be served.
    pub previous: Option<Previous>,
}

/// The former value, as the backend keeps it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Previous {
    /// Its version.
    pub version: Option<Version>,
    /// Until when it can be read, where that is known.
    pub until: Option<SystemTime>,
}

impl Connection {
    /// Looks at what a rotation of a declared secret begins with. Changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the name is not declared, since its kind is not known then;
    /// [`ErrorKind::Unsupported`] if its provider is read-only, or makes and rotates it itself;
    /// [`ErrorKind::Absent`] if there is no value to rotate; and whatever the provider answers.
    pub async fn rotation(&self, name: &SecretName) -> Result<Rotation> {
        let found = self.find_rotation(name).await;
        found.map_err(|error| error.with_name(name))
    }

    async fn find_rotation(&self, name: &SecretName) -> Result<Rotation> {
        let declared = self.declaration(name.as_str()).ok_or_else(|| {
            let message = "it is not declared, so its kind is not known";
            Error::new(ErrorKind::Config, message)
                .with_help("declare it in the manifest with its kind")
        })?;
        if declared.source.as_ref().is_some_and(|source| source.lease) {
            let message = "it is a dynamic secret, which its backend makes and replaces itself";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let (provider, target) = self.place(name)?;
        let place = Place { provider, target };
        let description = place.provider.describe();
        if !description.writable {
            let message = format!("{} is read-only", description.address);
            return Err(Error::new(ErrorKind::Unsupported, message).with_help(
                "rotate it where its value comes from: by the provider or the platform that fills this \
                 one",
            ));
        }
        let found = place.look().await?;
        Ok(Rotation {
            connection: self.clone(),
            declared: declared.clone(),
            place,
            method: found.method,
            former: found.current,
            pending: found.pending,
            overlap: None,
        })
    }
}

impl Rotation {
    /// Asks the backend to keep the former value readable for this time, instead of what it does by
    /// itself. [`begin`](Self::begin) fails, and writes nothing, where it can't promise that.
    #[must_use]
    pub fn with_overlap(mut self, overlap: Duration) -> Self {
        self.overlap = Some(overlap);
        self
    }

    /// Returns the secret's name.
    pub fn name(&self) -> &SecretName {
        &self.declared.name
    }

    /// Returns how its backend rotates.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns the address of its provider.
    pub fn provider(&self) -> String {
        self.place.provider.describe().address
    }

    /// Returns the version that was in force when this was looked at, where the backend has versions.
    pub fn former(&self) -> Option<&Version> {
        self.former.metadata().version()
    }

    /// Returns the version that an interrupted rotation left pending.
    pub fn pending(&self) -> Option<&Version> {
        self.pending.as_ref().map(|pending| &pending.version)
    }
}

impl Begun {
    /// Returns the new value, as the application uses it: decoded from what the backend holds.
    pub fn value(&self) -> &Secret {
        &self.value
    }

    /// Returns the version of the new value, where the backend has versions.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns what this began with.
    pub fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// Returns what the policy warns of in the new value.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Staged => "staged",
            Self::Replacing => "replacing",
        })
    }
}

#[cfg(test)]
mod tests;
