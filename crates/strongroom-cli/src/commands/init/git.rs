//! What git has to know of sealed files.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom::{Env, Error, ErrorKind, Result};

use crate::files;

/// The line of `.gitattributes`. `-text`: a conversion of line endings would break the seal.
const ATTRIBUTES: &str = "*.sealed -text merge=strongroom diff=strongroom";

/// The most bytes of such a file, which is git's own limit.
pub(in crate::commands) const MAX_ATTRIBUTES: usize = files::MAX_LINES;

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
    let top = top(here)?.ok_or_else(|| {
        Error::new(ErrorKind::Config, "this folder is in no git repository")
            .with_help("run `git init` first, then `strongroom init --git`")
    })?;
    let mut done = Vec::new();
    let attributes = top.join(".gitattributes");
    if files::add_line(&attributes, ATTRIBUTES)? {
        done.push(format!("{}: {ATTRIBUTES}", attributes.display()));
    }
    for (key, Driver { wanted, found }) in settings(here)? {
        if found.as_deref() != Some(wanted) {
            set(here, key, wanted)?;
            done.push(format!("config {key} = {wanted}"));
        }
    }
    if done.is_empty() {
        done.push("is set up already".to_owned());
    }
    Ok(done)
}

/// What a setting should be, and what it is.
pub(in crate::commands) struct Driver {
    pub(in crate::commands) wanted: &'static str,
    pub(in crate::commands) found: Option<String>,
}

/// Reads the settings of the repository by which git merges and shows sealed files.
pub(in crate::commands) fn settings(here: &Path) -> Result<Vec<(&'static str, Driver)>> {
    let read = |(key, wanted)| {
        let found = git(here, &["config", "--local", "--get", key])?;
        Ok((key, Driver { wanted, found }))
    };
    SETTINGS.into_iter().map(read).collect()
}

/// Writes a setting of the repository.
pub(in crate::commands) fn set(here: &Path, key: &str, value: &str) -> Result<()> {
    match git(here, &["config", "--local", key, value])? {
        Some(_) => Ok(()),
        None => Err(
            Error::new(ErrorKind::Config, format!("git can't set {key}"))
                .with_help("the repository's configuration may be locked or read-only"),
        ),
    }
}

/// Finds the top of the repository that a folder is in.
pub(in crate::commands) fn top(here: &Path) -> Result<Option<PathBuf>> {
    let top = git(here, &["rev-parse", "--show-toplevel"])?;
    Ok(top.map(PathBuf::from))
}

/// Reports whether git answers yes.
pub(in crate::commands) fn answers(here: &Path, arguments: &[&str]) -> bool {
    matches!(git(here, arguments), Ok(Some(_)))
}

/// Asks git; `None` where it answers by failing.
fn git(dir: &Path, arguments: &[&str]) -> Result<Option<String>> {
    let answer = Command::new("git")
        // A program that the repository of others names is not started.
        .args(["-c", "core.fsmonitor=false"])
        .args(arguments)
        .current_dir(dir)
        .output();
    let answer = answer.map_err(|error| {
        Error::new(ErrorKind::Config, "git can't be started").with_source(error)
    })?;
    let text = String::from_utf8_lossy(&answer.stdout);
    Ok(answer.status.success().then(|| text.trim_end().to_owned()))
}
