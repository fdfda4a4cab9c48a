//! `import`: secrets from another tool's file into the chosen provider.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use strongroom::{Connection, Error, ErrorKind, MAX_VALUE_BYTES, Result, Secret, SecretName};
use zeroize::Zeroizing;

use crate::context::{Context, parse_name};
use crate::exchange::names::Mapping;
use crate::exchange::{Found, From};
use crate::exit::Outcome;
use crate::files;
use crate::transfer::{self, Entry, Options};

/// Write the secrets of another tool's file into the provider
///
/// The formats are dotenv, json and yaml (flat or nested), kubernetes (Secrets as YAML), docker (an env
/// file), master-key-file (AES-256-GCM under SECRETS_MASTER_KEY) and env (this environment, no file).
/// Without --from, the file's name tells dotenv, json and yaml. What SOPS or age encrypted is opened by
/// them and piped in.
///
/// A key becomes the declared name whose `env` it is, or whose name or flat spelling; otherwise a name
/// of its own text, a variable's in small letters. Everything is read, named and checked before the
/// first write; then it goes as with `copy`: equal values are left alone, another value is a conflict,
/// and everything is read back at the end.
///
/// A value that a boot would refuse is not written without --allow-weak. Exit code 7 is a conflict.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom import .env --dry-run
  strongroom import legacy.json --on-conflict skip
  strongroom import secret.yaml --from kubernetes --provider vault://vault.internal/kv/payments
  sops decrypt secrets.yaml | strongroom import - --from yaml
  SECRETS_MASTER_KEY=$(cat master.key) strongroom import secrets.json --from master-key-file
  strongroom import --from env --prefix-strip APP_")]
pub(crate) struct Args {
    /// The file; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// What it is: dotenv, json, yaml, kubernetes, docker, master-key-file or env
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    from: Option<From>,
    #[command(flatten)]
    options: Options,
    /// Take this beginning away from each key before it becomes a name
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix_strip: String,
    /// Give a key this name
    #[arg(long, value_name = "KEY=NAME")]
    map: Vec<String>,
    /// Only these names
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
}

/// The most bytes of a file that is read, as of any document.
const MOST: usize = 8 * 1024 * 1024;

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let given = args.map.iter().map(|text| parse_map(text));
    let given = given.collect::<Result<Vec<_>>>()?;
    let only = args.only.iter().map(|name| parse_name(name));
    let only = only.collect::<Result<Vec<_>>>()?;
    let format = format(args)?;
    let (origin, found) = match (&args.file, format) {
        (None, From::Env) => ("the environment".to_owned(), None),
        (Some(_), From::Env) => {
            let message = "variables are in no file: leave it out, or name another format";
            return Err(Error::new(ErrorKind::Config, message).into());
        }
        (None, _) => {
            let message = "name the file, or `-` for standard input";
            return Err(Error::new(ErrorKind::Config, message).into());
        }
        (Some(file), format) => {
            let (origin, text) = text(file)?;
            let found = format.read(text, &origin, &context.env)?;
            if found.is_empty() {
                let message = format!("{origin} holds no value");
                return Err(Error::new(ErrorKind::Malformed, message)
                    .with_help("the command before the pipe may have failed")
                    .into());
            }
            (origin, Some(found))
        }
    };
    let builder = context.unlock(context.builder()?)?;
    context.block_on(async {
        let mut target = context.connect(builder.clone()).await?;
        context.screen.warnings(&target.detection().warnings);
        let found = match found {
            Some(found) => found,
            None => variables(&target, args, context)?,
        };
        let entries = entries(found, &target, args, format, &given, &only, &origin);
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return transfer::closing(Err(error.into()), &[&target]).await,
        };
        let undeclared = |entry: &&Entry| target.declaration(entry.name.as_str()).is_none();
        if entries.iter().any(|entry| undeclared(&entry)) {
            let names = entries.iter().map(|entry| &entry.name);
            let announced = context.connect(transfer::announce(builder, names)).await?;
            let former = std::mem::replace(&mut target, announced);
            let _ = former.close().await;
        }
        let outcome = transfer::transfer(origin, entries, &target, &args.options, context).await;
        transfer::closing(outcome, &[&target]).await
    })
}

fn format(args: &Args) -> Result<From> {
    let told = args.file.as_deref().and_then(From::of);
    args.from.or(told).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            "nothing tells the format of what is to be imported",
        )
        .with_help("say --from dotenv, json, yaml, kubernetes, docker, master-key-file or env")
    })
}

