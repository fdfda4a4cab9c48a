//! The closed list of `STRONGROOM_…` variables.

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest;
use crate::report::Finding;

/// Every variable of ours, besides `STRONGROOM_CFG_…`.
const KNOWN: &[&str] = &[
    "STRONGROOM_AWS_PREFIX",
    "STRONGROOM_DIR",
    "STRONGROOM_ENV",
    "STRONGROOM_KEY",
    "STRONGROOM_KEY_FILE",
    "STRONGROOM_LOG",
    "STRONGROOM_MANIFEST",
    "STRONGROOM_PASSPHRASE_FILE",
    "STRONGROOM_PROFILE",
    "STRONGROOM_PROVIDER",
];

/// What `strongroom rotate` tells its hook, which may start the program again.
const OF_HOOKS: &[&str] = &["STRONGROOM_ROTATION_VERSION", "STRONGROOM_SECRET_NAME"];

/// Reports every `STRONGROOM_…` variable that means nothing, without its value.
///
/// One of ours that is set to nothing is an error: a template that failed to fill it in must not
/// lead to another provider.
pub(super) fn check(env: &Env) -> Result<Vec<Finding>> {
    if let Some(empty) = KNOWN
        .iter()
        .find(|name| env.raw(name).is_some_and(<[u8]>::is_empty))
    {
        return Err(Error::new(
            ErrorKind::Config,
            format!("the variable {empty} is set, but empty"),
        )
        .with_help("give it a value, or unset it"));
    }
    let ours = env.names().filter(|name| name.starts_with("STRONGROOM_"));
    let ours = ours.filter(|name| !name.starts_with("STRONGROOM_CFG_"));
    let unknown = ours.filter(|name| !KNOWN.contains(name) && !OF_HOOKS.contains(name));
    Ok(unknown
        .map(|name| {
            let help = match manifest::suggest(name, KNOWN.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => "unset it; the manifest's settings are STRONGROOM_CFG_…".to_owned(),
            };
            let message = format!("the variable {name} means nothing to strongroom");
            Finding::warning(None, "unknown-variable", message, help)
        })
        .collect())
}
