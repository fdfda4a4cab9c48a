//! Documents of plain values, for tools that take them from one place to another.
//!
//! The same grammars as the plain-file backend's: what that reads from a file, these read from memory.

#[cfg(feature = "yaml")]
pub use crate::backends::document_entries::yaml;
pub use crate::backends::document_entries::{Entry, dotenv, dotenv_value, json, json_string};
