//! What a request that is not let through is answered.

use std::fmt;
use std::time::Duration;

/// Why a request is not let through, as far as its sender may know.
///
/// ```
/// use strongroom::auth::Refusal;
///
/// assert_eq!(Refusal::Invalid.status(), 401);
/// assert_eq!(Refusal::Invalid.challenge(), Some("Bearer error=\"invalid_token\""));
/// assert_eq!(Refusal::Invalid.to_string(), Refusal::Missing.to_string());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No bearer token was sent. That is no failure, and not counted as one.
    Missing,
    /// What was sent is not the token in force. One answer for every reason.
    Invalid,
    /// This client failed too often. Nothing was compared, not even the right token.
    Limited {
        /// How long to wait before the next attempt is looked at.
        retry_after: Duration,
    },
    /// The secret can't be handed out at present, so that nothing could be compared.
    Unavailable,
}

impl Refusal {
    /// Returns the status of HTTP.
    pub const fn status(self) -> u16 {
        match self {
            Self::Missing | Self::Invalid => 401,
            Self::Limited { .. } => 429,
            Self::Unavailable => 503,
        }
    }

    /// Returns the value of `WWW-Authenticate`, where RFC 6750, section 3, demands one: without an error
    /// code where no bearer token was sent.
    pub const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("Bearer"),
            Self::Invalid => Some("Bearer error=\"invalid_token\""),
            Self::Limited { .. } | Self::Unavailable => None,
        }
    }

    /// Returns the value of `Retry-After`: whole seconds, at least one.
    pub const fn retry_after_seconds(self) -> Option<u64> {
        match self {
            Self::Limited { retry_after } => Some(retry_after.as_secs().saturating_add(1)),
            Self::Missing | Self::Invalid | Self::Unavailable => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing | Self::Invalid => "unauthorized",
            Self::Limited { .. } => "too many failed attempts",
            Self::Unavailable => "service temporarily unavailable",
        })
    }
}

impl std::error::Error for Refusal {}
