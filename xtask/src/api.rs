//! `cargo xtask api`: nothing public changes without being recorded in docs/public-api.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::command::{cargo, output, run as run_command};
use crate::workspace::{Workspace, root};

/// The crates whose API others build on, and the items that each page begins with.
const CRATES: [&str; 1] = ["strongroom"];

/// Compares what is public with what is recorded; with `write` it records it.
pub(crate) fn run(write: bool) -> Result<String> {
    let target_dir = Workspace::load()?.target_dir;
    let mut items = 0_usize;
    for name in CRATES {
        let public = public(name, &target_dir)?;
        items = items.saturating_add(public.lines().count());
        let path = root().join(format!("docs/public-api/{name}.txt"));
        if write {
            let dir = path.parent().unwrap_or(&path);
            fs::create_dir_all(dir).map_err(|error| cannot("make", dir, &error))?;
            fs::write(&path, public).map_err(|error| cannot("write", &path, &error))?;
            continue;
        }
        let recorded = fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
        let changes = changes(&recorded, &public);
        if !changes.is_empty() {
            return Err(format!(
                "the public API of {name} is not what is recorded:\n{}\n`cargo xtask api --write` records it",
                changes.join("\n")
            ));
        }
    }
    Ok(format!("{items} items"))
}

/// Lists what is public in a crate with all its features.
fn public(name: &str, target_dir: &Path) -> Result<String> {
    let mut rustdoc = cargo(&["rustdoc", "--locked", "--quiet", "--lib", "--all-features"]);
    rustdoc.args(["--package", name]);
    // Only rustdoc is told that it may: with the compiler told too, cargo would build every dependency again.
    rustdoc.env("RUSTDOC", wrapper(target_dir)?);
    rustdoc.args(["--", "-Zunstable-options", "--output-format=json"]);
    run_command(rustdoc)?;
    let json = target_dir
        .join("doc")
        .join(format!("{}.json", name.replace('-', "_")));
    let mut list = cargo(&["run", "--locked", "--quiet"]);
    list.arg("--manifest-path")
        .arg(root().join("xtask/public-api/Cargo.toml"));
    list.arg("--target-dir")
        .arg(target_dir.join("tools/public-api"));
    list.arg("--").arg(json);
    output(list)
}

/// Writes the program that cargo starts as rustdoc, which may then use what is not stable.
fn wrapper(target_dir: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;

    let path = target_dir.join("tools/rustdoc-unstable");
    let script = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n";
    let dir = path.parent().unwrap_or(&path);
    fs::create_dir_all(dir).map_err(|error| cannot("make", dir, &error))?;
    fs::write(&path, script)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .map_err(|error| cannot("write", &path, &error))?;
    Ok(path)
}

/// Says which lines are only in one of them.
fn changes(recorded: &str, public: &str) -> Vec<String> {
    let only = |one: &str, other: &str, mark: &str| -> Vec<String> {
        let other: std::collections::BTreeSet<&str> = other.lines().collect();
        one.lines()
            .filter(|line| !other.contains(line))
            .map(|line| format!("{mark} {line}"))
            .collect()
    };
    let mut changes = only(recorded, public, "-");
    changes.append(&mut only(public, recorded, "+"));
    changes
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("can't {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_and_what_comes_is_told() {
        let recorded = "pub fn a()\npub fn b()\n";
        assert!(changes(recorded, recorded).is_empty());
        let changes = changes(recorded, "pub fn a()\npub fn b(u8)\n");
        assert_eq!(changes, ["- pub fn b()", "+ pub fn b(u8)"]);
    }
}
