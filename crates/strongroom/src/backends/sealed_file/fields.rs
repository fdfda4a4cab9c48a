//! The fields of a line: each has one spelling, and any other is refused.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64Unpadded, Encoding as _};

use crate::error::{Error, ErrorKind, Result};
use crate::random;

/// The largest number that a line may hold.
pub(super) const MAX_NUMBER: u64 = i64::MAX as u64;

/// Reads a decimal number without sign or leading zeros.
pub(super) fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    let number = plain.then(|| text.parse().ok()).flatten()?;
    (number <= MAX_NUMBER).then_some(number)
}

/// Reads exactly `N` bytes of lower-case hexadecimal digits.
pub(super) fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let written = base16ct::lower::decode(text, &mut bytes).ok()?.len();
    (written == N).then_some(bytes)
}

/// Reads exactly `N` bytes of unpadded base64 whose unused bits are zero.
pub(super) fn base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let written = Base64Unpadded::decode(text, &mut bytes).ok()?.len();
    (written == N && is_canonical(&bytes, text)).then_some(bytes)
}

/// Reads any number of bytes of unpadded base64 whose unused bits are zero.
pub(super) fn base64_vec(text: &str) -> Option<Vec<u8>> {
    let bytes = Base64Unpadded::decode_vec(text).ok()?;
    is_canonical(&bytes, text).then_some(bytes)
}

pub(super) fn to_base64(bytes: &[u8]) -> String {
    Base64Unpadded::encode_string(bytes)
}

fn is_canonical(bytes: &[u8], text: &str) -> bool {
    // Only the last group can be written in two ways.
    let last = match bytes.len().checked_rem(3) {
        Some(0) | None => return true,
        Some(rest) => bytes.len().saturating_sub(rest),
    };
    let group = Base64Unpadded::encode_string(bytes.get(last..).unwrap_or_default());
    text.ends_with(&group)
}

/// Reports whether a text is one to 64 of `[A-Za-z0-9._-]`, as labels of slots are.
pub(super) fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// The seconds since 1970, as lines hold times.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The last second of the year 9999: no later date can be shown.
const LAST: u64 = 253_402_300_799;

/// The time that a line's seconds mean; `None` after the year 9999.
pub(super) fn time(seconds: u64) -> Option<SystemTime> {
    let known = (seconds <= LAST).then(|| Duration::from_secs(seconds));
    UNIX_EPOCH.checked_add(known?)
}

/// The random identity of a sealed file: it stays through every write and every new key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(pub(super) [u8; 16]);

impl FileId {
    /// Draws a new one.
    ///
    /// # Errors
    /// [`ErrorKind::Transient`] if the system's random source fails.
    pub fn random() -> Result<Self> {
        random::array().map(Self)
    }
}

impl FromStr for FileId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        hex(text).map(Self).ok_or_else(|| {
            let message = "the id of a sealed file is 32 lower-case hexadecimal digits";
            Error::new(ErrorKind::Malformed, message)
        })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_field_has_one_spelling() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("9223372036854775807"), Some(MAX_NUMBER));
        for wrong in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "9223372036854775808",
            "1e3",
        ] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
        assert_eq!(hex("00ff"), Some([0, 255]));
        for wrong in ["", "00FF", "00f", "00ff00", "00fg"] {
            assert_eq!(hex::<2>(wrong), None, "{wrong:?}");
        }
        assert_eq!(base64("+/8"), Some([0xfb, 0xff]));
        // The last: two bits that stand for nothing are set.
        for wrong in ["", "+/8=", "-_8", "+/8A", "+/9"] {
            assert_eq!(base64::<2>(wrong), None, "{wrong:?}");
            assert_ne!(base64_vec(wrong), Some(vec![0xfb, 0xff]), "{wrong:?}");
        }
    }

    #[test]
    fn a_date_after_the_year_9999_is_none() {
        assert_eq!(time(0), Some(UNIX_EPOCH));
        assert!(time(LAST).is_some());
        assert!(time(LAST + 1).is_none() && time(MAX_NUMBER).is_none());
    }

    proptest! {
        #[test]
        fn base64_that_decodes_encodes_to_itself(text in "[A-Za-z0-9+/=]{0,12}") {
            if let Some(bytes) = base64_vec(&text) {
                prop_assert_eq!(to_base64(&bytes), text);
            }
        }
    }
}
