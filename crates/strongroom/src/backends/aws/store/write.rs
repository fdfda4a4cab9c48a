//! The calls that change a secret as a whole. AWS has no compare-and-set for values; moving the label
//! of the version in force is one, since that names the version it is taken from.

use aws_sdk_secretsmanager::Client as Aws;
use aws_sdk_secretsmanager::primitives::Blob;
use zeroize::Zeroizing;

use super::{ATTEMPTS, CURRENT, Described, PENDING, Store};
use crate::backends::aws::failure::{
    EXISTS, Failure, INVALID_PARAMETER, INVALID_REQUEST, NOT_FOUND,
};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::Expect;
use crate::random;
use crate::secret::{Secret, Version};

/// The label of a version that is written and not yet in force.
const OURS: &str = "STRONGROOM-WRITING";

/// What became of a write.
pub(super) enum Written {
    Version(Version),
    /// Something else is there than was expected.
    Conflict(&'static str),
}

/// A value as AWS takes it: text, or else bytes. What a call is given of it is the SDK's, and not wiped.
pub(super) struct Content {
    text: Option<Zeroizing<String>>,
    binary: Option<Zeroizing<Vec<u8>>>,
}

impl Content {
    /// Takes a value over.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if AWS holds no such value.
    pub(super) fn new(value: &Secret) -> Result<Self> {
        if value.is_empty() {
            let message = "AWS Secrets Manager holds no empty value";
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        // EXPOSES: to a copy for a request of AWS's client, which is wiped
        let text = value.expose_str().ok();
        let text = text.map(|text| Zeroizing::new(text.to_owned()));
        let binary = match text {
            Some(_) => None,
            // EXPOSES: to a copy for a request of AWS's client, which is wiped
            None => Some(Zeroizing::new(value.expose_bytes().to_vec())),
        };
        Ok(Self { text, binary })
    }

    fn text(&self) -> Option<String> {
        self.text.as_deref().cloned()
    }

    fn binary(&self) -> Option<Blob> {
        self.binary.as_deref().cloned().map(Blob::new)
    }
}

impl Store {
    /// Writes a secret as a whole, if what is there is what is expected.
    pub(super) async fn write(
        &self,
        id: &str,
        content: &Content,
        expect: &Expect,
    ) -> Result<Written> {
        let token = token()?;
        for _ in 0..ATTEMPTS {
            let written = match expect {
                Expect::Version(version) => {
                    return self.replace(id, content, &token, Some(version)).await;
                }
                Expect::Any => self.write_version(id, content, &token, CURRENT).await,
                _ => self.create(id, content, &token).await,
            };
            let failure = match written {
                Ok(version) => return Ok(Written::Version(version)),
                Err(failure) => failure,
            };
            let absent = failure.is(NOT_FOUND);
            if absent && *expect == Expect::Any {
                match self.create(id, content, &token).await {
                    Ok(version) => return Ok(Written::Version(version)),
                    // Somebody else created it just now.
                    Err(failure) if failure.is(EXISTS) => continue,
                    Err(failure) => return Err(failure.error),
                }
            }
            let described = match failure {
                failure if failure.is(INVALID_REQUEST) || failure.is(EXISTS) => {
                    match self.describe(id).await {
                        Ok(described) => described,
                        // It is gone for good meanwhile.
                        Err(failure) if failure.is(NOT_FOUND) => continue,
                        Err(failure) => return Err(failure.error),
                    }
                }
                failure => return Err(failure.error),
            };
            match (described.deleted, described.current) {
                (Some(_), was) => match self.write_over(id, content, &token, was).await? {
                    Written::Conflict(_) if *expect == Expect::Any => continue,
                    written => return Ok(written),
                },
                // A first attempt whose answer was lost had created it.
                (None, Some(now)) if now.as_str() == token => return Ok(Written::Version(now)),
                // Other tools create a secret first, and leave its value to us.
                (None, None) if *expect == Expect::Absent => {
                    return self.replace(id, content, &token, None).await;
                }
                (None, _) if *expect == Expect::Absent => {
                    return Ok(Written::Conflict("the secret exists already"));
                }
                _ => return Err(failure_of_state(&self.doing("PutSecretValue", id))),
            }
        }
        Err(contended())
    }

