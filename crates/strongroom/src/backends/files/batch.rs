//! A batch that failed as a whole.

use crate::error::{Error, Result};
use crate::provider::{Reply, Request};

/// Answers each request of a batch with the one failure of the whole.
pub(in crate::backends) fn fail_all(wanted: &[Request], error: &Error) -> Vec<Result<Reply>> {
    let fail = |request: &Request| Err(repeat(error).with_name(&request.target.name));
    wanted.iter().map(fail).collect()
}

/// One failure of a whole batch, once more for the next request of it.
pub(in crate::backends) fn repeat(error: &Error) -> Error {
    let mut again = Error::new(error.kind(), error.to_string());
    if let Some(help) = error.help() {
        again = again.with_help(help);
    }
    if let Some(wait) = error.retry_after() {
        again = again.with_retry_after(wait);
    }
    if error.had_no_effect() {
        again = again.with_no_effect();
    }
    again
}
