//! One key of a JSON object that stands in an entry.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// Reads one key: a string as its text, anything else as its JSON text.
///
/// # Errors
/// [`ErrorKind::Malformed`] with line and column where the document is no JSON object, and
/// [`ErrorKind::Absent`] where it has no such key. The document is never quoted.
pub(super) fn field(document: &Secret, field: &str) -> Result<Secret> {
    // EXPOSES: to the parser, which borrows each field; its errors are not kept
    let keys: BTreeMap<String, &RawValue> = serde_json::from_slice(document.expose_bytes())
        .map_err(|error| {
            // The parser's own message quotes what it parsed.
            let (line, column) = (error.line(), error.column());
            let message = format!(
                "the entry is not a JSON object (line {line}, column {column}), so it has no fields"
            );
            Error::new(ErrorKind::Malformed, message)
        })?;
    let Some(raw) = keys.get(field) else {
        return Err(Error::new(
            ErrorKind::Absent,
            format!("the entry has no key `{field}`"),
        ));
    };
    if !raw.get().starts_with('"') {
        return Ok(Secret::from_text(raw.get()));
    }
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => Ok(Secret::from_text(text)),
        Err(_) => Err(Error::new(
            ErrorKind::Malformed,
            format!("the key `{field}` of the entry is not a valid JSON string"),
        )),
    }
}