    /// Writes over a secret that is scheduled for deletion: AWS takes no value for it before it is
    /// restored. If the value isn't taken then, it is deleted again.
    async fn write_over(
        &self,
        id: &str,
        content: &Content,
        token: &str,
        was: Option<Version>,
    ) -> Result<Written> {
        self.bring_back(id).await?;
        let written = self.replace(id, content, token, was.as_ref()).await;
        if written.is_err()
            && let Ok(now) = self.describe(id).await
            && now.deleted.is_none()
            && now.current == was
        {
            // The error of the write matters more than one of clearing up.
            let _ = self.remove(id).await;
        }
        written
    }

    /// Writes a new version, and puts it in force only if the expected one still is; or none, where a
    /// secret has no value yet.
    async fn replace(
        &self,
        id: &str,
        content: &Content,
        token: &str,
        expected: Option<&Version>,
    ) -> Result<Written> {
        const CHANGED: Written = Written::Conflict("the secret was changed since it was read");
        const DELETED: Written = Written::Conflict("the secret was deleted since it was read");
        match self.describe(id).await {
            Ok(now) if now.deleted.is_some() => return Ok(DELETED),
            Ok(now) if now.current.as_ref() == expected => {}
            Ok(_) => return Ok(CHANGED),
            Err(failure) if failure.is(NOT_FOUND) => return Ok(DELETED),
            Err(failure) => return Err(failure.error),
        }
        let version = match self.write_version(id, content, token, OURS).await {
            Ok(version) => version,
            Err(failure) if failure.is(NOT_FOUND) => return Ok(DELETED),
            Err(failure) if failure.is(INVALID_REQUEST) => {
                return match self.describe(id).await {
                    Ok(now) if now.deleted.is_some() => Ok(DELETED),
                    _ => Err(failure_of_state(&self.doing("PutSecretValue", id))),
                };
            }
            Err(failure) => return Err(failure.error),
        };
        let moved = self.move_current(id, expected, &version).await;
        // Without its label AWS forgets a version by itself, so that no failure here matters.
        let _ = self.take_label(id, OURS, &version).await;
        match moved? {
            true => Ok(Written::Version(version)),
            false => Ok(CHANGED),
        }
    }

    /// Moves the label of the version in force, or sets it where none has it. Answers `false` if another
    /// one is in force by now.
    pub(super) async fn move_current(
        &self,
        id: &str,
        from: Option<&Version>,
        to: &Version,
    ) -> Result<bool> {
        let what = self.doing("UpdateSecretVersionStage", id);
        let send = |aws: &Aws| {
            aws.update_secret_version_stage()
                .secret_id(id)
                .version_stage(CURRENT)
                .set_remove_from_version_id(from.map(|from| from.as_str().to_owned()))
                .move_to_version_id(to.as_str())
                .send()
        };
        let failure = match self.client.call(&what, send).await {
            Ok(_) => return Ok(true),
            Err(failure) => failure,
        };
        let unclear = failure.may_have_happened() || failure.is(INVALID_PARAMETER);
        if !unclear && !failure.is(INVALID_REQUEST) {
            return Err(failure.error);
        }
        match self.describe(id).await {
            Ok(now) if now.current.as_ref() == Some(to) => Ok(true),
            Ok(now) if now.current.as_ref() != from => Ok(false),
            _ => Err(failure.error),
        }
    }

    /// Writes a version that AWS should know by `token`, with this label.
    async fn write_version(
        &self,
        id: &str,
        content: &Content,
        token: &str,
        label: &str,
    ) -> Result<Version, Failure> {
        let what = self.doing("PutSecretValue", id);
        let send = |aws: &Aws| {
            aws.put_secret_value()
                .secret_id(id)
                .client_request_token(token)
                .set_secret_string(content.text())
                .set_secret_binary(content.binary())
                .version_stages(label)
                .send()
        };
        let answer = self.client.call_with_token(&what, send).await?;
        Ok(Version::new(
            answer.version_id.unwrap_or_else(|| token.to_owned()),
        ))
    }

    async fn create(&self, id: &str, content: &Content, token: &str) -> Result<Version, Failure> {
        if id.starts_with("arn:") {
            let message = format!("{}: there is no secret `{id}`", self.settings.shown);
            let error = Error::new(ErrorKind::Absent, message);
            return Err(error
                .with_help("AWS gives ARNs; create a secret by its name")
                .into());
        }
        let what = self.doing("CreateSecret", id);
        let send = |aws: &Aws| {
            aws.create_secret()
                .name(id)
                .client_request_token(token)
                .set_secret_string(content.text())
                .set_secret_binary(content.binary())
                .send()
        };
        let answer = self.client.call_with_token(&what, send).await?;
        Ok(Version::new(
            answer.version_id.unwrap_or_else(|| token.to_owned()),
        ))
    }

