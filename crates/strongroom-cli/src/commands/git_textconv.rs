//! `git-textconv`: what `git diff` shows of a sealed file.

use std::path::PathBuf;

use clap::ValueHint;
use serde::Serialize;
use strongroom::sealed_file::Outline;
use strongroom::{SecretName, Version};

use crate::context::Context;
use crate::exit::{FINE, Outcome};
use crate::key_source::read_sealed;

/// Show the names and versions in a sealed file, for `git diff`
///
/// Needs no key, so nothing is checked, and no value is shown. `strongroom init --git` sets it up.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom git-textconv .strongroom/secrets.sealed
  git config diff.strongroom.textconv 'strongroom git-textconv'")]
pub(crate) struct Args {
    /// The sealed file
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

#[derive(Serialize)]
struct Body<'a> {
    file: String,
    epoch: u64,
    slots: Vec<Slot<'a>>,
    secrets: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Slot<'a> {
    id: &'a str,
    label: &'a str,
    kind: &'a str,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a SecretName,
    version: &'a Version,
    previous: Option<&'a Version>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let bytes = read_sealed(&args.file)?;
    // A version of the file without content, as git has one for a file that was added.
    if bytes.is_empty() {
        return Ok(FINE);
    }
    let outline = Outline::read(bytes)?;
    if !context.screen.is_json() {
        context.screen.bytes(outline.to_string().as_bytes())?;
        return Ok(FINE);
    }
    let slots = outline.slots.iter().map(|slot| Slot {
        id: &slot.id,
        label: &slot.label,
        kind: &slot.kind,
    });
    let secrets = outline.entries.iter().map(|entry| Entry {
        name: &entry.name,
        version: &entry.version,
        previous: entry.previous.as_ref(),
    });
    context.screen.json(&Body {
        file: outline.id.to_string(),
        epoch: outline.epoch,
        slots: slots.collect(),
        secrets: secrets.collect(),
    })?;
    Ok(FINE)
}
