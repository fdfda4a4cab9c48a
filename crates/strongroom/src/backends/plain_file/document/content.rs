//! A parsed document, whatever its format.

use zeroize::Zeroizing;

use super::super::dotenv::Dotenv;
#[cfg(feature = "yaml")]
use super::yaml;
use super::{Format, toml};
use crate::backends::files::fault::Fault;
use crate::backends::files::json::Tree;

/// A parsed document.
pub(super) enum Content {
    Tree(Tree),
    Dotenv(Dotenv),
}

impl Content {
    pub(super) fn parse(format: Format, text: Zeroizing<Vec<u8>>) -> Result<Self, Fault> {
        Ok(match format {
            Format::Dotenv => Self::Dotenv(Dotenv::parse(text)?),
            Format::Json => Self::Tree(Tree::parse(text)?),
            Format::Toml => Self::Tree(toml::parse(&text)?),
            #[cfg(feature = "yaml")]
            Format::Yaml => Self::Tree(yaml::parse(&text)?),
            #[cfg(not(feature = "yaml"))]
            Format::Yaml => return Err(Fault::in_line(1, NO_YAML)),
        })
    }

    pub(super) fn has(&self, way: &[&str]) -> bool {
        match (self, way) {
            (Self::Tree(tree), way) => tree.find(way).is_some(),
            (Self::Dotenv(dotenv), [key]) => dotenv.has(key),
            (Self::Dotenv(_), _) => false,
        }
    }

    pub(super) fn value(&self, way: &[&str]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        match (self, way) {
            (Self::Tree(tree), way) => tree.value(way),
            (Self::Dotenv(dotenv), [key]) => Ok(dotenv.value(key).unwrap_or_default()),
            (Self::Dotenv(_), _) => Ok(Zeroizing::default()),
        }
    }
}

#[cfg(not(feature = "yaml"))]
pub(super) const NO_YAML: &str = "this build of strongroom has no YAML parser";
