//! Who we are to AWS: the chain of places where credentials may be, and those that are held.
//!
//! The order is that of AWS's own SDK: variables, profile, web identity, container, instance. The
//! first that is set up decides; if it fails, no other one stands in for it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_secretsmanager::config::{Credentials, ProvideCredentials};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use tokio::sync::Mutex;

use super::settings::Settings;
use crate::backends::Connect;
use crate::backends::files::batch::repeat;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};

pub(super) mod container;
mod roles;
mod sdk;
mod sts;
mod variables;
mod web_identity;

/// How long before their end new credentials are asked for.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// How long after a failure the next attempt comes, while those that are held still work.
const AGAIN: Duration = Duration::from_secs(10);

/// The credentials of one provider. Clones of it are the same one.
#[derive(Clone)]
pub(super) struct Chain(Arc<Inner>);

struct Inner {
    env: Arc<Env>,
    settings: Settings,
    connector: SharedHttpConnector,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The last attempt that gave nothing, and when it ended.
    failed: Option<(Instant, Error)>,
}

/// What is held, and when it is looked for again.
#[derive(Clone)]
struct Held {
    credentials: Credentials,
    from: String,
    renew_at: Option<SystemTime>,
}

/// Credentials, and where they come from, for people.
struct Found {
    credentials: Credentials,
    from: String,
}

impl Chain {
    pub(super) fn new(
        connect: &Connect,
        settings: &Settings,
        connector: SharedHttpConnector,
    ) -> Self {
        Self(Arc::new(Inner {
            env: Arc::clone(&connect.env),
            settings: settings.clone(),
            connector,
            state: Mutex::default(),
        }))
    }

    /// Returns credentials that are valid now: those that are held, or new ones, which one caller
    /// gets for all.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] if there are none, or those that are set up are refused;
    /// [`ErrorKind::Transient`] if they can't be had now; [`ErrorKind::Config`] if they are set up
    /// wrongly.
    pub(super) async fn current(&self) -> Result<Credentials> {
        let asked = Instant::now();
        let State { held, failed } = &mut *self.0.state.lock().await;
        let now = SystemTime::now();
        if let Some(held) = &*held
            && held.renew_at.is_none_or(|at| now < at)
        {
            return Ok(held.credentials.clone());
        }
        // Whoever waited for an attempt that failed doesn't make another one.
        if let Some((at, error)) = &*failed
            && asked < *at
        {
            return Err(repeat(error));
        }
        match self.0.find().await {
            Ok(found) => Ok(held.insert(Held::new(found, now)).credentials.clone()),
            Err(error) => match &mut *held {
                Some(held) if held.lives(now) => {
                    tracing::warn!(kind = %error.kind(), "AWS credentials could not be renewed yet");
                    let again = now.checked_add(AGAIN);
                    held.renew_at = again.min(held.credentials.expiry());
                    Ok(held.credentials.clone())
                }
                _ => {
                    *failed = Some((Instant::now(), repeat(&error)));
                    Err(error)
                }
            },
        }
    }

    /// Looks for credentials again after AWS refused these. Answers whether there are others now.
    ///
    /// # Errors
    /// As [`current`](Self::current).
    pub(super) async fn renew(&self, refused: &Credentials) -> Result<bool> {
        let held = &mut self.0.state.lock().await.held;
        // Somebody else was refused too, and was faster.
        if held
            .as_ref()
            .is_some_and(|held| held.credentials != *refused)
        {
            return Ok(true);
        }
        let found = self.0.find().await?;
        let others = found.credentials != *refused;
        *held = Some(Held::new(found, SystemTime::now()));
        Ok(others)
    }

    /// Says where the credentials come from. Never a value.
    pub(super) async fn describe(&self) -> Result<String> {
        self.current().await?;
        let state = self.0.state.lock().await;
        let held = state.held.as_ref();
        Ok(held.map(|held| held.from.clone()).unwrap_or_default())
    }
}

impl Held {
    fn new(found: Found, now: SystemTime) -> Self {
        let ends = found.credentials.expiry();
        // Of a short life, half is used at least.
        let renew_at = ends.map(|ends| {
            let left = ends.duration_since(now).unwrap_or_default();
            let ahead = AHEAD.min(left.checked_div(2).unwrap_or_default());
            // What seems to be over already, since our clock is wrong, is not asked for at each call.
            match left.is_zero() {
                true => now.checked_add(AGAIN).unwrap_or(now),
                false => ends.checked_sub(ahead).unwrap_or(ends),
            }
        });
        Self {
            credentials: found.credentials,
            from: found.from,
            renew_at,
        }
    }

    fn lives(&self, now: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|ends| now < ends)
    }
}

impl Inner {
    async fn find(&self) -> Result<Found> {
        let found = self.look().await?;
        let given = &found.credentials;
        let token = given.session_token().unwrap_or_default();
        let fits = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        // They become part of headers, for which AWS's client panics on anything else.
        if [given.access_key_id(), given.secret_access_key(), token]
            .into_iter()
            .all(fits)
        {
            return Ok(found);
        }
        let message = format!(
            "the AWS credentials of {} have a character that none of AWS's has",
            found.from
        );
        Err(Error::new(ErrorKind::Config, message)
            .with_help("look for the end of a line at their end"))
    }

    /// Looks in one place after the other.
    async fn look(&self) -> Result<Found> {
        if let Some(found) = variables::find(&self.env)? {
            return Ok(found);
        }
        if let Some(found) = roles::find(self).await? {
            return Ok(found);
        }
        if let Some(found) = web_identity::find(self).await? {
            return Ok(found);
        }
        if let Some(found) = container::find(self).await? {
            return Ok(found);
        }
        if let Some(found) = sdk::instance(self).await? {
            return Ok(found);
        }
        let message = "there are no AWS credentials: not in variables, in a profile, as a web identity, \
                       from a container or from an instance";
        Err(Error::new(ErrorKind::Auth, message).with_help(
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; on AWS, give the \
             service a role",
        ))
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::error::CredentialsError;
        aws_credential_types::provider::future::ProvideCredentials::new(async move {
            let current = self.current().await;
            current.map_err(|_| CredentialsError::not_loaded("see the error before"))
        })
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").finish_non_exhaustive()
    }
}
