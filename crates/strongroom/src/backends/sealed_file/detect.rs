//! How detection notices a sealed file.

use std::io::Read as _;
use std::path::Path;

use super::fields::FileId;
use super::format;
use super::source::{self, KEY, KEY_FILE, PASSPHRASE_FILE};
use crate::backends::{Class, Probe};
use crate::env::{Deployment, Env};
use crate::error::Result;
use crate::provider_url::ProviderUrl;

/// Where `strongroom init` puts it.
const PATH: &str = ".strongroom/secrets.sealed";

/// Each marker with the address it leads to. They differ, so that two of them are never a guess.
pub(super) fn detect(env: &Env, _: Deployment) -> Result<Vec<Probe>> {
    let address = || ProviderUrl::new("sealed", PATH);
    let mut probes = vec![match env.has(KEY) {
        true => Probe::found(Class::Marker, KEY, address()),
        false => Probe::nothing(Class::Marker, KEY, "not set"),
    }];
    for (marker, key) in [(KEY_FILE, "key_file"), (PASSPHRASE_FILE, "passphrase_file")] {
        probes.push(match env.var(marker)? {
            Some(path) => Probe::found(Class::Marker, marker, address().with_query(key, path)),
            None => Probe::nothing(Class::Marker, marker, "not set"),
        });
    }
    probes.push(match missing(env) {
        None => Probe::found(Class::Fallback, PATH, address()),
        Some(what) => Probe::nothing(Class::Fallback, PATH, what),
    });
    Ok(probes)
}

/// What is missing for the fallback to count: the file, and the user's key of it.
fn missing(env: &Env) -> Option<String> {
    let path = env.working_dir().join(PATH);
    if !path.is_file() {
        return Some("no such file".to_owned());
    }
    let Some(id) = id(&path) else {
        return Some("it is there, but it is not a sealed file".to_owned());
    };
    match source::default_path(env, id) {
        Some(key) if key.is_file() => None,
        Some(key) => Some(format!("it is there, but its key {} is not", key.display())),
        None => Some("it is there, but without a home directory its key is not".to_owned()),
    }
}

/// The id in a file's header.
fn id(path: &Path) -> Option<FileId> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(format::HEAD).read_to_end(&mut head).ok()?;
    format::id(&head)
}
