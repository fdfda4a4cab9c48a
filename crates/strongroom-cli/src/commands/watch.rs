//! `watch`: what happens to the secrets, as it happens.

use std::collections::BTreeSet;

use strongroom::{Connection, Error, ErrorKind, Result, SecretName, Secrets};

use crate::context::{self, Context};
use crate::exit::{FINE, Outcome};
use crate::interrupts::Interrupts;

/// Boot as a service would, and print what happens to the secrets
///
/// One line for each event: a rotation, a new value that was refused, an outage and its end, a secret
/// that was deleted or denied. Values are never shown. How soon a change is seen is what the manifest's
/// `cache` says: a time to live at most, and at once where the backend tells of changes.
///
/// It runs until Ctrl-C, SIGTERM or SIGHUP, gives back what it was lent, and ends with exit code 0; so it
/// does where nobody reads its output any more. If it can't boot, the exit code says why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom watch
  strongroom watch database/password
  STRONGROOM_CFG_CACHE__TTL=10s strongroom watch --format json")]
pub(crate) struct Args {
    /// Only these secrets, which the manifest declares
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let names: BTreeSet<SecretName> = args
        .names
        .iter()
        .map(|name| context::parse_name(name))
        .collect::<Result<_>>()?;
    context.connected(async |connection| {
        for name in &names {
            if connection.declaration(name.as_str()).is_none() {
                return Err(undeclared(connection, name).into());
            }
        }
        // From here on Ctrl-C ends it in order: what a backend lent is given back.
        let mut interrupts = Interrupts::listen()?;
        tokio::select! {
            outcome = watch(connection, &names, context) => outcome,
            _ = interrupts.next() => Ok(FINE),
        }
    })
}

async fn watch(
    connection: &Connection,
    names: &BTreeSet<SecretName>,
    context: &Context<'_>,
) -> Outcome {
    let secrets = connection.clone().boot().await?;
    let mut events = secrets.events();
    context.screen.done(&watching(&secrets, names)?);
    while let Some(event) = events.next().await {
        if names.is_empty() || names.contains(&event.name) {
            let at = humantime::format_rfc3339_seconds(event.at);
            if !context.screen.item(&format!("{at} {event}"), &event)? {
                break;
            }
        }
    }
    Ok(FINE)
}

/// Says what is watched.
fn watching(secrets: &Secrets, names: &BTreeSet<SecretName>) -> Result<String> {
    let count = match names.len() {
        0 => secrets.health().secrets.len(),
        named => named,
    };
    let subject = match count {
        1 => "1 secret".to_owned(),
        count => format!("{count} secrets"),
    };
    let address = &secrets.detection().chosen()?.address;
    Ok(format!("watching {subject} of {address} (Ctrl-C ends it)"))
}

fn undeclared(connection: &Connection, name: &SecretName) -> Error {
    let help = match context::nearest(connection, name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "declare it in the manifest's `secrets`: a boot reads what is declared".to_owned(),
    };
    let message = "it is not declared, so a boot doesn't read it";
    Error::new(ErrorKind::Config, message)
        .with_help(help)
        .with_name(name)
}