/// Reads the file, and returns what messages call it.
fn text(file: &Path) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let (origin, read) = match file.as_os_str() == OsStr::new("-") {
        true => ("standard input".to_owned(), files::read_input(MOST)),
        false => (file.display().to_string(), files::read(file, MOST)),
    };
    match read {
        Ok(text) => Ok((origin, text)),
        Err(error) => {
            let message = format!("can't read {origin}");
            let help = match error.kind() {
                io::ErrorKind::FileTooLarge => "it is larger than 8 MiB, which are the most",
                _ => "it must be a file that the process's user may read",
            };
            let failed = Error::new(ErrorKind::Config, message).with_help(help);
            Err(failed.with_source(error))
        }
    }
}

/// Takes the variables that are declared, and those with the beginning that is to be taken away.
fn variables(target: &Connection, args: &Args, context: &Context<'_>) -> Result<Vec<Found>> {
    let strip = args.prefix_strip.as_str();
    let mut declared = Vec::new();
    for known in target.declared() {
        let own = known.name.to_variable();
        declared.push(format!("{strip}{own}"));
        declared.extend(known.variable.clone());
    }
    let mapped = |name: &str| {
        args.map
            .iter()
            .any(|map| map.split_once('=').is_some_and(|(key, _)| key == name))
    };
    let wanted = |name: &&str| {
        let prefixed = !strip.is_empty() && name.starts_with(strip);
        !name.starts_with("STRONGROOM_")
            && (prefixed || mapped(name) || declared.iter().any(|known| known == name))
    };
    let mut found = Vec::new();
    for name in context.env.names().filter(wanted) {
        if let Some(value) = context.env.var(name)?.filter(|value| !value.is_empty()) {
            found.push(Found {
                key: name.to_owned(),
                value: Secret::from_text(value),
            });
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::new(
            ErrorKind::Absent,
            "no variable of this environment is a declared secret's",
        )
        .with_help("declare them in the manifest, or name their beginning by --prefix-strip")),
    }
}

/// Names and decodes everything.
fn entries(
    found: Vec<Found>,
    target: &Connection,
    args: &Args,
    format: From,
    given: &[(&str, SecretName)],
    only: &[SecretName],
    origin: &str,
) -> Result<Vec<Entry>> {
    let mapping = Mapping {
        declared: target.declared().collect(),
        given: given.to_vec(),
        strip: &args.prefix_strip,
        variables: format.has_variables(),
    };
    for (key, name) in given {
        let is_it = |other: &&(&str, SecretName)| other.0 == *key;
        let message = match given.iter().filter(is_it).count() {
            1 if found.iter().any(|found| found.key == *key) => continue,
            1 => format!("{origin} has no key that this --map names"),
            _ => "two --map name one key".to_owned(),
        };
        return Err(Error::new(ErrorKind::Config, message)
            .with_name(name)
            .with_help("nothing was written; write the key as it stands in the file"));
    }
    let mut entries = Vec::new();
    for Found { key, value } in found {
        let name = mapping.name(&key).map_err(|error| {
            let message = format!("a key of {origin} can't become a name: {error}");
            let wrong = Error::new(error.kind(), message);
            wrong.with_help("give it one by --map KEY=NAME; nothing was written")
        })?;
        if !only.is_empty() && !only.contains(&name) {
            continue;
        }
        let value = match target.declaration(name.as_str()) {
            Some(known) => known
                .encoding
                .decode(&value)
                .map_err(|error| error.with_name(&name))?,
            None => value,
        };
        if value.len() > MAX_VALUE_BYTES {
            let message =
                format!("its value has more than {MAX_VALUE_BYTES} bytes, which are the most");
            return Err(Error::new(ErrorKind::Malformed, message).with_name(&name));
        }
        let from = key;
        entries.push(Entry { from, name, value });
    }
    if let Some(missing) = only
        .iter()
        .find(|name| !entries.iter().any(|entry| entry.name == **name))
    {
        let message = format!("{origin} doesn't hold it");
        return Err(Error::new(ErrorKind::Absent, message).with_name(missing));
    }
    Ok(entries)
}

fn parse_map(text: &str) -> Result<(&str, SecretName)> {
    let (key, name) = text.split_once('=').ok_or_else(|| {
        Error::new(ErrorKind::Config, "--map has no `=` in it")
            .with_help("write the file's key and the name: --map PGPASSWORD=database/password")
    })?;
    Ok((key, parse_name(name)?))
}
