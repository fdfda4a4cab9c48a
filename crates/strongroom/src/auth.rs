//! Bearer tokens that a service is asked with: read by the standards, compared in constant time.
//!
//! A service holds its token as a [`LiveSecret`](crate::LiveSecret) and asks a [`BearerVerifier`] about each
//! request (feature `auth`); for axum and its kin there is a [`BearerLayer`] (feature `tower`). Services of
//! other kinds read the header by [`parse_bearer`] and compare by
//! [`LiveSecret::verify`](crate::Live::verify).
//!
//! | what a request brings | answer |
//! |---|---|
//! | the token in force, or the former one during an overlap | the request goes on |
//! | no `Authorization`, or another scheme | 401 |
//! | anything else: a wrong token, a malformed or repeated header | 401, and it counts as a failure |
//! | whatever, after too many failures of this client | 429, and nothing is compared |
//! | a token while the secret can't be handed out | 503 |
//!
//! The answers say no more than that. What was wrong is in the log of the service, at WARN, with the
//! [fingerprint](crate::Secret::fingerprint) of the token in force and the client; of a refused token
//! nothing is logged, not even a hash: it may be the password of another system, typed into the wrong
//! field. A refused token never leads to a reading of the secret, so that nobody drives the
//! calls to the backend by guessing.

mod header;

#[cfg(feature = "auth")]
mod client;
#[cfg(feature = "auth")]
mod failures;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "auth")]
mod refusal;
#[cfg(feature = "auth")]
mod verifier;

pub use header::{BearerFault, BearerToken, MAX_BEARER_BYTES, parse_bearer};

#[cfg(feature = "auth")]
pub use client::ClientKey;
#[cfg(feature = "auth")]
pub use failures::FailureLimit;
#[cfg(feature = "tower")]
pub use layer::{BearerLayer, BearerService, ResponseFuture, health_response};
#[cfg(feature = "auth")]
pub use refusal::Refusal;
#[cfg(feature = "auth")]
pub use verifier::{BearerVerifier, Matched, Verified};
