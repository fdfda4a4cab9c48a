//! `get`: one value, exactly.

use base64ct::{Base64, Encoding as _};
use serde::Serialize;
use strongroom::{Declared, Error, ErrorKind, Secret, SecretName, Source, Version};
use zeroize::Zeroizing;

use crate::context::{Context, parse_name, suggest};
use crate::exit::{FINE, Outcome};
use crate::report::stdout_is_terminal;

/// Print a secret's value
///
/// The exact bytes, with no newline added; only where standard output is a terminal, one follows.
/// The strength policy is not applied: this is how a weak value is looked at. With `--format json`
/// a value that is not text stands in `value_base64`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom get database/password
  strongroom get database#password --provider file:/run/secrets
  strongroom get tls/key > key.pem")]
pub(crate) struct Args {
    /// The secret's name, `path` or `path#field`
    name: String,
}

#[derive(Serialize)]
struct Body<'a> {
    name: &'a SecretName,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<&'a str>,
    version: Option<&'a Version>,
    created: Option<String>,
    source: Source,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let name = parse_name(&args.name)?;
    context.connected(async |connection| {
        check_not_lent(connection.declaration(name.as_str()))?;
        let secret = match connection.read(&name).await {
            Ok(secret) => secret,
            Err(error) => return Err(suggest(connection, &name, error, context).await.into()),
        };
        if context.screen.is_json() {
            return json(&name, &secret, context);
        }
        // EXPOSES: to standard output, which is what `get` is for
        context.screen.bytes(secret.expose_bytes())?;
        // EXPOSES: only its last byte is looked at
        if stdout_is_terminal() && !secret.expose_bytes().ends_with(b"\n") {
            context.screen.bytes(b"\n")?;
        }
        Ok(FINE)
    })
}

/// Refuses a dynamic secret: it would be given back before anybody could use it.
pub(crate) fn check_not_lent(declared: Option<&Declared>) -> strongroom::Result<()> {
    let source = declared.and_then(|declared| declared.source.as_ref());
    match declared.filter(|_| source.is_some_and(|source| source.lease)) {
        None => Ok(()),
        Some(declared) => {
            let message = "it is a dynamic secret, which lives no longer than the program that renews \
                           its lease: this one ends now";
            let error = Error::new(ErrorKind::Unsupported, message).with_name(&declared.name);
            Err(error.with_help("have the service read it itself, through the library"))
        }
    }
}

fn json(name: &SecretName, secret: &Secret, context: &Context<'_>) -> Outcome {
    // EXPOSES: to standard output, which is what `get` is for
    let text = secret.expose_str().ok();
    let encoded = match text {
        Some(_) => None,
        // EXPOSES: to standard output; the encoded copy is wiped
        None => Some(Zeroizing::new(Base64::encode_string(secret.expose_bytes()))),
    };
    let metadata = secret.metadata();
    let created = metadata.created().map(humantime::format_rfc3339_seconds);
    context.screen.json(&Body {
        name,
        value: text,
        value_base64: encoded.as_ref().map(|encoded| encoded.as_str()),
        version: metadata.version(),
        created: created.map(|time| time.to_string()),
        source: metadata.source(),
    })?;
    Ok(FINE)
}
