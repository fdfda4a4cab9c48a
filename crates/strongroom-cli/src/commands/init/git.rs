//! What git has to know of sealed files.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom::{Env, Error, ErrorKind, Result};

use crate::files::{self, failed};

/// The line of `.gitattributes`. `-text`: a conversion of line endings would break the seal.
const ATTRIBUTES: &str = "*.sealed -text merge=strongroom diff=strongroom";

/// The most bytes of such a file, which is git's own limit.
const MAX_ATTRIBUTES: usize = 100 * 1024 * 1024;

/// The repository's own settings.
const SETTINGS: [(&str, &str); 3] = [
    (
        "merge.strongroom.name",
        "merge sealed files by the names of their secrets",
    ),
    (
        "merge.strongroom.driver",
        "strongroom git-merge %O %A %B %P",
    ),
    ("diff.strongroom.textconv", "strongroom git-textconv"),
];

/// Writes the attributes and the settings that are missing, and says what it did.
pub(super) fn install(env: &Env) -> Result<Vec<String>> {
    let here = env.working_dir();
    let top = git(here, &["rev-parse", "--show-toplevel"])?.ok_or_else(|| {
        Error::new(ErrorKind::Config, "this folder is in no git repository")
            .with_help("run `git init` first, then `strongroom init --git`")
    })?;
    let mut done = Vec::new();
    let attributes = PathBuf::from(top).join(".gitattributes");
    if add_line(&attributes, ATTRIBUTES)? {
        done.push(format!("{}: {ATTRIBUTES}", attributes.display()));
    }
    for (key, value) in SETTINGS {
        let found = git(here, &["config", "--local", "--get", key])?;
        if found.as_deref() == Some(value) {
            continue;
        }
        git(here, &["config", "--local", key, value])?.ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("git can't set {key}"))
                .with_help("the repository's configuration may be locked or read-only")
        })?;
        done.push(format!("config {key} = {value}"));
    }
    if done.is_empty() {
        done.push("is set up already".to_owned());
    }
    Ok(done)
}

/// Asks git; `None` where it answers by failing.
fn git(dir: &Path, arguments: &[&str]) -> Result<Option<String>> {
    let answer = Command::new("git")
        .args(arguments)
        .current_dir(dir)
        .output();
    let answer = answer.map_err(|error| {
        Error::new(ErrorKind::Config, "git can't be started").with_source(error)
    })?;
    let text = String::from_utf8_lossy(&answer.stdout);
    Ok(answer.status.success().then(|| text.trim_end().to_owned()))
}

/// Adds a line to a file unless it has it; what is there stays.
fn add_line(path: &Path, line: &str) -> Result<bool> {
    let found = match files::read(path, MAX_ATTRIBUTES) {
        Ok(found) => String::from_utf8_lossy(&found).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed("read", path, error)),
    };
    if found.lines().any(|known| known.trim() == line) {
        return Ok(false);
    }
    let separator = match found.is_empty() || found.ends_with('\n') {
        true => "",
        false => "\n",
    };
    // Git follows no link here either.
    files::append(path, &format!("{separator}{line}\n"))
        .map_err(|error| failed("write", path, error))?;
    Ok(true)
}
