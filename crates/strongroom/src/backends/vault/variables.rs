//! The variables of Vault's and OpenBao's own tools. OpenBao's win, as they do there.

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};

/// The first of `BAO_…` and `VAULT_…` that is set, and its name.
pub(super) fn either<'a>(env: &'a Env, name: &str) -> Result<Option<(String, &'a str)>> {
    for brand in ["BAO_", "VAULT_"] {
        let variable = format!("{brand}{name}");
        if let Some(value) = env.var(&variable)? {
            return Ok(Some((variable, value)));
        }
    }
    Ok(None)
}

/// The value alone.
#[cfg(feature = "vault")]
pub(super) fn value<'a>(env: &'a Env, name: &str) -> Result<Option<&'a str>> {
    Ok(either(env, name)?.map(|(_, value)| value))
}

/// The variable that switches the check of the server's certificate off, if one does.
///
/// The words are those that Vault's own tools read; any other is an error there, and here.
///
/// # Errors
/// [`ErrorKind::Config`] if the value is no such word.
pub(super) fn skips_verification(env: &Env) -> Result<Option<String>> {
    let Some((variable, value)) = either(env, "SKIP_VERIFY")? else {
        return Ok(None);
    };
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(variable)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(None),
        _ => Err(Error::new(
            ErrorKind::Config,
            format!("{variable} is neither yes nor no"),
        )
        .with_help("write true or false, or leave it out")),
    }
}
