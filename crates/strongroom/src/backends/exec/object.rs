//! Objects in an answer, of which nothing is ever quoted.

use std::time::Duration;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::backends::files::json::Tree;
use crate::error::ErrorKind;

/// The longest wait that a program may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Why there is no answer of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The answer breaks the protocol. What it says completes "the answer".
    Broken(String),
    /// The program says that it failed.
    Told {
        kind: ErrorKind,
        retry_after: Option<Duration>,
        no_effect: bool,
    },
}

pub(super) fn broken<T>(what: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Broken(what.into()))
}

/// One object of JSON, of strings, numbers, truths and lists.
pub(super) struct Object(Tree);

impl Object {
    pub(super) fn parse(text: Zeroizing<Vec<u8>>) -> Result<Self, Problem> {
        // What was wrong is not said: a parser's sentence may hold a key, and a key may hold anything.
        Tree::parse(text).map(Self).or_else(|fault| {
            let place = match fault.column {
                Some(column) => format!("line {}, column {column}", fault.line),
                None => format!("line {}", fault.line),
            };
            broken(format!("is no object of JSON that may be taken ({place})"))
        })
    }

    /// Reads one item of a list.
    pub(super) fn of(item: &RawValue) -> Result<Self, Problem> {
        let text = Zeroizing::new(item.get().as_bytes().to_vec());
        Tree::parse(text)
            .map(Self)
            .or_else(|_| broken("has a list of something else than objects"))
    }

    /// Demands that it has no other keys than these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.keys(&[]).iter().all(|key| known.contains(key)) {
            true => Ok(()),
            false => broken("has a key that the protocol doesn't know there"),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.find(&[key]).is_some()
    }

    /// Returns a string, decoded.
    pub(super) fn text(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
        let Some(raw) = self.0.raw(&[key]) else {
            return Ok(None);
        };
        if !raw.starts_with(b"\"") {
            return broken("has something else where a string belongs");
        }
        let text = self.0.value(&[key]);
        text.map(Some)
            .or_else(|_| broken("has a string that is no text"))
    }

    /// Returns a short word that may be shown: of a version, or of what the program calls itself.
    pub(super) fn word(&self, key: &str, most: usize) -> Result<Option<String>, Problem> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let fits = (1..=most).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        match std::str::from_utf8(&text) {
            Ok(word) if fits => Ok(Some(word.to_owned())),
            _ => broken("has a word that is empty, too long, or has other characters than ASCII's"),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Problem> {
        match self.0.raw(&[key]) {
            None => Ok(None),
            Some(b"true") => Ok(Some(true)),
            Some(b"false") => Ok(Some(false)),
            Some(_) => broken("has something else where true or false belongs"),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<usize>, Problem> {
        let Some(raw) = self.0.raw(&[key]) else {
            return Ok(None);
        };
        let number = std::str::from_utf8(raw).ok();
        match number.and_then(|number| number.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => broken("has something else where a number belongs"),
        }
    }

    /// Returns a list of at most so many items.
    pub(super) fn list(&self, key: &str, most: usize) -> Result<Vec<&RawValue>, Problem> {
        let Some(raw) = self.0.raw(&[key]) else {
            return broken("lacks the list that was asked for");
        };
        let items: Vec<&RawValue> = match serde_json::from_slice(raw) {
            Ok(items) => items,
            Err(_) => return broken("has something else where a list belongs"),
        };
        match items.len() <= most {
            true => Ok(items),
            false => broken(format!("has a list of more than {most}")),
        }
    }

    /// Fails if the program says here that it failed.
    pub(super) fn check_success(&self) -> Result<(), Problem> {
        const WAIT: &str = "has a `retry_after` that is no number of seconds up to a day";
        let Some(word) = self.text("error")? else {
            return match self.has("retry_after") || self.has("no_effect") {
                true => broken("says more of an error that it doesn't name"),
                false => Ok(()),
            };
        };
        let kind = match word.as_slice() {
            b"absent" => ErrorKind::Absent,
            b"denied" => ErrorKind::Denied,
            b"auth" => ErrorKind::Auth,
            b"malformed" => ErrorKind::Malformed,
            b"transient" => ErrorKind::Transient,
            b"conflict" => ErrorKind::Conflict,
            b"unsupported" => ErrorKind::Unsupported,
            _ => return broken("names an error that the protocol doesn't know"),
        };
        let seconds = self.0.raw(&["retry_after"]).map(|raw| {
            let seconds = std::str::from_utf8(raw).ok()?.parse::<f64>().ok()?;
            let wait = Duration::try_from_secs_f64(seconds).ok()?;
            (wait <= LONGEST_WAIT).then_some(wait)
        });
        let retry_after = match seconds {
            None => None,
            Some(Some(wait)) => Some(wait),
            Some(None) => return broken(WAIT),
        };
        Err(Problem::Told {
            kind,
            retry_after,
            no_effect: self.flag("no_effect")?.unwrap_or_default(),
        })
    }
}
