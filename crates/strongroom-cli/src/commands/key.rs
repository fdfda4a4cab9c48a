//! `key`: the slots of the sealed file, each of which one key or passphrase opens.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use serde::Serialize;
use strongroom::sealed_file::{NewSlot, SealedFile, SlotInfo, SlotKey};
use strongroom::{Error, ErrorKind, Result};

use crate::context::{Context, most_like};
use crate::exit::{FINE, Outcome};
use crate::key_source::{Passphrase, read_key, write_key};
use crate::paint::Span;
use crate::table::Table;

/// What a removed holder keeps.
const HISTORY: &str = "what was readable before stays readable to whoever had a removed or former \
                       key: git's history and other copies hold the old states of the file. \
                       Replace the values that matter";

/// Add, remove, replace and list the keys that open the sealed file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom key list
  strongroom key add anna --passphrase         a second key, for a second person
  strongroom key remove anna")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(Add),
    Remove(Remove),
    Rotate(Rotate),
    List(List),
}

/// Add a slot: a further key or passphrase that opens the file
///
/// Without an option for a passphrase, the key in the key file is used; where there is no such file
/// yet, a new key is written to it. The secrets themselves are not encrypted again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom key add ci --key-file ../ci.key
  strongroom key add anna --passphrase")]
struct Add {
    /// Whose the slot is: one to 64 of A-Z a-z 0-9 . _ -
    label: String,
    /// The key file of the new slot; one that is there is used, and never overwritten
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present_any = ["passphrase", "passphrase_file", "passphrase_fd"])]
    #[arg(conflicts_with_all = ["passphrase", "passphrase_file", "passphrase_fd"])]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// Remove slots, and encrypt everything again under a new data key
///
/// Who held a removed key could have kept the data key, so it is replaced; the key or passphrase of
/// every slot that stays is needed for that. Old states of the file, as git's history holds them,
/// stay readable to a removed holder: replace the values that matter.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom key remove anna
  strongroom key remove anna ci --key-file ../recovery.key")]
struct Remove {
    /// The slots, by label or id
    #[arg(required = true, value_name = "SLOT")]
    slots: Vec<String>,
    #[command(flatten)]
    others: Others,
}

/// Encrypt everything again under a new data key; all slots stay
///
/// The key or passphrase of every slot is needed. Old states of the file, as git's history holds
/// them, stay readable with the keys that opened them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom key rotate
  strongroom key rotate --key-file ../recovery.key --passphrase")]
struct Rotate {
    #[command(flatten)]
    others: Others,
}

/// List the slots
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom key list
  strongroom key list --provider sealed:backup.sealed
  strongroom key list --format json | jq -r '.slots[].label'")]
struct List {}

/// The keys of slots that stay, beside the one that opens the file here.
#[derive(Debug, clap::Args)]
struct Others {
    /// The key file of a further slot that stays; may be given several times
    #[arg(long = "key-file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_files: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Others {
    fn keys(&self) -> Result<Vec<SlotKey>> {
        let keys = self.key_files.iter().map(|path| read_key(path));
        keys.chain(self.passphrase.known_key().transpose())
            .collect()
    }
}

#[derive(Serialize)]
struct Listed {
    file: String,
    epoch: u64,
    slots: Vec<Slot>,
}

#[derive(Serialize)]
struct Added<'a> {
    file: String,
    added: Slot,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<&'a Path>,
}

#[derive(Serialize)]
struct Changed<'a> {
    file: String,
    removed: &'a [String],
    note: &'static str,
}

#[derive(Serialize)]
struct Slot {
    id: String,
    label: String,
    kind: String,
    created: Option<String>,
}

