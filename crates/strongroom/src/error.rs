//! The one public error: its kind decides what a program does, its message tells a person why.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::name::SecretName;
use crate::report::Report;

/// A result whose error is strongroom's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a program needs to know to act on it.
///
/// Kinds are decided by a status or an error code of the backend, never by the text of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The backend answered, and it holds no such secret.
    Absent,
    /// The backend knows who we are and refuses this access.
    Denied,
    /// Our own credential for the backend is missing, expired or refused.
    Auth,
    /// Something was read, and it does not have the form it must have.
    Malformed,
    /// The backend could not answer now; the same call may succeed later.
    Transient,
    /// A value is held, but it is past the time until which it may be used.
    Stale,
    /// A write expected another state than the one it found.
    Conflict,
    /// A value or a setting breaks the strength policy or a guard rail.
    Policy,
    /// Data was changed by someone who holds no key for it.
    Integrity,
    /// The configuration is wrong, incomplete or ambiguous.
    Config,
    /// The backend cannot do this at all.
    Unsupported,
    /// The `Secrets` behind this handle was shut down.
    Closed,
}

impl ErrorKind {
    /// Returns the kind's stable lower-case word, as JSON output and logs print it.
    ///
    /// ```
    /// assert_eq!(strongroom::ErrorKind::Absent.as_str(), "absent");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Denied => "denied",
            Self::Auth => "auth",
            Self::Malformed => "malformed",
            Self::Transient => "transient",
            Self::Stale => "stale",
            Self::Conflict => "conflict",
            Self::Policy => "policy",
            Self::Integrity => "integrity",
            Self::Config => "config",
            Self::Unsupported => "unsupported",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What failed, on which secret or setting, and what to do about it.
///
/// `Display` is this error's own sentence. `Debug` is the whole story, laid out for a terminal
/// (message, help, causes), because that is what a `main` that returns this error prints.
/// Neither ever holds a secret's value: whoever builds an `Error` keeps values, and the messages
/// of foreign parsers (which quote what they parse), out of it.
///
/// ```
/// use strongroom::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Absent, "no file `db/password` in /run/secrets")
///     .with_help("mount the secret, or name its file in the manifest");
/// assert_eq!(error.kind(), ErrorKind::Absent);
/// assert_eq!(error.to_string(), "no file `db/password` in /run/secrets");
/// assert!(format!("{error:?}").contains("help: mount the secret"));
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    name: Option<SecretName>,
    report: Option<Box<Report>>,
    retry_after: Option<Duration>,
    no_effect: bool,
    /// Shared, so that one failed reading can be answered to everybody who waits for it.
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of `kind` whose message is for operators.
    ///
    /// The message must not hold a secret's value, nor text that a parser quotes from its input.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            help: None,
            name: None,
            report: None,
            retry_after: None,
            no_effect: false,
            source: None,
        }))
    }

    /// Adds a sentence that says what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the name of the secret that the error is about.
    #[must_use]
    pub fn with_name(mut self, name: &SecretName) -> Self {
        self.0.name = Some(name.clone());
        self
    }

    /// Adds the cause. It must not quote a secret's value: never a foreign parser's error.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Adds the whole report, where the error comes from checking secrets.
    #[must_use]
    pub fn with_report(mut self, report: Report) -> Self {
        self.0.report = Some(Box::new(report));
        self
    }

    /// Adds how long the backend asks to wait before the same call is tried again.
    ///
    /// A repetition waits at least so long, and doesn't happen at all where that is past the call's
    /// deadline.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says that the failed call surely changed nothing in the backend.
    ///
    /// A write that failed as [`ErrorKind::Transient`] is repeated only if its error says so: any
    /// other one may have happened, and lost nothing but its answer. Say it where the request was
    /// never sent (a refused connection) or was turned away unread (a quota, a sealed server), and
    /// never where the answer was lost (a timeout, a connection that broke, a 500 or 502 or 504).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use strongroom::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Transient, "the server's quota is used up (429)")
    ///     .with_retry_after(Duration::from_secs(2))
    ///     .with_no_effect();
    /// assert!(error.is_retryable() && error.had_no_effect());
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    /// ```
    #[must_use]
    pub fn with_no_effect(mut self) -> Self {
        self.0.no_effect = true;
        self
    }

    /// Returns the kind, by which a program decides.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Reports whether the same call may succeed if it is repeated unchanged.
    ///
    /// Only [`ErrorKind::Transient`] may: a denial, an absence or a malformed value stays what it is.
    /// A write may have happened all the same, unless [`had_no_effect`](Self::had_no_effect).
    pub fn is_retryable(&self) -> bool {
        self.0.kind == ErrorKind::Transient
    }

    /// Returns how long the backend asks to wait before the same call is tried again, where it does.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Reports whether the failed call surely changed nothing in the backend. It may have changed
    /// nothing otherwise too; only nobody knows.
    pub fn had_no_effect(&self) -> bool {
        self.0.no_effect
    }

    /// Returns the text that may be shown to a client of the service: it says nothing about the
    /// secret, the backend or the cause.
    ///
    /// ```
    /// # use strongroom::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Denied, "policy `payments` may not read kv/db");
    /// assert_eq!(error.client_message(), "internal error");
    /// ```
    pub fn client_message(&self) -> &'static str {
        match self.0.kind {
            ErrorKind::Transient | ErrorKind::Stale | ErrorKind::Closed => {
                "service temporarily unavailable"
            }
            _ => "internal error",
        }
    }

    /// Returns the message alone, for where the name is said anyway.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what to do about it, where that is known.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Returns the secret that the error is about, where it is about one.
    pub fn name(&self) -> Option<&SecretName> {
        self.0.name.as_ref()
    }

    /// Returns the whole report, where the error comes from checking the declared secrets.
    pub fn report(&self) -> Option<&Report> {
        self.0.report.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.name {
            // The message may already name the secret; saying it twice helps nobody. Only backticks make
            // it the name: the letters of a short one stand in many a word.
            Some(name) if !self.0.message.contains(&format!("`{name}`")) => {
                write!(f, "secret `{name}`: {}", self.0.message)
            }
            _ => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0.kind)?;
        if let Some(report) = &self.0.report {
            write!(f, "\n{report}")?;
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        match &self.0.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_once_however_short_its_name() {
        let named = |name: &'static str, message: &str| {
            let name = SecretName::from_static(name);
            let error = Error::new(ErrorKind::Denied, message);
            error.with_name(&name).to_string()
        };
        assert_eq!(named("c", "access denied"), "secret `c`: access denied");
        assert_eq!(
            named("token", "the token has expired"),
            "secret `token`: the token has expired"
        );
        assert_eq!(
            named("api", "`api/token` is absent"),
            "secret `api`: `api/token` is absent"
        );
        assert_eq!(named("c", "`c` is absent"), "`c` is absent");
    }
}
