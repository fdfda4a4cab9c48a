//! What is done to a program when one of its secrets is replaced.

use rustix::process::Signal;
use strongroom::{Error, ErrorKind, Result};

/// What is done to the program when one of its secrets is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reaction {
    Restart,
    Signal(Signal),
}

/// By the names that `kill` knows.
const SIGNALS: &[(&str, Signal)] = &[
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("TERM", Signal::TERM),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
];

pub(super) fn parse(text: &str) -> Result<Reaction> {
    if text.eq_ignore_ascii_case("restart") {
        return Ok(Reaction::Restart);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    match SIGNALS.iter().find(|(known, _)| *known == name) {
        Some((_, signal)) => Ok(Reaction::Signal(*signal)),
        None => {
            let names: Vec<_> = SIGNALS.iter().map(|(name, _)| *name).collect();
            let message = format!("it is `restart` or one of {}", names.join(", "));
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_as_for_kill() {
        assert!(matches!(parse("restart"), Ok(Reaction::Restart)));
        for text in ["HUP", "SIGHUP", "hup"] {
            assert!(matches!(parse(text), Ok(Reaction::Signal(Signal::HUP))));
        }
        let problem = parse("a value").unwrap_err().to_string();
        assert!(!problem.contains("a value"), "{problem}");
    }
}
