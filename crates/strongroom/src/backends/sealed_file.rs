//! The sealed file: how it is noticed. This version can't open it.

use super::{Backend, Class, Probe, not_in_this_build};
use crate::env::{Deployment, Env};
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;

pub(super) const BACKEND: Backend = Backend::new("sealed", "sealed file", |connect| {
    not_in_this_build(&connect, "sealed-file backend", "sealed-file")
})
.with_url_keys(&["key_file", "min_epoch"])
.with_detect(detect);

const PATH: &str = ".strongroom/secrets.sealed";
const MARKERS: [&str; 3] = [
    "STRONGROOM_KEY",
    "STRONGROOM_KEY_FILE",
    "STRONGROOM_PASSPHRASE_FILE",
];

fn detect(env: &Env, _: Deployment) -> Result<Vec<Probe>> {
    let set: Vec<_> = MARKERS
        .into_iter()
        .filter(|marker| env.has(marker))
        .collect();
    if let [first, second, ..] = set.as_slice() {
        // They would lead to one file, by different keys: which one opens it must not be a guess.
        return Err(Error::new(
            ErrorKind::Config,
            format!("{first} and {second} are both set, and each names a key of the sealed file"),
        )
        .with_help("keep one of them"));
    }
    let mut probes: Vec<_> = MARKERS
        .into_iter()
        .map(|marker| match env.has(marker) {
            true => Probe::found(Class::Marker, marker, ProviderUrl::new("sealed", PATH)),
            false => Probe::nothing(Class::Marker, marker, "not set"),
        })
        .collect();
    probes.push(match env.working_dir().join(PATH).is_file() {
        true => Probe::found(Class::Fallback, PATH, ProviderUrl::new("sealed", PATH)),
        false => Probe::nothing(Class::Fallback, PATH, "no such file"),
    });
    Ok(probes)
}
