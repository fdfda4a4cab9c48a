//! Who we are to Vault at the moment, and what becomes of a request that Vault refuses.

use std::sync::Arc;

use http::HeaderValue;
use rustify::Endpoint;

use super::answer::Answer;
use super::transport::{Transport, token_header};
use super::variables;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// One login, shared by every request.
#[derive(Debug)]
pub(super) struct Session {
    transport: Arc<Transport>,
}

impl Session {
    /// Prepares it. Sends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if how to log in can't be understood.
    pub(super) fn new(transport: Arc<Transport>) -> Result<Self> {
        Ok(Self { transport })
    }

    /// Sends a request as who we are. `doing` completes "may not": "read the secret".
    ///
    /// Answers with 2xx, 400 and 404 come back; what any other status means is an error.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] if our credential is refused, [`ErrorKind::Denied`] if it is alive and
    /// may not do this, and as [`Answer::refusal`] says.
    pub(super) async fn call(&self, doing: &str, endpoint: &impl Endpoint) -> Result<Answer> {
        let token = self.token()?;
        let answer = self.transport.send(endpoint, Some(&token)).await?;
        match answer.status {
            200..=299 | 400 | 404 => Ok(answer),
            _ => Err(answer.refusal(doing)),
        }
    }

    pub(super) async fn health(&self) -> Result<crate::provider::ProviderHealth> {
        Ok(crate::provider::ProviderHealth::ready())
    }

    pub(super) async fn close(&self) -> Result<()> {
        Ok(())
    }

    fn token(&self) -> Result<HeaderValue> {
        let token = variables::value(&self.transport.connect().env, "TOKEN")?;
        let none = || Error::new(ErrorKind::Auth, "there is no token for Vault");
        token_header(&Secret::from_text(token.ok_or_else(none)?))
    }
}
