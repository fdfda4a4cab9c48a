//! A file whose whole content is one value, and what of it is not part of the value.

use std::fmt::Display;

use zeroize::Zeroizing;

use super::failure::too_large;
use super::guard::Guard;
use super::read::Opened;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::report::Finding;
use crate::secret::MAX_VALUE_BYTES;

/// Reads a value, less the newline that editors and `echo` put at the end of a text.
pub(in crate::backends) fn read(
    file: &mut Opened,
    shown: &dyn Display,
    name: &SecretName,
    guard: &Guard,
) -> Result<Zeroizing<Vec<u8>>> {
    // The newline, of one byte or two, is not part of the value.
    let limit = MAX_VALUE_BYTES.saturating_add(2);
    let mut value = file
        .read(limit, shown)
        .map_err(|error| match error.kind() {
            ErrorKind::Malformed => too_large(shown, MAX_VALUE_BYTES),
            _ => error,
        })?;
    if std::str::from_utf8(&value).is_ok()
        && let Some(text) = value.strip_suffix(b"\n")
    {
        let length = text.strip_suffix(b"\r").unwrap_or(text).len();
        value.truncate(length);
        if value.ends_with(b"\n") {
            let message = format!("{shown} ends in more than one newline");
            let help = "only the last is taken away; take the others out of the file";
            guard.say(Finding::warning(
                Some(name),
                "trailing-newline",
                message,
                help,
            ));
        }
    }
    check_size(&value, shown)?;
    Ok(value)
}

/// The value as a file holds it: where reading would take a newline away, one more is written.
pub(in crate::backends) fn content(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let newline = value.ends_with(b"\n") && std::str::from_utf8(value).is_ok();
    let mut content = Vec::with_capacity(value.len().saturating_add(usize::from(newline)));
    content.extend_from_slice(value);
    content.extend(newline.then_some(b'\n'));
    Zeroizing::new(content)
}

/// Refuses a value that is larger than any secret may be.
pub(in crate::backends) fn check_size(value: &[u8], shown: &dyn Display) -> Result<()> {
    if value.len() > MAX_VALUE_BYTES {
        let message = format!(
            "the value in {shown} has {} bytes; {MAX_VALUE_BYTES} are the most",
            value.len()
        );
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    Ok(())
}
