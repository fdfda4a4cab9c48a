//! One call as the retry layer sees it, and what people read about it.

use std::time::Duration;

use humantime::format_duration;

use crate::error::{Error, ErrorKind};
use crate::name::SecretName;
use crate::provider::Target;

const MAY_HAVE_HAPPENED: &str = "the change may have happened all the same, and was not repeated: \
    look at the secret, or at its versions, before you try again";

const SLOW: &str = "the backend is slow or can't be reached; `deadline` in the manifest's `retry` \
    says how long a call may take";

/// What is called, and on which secret where that is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    operation: &'static str,
    name: Option<&'a SecretName>,
    pub(super) writes: bool,
}

impl<'a> Call<'a> {
    pub(super) fn read(operation: &'static str, name: Option<&'a SecretName>) -> Self {
        Self {
            operation,
            name,
            writes: false,
        }
    }

    pub(super) fn write(operation: &'static str, target: &'a Target) -> Self {
        Self {
            operation,
            name: Some(&target.name),
            writes: true,
        }
    }

    /// Logs that `requests` of the call are tried again, `pause` from now.
    pub(super) fn log(&self, attempts: u32, requests: usize, pause: Duration) {
        tracing::warn!(
            operation = self.operation,
            kind = %ErrorKind::Transient,
            attempt = attempts,
            requests,
            delay = ?pause,
            secret = self.name.map(tracing::field::display),
            "a call to the backend failed and is tried again"
        );
    }

    /// Makes the error of a call whose deadline came before its answer. The failure before it is
    /// its cause.
    pub(super) fn out_of_time(&self, deadline: Duration, last: Option<Error>) -> Error {
        let message = format!("no answer within {}", format_duration(deadline));
        let error = Error::new(ErrorKind::Transient, message).with_help(SLOW);
        let error = match self.name {
            Some(name) => error.with_name(name),
            None => error,
        };
        match last {
            Some(last) => error.with_source(last),
            None => error,
        }
    }

    /// Completes an error that isn't followed by another attempt: it says what that means.
    pub(super) fn end(&self, error: Error) -> Error {
        if !error.is_retryable() {
            return error;
        }
        let error = match error.retry_after() {
            Some(wait) => {
                let begun = u64::from(wait.subsec_nanos() > 0);
                let seconds = Duration::from_secs(wait.as_secs().saturating_add(begun));
                advise(error, &format!("try again in {}", format_duration(seconds)))
            }
            None => error,
        };
        if self.writes && !error.had_no_effect() {
            return advise(error, MAY_HAVE_HAPPENED);
        }
        error
    }
}

/// Adds to what the error already says is to be done.
fn advise(error: Error, advice: &str) -> Error {
    let help = match error.help() {
        Some(help) => format!("{help}; {advice}"),
        None => advice.to_owned(),
    };
    error.with_help(help)
}
