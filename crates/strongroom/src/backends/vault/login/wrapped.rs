//! A secret id that comes wrapped: the file holds a token that yields it once, to one reader.

use rustify::enums::RequestMethod;
use tokio::sync::Mutex;

use super::grant::text;
use super::source::Source;
use crate::backends::vault::answer::Answer;
use crate::backends::vault::raw::{Raw, object};
use crate::backends::vault::transport::{Transport, token_header};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

pub(super) struct Wrapped {
    source: Source,
    /// The path that must have wrapped it. Anybody can wrap something of their own.
    creation_path: String,
    /// The wrapping token that was spent last, and what was in it.
    unwrapped: Mutex<Option<(Secret, Secret)>>,
}

impl Wrapped {
    pub(super) fn new(source: Source, creation_path: String) -> Self {
        let unwrapped = Mutex::new(None);
        Self {
            source,
            creation_path,
            unwrapped,
        }
    }

    /// The secret id: unwrapped now, or kept since, unless the file holds another token.
    pub(super) async fn secret_id(&self, transport: &Transport) -> Result<Secret> {
        let token = self.source.read(transport.connect()).await?;
        let mut unwrapped = self.unwrapped.lock().await;
        if let Some((spent, secret_id)) = &*unwrapped
            // EXPOSES: to the comparison with a token that was used, in constant time
            && spent.verify(token.expose_bytes())
        {
            return Ok(secret_id.clone());
        }
        self.check_origin(transport, &token).await?;
        let request = Raw::new(RequestMethod::POST, "sys/wrapping/unwrap");
        let mut answer = transport
            .send(&request, Some(&token_header(&token)?))
            .await?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        let secret_id = text(&answer.tree()?, &["data", "secret_id"]).ok_or_else(|| {
            let message = format!("what {} wraps is no secret id", self.source);
            Error::new(ErrorKind::Malformed, message)
        })?;
        let secret_id = Secret::from_utf8_or_bytes(secret_id);
        *unwrapped = Some((token, secret_id.clone()));
        Ok(secret_id)
    }

    /// Looks at the wrapping, which does not spend it.
    async fn check_origin(&self, transport: &Transport, token: &Secret) -> Result<()> {
        // EXPOSES: to the body of the request, which is wiped
        let body = object(&[("token", token.expose_str()?)]);
        let request = Raw::new(RequestMethod::POST, "sys/wrapping/lookup").with_body(body);
        let mut answer = transport.send(&request, None).await?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        let found = text(&answer.tree()?, &["data", "creation_path"]).unwrap_or_default();
        if found.as_slice() == self.creation_path.as_bytes() {
            return Ok(());
        }
        let message = format!(
            "the wrapping token in {} was not made by {}: somebody may have put another in its place",
            self.source, self.creation_path
        );
        Err(Error::new(ErrorKind::Auth, message).with_help(
            "find out who wrote it, have a new one made, and check `wrapped_by` in the address",
        ))
    }

    fn refused(&self, answer: &Answer) -> Error {
        match answer.status {
            400 | 403 | 404 if answer.is_vaults_refusal() => {
                let message = format!(
                    "the wrapping token in {} is spent or expired: somebody else may have unwrapped \
                     the secret id",
                    self.source
                );
                Error::new(ErrorKind::Auth, message).with_help(
                    "unless it only ran out or was used by an earlier start of this program, destroy \
                     the secret id; then have a new one wrapped",
                )
            }
            _ => answer.refusal("unwrap the secret id"),
        }
    }
}
