//! One login at a time, however many wait for it, and no storm of them against a server that fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::life::{back_off, chance};
use super::token::{Moment, Token};
use super::{Inner, State, keeper};
use crate::backends::vault::login::Granted;
use crate::error::{Error, ErrorKind, Result};

/// What a login came to, for everybody who waited.
pub(super) type Outcome = Result<Arc<Token>, Failure>;

/// An error that many get.
#[derive(Clone)]
pub(super) struct Failure {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    retry_after: Option<Duration>,
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            help: error.help().map(str::to_owned),
            retry_after: error.retry_after(),
        }
    }

    /// Who waited for the login has sent nothing yet.
    fn error(self) -> Error {
        let mut error = Error::new(self.kind, self.message).with_no_effect();
        if let Some(wait) = self.retry_after {
            error = error.with_retry_after(wait);
        }
        match self.help {
            Some(help) => error.with_help(help),
            None => error,
        }
    }
}

/// Logins failed, and until some time has passed nobody tries again.
pub(super) struct HeldBack {
    failure: Failure,
    failures: u32,
    since: Moment,
    wait: Duration,
}

impl HeldBack {
    pub(super) fn message(&self) -> &str {
        &self.failure.message
    }

    /// The failure once more, while it is too early to try again.
    fn failure(&self) -> Option<Failure> {
        let left = self.wait.checked_sub(self.since.elapsed())?;
        let retry_after = Some(left.max(self.failure.retry_after.unwrap_or_default()));
        Some(Failure {
            retry_after,
            ..self.failure.clone()
        })
    }
}

impl Inner {
    /// Gets the token that comes after `old`: the one in force if it is another, else by a login.
    ///
    /// The login runs in a task of its own: who stops waiting for it takes it from nobody.
    ///
    /// # Errors
    /// That of the login, also for who comes shortly after one that failed.
    pub(super) async fn replace(self: &Arc<Self>, old: Option<&Arc<Token>>) -> Result<Arc<Token>> {
        let mut flight = {
            let mut state = self.lock();
            if state.closed {
                return Err(closed());
            }
            let replaced = |token: &Token| old.is_none_or(|old| old.generation != token.generation);
            if let Some(token) = &state.token
                && replaced(token)
                && !token.is_over()
            {
                return Ok(Arc::clone(token));
            }
            let too_early = state.held_back.as_ref().and_then(HeldBack::failure);
            match (&state.flight, too_early) {
                (Some(flight), _) => flight.clone(),
                (None, Some(failure)) => return Err(failure.error()),
                (None, None) => self.take_off(&mut state),
            }
        };
        let outcome = match flight.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        outcome
            .unwrap_or_else(|| Err(self.interrupted()))
            .map_err(Failure::error)
    }

    fn take_off(self: &Arc<Self>, state: &mut State) -> watch::Receiver<Option<Outcome>> {
        let (sender, receiver) = watch::channel(None);
        state.flight = Some(receiver.clone());
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let asked = Moment::now();
            let outcome = match session.login.log_in(&session.transport).await {
                Ok(granted) => session.land(granted, asked).await,
                Err(error) => Err(session.fail(&error)),
            };
            // Nobody may be waiting any more.
            let _ = sender.send(Some(outcome));
        });
        receiver
    }

    async fn land(self: &Arc<Self>, granted: Granted, asked: Moment) -> Outcome {
        let (token, closed_meanwhile) = {
            let mut state = self.lock();
            state.flight = None;
            state.held_back = None;
            // A token that was given to us may be found unchanged, and its leases live on.
            let old = state.token.as_ref();
            if old.is_none_or(|old| old.header != granted.header) {
                state.generation = state.generation.saturating_add(1);
            }
            let token = Arc::new(Token::new(granted, state.generation, asked));
            if !state.closed {
                state.token = Some(Arc::clone(&token));
                let keeper = keeper::keep(Arc::downgrade(self), Arc::clone(&token));
                let keeper = tokio::spawn(keeper).abort_handle();
                if let Some(old) = state.keeper.replace(keeper) {
                    old.abort();
                }
            }
            (token, state.closed)
        };
        if !closed_meanwhile {
            tracing::debug!(login = %self.login.describe(), "logged in to Vault");
            return Ok(token);
        }
        match self.revoke(&token).await {
            Ok(()) => Err(Failure::of(&closed())),
            Err(error) => Err(Failure::of(&error)),
        }
    }

    fn fail(&self, error: &Error) -> Failure {
        let mut state = self.lock();
        state.flight = None;
        let failures = state.held_back.as_ref().map_or(0, |held| held.failures);
        let failures = failures.saturating_add(1);
        let held = HeldBack {
            failure: Failure::of(error),
            failures,
            since: Moment::now(),
            wait: back_off(failures, chance()),
        };
        let failure = held.failure().unwrap_or_else(|| Failure::of(error));
        state.held_back = Some(held);
        failure
    }

    /// The task is gone without a word, as with its runtime.
    fn interrupted(&self) -> Failure {
        self.lock().flight = None;
        let message = "the login to Vault was interrupted";
        Failure::of(&Error::new(ErrorKind::Transient, message))
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the connection to Vault was closed")
}
