//! Where a rotated secret lives, and what is there.

use super::{
    Arc, Error, ErrorKind, Method, Pending, Result, Secret, SecretProvider, Stage, Target,
};
use crate::provider::{Reply, Request};

/// A provider, and what to ask it for.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) provider: Arc<dyn SecretProvider>,
    pub(super) target: Target,
}

/// What one look at a place found.
pub(super) struct Found {
    pub(super) current: Secret,
    pub(super) method: Method,
    pub(super) pending: Option<Pending>,
}

impl Place {
    /// Looks at what is in force and what is pending, in one call.
    pub(super) async fn look(&self) -> Result<Found> {
        let pending = |target: Target| Request::new(target).with_stage(Stage::Pending);
        let mut wanted = vec![
            Request::new(self.target.clone()),
            pending(self.target.clone()),
        ];
        // Another rotation may have changed another field of the same document.
        wanted.extend(self.document().map(pending));
        let mut answers = self.provider.fetch(&wanted).await.into_iter();
        let mut next = || value(answers.next());
        let current = next().map_err(|error| match error.kind() {
            ErrorKind::Absent => {
                error.with_help("there is nothing to rotate yet; `strongroom generate` creates it")
            }
            _ => error,
        })?;
        let field = match next() {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return Ok(Found {
                    current,
                    method: Method::Replacing,
                    pending: None,
                });
            }
            field => present(field)?,
        };
        let document = match wanted.len() {
            2 => None,
            _ => present(next())?,
        };
        let version = field.as_ref().or(document.as_ref());
        let version = version.and_then(|pending| pending.metadata().version());
        // The label may stay on a version after it was put in force.
        let version = version.filter(|version| current.metadata().version() != Some(version));
        let pending = version.cloned().map(|version| Pending {
            version,
            value: field,
        });
        Ok(Found {
            current,
            method: Method::Staged,
            pending,
        })
    }

    /// Reads one version, as the backend holds it.
    pub(super) async fn read(&self, stage: Stage) -> Result<Secret> {
        let request = Request::new(self.target.clone()).with_stage(stage);
        value(self.provider.fetch(&[request]).await.pop())
    }

    /// Reports whether the target is a field of a document.
    pub(super) fn is_field(&self) -> bool {
        self.document().is_some()
    }

    /// The document that the target is a field of.
    fn document(&self) -> Option<Target> {
        let Target {
            name, id, field, ..
        } = &self.target;
        match (id, field) {
            (Some(id), Some(_)) => Some(Target::new(name.clone()).with_id(id, None)),
            (None, _) if name.field().is_some() => Some(Target::new(name.path().parse().ok()?)),
            _ => None,
        }
    }
}

fn value(answer: Option<Result<Reply>>) -> Result<Secret> {
    match answer {
        Some(Ok(Reply::Value(secret))) => Ok(secret),
        Some(Err(error)) => Err(error),
        Some(Ok(Reply::Unchanged)) | None => {
            let message = "the provider gave no answer for it";
            Err(Error::new(ErrorKind::Malformed, message))
        }
    }
}

fn present(answer: Result<Secret>) -> Result<Option<Secret>> {
    match answer {
        Ok(secret) => Ok(Some(secret)),
        Err(error) if error.kind() == ErrorKind::Absent => Ok(None),
        Err(error) => Err(error),
    }
}

/// Compares two values in constant time. Two empty ones are the same.
pub(super) fn same(a: &Secret, b: &Secret) -> bool {
    // EXPOSES: to a comparison in constant time
    a.verify(b.expose_bytes()) || (a.is_empty() && b.is_empty())
}

/// Reports whether a failed write may have happened, and only lost its answer.
pub(super) fn may_have_happened(error: &Error) -> bool {
    error.is_retryable() && !error.had_no_effect()
}
