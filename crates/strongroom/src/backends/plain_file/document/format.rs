//! The formats of documents, and how a file's name tells them.

use std::ffi::OsStr;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Format {
    Dotenv,
    Json,
    Toml,
    Yaml,
}

impl Format {
    /// Tells the format by the file's name.
    pub(in super::super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if name == ".env" || name.starts_with(".env.") {
            return Some(Self::Dotenv);
        }
        match path.extension().and_then(OsStr::to_str)? {
            "env" => Some(Self::Dotenv),
            "yml" => Some(Self::Yaml),
            extension => extension.parse().ok(),
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "dotenv" => Ok(Self::Dotenv),
            "json" => Ok(Self::Json),
            "toml" => Ok(Self::Toml),
            "yaml" => Ok(Self::Yaml),
            _ => Err(Error::new(ErrorKind::Config, "not a format of plain files")
                .with_help("`format` is dotenv, json, toml, yaml or directory")),
        }
    }
}
