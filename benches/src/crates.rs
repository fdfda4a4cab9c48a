//! How many crates a user compiles.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::Section;

/// What is depended on, as people call it, and the line of the manifest.
const LIBRARIES: &[(&str, &str)] = &[
    (
        "`strongroom`, default features",
        "strongroom = { path = STRONGROOM }",
    ),
    (
        "`secret-vault`, no default features",
        "secret-vault = { version = \"3\", default-features = false }",
    ),
    (
        "`secretspec`, no default features",
        "secretspec = { version = \"0.21\", default-features = false }",
    ),
    ("`secretspec`, default features", "secretspec = \"0.21\""),
];

pub fn section() -> Section {
    let mut text = "\
## Crates compiled

What a new crate compiles for this machine that depends on one library and nothing else, each version \
of a crate counted once, the library itself included (`cargo tree --edges normal,build`). Versions \
are those that cargo resolved for this compiler in this run. The libraries do different things, so the numbers tell what each \
costs, not which is better.

| library | version | crates |
|---|---|---|"
        .to_owned();
    for (title, dependency) in LIBRARIES {
        match compiled(dependency) {
            Ok((version, count)) => write!(text, "\n| {title} | {version} | {count} |")?,
            Err(error) => {
                eprintln!("{title}: {error}");
                write!(text, "\n| {title} | not resolved in this run | |")?;
            }
        }
    }
    Ok(text)
}

/// Returns the version of the library, and how many crates its user compiles.
fn compiled(dependency: &str) -> Result<(String, usize), Box<dyn Error>> {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/strongroom");
    let dependency = dependency.replace("STRONGROOM", &format!("{library:?}"));
    let user = tempfile::tempdir()?;
    fs::create_dir(user.path().join("src"))?;
    fs::write(user.path().join("src/lib.rs"), "")?;
    let manifest = format!(
        "[workspace]\n[package]\nname = \"user\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         rust-version = \"1.95\"\n[dependencies]\n{dependency}\n"
    );
    fs::write(user.path().join("Cargo.toml"), manifest)?;
    let tree = Command::new("cargo")
        .args([
            "tree",
            "--quiet",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .current_dir(user.path())
        .output()?;
    if !tree.status.success() {
        return Err(String::from_utf8_lossy(&tree.stderr).into());
    }
    let tree = String::from_utf8(tree.stdout)?;
    let crates: BTreeSet<_> = tree.lines().filter_map(name_and_version).collect();
    let library = dependency.split_whitespace().next().unwrap_or_default();
    let (_, version) = crates
        .iter()
        .find(|(name, _)| *name == library)
        .ok_or("the library is not in its own tree")?;
    let version = version.trim_start_matches('v').to_owned();
    // The new crate itself is in the tree too.
    Ok((version, crates.len() - 1))
}

fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?))
}
