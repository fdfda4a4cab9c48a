//! `__complete`: what the shells' scripts ask while somebody types.

use std::collections::BTreeSet;
use std::io::{self, Read as _};

use clap::{Arg, Command, CommandFactory as _};
use strongroom::{ManifestNames, SecretName, SecretsFactory};

use crate::args::Cli;
use crate::context::Context;
use crate::exit::{FINE, Outcome};

/// The most bytes of a line that is completed.
const MAX_LINE: u64 = 64 * 1024;

/// Print what the last of the words on standard input may become
///
/// The words come NUL-separated, without the program's own name, and by a pipe: what was typed may be a
/// secret in the wrong place, and arguments of programs can be seen by others.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {}

/// Prints nothing where it knows nothing, and says nothing of what is wrong: somebody is typing.
pub(crate) fn run(_: &Args, context: &Context<'_>) -> Outcome {
    let mut line = String::new();
    let read = io::stdin().lock().take(MAX_LINE).read_to_string(&mut line);
    let line = line.strip_suffix('\0').unwrap_or(&line);
    let words = joined(line.split('\0').collect());
    if read.is_ok()
        && let Some(wanted) = wanted(&words, &Cli::command())
    {
        let mut builder = SecretsFactory::builder().env(context.env.clone());
        if let Some(manifest) = wanted.manifest {
            builder = builder.manifest_file(manifest);
        }
        let names = builder.manifest_names().unwrap_or_default();
        let lines: String = candidates(&wanted, &names)
            .map(|name| format!("{name}\n"))
            .collect();
        context.screen.bytes(lines.as_bytes())?;
    }
    Ok(FINE)
}

/// Joins the words that bash makes of `--option=value`.
fn joined(words: Vec<&str>) -> Vec<&str> {
    let mut joined: Vec<&str> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        joined.push(word);
        if word.starts_with("--") && words.peek() == Some(&"=") {
            words.next();
            // The value is the next word, as if there had been a blank.
            if words.peek().is_none() {
                joined.push("");
            }
        }
    }
    joined
}

/// What is to be completed, and by which manifest.
struct Wanted<'a> {
    names: Names,
    /// What stands in the same word before it: `--profile=`.
    option: &'a str,
    begun: &'a str,
    manifest: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Secrets,
    Profiles,
    Providers,
}

impl Names {
    /// What an argument takes, by what it is called in the definitions of the commands.
    fn of(argument: &Arg) -> Option<Self> {
        match argument.get_id().as_str() {
            "name" | "names" | "prefix" | "only" => Some(Self::Secrets),
            "profile" => Some(Self::Profiles),
            // The two sides of `diff` and `copy`.
            "a" | "b" => Some(Self::Providers),
            _ => None,
        }
    }
}

/// Returns the options whose values are names, of all commands.
pub(super) fn options(command: &Command) -> BTreeSet<String> {
    let own = command
        .get_arguments()
        .filter(|argument| Names::of(argument).is_some());
    let own = own.filter_map(|argument| argument.get_long().map(str::to_owned));
    own.chain(command.get_subcommands().flat_map(options))
        .collect()
}

