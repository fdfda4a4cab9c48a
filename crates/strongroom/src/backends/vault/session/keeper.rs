//! The task that keeps one token alive, and gets the next one in time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use vaultrs::api::token::requests::RenewTokenSelfRequest;

use super::Inner;
use super::life::{Step, chance};
use super::token::{Moment, Token};
use crate::backends::vault::login::lease;
use crate::error::{Error, ErrorKind, Result};

/// How long it sleeps at most: a machine that was suspended finds out then.
const LONGEST_SLEEP: Duration = Duration::from_secs(15);

/// Attends to a token until the session is gone or has another one, which has a keeper of its own.
pub(super) async fn keep(session: Weak<Inner>, mut token: Arc<Token>) {
    let mut failures = 0_u32;
    loop {
        let step = token.life.next(token.age(), failures, chance());
        let (Step::Renew(wait) | Step::Replace(wait)) = step else {
            return;
        };
        sleep(wait).await;
        let Some(session) = session.upgrade() else {
            return;
        };
        let outcome = match step {
            Step::Renew(_) => session.renew(&token).await.map(Some),
            _ => session.replace(Some(&token)).await.map(|_| None),
        };
        match outcome {
            Ok(Some(renewed)) => (token, failures) = (renewed, 0),
            Ok(None) => return,
            Err(error) => {
                failures = failures.saturating_add(1);
                let kind = error.kind();
                tracing::warn!(%kind, %error, failures, "our token for Vault was not extended");
            }
        }
    }
}

/// Sleeps by both clocks of a [`Moment`].
pub(in crate::backends::vault) async fn sleep(wait: Duration) {
    let begun = Moment::now();
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}

impl Inner {
    /// Renews a token, and puts what became of it in its place. One that Vault won't renew any more
    /// comes back as such.
    async fn renew(&self, token: &Arc<Token>) -> Result<Arc<Token>> {
        let asked = Moment::now();
        // No time is asked for: what a token gets is its role's to say.
        let request = RenewTokenSelfRequest { increment: None };
        let mut answer = self.send(&request, token).await?;
        let renewed = match answer.status {
            200 => {
                let (ttl, renewable) = lease(&answer.tree()?).ok_or_else(|| {
                    let message = "Vault's renewal of our token has no duration";
                    Error::new(ErrorKind::Malformed, message)
                })?;
                token.renewed(ttl, renewable, asked)
            }
            400 | 403 if answer.is_vaults_refusal() => token.unrenewable(),
            _ => return Err(answer.refusal("renew our token")),
        };
        let renewed = Arc::new(renewed);
        let mut state = self.lock();
        if let Some(current) = &mut state.token
            && Arc::ptr_eq(current, token)
        {
            *current = Arc::clone(&renewed);
        }
        Ok(renewed)
    }
}
