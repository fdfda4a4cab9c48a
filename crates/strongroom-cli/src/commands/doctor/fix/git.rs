//! What git should know: plain files of values are ignored, sealed files are merged by us.

use std::path::Path;

use strongroom::Env;

use super::{Fix, Places};
use crate::commands::init::git::{self, Driver};
use crate::files;

pub(super) fn fix(env: &Env, places: &Places, dry_run: bool) -> Vec<Fix> {
    let here = env.working_dir();
    let Ok(Some(top)) = git::top(here) else {
        return Vec::new();
    };
    let mut fixes: Vec<Fix> = Vec::new();
    for path in &places.plain {
        let known = fixes.iter().any(|known| known.path == *path);
        if !known {
            fixes.extend(ignored(path, &top, here, dry_run));
        }
    }
    fixes.extend(merged(here, &top, dry_run));
    fixes
}

/// Has git ignore a plain file of values.
fn ignored(path: &Path, top: &Path, here: &Path, dry_run: bool) -> Option<Fix> {
    let there = path.symlink_metadata().ok()?;
    let real = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
    let inside = real.strip_prefix(top.canonicalize().ok()?).ok()?.to_owned();
    let shown = inside.to_str().filter(|shown| !shown.is_empty())?;
    if git::answers(here, &["check-ignore", "--quiet", "--", path.to_str()?]) {
        return None;
    }
    let slash = if there.is_dir() { "/" } else { "" };
    let line = format!("/{shown}{slash}");
    let action = format!("is ignored by git: {line} in .gitignore");
    if git::answers(here, &["ls-files", "--error-unmatch", "--", path.to_str()?]) {
        let why = "git has it already: replace the values, and take it out by `git rm --cached`";
        return Some(Fix::left(path, action, why));
    }
    // What has a meaning in patterns is not ours to quote.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if !shown.chars().all(plain) {
        let why = "its name has a meaning in .gitignore: write the line yourself";
        return Some(Fix::left(path, action, why));
    }
    Some(Fix::of(path, action, dry_run, || {
        files::add_line(&top.join(".gitignore"), &line)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }))
}

/// Installs the driver that .gitattributes asks for.
fn merged(here: &Path, top: &Path, dry_run: bool) -> Vec<Fix> {
    let attributes = files::read(&top.join(".gitattributes"), git::MAX_ATTRIBUTES);
    let asks = attributes.is_ok_and(|attributes| {
        let attributes = String::from_utf8_lossy(&attributes).into_owned();
        attributes
            .split_whitespace()
            .any(|word| word == "merge=strongroom")
    });
    if !asks {
        return Vec::new();
    }
    let config = top.join(".git/config");
    let fix = |(key, driver): (&'static str, Driver)| {
        let action = format!("{key} = {}", driver.wanted);
        match driver.found {
            None => Some(Fix::of(&config, action, dry_run, || {
                git::set(here, key, driver.wanted).map_err(|error| error.to_string())
            })),
            Some(found) if found == driver.wanted => None,
            Some(_) => Some(Fix::left(
                &config,
                action,
                "somebody set it to something else",
            )),
        }
    };
    let settings = git::settings(here).unwrap_or_default();
    settings.into_iter().filter_map(fix).collect()
}
