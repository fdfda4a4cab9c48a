//! `git-merge`: merges sealed files by the names of their secrets.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde::Serialize;
use strongroom::sealed_file::{Outline, SlotKey, merge};
use strongroom::{
    Connect, DeploymentChoice, Error, ErrorKind, Finding, GuardRails, ProviderUrl, Report, Result,
};

use crate::context::Context;
use crate::exit::{self, FINE, Outcome};
use crate::files::replace;
use crate::key_source::read_sealed;

/// Merge two versions of a sealed file by the names of their secrets, for git
///
/// All three are opened with the key and their seals checked; without the key nothing is touched.
/// The result replaces OURS. Where both sides changed the same secret, it holds ours and the exit
/// code is 7, so that git reports a conflict; git keeps both sides. `strongroom init --git` sets it
/// up.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  git config merge.strongroom.driver 'strongroom git-merge %O %A %B %P'
  strongroom git-merge base.sealed ours.sealed theirs.sealed secrets.sealed

After a conflict, to look at their value:
  git show :3:.strongroom/secrets.sealed > /tmp/theirs.sealed
  strongroom get NAME --provider sealed:/tmp/theirs.sealed")]
pub(crate) struct Args {
    /// The version that both come from (git's %O)
    #[arg(value_hint = ValueHint::FilePath)]
    base: PathBuf,
    /// Our version, which the result replaces (git's %A)
    #[arg(value_hint = ValueHint::FilePath)]
    ours: PathBuf,
    /// Their version (git's %B)
    #[arg(value_hint = ValueHint::FilePath)]
    theirs: PathBuf,
    /// What to call the file in messages (git's %P)
    path: Option<PathBuf>,
}

/// What the merge came to. In a conflict the file is written too.
#[derive(Serialize)]
struct Body<'a> {
    file: &'a Path,
    conflicts: &'a [Finding],
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let shown = args.path.as_deref().unwrap_or(&args.ours);
    let [base, ours, theirs] = [&args.base, &args.ours, &args.theirs].map(|path| read_sealed(path));
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let file = |error: Error| located(shown, error);
    let id = Outline::read(ours.clone()).map_err(file)?.id;
    let key = SlotKey::find(&connect(context, shown)?, id).map_err(file)?;
    let merged = merge(&base, &ours, &theirs, &key).map_err(file)?;
    replace(&args.ours, &merged.file)?;
    let conflicts = merged.conflicts;
    let code = match conflicts.is_empty() {
        true => FINE,
        false => exit::code(ErrorKind::Conflict),
    };
    if context.screen.is_json() {
        let (file, conflicts) = (shown, conflicts.as_slice());
        context.screen.json(&Body { file, conflicts })?;
        return Ok(code);
    }
    match conflicts.is_empty() {
        true => Ok(FINE),
        false => Err(in_conflict(shown, conflicts).into()),
    }
}

fn in_conflict(path: &Path, conflicts: Vec<Finding>) -> Error {
    let path = path.display();
    let message = match conflicts.len() {
        1 => format!("{path} is in conflict"),
        many => format!("{path} is in conflict, {many} times"),
    };
    Error::new(ErrorKind::Conflict, message)
        .with_report(Report::new(conflicts))
        .with_help(format!(
            "the file holds our side, and what only one side deleted; theirs is in \
             `git show :3:{path}`. Settle each, then `git add {path}`"
        ))
}

/// Prepares the search for the key: as the chosen provider's address says, if that is a sealed
/// file. The manifest may be in conflict itself, and is not needed.
fn connect(context: &Context<'_>, shown: &Path) -> Result<Connect> {
    let chosen = context.builder()?.explain_connect();
    match chosen {
        Ok(connect) if connect.url.scheme() == "sealed" => Ok(connect),
        _ => {
            let deployment = DeploymentChoice::from_env(&context.env)?.deployment;
            let url = ProviderUrl::new("sealed", shown.display().to_string());
            Ok(Connect::new(
                url,
                context.env.clone(),
                GuardRails::new(deployment, []),
            ))
        }
    }
}

fn located(path: &Path, error: Error) -> Error {
    let message = format!("{}: {error}", path.display());
    let located = Error::new(error.kind(), message);
    match error.help() {
        Some(help) => located.with_help(format!("the file was not touched; {help}")),
        None => located.with_help("the file was not touched"),
    }
}
