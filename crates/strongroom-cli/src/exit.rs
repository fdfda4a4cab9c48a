//! What a command ends with.

use std::io;

use strongroom::{Error, ErrorKind};

/// All is well.
pub(crate) const FINE: u8 = 0;
/// The check failed.
pub(crate) const CHECK_FAILED: u8 = 1;
/// Usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// Strongroom failed before `run` started the program.
pub(crate) const RUN_FAILED: u8 = 125;

/// What a command ends with: its exit code, or what went wrong.
pub(crate) type Outcome = Result<u8, Failure>;

/// Returns the exit code of a kind of error.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Config | ErrorKind::Unsupported => USAGE,
        ErrorKind::Absent => 3,
        ErrorKind::Denied | ErrorKind::Auth => 4,
        ErrorKind::Transient | ErrorKind::Stale => 5,
        ErrorKind::Integrity => 6,
        ErrorKind::Conflict => 7,
        // Policy, malformed, closed, and whatever kind is added later.
        _ => CHECK_FAILED,
    }
}

/// Why a command ended early: an error, and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) code: u8,
}

impl Failure {
    /// Replaces the exit code, for commands that have codes of their own.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

/// Judges what writing to standard output came to.
///
/// A reader that stopped reading is nobody to tell, and no failure: the exit code stays what the
/// command came to.
pub(crate) fn output(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let failed = Error::new(ErrorKind::Config, "can't write to standard output");
            Err(failed.with_source(error).into())
        }
        _ => Ok(()),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = code(error.kind());
        Self { error, code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code() {
        for (kind, expected) in [
            (ErrorKind::Policy, 1),
            (ErrorKind::Malformed, 1),
            (ErrorKind::Closed, 1),
            (ErrorKind::Config, 2),
            (ErrorKind::Unsupported, 2),
            (ErrorKind::Absent, 3),
            (ErrorKind::Denied, 4),
            (ErrorKind::Auth, 4),
            (ErrorKind::Transient, 5),
            (ErrorKind::Stale, 5),
            (ErrorKind::Integrity, 6),
            (ErrorKind::Conflict, 7),
        ] {
            assert_eq!(code(kind), expected, "{kind}");
        }
    }
}
