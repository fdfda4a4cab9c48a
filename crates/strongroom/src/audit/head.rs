//! The head of a chain: its newest event.

use std::fmt;
use std::str::FromStr;

use ctutils::CtEq as _;

use crate::error::{Error, ErrorKind, Result};

/// The newest event of a chain: its number and its code, as `SEQ:MAC`.
///
/// Kept in another system, it proves later that nothing was cut off up to there.
///
/// ```
/// use strongroom::audit::Head;
///
/// let text = format!("1200:{}", "ab".repeat(32));
/// let head: Head = text.parse()?;
/// assert_eq!(head.seq(), 1200);
/// assert_eq!(head.to_string(), text);
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    pub(super) seq: u64,
    pub(super) mac: [u8; 32],
}

impl Head {
    /// Where a chain begins: before its first event.
    pub(super) const NONE: Self = Self {
        seq: 0,
        mac: [0; 32],
    };

    /// Returns the number of the event, from 1.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Compares codes in constant time. No code equals none at all.
    pub(super) fn has(&self, mac: Option<&[u8; 32]>) -> bool {
        mac.is_some_and(|mac| self.mac.ct_eq(mac).to_bool())
    }

    pub(super) fn mac_text(&self) -> String {
        base16ct::lower::encode_string(&self.mac)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.mac_text())
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let head = text.split_once(':').and_then(|(seq, mac)| {
            Some(Self {
                seq: number(seq.as_bytes()).filter(|seq| *seq > 0)?,
                mac: code(mac.as_bytes())?,
            })
        });
        head.ok_or_else(|| {
            Error::new(ErrorKind::Config, "this is not the head of an audit log").with_help(
                "a head is SEQ:MAC, as `strongroom audit verify` prints it: a number, a colon and \
                 64 hexadecimal digits",
            )
        })
    }
}

/// Reads a number in its one form: digits without a leading zero.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let canonical = !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && (digits == b"0" || !digits.starts_with(b"0"));
    let digits = std::str::from_utf8(digits).ok().filter(|_| canonical)?;
    digits.parse().ok()
}

/// Reads a code in its one form: 64 lower-case hexadecimal digits.
pub(super) fn code(digits: &[u8]) -> Option<[u8; 32]> {
    hex(digits)
}

/// Reads lower-case hexadecimal digits of exactly `N` bytes.
pub(super) fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != N.saturating_mul(2) {
        return None;
    }
    base16ct::lower::decode(digits, &mut bytes).ok()?;
    Some(bytes)
}
