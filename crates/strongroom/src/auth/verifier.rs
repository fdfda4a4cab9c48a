//! From the headers of a request to a decision.

use std::sync::Arc;

use super::failures::Failures;
use super::header::{is_b64token, only};
use super::{BearerFault, ClientKey, FailureLimit, Refusal, parse_bearer};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::live::LiveSecret;
use crate::name::SecretName;
use crate::secret::{Fingerprint, Secret};

/// Decides whether requests carry the token of a service.
///
/// Cheap to clone; clones count failures together. The token is compared in constant time with the
/// current value and, during the overlap of a rotation, with the former one.
///
/// A client that failed too often ([`FailureLimit`]) is refused before anything is compared, and so is the
/// right token from its address until the time that the refusal names has passed. If the right token were let
/// through, a guesser would see at full speed which guess is right. Clients behind one address share
/// their limit; who lets them in through a proxy gives each a [`ClientKey`] of its own.
///
/// ```
/// use std::net::IpAddr;
/// use strongroom::auth::{BearerVerifier, Matched, Refusal};
/// use strongroom::{Live, Secret};
///
/// let verifier = BearerVerifier::new(Live::fixed(Secret::from_text("mF_9.B5f-4.1JqM")))?;
/// let client: IpAddr = "192.0.2.7".parse()?;
///
/// let verified = verifier.verify(client, ["Bearer mF_9.B5f-4.1JqM"])?;
/// assert_eq!(verified.matched(), Matched::Current);
/// assert_eq!(verifier.verify(client, ["Bearer guess"]).unwrap_err(), Refusal::Invalid);
/// assert_eq!(verifier.verify(client, [""; 0]).unwrap_err(), Refusal::Missing);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BearerVerifier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tokens: Vec<LiveSecret>,
    failures: Failures,
    /// How often it is logged that a value can't be handed out, which is no failure of a client.
    complaints: Failures,
}

/// Which of the values in force a token was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matched {
    /// The current one.
    Current,
    /// The former one, whose overlap will end: its client should take up the current one.
    Previous,
}

impl Matched {
    /// Returns a stable lower-case word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// What is known of a request that brought a token in force. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    matched: Matched,
    secret: Option<SecretName>,
    fingerprint: Option<Fingerprint>,
}

impl Verified {
    /// Returns which of the values in force the token was.
    pub fn matched(&self) -> Matched {
        self.matched
    }

    /// Returns the name of the secret that matched, where it has one.
    pub fn secret(&self) -> Option<&SecretName> {
        self.secret.as_ref()
    }

    /// Returns the fingerprint of the value that matched, where it has one.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }
}

impl BearerVerifier {
    /// Makes a verifier with the default [`FailureLimit`].
    ///
    /// # Errors
    /// As [`with_limit`](Self::with_limit).
    pub fn new(token: LiveSecret) -> Result<Self> {
        Self::with_limit([token], FailureLimit::default())
    }

