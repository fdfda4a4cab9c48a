//! `export`: secrets as other tools read them.

use std::path::PathBuf;

use clap::ValueHint;
use serde::Serialize;
use strongroom::{Connection, Declared, Error, ErrorKind, Kind, Result};
use zeroize::Zeroizing;

use super::run::variables::{self, Variable};
use crate::context::{Context, parse_name};
use crate::exchange::{Item, To};
use crate::exit::{FINE, Failure, Outcome};
use crate::files;
use crate::inventory;
use crate::report::stdout_is_terminal;

/// Print secrets as other tools read them
///
/// As dotenv (by our grammar), json (one object of names), kubernetes (a Secret), docker (an env
/// file), or summon (its secrets.yml: names alone, no value). A value with an `encoding` is written in
/// it. What a format can't carry is refused before anything is written.
///
/// Values are printed by `get` and `export` and by nothing else. A file is created with mode 0600, and
/// one that is there is left as it is without --force.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom export --output .env
  strongroom export --as json --prefix payments/ | jq .
  strongroom export --as kubernetes --secret-name payments | kubectl apply -f -
  strongroom export database/password --as docker --output app.env --force
  strongroom export --as summon > secrets.yml")]
pub(crate) struct Args {
    /// Only these names
    #[arg(value_name = "NAME", conflicts_with = "prefix")]
    names: Vec<String>,
    /// The format: dotenv, json, kubernetes, docker or summon
    #[arg(
        long = "as",
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    to: To,
    /// Only names that begin with this text
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    force: bool,
    /// Print values to a terminal too
    #[arg(long, conflicts_with = "output")]
    show: bool,
    /// What the Kubernetes Secret is called
    #[arg(long, value_name = "NAME", default_value = "secrets")]
    secret_name: String,
}

#[derive(Serialize)]
struct Body<'a> {
    file: String,
    names: Vec<&'a str>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let names = args.names.iter().map(|name| parse_name(name));
    let names = names.collect::<Result<Vec<_>>>()?;
    if stdout_is_terminal() && args.output.is_none() && !args.show && args.to != To::Summon {
        let message = "every value would stand on the terminal, and in what it scrolls back to";
        return Err(Error::new(ErrorKind::Config, message)
            .with_help("name a file by --output, pipe it on, or say --show")
            .into());
    }
    context.connected(async |connection| {
        let values = inventory::select(connection, &args.prefix, &names, &context.screen).await?;
        let declared = values.keys().map(|name| {
            let known = connection.declaration(name.as_str()).cloned();
            known.unwrap_or_else(|| Declared::new(name.clone(), Kind::Opaque))
        });
        let declared: Vec<_> = declared.collect();
        let items = match args.to {
            // Their keys are names.
            To::Json | To::Kubernetes => {
                let variable = |declared| Variable {
                    declared,
                    variable: String::new(),
                };
                declared.iter().map(variable).collect()
            }
            To::Dotenv | To::Docker | To::Summon => variables::of(declared.iter())?,
        };
        let item = |Variable { declared, variable }| {
            let value = values.get(&declared.name)?;
            Some(Item {
                name: &declared.name,
                variable,
                value: declared.encoding.encode(value),
            })
        };
        let items: Vec<_> = items.into_iter().filter_map(item).collect();
        check_any(&items, connection)?;
        let text = args.to.write(&items, &args.secret_name)?;
        write(args, &text, &items, context)
    })
}

fn check_any(items: &[Item<'_>], connection: &Connection) -> Result<()> {
    match items.is_empty() {
        false => Ok(()),
        true => {
            let message = format!("{} holds nothing to export", connection.describe().address);
            Err(Error::new(ErrorKind::Absent, message))
        }
    }
}

fn write(
    args: &Args,
    text: &Zeroizing<Vec<u8>>,
    items: &[Item<'_>],
    context: &Context<'_>,
) -> Result<u8, Failure> {
    let Some(path) = &args.output else {
        // EXPOSES: to standard output, which is what `export` is for
        context.screen.bytes(text)?;
        return Ok(FINE);
    };
    match args.force && path.exists() {
        true => files::replace(path, text)?,
        false => files::create(path, text, 0o600)?,
    }
    let file = path.display().to_string();
    match context.screen.is_json() {
        true => {
            let names = items.iter().map(|item| item.name.as_str()).collect();
            context.screen.json(&Body { file, names })?;
        }
        false => context
            .screen
            .done(&format!("wrote {} to {file}", items.len())),
    }
    Ok(FINE)
}
