//! `audit`: proves that the audit log is as it was written, and shows what is in it.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom::audit::Log;
use strongroom::{Error, ErrorKind, Result};

use crate::context::Context;
use crate::exit::Outcome;

mod show;
mod verify;

/// Prove that the audit log is as it was written, and show what is in it
///
/// The log is the file that the manifest's section `audit` names, with the files beside it that were set
/// aside, or the one that is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom audit verify
  strongroom audit show --since 24h --outcome denied")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Verify),
    Show(show::Show),
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Outcome {
    match args.command {
        Command::Verify(args) => verify::run(&args, context),
        Command::Show(args) => show::run(&args, context),
    }
}

/// Finds the log that the manifest asks for.
fn log_of_manifest(context: &Context<'_>) -> Result<Log> {
    let builder = context.builder()?;
    context.screen.warnings(&builder.explain()?.warnings);
    builder.audit_log()?.ok_or_else(|| {
        Error::new(ErrorKind::Config, "the manifest asks for no audit log")
            .with_help("name the log's file, or give the manifest a section `audit` with a `path`")
    })
}

fn path_or_manifest(path: Option<&PathBuf>, context: &Context<'_>) -> Result<PathBuf> {
    match path {
        Some(path) => Ok(path.clone()),
        None => Ok(log_of_manifest(context)?.path),
    }
}
