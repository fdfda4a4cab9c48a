//! The sealed file: how it is noticed. This version can't open it.

use super::{Backend, Class, Probe, not_in_this_build};
use crate::env::{Deployment, Env};
use crate::error::Result;
use crate::provider_url::ProviderUrl;

pub(super) const BACKEND: Backend = Backend::new("sealed", "sealed file", |connect| {
    not_in_this_build(&connect, "sealed-file backend", "sealed-file")
})
.with_url_keys(&["key_file", "passphrase_file", "min_epoch"])
.with_credentials(&[
    "STRONGROOM_KEY",
    "STRONGROOM_KEY_FILE",
    "STRONGROOM_PASSPHRASE_FILE",
])
.with_detect(detect);

const PATH: &str = ".strongroom/secrets.sealed";

/// Each marker with the address it leads to. They differ, so that two of them are never a guess.
fn detect(env: &Env, _: Deployment) -> Result<Vec<Probe>> {
    let address = || ProviderUrl::new("sealed", PATH);
    let mut probes = vec![match env.has("STRONGROOM_KEY") {
        true => Probe::found(Class::Marker, "STRONGROOM_KEY", address()),
        false => Probe::nothing(Class::Marker, "STRONGROOM_KEY", "not set"),
    }];
    for (marker, key) in [
        ("STRONGROOM_KEY_FILE", "key_file"),
        ("STRONGROOM_PASSPHRASE_FILE", "passphrase_file"),
    ] {
        probes.push(match env.var(marker)? {
            Some(path) => Probe::found(Class::Marker, marker, address().with_query(key, path)),
            None => Probe::nothing(Class::Marker, marker, "not set"),
        });
    }
    probes.push(match env.working_dir().join(PATH).is_file() {
        true => Probe::found(Class::Fallback, PATH, address()),
        false => Probe::nothing(Class::Fallback, PATH, "no such file"),
    });
    Ok(probes)
}
