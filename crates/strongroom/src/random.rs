//! The system's random source. It can fail, and nobody goes on without it who needs it.
//!
//! Keys, nonces, salts, ids and the names of temporary files come from [`fill`] and [`array`], whose
//! failure is their caller's. Only what spreads pauses over time comes from [`spread`]: where it is
//! missing, pauses are of middle length, which costs politeness and no secret.

use crate::error::{Error, ErrorKind, Result};

/// Fills a buffer with random bytes, of which none is used where it fails.
///
/// # Errors
/// [`ErrorKind::Transient`] if the system gives no random bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    #[cfg(test)]
    failing::draw()?;
    getrandom::fill(bytes).map_err(|_| failed())
}

/// Draws random bytes.
///
/// # Errors
/// As [`fill`].
pub(crate) fn array<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Draws what a pause is spread by; `None` where the source fails. Nothing that protects a value may
/// depend on it.
pub(crate) fn spread() -> Option<u32> {
    array().ok().map(u32::from_ne_bytes)
}

fn failed() -> Error {
    Error::new(ErrorKind::Transient, "the system's random source failed")
        .with_help("nothing was written; try again")
        .with_no_effect()
}

/// A source that fails, for the tests of what draws from it in the thread of the test.
#[cfg(test)]
pub(crate) mod failing {
    use std::cell::Cell;

    use super::{Result, failed};

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Does something while the source fails after so many draws, for good.
    pub(crate) fn after<T>(draws: usize, work: impl FnOnce() -> T) -> T {
        let before = LEFT.replace(Some(draws));
        let done = work();
        LEFT.set(before);
        done
    }

    pub(super) fn draw() -> Result<()> {
        match LEFT.get() {
            Some(0) => Err(failed()),
            left => {
                LEFT.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_differs_and_fills_the_buffer() {
        let (one, other) = (array::<32>().unwrap(), array::<32>().unwrap());
        assert_ne!(one, other);
        // Each of 1,000 bytes being zero has a probability of one in 10^2408.
        let mut bytes = vec![0; 1_000];
        fill(&mut bytes).unwrap();
        assert!(bytes.iter().any(|byte| *byte != 0));
    }

    #[test]
    fn a_source_that_fails_is_an_error_and_no_pause_depends_on_it() {
        failing::after(1, || {
            array::<4>().unwrap();
            let error = array::<4>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transient);
            assert!(error.had_no_effect() && error.help().is_some());
            let mut untouched = [7; 4];
            fill(&mut untouched).unwrap_err();
            assert_eq!(untouched, [7; 4]);
            assert_eq!(spread(), None);
        });
        assert!(spread().is_some());
    }
}
