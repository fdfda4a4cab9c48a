//! cargo-deny: brought here in one version, and run on what deny.toml says.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::command::{cargo, output, program, run, run_within, succeeds};

const VERSION: &str = "0.20.2";

/// Installs cargo-deny below the target directory, unless this version is there already.
pub(crate) fn install(target_dir: &Path) -> Result<String> {
    let root = target_dir.join("tools");
    let binary = binary(target_dir);
    if succeeds(program(&binary, &["--version"]))
        && is_wanted(&output(program(&binary, &["--version"]))?)
    {
        return Ok(format!("{VERSION} was there"));
    }
    let build = root.join("build");
    let mut install = cargo(&["install", "--locked", "--quiet", "--debug", "cargo-deny"]);
    install.args(["--version", VERSION]);
    install.arg("--root").arg(&root);
    install.arg("--target-dir").arg(&build);
    run(install)?;
    // Only the binary is of use, and the rest of the build is large.
    fs::remove_dir_all(&build).map_err(|error| format!("can't remove {build:?}: {error}"))?;
    Ok(format!("{VERSION} installed"))
}

/// Checks banned crates, licences and sources. Needs no network once the crates are fetched.
pub(crate) fn check(target_dir: &Path) -> Result<String> {
    let args = [
        "--all-features",
        "--locked",
        "--offline",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ];
    run(program(binary(target_dir), &args))?;
    Ok(String::new())
}

/// Checks for published advisories, where the database of advisories can be reached.
pub(crate) fn advisories(target_dir: &Path) -> Result<String> {
    let fetch = program(binary(target_dir), &["fetch", "db"]);
    if let Err(failure) = run_within(fetch, Duration::from_secs(60)) {
        eprintln!("the database of advisories can't be reached: {failure}");
        return Ok("SKIPPED: no database of advisories".to_owned());
    }
    let args = [
        "--all-features",
        "--locked",
        "--offline",
        "check",
        "advisories",
    ];
    run(program(binary(target_dir), &args))?;
    Ok(String::new())
}

fn binary(target_dir: &Path) -> PathBuf {
    let name = format!("cargo-deny{}", std::env::consts::EXE_SUFFIX);
    target_dir.join("tools/bin").join(name)
}

fn is_wanted(version: &str) -> bool {
    version.trim() == format!("cargo-deny {VERSION}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_this_version_and_no_other() {
        assert!(is_wanted("cargo-deny 0.20.2\n"));
        assert!(!is_wanted("cargo-deny 0.20.20\n"));
        assert!(!is_wanted(""));
    }
}
