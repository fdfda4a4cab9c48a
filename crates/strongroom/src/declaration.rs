//! What a type declares, written down: the service prints it, and CI checks it without the service.
//!
//! [`of`] gives a type's declaration as JSON, for the service's own `--declared` or for a test that
//! writes it to a file. `strongroom validate --declared FILE` then proves, with the credentials of a
//! pipeline and without the service, that a boot would find what it needs. [`parse`] reads it.
//!
//! ```json
//! {
//!   "version": 1,
//!   "secrets": [
//!     {
//!       "name": "database/password",
//!       "kind": "password",
//!       "required": true,
//!       "description": "the application role",
//!       "needed_by": "App.database.password"
//!     }
//!   ]
//! }
//! ```
//!
//! Beside these a secret may have `env`, `encoding`, `min_length`, `length`, `rotate_after` and `source`,
//! as in the manifest. A default is a value: it is never written, and no file may hold one.

use std::io::{self, Read};

use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::load::FromSecrets;

mod document;

use document::{Document, Head, Problem};

/// The version that is written here. A file of a later one is refused.
pub const VERSION: u32 = 1;

/// The most bytes that a declaration may have.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Returns the declaration of a type as JSON, with a line break at its end.
///
/// ```
/// use strongroom::{Declared, FromSecrets, Kind, Loaded, Result, SecretName, declaration};
///
/// struct App;
///
/// impl FromSecrets for App {
///     fn declared() -> Vec<Declared> {
///         vec![Declared::new(SecretName::from_static("api/token"), Kind::Token)]
///     }
/// #   fn from_secrets(_: &Loaded<'_>) -> Result<Self> { Ok(Self) }
/// }
///
/// let json = declaration::of::<App>();
/// let declared = declaration::parse("app.json", &json)?;
/// assert_eq!(declared[0].name.as_str(), "api/token");
/// # Ok::<(), strongroom::Error>(())
/// ```
pub fn of<T: FromSecrets>() -> String {
    to_json(&T::declared())
}

/// Returns these declarations as JSON, with a line break at its end.
pub fn to_json(declared: &[Declared]) -> String {
    let document = Document::of(declared);
    // Only a map with keys that are no texts can't be written, and there is none.
    let mut json = serde_json::to_string_pretty(&document).unwrap_or_default();
    json.push('\n');
    json
}

/// Reads a declaration. `file` is what it is called in messages.
///
/// # Errors
/// [`ErrorKind::Config`] if it is not a declaration of a version that is known here, saying the line
/// and column. Nothing of the text is repeated: a file that was mistaken for this one may hold
/// secrets.
pub fn parse(file: &str, text: &str) -> Result<Vec<Declared>> {
    let wrong = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        let problem = Problem::of(&error);
        let message = format!("{file}, line {line}, column {column}: {}", problem.message);
        Error::new(ErrorKind::Config, message).with_help(problem.help)
    };
    if text.len() > MAX_BYTES {
        return Err(too_large(file));
    }
    // A later version may have keys that are unknown here: it is looked at first.
    let _: Head = serde_json::from_str(text).map_err(wrong)?;
    let document: Document = serde_json::from_str(text).map_err(wrong)?;
    document.into_declared().map_err(|problem| {
        Error::new(ErrorKind::Config, format!("{file}: {}", problem.message))
            .with_help(problem.help)
    })
}

/// As [`parse`], of what a reader gives, of which no more is read than may be right.
///
/// # Errors
/// As [`parse`], and [`ErrorKind::Config`] if it can't be read.
pub fn read(file: &str, reader: impl Read) -> Result<Vec<Declared>> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_BYTES.saturating_add(1)).unwrap_or(u64::MAX);
    match reader.take(limit).read_to_string(&mut text) {
        // The limit may cut a character in two.
        Ok(read) if read > MAX_BYTES => Err(too_large(file)),
        Ok(_) => parse(file, &text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let message = format!("{file}: it is not UTF-8, or larger than 1 MiB");
            Err(Error::new(ErrorKind::Config, message).with_help(document::HELP))
        }
        Err(error) => Err(Error::new(ErrorKind::Config, format!("can't read {file}"))
            .with_help("name a file that exists and that you may read, or `-` for standard input")
            .with_source(error)),
    }
}

fn too_large(file: &str) -> Error {
    let message = format!("{file}: it is larger than 1 MiB");
    Error::new(ErrorKind::Config, message).with_help(document::HELP)
}

#[cfg(test)]
mod tests;