/// Walks along the words to the last one; `None` if that is none of ours to complete.
fn wanted<'a>(words: &[&'a str], cli: &Command) -> Option<Wanted<'a>> {
    let (last, before) = words.split_last()?;
    let mut command = cli;
    let mut position = 0_usize;
    let mut manifest = None;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        if *word == "--" {
            return None;
        }
        if let Some((option, value)) = option(word, command, cli) {
            if !option.get_action().takes_values() {
                continue;
            }
            let Some(value) = value.or_else(|| words.next().copied()) else {
                return Some(Wanted {
                    names: Names::of(option)?,
                    option: "",
                    begun: last,
                    manifest,
                });
            };
            if option.get_id() == "manifest" {
                manifest = Some(value);
            }
        } else if let Some(inner) = command.find_subcommand(word) {
            (command, position) = (inner, 0);
        } else {
            position = position.saturating_add(1);
        }
    }
    if let Some((option, value)) = option(last, command, cli) {
        let begun = value?;
        let length = last.len().saturating_sub(begun.len());
        let option_text = last.get(..length)?;
        return Some(Wanted {
            names: Names::of(option)?,
            option: option_text,
            begun,
            manifest,
        });
    }
    if last.starts_with('-') {
        return None;
    }
    let mut positionals = command.get_positionals();
    let argument = positionals.nth(position).or_else(|| {
        // The last one may take all that follow.
        let last = command.get_positionals().last();
        last.filter(|last| {
            last.get_num_args()
                .is_some_and(|count| count.max_values() > 1)
        })
    })?;
    Some(Wanted {
        names: Names::of(argument)?,
        option: "",
        begun: last,
        manifest,
    })
}

/// Finds the option that a word is, and the value in the same word.
fn option<'c, 'a>(
    word: &'a str,
    command: &'c Command,
    cli: &'c Command,
) -> Option<(&'c Arg, Option<&'a str>)> {
    let name = word.strip_prefix("--")?;
    let (name, value) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    };
    let mut known = command.get_arguments().chain(cli.get_arguments());
    let option = known.find(|known| known.get_long() == Some(name))?;
    Some((option, value))
}

fn candidates(wanted: &Wanted<'_>, names: &ManifestNames) -> impl Iterator<Item = String> {
    let all: Vec<&str> = match wanted.names {
        Names::Secrets => names.secrets.iter().map(SecretName::as_str).collect(),
        Names::Profiles => names.profiles.iter().map(String::as_str).collect(),
        Names::Providers => names.providers.iter().map(String::as_str).collect(),
    };
    all.into_iter()
        .filter(|name| name.starts_with(wanted.begun))
        .map(|name| format!("{}{name}", wanted.option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<(Names, String, String)> {
        let words = joined(line.split(' ').collect());
        let wanted = wanted(&words, &Cli::command())?;
        let manifest = wanted.manifest.unwrap_or_default().to_owned();
        Some((
            wanted.names,
            format!("{}{}", wanted.option, wanted.begun),
            manifest,
        ))
    }

    #[test]
    fn knows_where_a_name_belongs() {
        for (line, names, begun) in [
            ("get ", Names::Secrets, ""),
            ("get data", Names::Secrets, "data"),
            ("--quiet get data", Names::Secrets, "data"),
            ("-q get data", Names::Secrets, "data"),
            ("get --provider file:x data", Names::Secrets, "data"),
            ("get --provider=file:x data", Names::Secrets, "data"),
            ("rotate --dry-run a", Names::Secrets, "a"),
            ("rotate --timeout 5s a", Names::Secrets, "a"),
            ("watch one two thr", Names::Secrets, "thr"),
            ("list pay", Names::Secrets, "pay"),
            ("audit show --name pay", Names::Secrets, "pay"),
            ("get --profile pro", Names::Profiles, "pro"),
            ("diff blue gr", Names::Providers, "gr"),
            ("copy blue green --only pay", Names::Secrets, "pay"),
            ("--profile pro", Names::Profiles, "pro"),
            ("--profile=pro", Names::Profiles, "--profile=pro"),
            // As bash splits it.
            ("--profile = pro", Names::Profiles, "pro"),
            ("--profile =", Names::Profiles, ""),
        ] {
            let expected = (names, begun.to_owned(), String::new());
            assert_eq!(found(line), Some(expected), "{line}");
        }
        let (_, _, manifest) = found("--manifest a/b.toml get x").unwrap();
        assert_eq!(manifest, "a/b.toml");
    }

    #[test]
    fn leaves_the_rest_to_the_shell() {
        for line in [
            "",
            "ge",
            "get one two",
            "get --f",
            "run -- ./server data",
            "--manifest a",
            "audit verify a",
            "no-such-command a b",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
