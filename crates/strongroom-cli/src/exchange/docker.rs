//! Docker's `--env-file`: `KEY=value` to the end of the line, without quotes and escapes.

use strongroom::{Error, ErrorKind, Result, Secret};

use super::{Found, Item, check_keys, encrypted, malformed, place};

const BOM: &[u8] = b"\xef\xbb\xbf";

pub(super) fn read(text: &[u8], origin: &str) -> Result<Vec<Found>> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    let mut found = Vec::new();
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1_usize..) {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        // The line may be the rest of a value that was broken in two: it is never shown.
        let wrong = |what| Err(malformed(&place(origin, Some(number), ""), what));
        let Some(at) = line.iter().position(|byte| *byte == b'=') else {
            return wrong("a line is `KEY=value`; a variable of the environment is not taken over");
        };
        let (key, rest) = line.split_at_checked(at).unwrap_or_default();
        let value = rest.strip_prefix(b"=").unwrap_or_default();
        let key = match std::str::from_utf8(key) {
            Ok(key) if !key.is_empty() && !key.contains(char::is_whitespace) => key,
            _ => return wrong("the variable before `=` has no name, or blanks in it"),
        };
        if key == "sops_mac" {
            return Err(encrypted(origin, "SOPS", "sops decrypt FILE"));
        }
        if std::str::from_utf8(value).is_err() || value.contains(&0) {
            return wrong("the value is not text");
        }
        found.push(Found {
            key: key.to_owned(),
            value: Secret::from_utf8_or_bytes(value.to_vec()),
        });
    }
    check_keys(&found, origin)?;
    Ok(found)
}

/// Returns the value as a line carries it.
///
/// # Errors
/// [`ErrorKind::Malformed`] for what would be read back as something else.
pub(super) fn value<'a>(item: &'a Item<'_>) -> Result<&'a [u8]> {
    let text = super::text_of(item, "docker")?;
    match text.contains(['\n', '\r']) {
        false => Ok(text.as_bytes()),
        true => Err(Error::new(
            ErrorKind::Malformed,
            "a Docker env file has no way to hold a value of several lines",
        )
        .with_name(item.name)
        .with_help("export --as dotenv or --as kubernetes, or mount it as a file")),
    }
}
