//! ripgrep, the searcher that ours is measured beside.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that is measured.
const VERSION: &str = "15.2.0";

/// Installs it below the benchmarks' own target folder, once, and returns its path.
pub fn install() -> Result<PathBuf, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ripgrep");
    let program = root.join("bin/rg");
    if program.exists() {
        return Ok(program);
    }
    let installed = Command::new("cargo")
        .args([
            "install",
            "--locked",
            "--quiet",
            "ripgrep",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(&root)
        .status()?;
    match installed.success() {
        true => Ok(program),
        false => Err("ripgrep can't be installed".into()),
    }
}
