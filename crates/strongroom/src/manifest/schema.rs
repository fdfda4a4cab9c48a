//! The keys that a manifest may have, level by level: the check that it has no others, and its JSON Schema.

use figment::value::{Dict, Value};

use super::document::Document;
use crate::error::{Error, ErrorKind, Result};
use crate::rails::Rail;
use crate::report::Finding;

mod json;
mod keys;
#[cfg(test)]
mod tests;

pub use json::manifest_schema;
use keys::{Form, Key};

const DEPLOYMENTS: &[&str] = &["default", "development", "test", "staging", "production"];
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
    let mut top: Vec<_> = keys::PROFILE.iter().map(|key| key.name).collect();
    top.extend(Rail::ALL.iter().map(|rail| rail.override_key()));
    check_level(dict, &top, path, place)?;
    check_tables(dict, keys::PROFILE, path, place)
}

/// Refuses every unknown key of the tables below one. What is no table is left to the reader.
fn check_tables(
    dict: &Dict,
    keys: &[Key],
    path: &mut Vec<String>,
    place: &dyn Fn(&[String]) -> String,
) -> Result<()> {
    for key in keys {
        let Some(Value::Dict(_, inner)) = dict.get(key.name) else {
            continue;
        };
        path.push(key.name.to_owned());
        match key.form {
            Form::Table(keys) | Form::NameOrTable(keys) => check_table(inner, keys, path, place)?,
            Form::Secrets { keys, .. } => {
                for (name, secret) in inner {
                    let Value::Dict(_, secret) = secret else {
                        continue;
                    };
                    path.push(name.clone());
                    check_table(secret, keys, path, place)?;
                    path.pop();
                }
            }
            _ => {}
        }
        path.pop();
    }
    Ok(())
}

fn check_table(
    dict: &Dict,
    keys: &[Key],
    path: &mut Vec<String>,
    place: &dyn Fn(&[String]) -> String,
) -> Result<()> {
    let names: Vec<_> = keys.iter().map(|key| key.name).collect();
    check_level(dict, &names, path, place)?;
    check_tables(dict, keys, path, place)
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
