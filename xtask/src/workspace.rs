//! What cargo knows about the workspace.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Result;
use crate::command::{cargo, output};

/// Returns the root of the workspace: the directory above this crate's.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The parts of `cargo metadata` that the chores need.
pub(crate) struct Workspace {
    pub(crate) target_dir: PathBuf,
    /// The features of the library `strongroom`, sorted, without `default`.
    pub(crate) features: Vec<String>,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let args = ["metadata", "--no-deps", "--locked", "--format-version", "1"];
        Self::parse(&output(cargo(&args))?)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(metadata)
            .map_err(|error| format!("can't read what cargo metadata wrote: {error}"))?;
        let target_dir = metadata
            .get("target_directory")
            .and_then(Value::as_str)
            .ok_or("cargo metadata names no target directory")?;
        let packages = metadata.get("packages").and_then(Value::as_array);
        let features = packages
            .into_iter()
            .flatten()
            .find(|package| package.get("name").is_some_and(|name| name == "strongroom"))
            .and_then(|package| package.get("features")?.as_object())
            .ok_or("cargo metadata names no package `strongroom`")?
            .keys()
            .filter(|feature| *feature != "default")
            .cloned()
            .collect();
        Ok(Self {
            target_dir: target_dir.into(),
            features,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_features_of_the_library() {
        let metadata = r#"{"target_directory": "t", "packages": [
            {"name": "xtask", "features": {"other": []}},
            {"name": "strongroom", "features": {"yaml": ["dep:y"], "default": [], "conformance": []}}
        ]}"#;
        let workspace = Workspace::parse(metadata).unwrap();
        assert_eq!(workspace.features, ["conformance", "yaml"]);
        assert_eq!(workspace.target_dir, Path::new("t"));
    }

    #[test]
    fn a_workspace_without_the_library_is_an_error() {
        let failure = Workspace::parse(r#"{"target_directory": "t", "packages": []}"#);
        assert!(failure.is_err());
    }

    #[test]
    fn finds_the_root() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
