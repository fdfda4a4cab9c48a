//! The keys that a manifest may have, level by level.

use figment::value::{Dict, Value};

use super::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::rails::Rail;
use crate::report::Finding;

const TOP: &[&str] = &[
    "provider",
    "allow_providers",
    "providers",
    "policy",
    "retry",
    "limit",
    "cache",
    "snapshot",
    "audit",
    "secrets",
];
const DEPLOYMENTS: &[&str] = &["default", "development", "test", "staging", "production"];
const POLICY: &[&str] = &["min_length", "rotate_after"];
const RETRY: &[&str] = &["attempts", "deadline"];
const LIMIT: &[&str] = &["concurrency", "per_second"];
const CACHE: &[&str] = &["ttl", "max_stale", "negative_ttl", "overlap"];
const SNAPSHOT: &[&str] = &["path", "key_file", "max_age"];
const AUDIT: &[&str] = &[
    "path",
    "key_file",
    "key_secret",
    "service",
    "reads",
    "fail_closed",
    "max_bytes",
    "max_age",
    "keep",
    "keep_for",
    "head_every",
    "sync",
];
const SECRET: &[&str] = &[
    "kind",
    "description",
    "env",
    "required",
    "default",
    "source",
    "encoding",
    "min_length",
    "length",
    "rotate_after",
];
const SOURCE: &[&str] = &["provider", "id", "name", "field", "lease"];

/// Refuses every unknown key of a document, in the profiles that are not in use too: a slip in
/// `[production]` should show on the laptop.
pub(super) fn check(document: &Document) -> Result<()> {
    for (profile, dict) in document.profiles() {
        let mut path = vec![profile.to_string()];
        check_profile(dict, &mut path, &|path| document.place(path))?;
    }
    Ok(())
}

/// Warns of profiles whose name is nearly a deployment's: what they hold would never be in force.
pub(super) fn nearly_deployments(document: &Document) -> Vec<Finding> {
    let mut warnings = Vec::new();
    for profile in document.profiles().keys() {
        let profile = profile.as_str().as_str();
        let near = |known: &&&str| strsim::damerau_levenshtein(profile, known) <= 2;
        if let Some(known) = DEPLOYMENTS
            .iter()
            .find(near)
            .filter(|known| **known != profile)
        {
            let place = document.place(&[profile.to_owned()]);
            let message = format!("{place}: the profile `{profile}` belongs to no deployment");
            let help = format!("did you mean `{known}`?");
            warnings.push(Finding::warning(None, "unknown-profile", message, help));
        }
    }
    warnings
}

/// Refuses every unknown key of one profile. `place` says where a key stands.
pub(super) fn check_profile(
    dict: &Dict,
    path: &mut Vec<String>,
    place: &dyn Fn(&[String]) -> String,
) -> Result<()> {
    let mut top = TOP.to_vec();
    top.extend(Rail::ALL.iter().map(|rail| rail.override_key()));
    check_level(dict, &top, path, place)?;
    for (section, keys) in [
        ("policy", POLICY),
        ("retry", RETRY),
        ("limit", LIMIT),
        ("cache", CACHE),
        ("snapshot", SNAPSHOT),
        ("audit", AUDIT),
    ] {
        if let Some(Value::Dict(_, dict)) = dict.get(section) {
            path.push(section.to_owned());
            check_level(dict, keys, path, place)?;
            path.pop();
        }
    }
    let Some(Value::Dict(_, secrets)) = dict.get("secrets") else {
        return Ok(());
    };
    path.push("secrets".to_owned());
    for (name, secret) in secrets {
        let Value::Dict(_, secret) = secret else {
            continue;
        };
        path.push(name.clone());
        check_level(secret, SECRET, path, place)?;
        if let Some(Value::Dict(_, source)) = secret.get("source") {
            path.push("source".to_owned());
            check_level(source, SOURCE, path, place)?;
            path.pop();
        }
        path.pop();
    }
    path.pop();
    Ok(())
}

fn check_level(
    dict: &Dict,
    known: &[&str],
    path: &mut Vec<String>,
    place: &dyn Fn(&[String]) -> String,
) -> Result<()> {
    let Some(key) = dict.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    let level = path.get(1..).unwrap_or_default().join(".");
    let level = if level.is_empty() {
        level
    } else {
        format!(" in `{level}`")
    };
    path.push(key.clone());
    let message = format!("{}: unknown key `{key}`{level}", place(path));
    let help = match suggest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    Err(Error::new(ErrorKind::Config, message).with_help(help))
}

/// Finds the known word that a mistyped one was probably meant to be.
pub(crate) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |known: &'a str| (strsim::damerau_levenshtein(word, known), known);
    let (distance, near) = known.into_iter().map(distance).min()?;
    // A third of the word may be wrong: more is another word.
    (distance <= word.len().max(near.len()).div_ceil(3)).then_some(near)
}
