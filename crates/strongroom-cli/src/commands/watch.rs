//! `watch`: what happens to the secrets, as it happens.

use strongroom::{Connection, Error, ErrorKind, Event, SecretName};

use crate::context::{self, Context};
use crate::exit::{FINE, Failure, Outcome};

/// Boot as a service would, and print what happens to the secrets
///
/// One line for each event: a rotation, a new value that was refused, an outage and its end, a secret
/// that was deleted or denied. Values are never shown. How soon a change is seen is what the manifest's
/// `cache` says: a time to live at most, and at once where the backend tells of changes. It runs until
/// Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom watch
  strongroom watch database/password
  STRONGROOM_CFG_CACHE__TTL=10s strongroom watch --format json")]
pub(crate) struct Args {
    /// Only these secrets
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let names: Vec<SecretName> = args
        .names
        .iter()
        .map(|name| context::parse_name(name))
        .collect::<Result<_, _>>()?;
    context.connected(async |connection| {
        for name in &names {
            if connection.declaration(name.as_str()).is_none() {
                return Err(undeclared(connection, name).into());
            }
        }
        let secrets = connection.clone().boot().await?;
        let mut events = secrets.events();
        let held = secrets.health().secrets.len();
        let address = &secrets.detection().chosen()?.address;
        let subject = match held {
            1 => "1 secret".to_owned(),
            held => format!("{held} secrets"),
        };
        context
            .screen
            .done(&format!("watching {subject} of {address} (Ctrl-C ends it)"));
        while let Some(event) = events.next().await {
            if names.is_empty() || names.contains(&event.name) {
                show(&event, context)?;
            }
        }
        Ok(FINE)
    })
}

fn show(event: &Event, context: &Context<'_>) -> Result<(), Failure> {
    if context.screen.is_json() {
        return context.screen.json(event);
    }
    let at = humantime::format_rfc3339_seconds(event.at);
    context.screen.text(&format!("{at} {event}"))
}

fn undeclared(connection: &Connection, name: &SecretName) -> Error {
    let help = match context::nearest(connection, name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "declare it in the manifest's `secrets`: a boot reads what is declared".to_owned(),
    };
    Error::new(
        ErrorKind::Config,
        "it is not declared, so a boot doesn't read it",
    )
    .with_help(help)
    .with_name(name)
}
