//! Who we are to Vault at the moment, and what becomes of a request that Vault refuses.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustify::Endpoint;
use tokio::sync::watch;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RevokeTokenSelfRequest};

use super::answer::Answer;
use super::login::{Login, TokenState, look_up};
use super::transport::Transport;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::ProviderHealth;

mod flight;
pub(super) mod keeper;
pub(super) mod life;
pub(super) mod token;

use flight::{HeldBack, Outcome};
use token::Token;

/// How long the farewell may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long after a login a denial is believed of a token that may not look itself up.
const FRESH: Duration = Duration::from_secs(5);

/// One login, shared by every request.
///
/// It logs in when the first request needs it, and a task of its own then keeps the token alive or
/// gets the next one. The task ends with the session.
pub(super) struct Session(Arc<Inner>);

struct Inner {
    transport: Arc<Transport>,
    login: Login,
    state: Mutex<State>,
    /// Our tokens may not look themselves up, so that one that is refused may still be alive.
    blind: AtomicBool,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// The number of the latest login.
    generation: u64,
    /// The login that is under way.
    flight: Option<watch::Receiver<Option<Outcome>>>,
    held_back: Option<HeldBack>,
    keeper: Option<tokio::task::AbortHandle>,
    closed: bool,
}

impl Session {
    /// Prepares it. Sends nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if how to log in can't be understood.
    pub(super) fn new(transport: Arc<Transport>) -> Result<Self> {
        let login = Login::read(transport.connect())?;
        Ok(Self(Arc::new(Inner {
            transport,
            login,
            state: Mutex::default(),
            blind: AtomicBool::new(false),
        })))
    }

    /// Sends a request as who we are. `doing` completes "may not": "read the secret".
    ///
    /// Answers with 2xx, 400 and 404 come back, but for the 404 of a mount or namespace that is not
    /// there; what any other status means is an error. A token that turns out to be dead is replaced,
    /// and the request is sent once more.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] if our credential is refused, [`ErrorKind::Denied`] if it is alive and
    /// may not do this, [`ErrorKind::Closed`] after [`close`](Self::close), and as
    /// [`Answer::refusal`] says.
    pub(super) async fn call(&self, doing: &str, endpoint: &impl Endpoint) -> Result<Answer> {
        let session = &self.0;
        let first = session.token().await?;
        let answer = session.send(endpoint, &first).await?;
        if !answer.is_denial() {
            return expected(answer, doing);
        }
        let Some(second) = session.instead_of(&first).await? else {
            return Err(answer.refusal(doing));
        };
        let answer = session.send(endpoint, &second).await?;
        if answer.is_denial() {
            session.check_is_alive(&second).await?;
        }
        expected(answer, doing)
    }

    /// Names what we log in with, and where it comes from.
    pub(super) fn describe(&self) -> String {
        self.0.login.describe()
    }