    /// Writes a version that waits until it is promoted.
    pub(super) async fn write_pending(
        &self,
        id: &str,
        content: &Content,
        expect: &Expect,
    ) -> Result<Written> {
        let now = match self.describe(id).await {
            Ok(now) if now.deleted.is_some() => return Err(self.gone(id, now.deleted)),
            Ok(now) if now.current.is_some() => now,
            Err(failure) if !failure.is(NOT_FOUND) => return Err(failure.error),
            // AWS puts a first value in force at once.
            _ => {
                let error = self.nothing(id);
                return Err(error.with_help("the first value of a secret can't wait: write it"));
            }
        };
        match expect {
            Expect::Any => {}
            Expect::Version(version) if now.current.as_ref() == Some(version) => {}
            _ => return Ok(Written::Conflict("another version is in force")),
        }
        let written = self.write_version(id, content, &token()?, PENDING).await;
        Ok(Written::Version(written.map_err(|failure| failure.error)?))
    }

    pub(super) async fn take_label(
        &self,
        id: &str,
        label: &str,
        from: &Version,
    ) -> Result<(), Failure> {
        let what = self.doing("UpdateSecretVersionStage", id);
        let send = |aws: &Aws| {
            aws.update_secret_version_stage()
                .secret_id(id)
                .version_stage(label)
                .remove_from_version_id(from.as_str())
                .send()
        };
        self.client.call(&what, send).await.map(drop)
    }

    /// Schedules a secret for deletion. Never without the time in which it can be brought back.
    pub(super) async fn remove(&self, id: &str) -> Result<(), Failure> {
        let what = self.doing("DeleteSecret", id);
        let send = |aws: &Aws| {
            aws.delete_secret()
                .secret_id(id)
                .recovery_window_in_days(self.settings.recovery_days)
                .send()
        };
        self.client.call(&what, send).await.map(drop)
    }

    pub(super) async fn bring_back(&self, id: &str) -> Result<(), Failure> {
        let what = self.doing("RestoreSecret", id);
        let send = |aws: &Aws| aws.restore_secret().secret_id(id).send();
        self.client.call(&what, send).await.map(drop)
    }
}

impl Described {
    /// The version in force, unless the secret is deleted.
    pub(super) fn in_force(&self) -> Option<&Version> {
        self.current.as_ref().filter(|_| self.deleted.is_none())
    }
}

fn failure_of_state(what: &str) -> Error {
    let message = format!("{what}: the secret's state doesn't allow it");
    Error::new(ErrorKind::Denied, message)
        .with_help("another service of AWS may manage it: change it there")
}

pub(super) fn contended() -> Error {
    let message = "other writers came first, again and again";
    Error::new(ErrorKind::Transient, message).with_help("try again when they are done")
}

/// A random id that AWS knows a write by, and that names the version it makes.
///
/// # Errors
/// [`ErrorKind::Transient`] if the system gives no random bytes.
fn token() -> Result<String> {
    let mut random = random::array::<16>()?;
    // The bits of a random UUID.
    if let Some(byte) = random.get_mut(6) {
        *byte = (*byte & 0x0f) | 0x40;
    }
    if let Some(byte) = random.get_mut(8) {
        *byte = (*byte & 0x3f) | 0x80;
    }
    let hex = base16ct::lower::encode_string(&random);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_random_uuid() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_ne!(one, other);
        assert!(super::super::could_be(&Version::new(one.as_str())));
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'));
    }

    #[test]
    fn text_and_bytes_are_never_both() {
        let text = Content::new(&Secret::from_text("text")).unwrap();
        assert!(text.text.is_some() && text.binary.is_none());
        let bytes = Content::new(&Secret::from_bytes(vec![0xff, 0])).unwrap();
        assert!(bytes.text.is_none() && bytes.binary.is_some());
        let empty = Content::new(&Secret::from_text("")).err().unwrap();
        assert_eq!(empty.kind(), ErrorKind::Malformed);
    }
}