impl Slot {
    fn of(info: SlotInfo) -> Self {
        let created = info.created.map(humantime::format_rfc3339_seconds);
        Self {
            id: info.id,
            label: info.label,
            kind: info.kind,
            created: created.map(|created| created.to_string()),
        }
    }
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Outcome {
    let file = context.sealed_file()?;
    match args.command {
        Command::Add(args) => add(&args, &file, context),
        Command::Remove(args) => {
            let found = find(&file.slots()?, &args.slots)?;
            let ids: Vec<&str> = found.iter().map(String::as_str).collect();
            let keys = args.others.keys()?;
            args.others
                .passphrase
                .deriving(context, || file.remove_slots(&ids, &keys))?;
            changed(&file, &found, context)
        }
        Command::Rotate(args) => {
            let keys = args.others.keys()?;
            args.others
                .passphrase
                .deriving(context, || file.rotate(&keys))?;
            changed(&file, &[], context)
        }
        Command::List(_) => list(&file, context),
    }
}

fn add(args: &Add, file: &SealedFile, context: &Context<'_>) -> Outcome {
    let same = |slot: &SlotInfo| slot.label == args.label;
    if file.slots()?.iter().any(same) {
        let message = format!("there is a slot `{}` already", args.label);
        return Err(Error::new(ErrorKind::Conflict, message)
            .with_help("choose another label, so that each says whose it is")
            .into());
    }
    let (key, created) = match (&args.key_file, args.passphrase.new_key()?) {
        (Some(path), _) if path.symlink_metadata().is_ok() => (read_key(path)?, None),
        (Some(path), _) => {
            let key = SlotKey::generate()?;
            write_key(path, &key, file.id())?;
            (key, Some(path.clone()))
        }
        (None, Some(passphrase)) => (passphrase, None),
        (None, None) => return Err(Error::new(ErrorKind::Config, "no key was given").into()),
    };
    let slot = NewSlot::new(args.label.as_str(), key);
    let added = args.passphrase.deriving(context, || file.add_slot(&slot));
    if let (Err(_), Some(path)) = (&added, &created) {
        // It opens nothing.
        let _ = std::fs::remove_file(path);
    }
    let info = added?;
    let created = created.as_deref();
    if context.screen.is_json() {
        let (file, added) = (file.id().to_string(), Slot::of(info));
        context.screen.json(&Added {
            file,
            added,
            created,
        })?;
        return Ok(FINE);
    }
    if let Some(path) = created {
        let path = path.display();
        context
            .screen
            .done(&format!("created {path}, the key of the new slot"));
    }
    context
        .screen
        .done(&format!("added slot {}, {}", info.id, info.label));
    Ok(FINE)
}

/// Finds slots by label or id.
fn find(slots: &[SlotInfo], wanted: &[String]) -> Result<Vec<String>> {
    let find = |text: &String| {
        let mut found = slots
            .iter()
            .filter(|slot| slot.id == *text || slot.label == *text);
        match (found.next(), found.next()) {
            (Some(slot), None) => Ok(slot.id.clone()),
            (None, _) => {
                let message = format!("there is no slot `{}`", text.escape_debug());
                let help = match most_like(text, slots, |slot| slot.label.as_str()) {
                    Some(near) => format!("did you mean `{}`?", near.label),
                    None => "`strongroom key list` shows the slots".to_owned(),
                };
                Err(Error::new(ErrorKind::Absent, message).with_help(help))
            }
            (Some(_), Some(_)) => {
                let message = format!("several slots are called `{text}`");
                Err(Error::new(ErrorKind::Config, message)
                    .with_help("name the slot by its id, as `strongroom key list` shows it"))
            }
        }
    };
    wanted.iter().map(find).collect()
}

/// Says what became of the file. The key that it was opened with may be among the removed.
fn changed(file: &SealedFile, removed: &[String], context: &Context<'_>) -> Outcome {
    if context.screen.is_json() {
        let (file, note) = (file.id().to_string(), HISTORY);
        context.screen.json(&Changed {
            file,
            removed,
            note,
        })?;
        return Ok(FINE);
    }
    for id in removed {
        context.screen.done(&format!("removed slot {id}"));
    }
    context
        .screen
        .done("encrypted everything again under a new data key");
    context.screen.done(HISTORY);
    Ok(FINE)
}

fn list(file: &SealedFile, context: &Context<'_>) -> Outcome {
    let slots = file.slots()?.into_iter().map(Slot::of);
    if context.screen.is_json() {
        context.screen.json(&Listed {
            file: file.id().to_string(),
            epoch: file.epoch()?,
            slots: slots.collect(),
        })?;
        return Ok(FINE);
    }
    let mut table = Table::new(["LABEL", "TYPE", "ID", "ADDED"]);
    for slot in slots {
        let created = slot.created.unwrap_or_default();
        table.row([slot.label, slot.kind, slot.id, created].map(Span::from));
    }
    table.show(&context.screen)?;
    Ok(FINE)
}
