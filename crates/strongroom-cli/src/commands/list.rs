//! `list`: the names that the provider holds.

use serde::Serialize;
use strongroom::SecretName;

use crate::context::Context;
use crate::exit::{FINE, Outcome};

/// List the names of the secrets that the provider holds
///
/// One name on each line, sorted. What the manifest declares is shown by `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom list
  strongroom list payments/
  strongroom list --format json")]
pub(crate) struct Args {
    /// Only names that begin with this text
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
}

#[derive(Serialize)]
struct Body<'a> {
    secrets: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a SecretName,
    declared: bool,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    context.connected(async |connection| {
        let names = connection.list(&args.prefix).await?;
        if context.screen.is_json() {
            let entry = |name| Entry {
                name,
                declared: connection.declaration(SecretName::as_str(name)).is_some(),
            };
            let secrets = names.iter().map(entry).collect();
            context.screen.json(&Body { secrets })?;
        } else {
            let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
            context.screen.bytes(lines.as_bytes())?;
        }
        Ok(FINE)
    })
}