    /// Asks Vault what it knows of our token.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(super) async fn lookup(&self) -> Result<TokenState> {
        let doing = "look our token up";
        let mut answer = self.call(doing, &LookupTokenSelfRequest {}).await?;
        match answer.status {
            200 => TokenState::read(&answer.tree()?),
            _ => Err(answer.refusal(doing)),
        }
    }

    /// Reports whether we are logged in, and whether that will last.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(super) async fn health(&self) -> Result<ProviderHealth> {
        let health = ProviderHealth::ready();
        let health = match self.lookup().await {
            Ok(_) => health,
            // Who may not look itself up is logged in all the same.
            Err(error) if error.kind() == ErrorKind::Denied => health.with_reason(
                "our tokens may not look themselves up, so that one that expired is told from a \
                 denial only by a new login: allow `auth/token/lookup-self`",
            ),
            Err(error) => return Err(error),
        };
        Ok(match &self.0.lock().held_back {
            Some(held) => health.with_reason(format!("the last login failed: {}", held.message())),
            None => health,
        })
    }

    /// A number that changes with every login: leases of an earlier token are gone.
    pub(super) fn generation(&self) -> u64 {
        self.0.lock().generation
    }

    /// Stops the renewal, and revokes the token if we made it by a login. Later calls are refused.
    ///
    /// # Errors
    /// That of the revocation, within seconds. The session is closed all the same.
    pub(super) async fn close(&self) -> Result<()> {
        let (token, flight) = {
            let mut state = self.0.lock();
            state.closed = true;
            if let Some(keeper) = state.keeper.take() {
                keeper.abort();
            }
            (state.token.take(), state.flight.take())
        };
        let farewell = async {
            if let Some(mut flight) = flight {
                // Its own end revokes what it brings.
                let _ = flight.wait_for(Option::is_some).await;
            }
            match token {
                Some(token) => self.0.revoke(&token).await,
                None => Ok(()),
            }
        };
        let late = |_| {
            let shown = &self.0.transport.settings().shown;
            let message = format!("{shown}: our token could not be revoked in time");
            Err(Error::new(ErrorKind::Transient, message)
                .with_help("it ends by itself when its time is over"))
        };
        let left = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
        left.unwrap_or_else(late)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        // A login that is under way revokes what it brings.
        state.closed = true;
        if let Some(keeper) = state.keeper.take() {
            keeper.abort();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("transport", &self.0.transport)
            .field("login", &self.0.login.describe())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, endpoint: &impl Endpoint, token: &Token) -> Result<Answer> {
        self.transport.send(endpoint, Some(&token.header)).await
    }

    /// The token in force, by a login where there is none yet or its time is over.
    async fn token(self: &Arc<Self>) -> Result<Arc<Token>> {
        let token = self.lock().token.clone();
        match token {
            Some(token) if !token.is_over() => Ok(token),
            token => self.replace(token.as_ref()).await,
        }
    }

    /// What to use in place of a token with which a request was denied; `None` if the token is
    /// alive, and the denial is meant.
    async fn instead_of(self: &Arc<Self>, denied: &Arc<Token>) -> Result<Option<Arc<Token>>> {
        let current = self.lock().token.clone();
        if let Some(current) = current
            && current.generation != denied.generation
        {
            return Ok(Some(current));
        }
        let blind = self.blind.load(Ordering::Relaxed);
        if blind && !denied.is_over() && denied.age() < FRESH {
            return Ok(None);
        }
        // Whatever comes of this, the denied request changed nothing.
        let known = look_up(&self.transport, &denied.header).await;
        let known = known.map_err(Error::with_no_effect)?;
        if known.is_some() {
            return Ok(None);
        }
        self.replace(Some(denied)).await.map(Some)
    }

    /// Makes sure that a denial after a new login is one.
    async fn check_is_alive(&self, token: &Token) -> Result<()> {
        let known = look_up(&self.transport, &token.header).await;
        let known = known.map_err(Error::with_no_effect)?;
        match (known.is_some(), token.ours && !token.is_over()) {
            (true, _) => self.blind.store(false, Ordering::Relaxed),
            // We have just got it, so it can't be dead: it may not look itself up.
            (false, true) => self.blind.store(true, Ordering::Relaxed),
            (false, false) => {
                let shown = &self.transport.settings().shown;
                let message = format!("{shown}: one token after the other is refused (403)");
                return Err(Error::new(ErrorKind::Auth, message)
                    .with_help("check how long such tokens live, and who revokes them"));
            }
        }
        Ok(())
    }

    /// Revokes a token that we made. One that was given to us is its giver's.
    async fn revoke(&self, token: &Token) -> Result<()> {
        if !token.ours || token.batch || token.is_over() {
            return Ok(());
        }
        let answer = self.send(&RevokeTokenSelfRequest {}, token).await?;
        match answer.status {
            200..=299 => Ok(()),
            // It is dead already.
            _ if answer.is_denial() => Ok(()),
            _ => Err(answer.refusal("revoke our token")),
        }
    }
}

fn expected(answer: Answer, doing: &str) -> Result<Answer> {
    match answer.status {
        404 if answer.is_of_no_place() => Err(answer.no_place()),
        200..=299 | 400 | 404 => Ok(answer),
        _ => Err(answer.refusal(doing)),
    }
}