    /// Makes a verifier of requests that carry any of these tokens, one for each of several clients for
    /// example. Each is compared with all, so that the time taken doesn't tell which one matched.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`] for a value that no `Authorization: Bearer` can carry,
    /// [`ErrorKind::Config`] without any token, and as [`Live::with`](crate::Live::with) for a value
    /// that can't be handed out.
    pub fn with_limit(
        tokens: impl IntoIterator<Item = LiveSecret>,
        limit: FailureLimit,
    ) -> Result<Self> {
        let tokens: Vec<_> = tokens.into_iter().collect();
        if tokens.is_empty() {
            let message = "a verifier of bearer tokens was given no token";
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("give it what `Secrets::watch` returns"));
        }
        for token in &tokens {
            token.with(carriable)??;
        }
        Ok(Self::of(tokens, limit, Clock::default()))
    }

    fn of(tokens: Vec<LiveSecret>, limit: FailureLimit, clock: Clock) -> Self {
        let shared = Arc::new(Shared {
            tokens,
            failures: Failures::new(limit, clock.clone()),
            complaints: Failures::new(limit, clock),
        });
        Self { shared }
    }

    /// Decides about a request of this client with all its `Authorization` headers.
    ///
    /// Looks only at what is held: it never reads from the backend.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    pub fn verify<H: AsRef<[u8]>>(
        &self,
        client: impl Into<ClientKey>,
        authorization: impl IntoIterator<Item = H>,
    ) -> Result<Verified, Refusal> {
        let client = client.into();
        let header = only(authorization);
        let token = header
            .as_ref()
            .map_err(|fault| *fault)
            .and_then(parse_bearer);
        if let Err(BearerFault::Missing | BearerFault::OtherScheme) = token {
            tracing::debug!(%client, "a request without a bearer token was refused");
            return Err(Refusal::Missing);
        }
        if let Err(retry_after) = self.shared.failures.look(client) {
            tracing::debug!(%client, "a request was refused unheard: too many failures");
            return Err(Refusal::Limited { retry_after });
        }
        let found = match token {
            // EXPOSES: what a client sent, to the comparison in constant time
            Ok(token) => self.compare(token.expose_bytes(), client)?,
            Err(fault) => Err(fault.as_str()),
        };
        found.map_err(|why| self.refuse(client, why))
    }

    /// Compares with every value in force. What is unknown is not refused, but unavailable.
    fn compare(
        &self,
        candidate: &[u8],
        client: ClientKey,
    ) -> Result<Result<Verified, &'static str>, Refusal> {
        let mut matching = None;
        let mut unavailable = None;
        for token in &self.shared.tokens {
            let (current, previous) = (token.current(), token.previous());
            let matches = |value: &Arc<Secret>| value.verify(candidate);
            let is_current = current.as_ref().is_ok_and(matches);
            let is_previous = previous.as_ref().is_some_and(matches);
            match current {
                // Without a current value nothing is in force, whatever an overlap says.
                Err(error) => unavailable = Some(error),
                Ok(current) if is_current => matching = Some((Matched::Current, current)),
                Ok(_) if is_previous => {
                    matching = previous.map(|previous| (Matched::Previous, previous));
                }
                Ok(_) => {}
            }
        }
        match (matching, unavailable) {
            (Some((matched, secret)), _) => Ok(Ok(accept(matched, &secret, client))),
            (None, None) => Ok(Err("wrong token")),
            (None, Some(error)) => {
                // Whoever asks often is not to fill the log.
                if self.shared.complaints.count(ClientKey::UNKNOWN).is_ok() {
                    tracing::error!(%client, "a bearer token could not be verified: {error}");
                }
                Err(Refusal::Unavailable)
            }
        }
    }

    /// Counts and logs a failure. What is logged is bounded by what is counted.
    fn refuse(&self, client: ClientKey, why: &'static str) -> Refusal {
        if let Err(retry_after) = self.shared.failures.count(client) {
            return Refusal::Limited { retry_after };
        }
        for token in &self.shared.tokens {
            let in_force = token.current().ok();
            let in_force = in_force.as_deref();
            let name = in_force.and_then(|secret| secret.metadata().name());
            let fingerprint = in_force.and_then(Secret::fingerprint);
            tracing::warn!(
                %client,
                why,
                secret = name.map(tracing::field::display),
                in_force = fingerprint.map(tracing::field::display),
                "a bearer token was refused"
            );
        }
        Refusal::Invalid
    }
}

fn accept(matched: Matched, secret: &Secret, client: ClientKey) -> Verified {
    let verified = Verified {
        matched,
        secret: secret.metadata().name().cloned(),
        fingerprint: secret.fingerprint(),
    };
    tracing::debug!(
        %client,
        secret = verified.secret.as_ref().map(tracing::field::display),
        fingerprint = verified.fingerprint.map(tracing::field::display),
        matched = matched.as_str(),
        "a bearer token was accepted"
    );
    verified
}

/// Looks whether a header could bring this value at all: else every request would be refused for ever.
fn carriable(secret: &Secret) -> Result<()> {
    // EXPOSES: to the grammar of a token, once, before anybody can ask
    if is_b64token(secret.expose_bytes()) && secret.len() <= super::MAX_BEARER_BYTES {
        return Ok(());
    }
    let message = "no Authorization header can carry this value as a bearer token";
    let error = Error::new(ErrorKind::Policy, message).with_help(
        "store a token of at most 8 KiB of letters, digits and -._~+/, with = at its end only",
    );
    Err(match secret.metadata().name() {
        Some(name) => error.with_name(name),
        None => error,
    })
}

#[cfg(test)]
mod tests;
