//! Compare-and-set.

use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Expect, Put};
use crate::secret::Version;

/// Compares what a write expects with what is there.
pub(in crate::backends) fn check_expected(expect: &Expect, found: Option<&Version>) -> Result<()> {
    let message = match (expect, found) {
        (Expect::Any, _) | (Expect::Absent, None) => return Ok(()),
        (Expect::Version(wanted), Some(found)) if wanted == found => return Ok(()),
        (Expect::Absent, Some(_)) => "the secret exists already",
        (Expect::Version(_), Some(_)) => "the secret was changed since it was read",
        (Expect::Version(_), None) => "the secret was deleted since it was read",
    };
    Err(Error::new(ErrorKind::Conflict, message).with_help("read it again, then decide"))
}

/// Refuses to promise for how long the former value stays, which is not ours to say.
pub(in crate::backends) fn check_no_overlap(put: &Put, keeps: &str) -> Result<()> {
    match put.overlap {
        None => Ok(()),
        Some(_) => {
            let message = format!("how long the former value stays can't be set: {keeps}");
            Err(Error::new(ErrorKind::Unsupported, message)
                .with_help("write it without an overlap of its own")
                .with_no_effect())
        }
    }
}
