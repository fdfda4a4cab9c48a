//! `rm`: deletes one secret.

use serde::Serialize;
use strongroom::provider::Expect;
use strongroom::{SecretName, Version};

use crate::context::{Context, parse_name, suggest};
use crate::exit::{FINE, Outcome};

/// Delete a secret
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom rm payments/old-token
  strongroom rm payments/old-token --if-version 7")]
pub(crate) struct Args {
    /// The secret's name, `path` or `path#field`
    name: String,
    /// Only if this is its version; otherwise nothing happens and the exit code is 7
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    name: &'a SecretName,
    deleted: bool,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let name = parse_name(&args.name)?;
    let expect = match &args.if_version {
        Some(version) => Expect::Version(Version::new(version.as_str())),
        None => Expect::Any,
    };
    context.connected(async |connection| {
        if let Err(error) = connection.delete(&name, expect).await {
            return Err(suggest(connection, &name, error, context).await.into());
        }
        if context.screen.is_json() {
            context.screen.json(&Body {
                name: &name,
                deleted: true,
            })?;
        } else {
            context.screen.done(&format!("deleted {name}"));
        }
        Ok(FINE)
    })
}
