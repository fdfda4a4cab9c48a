//! One line of the log: an event, the number of the line, and the code that chains it.
//!
//! ```text
//! {…,"unmapped":{…,"seq":7,"mac":"64 digits"}}
//! ```
//!
//! The code is over the code of the line before and everything in this one up to `,"mac":`.

use ctutils::CtEq as _;
use serde::{Deserialize, Serialize};

use super::head::{Head, code, number};
use super::key::ChainKey;

/// What the format is called in the first line of each file.
pub(super) const FORMAT: &str = "strongroom-audit/1";

/// The most bytes of one line. Ours are far shorter.
pub(super) const MOST: usize = 64 * 1024;

const BEFORE_MAC: &[u8] = b",\"mac\":\"";
const BEHIND_MAC: &[u8] = b"\"}}";
const BEFORE_SEQ: &[u8] = b"\"seq\":";
const MAC: usize = 64;

/// What a line says besides its event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Extras {
    /// The first line of a file: the format, the chain, the code of the last line of the file before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
    /// The bytes before this line that are no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) torn: Option<Torn>,
    /// How many events before this one could not be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
    /// The head that the log had and no longer has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    /// The last event of a file that retention removes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) removed_through: Option<u64>,
    /// The state of something that may be rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) anchor: Option<Anchor>,
}

/// Bytes that are no line: what a crash left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Torn {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The state of something whose older copy is as valid as the newest: its counter and its seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// What it is the state of: `sealed file 0123…`.
    pub subject: String,
    /// How often it was written.
    pub epoch: u64,
    /// What is different in each of its states.
    pub seal: String,
}

impl Anchor {
    /// Reports whether a state of this epoch and seal is another one than the log knows. The seal may be one that
    /// somebody made up, so it is compared in constant time.
    pub fn is_another(&self, epoch: u64, seal: &str) -> bool {
        epoch == self.epoch && !seal.as_bytes().ct_eq(self.seal.as_bytes()).to_bool()
    }
}

/// Appends a line to `out`, and returns the head that it makes; `None` where it can't be a line.
pub(super) fn write(
    out: &mut Vec<u8>,
    (event, extras): (&[u8], &Extras),
    previous: &Head,
    key: &ChainKey,
) -> Option<Head> {
    let begin = out.len();
    let seq = previous.seq.checked_add(1)?;
    out.extend_from_slice(event.strip_suffix(b"}")?);
    out.extend_from_slice(b",\"unmapped\":");
    let before = out.len();
    serde_json::to_writer(&mut *out, extras).ok()?;
    out.pop();
    if out.len() > before.saturating_add(1) {
        out.push(b',');
    }
    out.extend_from_slice(BEFORE_SEQ);
    out.extend_from_slice(seq.to_string().as_bytes());
    let mac = key.code(&previous.mac, out.get(begin..)?)?;
    let head = Head { seq, mac };
    out.extend_from_slice(BEFORE_MAC);
    out.extend_from_slice(head.mac_text().as_bytes());
    out.extend_from_slice(BEHIND_MAC);
    out.push(b'\n');
    // No reader would take a longer one for a line.
    (out.len().checked_sub(begin)? <= MOST).then_some(head)
}

/// A line that has the form of one. Whether its code is right is another question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Everything that the code is over.
    pub(super) authenticated: &'a [u8],
    pub(super) head: Head,
}

impl<'a> Line<'a> {
    /// Takes a line apart, without its newline.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_suffix(BEHIND_MAC)?;
        let (rest, mac) = rest.split_at_checked(rest.len().checked_sub(MAC)?)?;
        let authenticated = rest.strip_suffix(BEFORE_MAC)?;
        let digits = authenticated
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (before, digits) =
            authenticated.split_at_checked(authenticated.len().checked_sub(digits)?)?;
        before.ends_with(BEFORE_SEQ).then_some(())?;
        let head = Head {
            seq: number(digits)?,
            mac: code(mac)?,
        };
        Some(Self {
            authenticated,
            head,
        })
    }
}

/// What a line says besides its event, as JSON shows it.
pub(super) fn extras(line: &[u8]) -> Option<Extras> {
    #[derive(Deserialize)]
    struct Whole {
        unmapped: Extras,
    }
    let whole: Whole = serde_json::from_slice(line).ok()?;
    Some(whole.unmapped)
}
