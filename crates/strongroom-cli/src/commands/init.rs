//! `init`: a manifest, a sealed file and its key, where there are none.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use serde::Serialize;
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{Deployment, Error, ErrorKind, Result};

use crate::context::Context;
use crate::exit::{FINE, Outcome};
use crate::key_source::{self, Passphrase};

mod deployment;
pub(super) mod git;
mod place;

use deployment::Recorded;
use place::Place;

/// Start a project: a manifest, an encrypted file for its secrets, and the key of that file
///
/// Writes `strongroom.toml` and `.strongroom/secrets.sealed`, which are safe to commit, and a key
/// outside of the folder, in the user's configuration directory. Where nothing says what kind of
/// machine this is, it is recorded there as one for development. Nothing that is there is ever
/// overwritten.
///
/// A lost key can't be recovered. A recovery slot, whose key is kept elsewhere, opens the file too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom init
  strongroom init --recovery /media/stick/app.key     a second key, for the day the first is lost
  strongroom init --git                               also teach git to merge and to show the file
  strongroom init --passphrase                        a passphrase instead of a key file")]
pub(crate) struct Args {
    /// Write a recovery key to this file, outside of the repository
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    recovery: Option<PathBuf>,
    /// Make no recovery slot, and don't ask
    #[arg(long, conflicts_with = "recovery")]
    no_recovery: bool,
    /// What this machine is recorded as: development, test, staging or production
    #[arg(long, value_name = "WORD")]
    deployment: Option<String>,
    /// Set up git's merge driver, textconv and attributes for sealed files
    #[arg(long)]
    git: bool,
    /// The label of the first slot
    #[arg(long, value_name = "LABEL", default_value = "first")]
    label: String,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// What was done.
#[derive(Default, Serialize)]
struct Body {
    created: Vec<PathBuf>,
    kept: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<Recorded>,
    git: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let place = Place::new(&context.env)?;
    let mut body = Body::default();
    place.refuse_link()?;
    if !place.has_sealed_file() {
        create(args, context, &place, &mut body)?;
    } else if args.git {
        body.kept.push(place::SEALED.into());
    } else {
        return Err(place.exists_already().into());
    }
    if args.git {
        body.git = git::install(&context.env)?;
    }
    if context.screen.is_json() {
        context.screen.json(&body)?;
    } else {
        tell(&body, context);
    }
    Ok(FINE)
}

/// Writes everything; whatever can be refused is refused before the first file.
fn create(args: &Args, context: &Context<'_>, place: &Place, body: &mut Body) -> Result<()> {
    let word = args
        .deployment
        .as_deref()
        .map(deployment::parse)
        .transpose()?;
    let record = deployment::plan(&context.env, word)?;
    let id = FileId::random()?;
    let passphrase = args.passphrase.new_key()?;
    let key_file = match passphrase {
        Some(_) => None,
        None => Some(place.key_file(&context.env, id)?),
    };
    let recovery = match &args.recovery {
        Some(path) => Some(path.clone()),
        None if args.no_recovery => None,
        None => place::ask_for_recovery(&context.env)?,
    };
    let recovery = recovery
        .map(|path| place.recovery_file(&path))
        .transpose()?;
    let key = match passphrase {
        Some(passphrase) => passphrase,
        None => SlotKey::generate()?,
    };
    let slot = NewSlot::new(args.label.as_str(), key.clone());
    let recovery_key = SlotKey::generate()?;

    let mut written = Written::default();
    written.0.extend(place.create_directory()?);
    if let Some(path) = &key_file {
        place::create_private_dirs(path)?;
        written.key(path, &key, id)?;
    }
    if let Some(path) = &recovery {
        written.key(path, &recovery_key, id)?;
    }
    let sealed = place.sealed_file();
    let file = args
        .passphrase
        .deriving(context, || SealedFile::create(&sealed, id, &slot))?;
    written.0.push(sealed);
    if recovery.is_some() {
        file.add_slot(&NewSlot::new("recovery", recovery_key))?;
    }
    if place.create_manifest()? {
        body.created.push(place::MANIFEST.into());
    } else {
        body.kept.push(place::MANIFEST.into());
    }
    written.keep();
    body.created.push(place::SEALED.into());
    body.file = Some(id.to_string());
    body.key_file = key_file;
    body.recovery_file = recovery;
    body.deployment = record.map(|record| record.write()).transpose()?;
    Ok(())
}

/// Files that were written and are taken away again unless all of it succeeds.
#[derive(Default)]
struct Written(Vec<PathBuf>);

impl Written {
    fn key(&mut self, path: &Path, key: &SlotKey, id: FileId) -> Result<()> {
        key_source::write_key(path, key, id)?;
        self.0.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.0 {
            // The error that led here is the one to be told.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn tell(body: &Body, context: &Context<'_>) {
    let say = |text: String| context.screen.done(&text);
    for path in &body.created {
        say(format!("created {}", path.display()));
    }
    for path in &body.kept {
        say(format!(
            "kept    {}, which is there already",
            path.display()
        ));
    }
    if let Some(path) = &body.key_file {
        say(format!(
            "created {}, the key: it is not in this folder, and is never committed",
            path.display()
        ));
    }
    if body.file.is_some() && body.key_file.is_none() {
        say("commands ask for the passphrase on a terminal; elsewhere \
             STRONGROOM_PASSPHRASE_FILE names its file, /dev/fd/3 for example"
            .to_owned());
    }
    if let Some(path) = &body.recovery_file {
        say(format!(
            "created {}, the recovery key: keep it away from this machine",
            path.display()
        ));
    } else if body.file.is_some() {
        say("one slot only: if what opens it is lost, so are the secrets; `strongroom key add recovery --key-file FILE` adds a second".to_owned());
    }
    if let Some(recorded) = &body.deployment {
        say(recorded.to_string());
    }
    for line in &body.git {
        say(format!("git     {line}"));
    }
    if body.file.is_some() {
        say("next    `strongroom generate --all-missing`, then `strongroom validate`".to_owned());
    }
}

/// Refuses a word that is no deployment; the word itself is the user's own.
fn not_a_deployment() -> Error {
    let known = [
        Deployment::Development,
        Deployment::Test,
        Deployment::Staging,
        Deployment::Production,
    ];
    let known = known.map(Deployment::as_str).join(", ");
    Error::new(
        ErrorKind::Config,
        "--deployment is not a deployment that strongroom knows",
    )
    .with_help(format!("say one of {known}"))
}
