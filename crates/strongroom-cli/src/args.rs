//! The command line: what every command has, and the commands.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::error::ErrorKind as ClapError;
use clap::{Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap::{ValueEnum, ValueHint};

use crate::commands::{
    audit, complete, completions, conformance, copy, diff, doctor, export, generate, get,
    git_credential, git_merge, git_textconv, import, init, inspect, key, list, man, redact, rm,
    rotate, run, scan, schema, set, trust, validate, watch,
};
use crate::exit::{FINE, Failure, USAGE, output};
use crate::usage;

/// Shows, checks and changes the secrets that a service would see.
#[derive(Debug, Parser)]
#[command(
    name = "strongroom",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "\
Examples:
  strongroom init                               start: a manifest, an encrypted file, its key
  strongroom inspect                            which provider is chosen here, and why
  strongroom validate                           check every declared secret, as a boot would
  strongroom doctor                             check the way to them: network, login, permissions
  strongroom run -- ./server                    start a program with its secrets
  strongroom get database/password --provider file:/run/secrets

Exit codes: 0 fine, 1 the check failed, 2 usage or configuration, 3 absent, 4 denied,
5 backend unreachable, 6 integrity, 7 conflict."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Use the provider at this address, whatever the environment and the manifest say
    // Text, not an address: clap's error would repeat what may hold a credential.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) provider: Option<String>,
    /// Use this manifest, and trust its `danger_…` keys
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) manifest: Option<PathBuf>,
    /// Use this profile of the manifest
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// How results and errors are written
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    #[arg(help = "How results and errors are written: text or json")]
    pub(crate) format: Format,
    /// Print no summaries and no warnings
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    #[arg(
        value_name = "WHEN",
        help = "When to use colours: auto, always or never"
    )]
    pub(crate) color: Color,
}

/// How results and errors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Inspect(inspect::Args),
    Validate(validate::Args),
    Doctor(doctor::Args),
    Get(get::Args),
    Set(set::Args),
    Rm(rm::Args),
    List(list::Args),
    Generate(generate::Args),
    Rotate(rotate::Args),
    Diff(diff::Args),
    Copy(copy::Args),
    Import(import::Args),
    Export(export::Args),
    Run(run::Args),
    Redact(redact::Args),
    Watch(watch::Args),
    Scan(scan::Args),
    Key(key::Args),
    Trust(trust::Args),
    Audit(audit::Args),
    GitCredential(git_credential::Args),
    GitMerge(git_merge::Args),
    GitTextconv(git_textconv::Args),
    Conformance(conformance::Args),
    Completions(completions::Args),
    Man(man::Args),
    Schema(schema::Args),
    #[command(name = "__complete")]
    Complete(complete::Args),
}

/// Why there is no command to run.
pub(crate) enum Stop {
    /// Help or the version was shown; the exit code.
    Shown(u8),
    /// The command line is wrong, or what it asks to be shown can't be.
    Wrong(Failure),
}

/// Parses a command line.
pub(crate) fn parse(arguments: &[OsString], color: Color) -> Result<Cli, Stop> {
    let color = match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let parsed = only_named(arguments)
        .try_get_matches_from(arguments)
        // What is shown, and what is wrong, is said by the whole definition.
        .or_else(|_| Cli::command().color(color).try_get_matches_from(arguments))
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let code = match error.kind() {
            ClapError::DisplayHelp | ClapError::DisplayVersion => FINE,
            ClapError::DisplayHelpOnMissingArgumentOrSubcommand => USAGE,
            _ => return Stop::Wrong(usage::explain(&error).into()),
        };
        let printed = error.print().and_then(|()| io::stdout().flush());
        match output(printed) {
            Ok(()) => Stop::Shown(code),
            Err(failure) => Stop::Wrong(failure),
        }
    })
}

/// The definition, less the commands whose names are not among the arguments: defining them all took a
/// sixth of the instructions of `get`. A line that this understands has the same meaning to the whole one.
fn only_named(arguments: &[OsString]) -> clap::Command {
    let cli = Global::augment_args(clap::Command::new("strongroom")).subcommand_required(true);
    DEFINITIONS
        .iter()
        .filter(|(name, _)| arguments.iter().any(|argument| argument == name))
        .fold(cli, |cli, (name, define)| {
            cli.subcommand(define(clap::Command::new(*name)))
        })
}

/// The definition less what nobody types, for completions: clap's own don't know what is hidden.
pub(crate) fn typed() -> clap::Command {
    let cli = Global::augment_args(clap::Command::new("strongroom")).version("");
    let commands = DEFINITIONS
        .iter()
        .map(|(name, define)| define(clap::Command::new(*name)));
    cli.subcommands(commands.filter(|command| !command.is_hide_set()))
}

type Define = fn(clap::Command) -> clap::Command;

/// The variants of [`Command`]. Who is missing here is found by the whole definition.
const DEFINITIONS: [(&str, Define); 29] = [
    ("init", init::Args::augment_args),
    ("inspect", inspect::Args::augment_args),
    ("validate", validate::Args::augment_args),
    ("doctor", doctor::Args::augment_args),
    ("get", get::Args::augment_args),
    ("set", set::Args::augment_args),
    ("rm", rm::Args::augment_args),
    ("list", list::Args::augment_args),
    ("generate", generate::Args::augment_args),
    ("rotate", rotate::Args::augment_args),
    ("diff", diff::Args::augment_args),
    ("copy", copy::Args::augment_args),
    ("import", import::Args::augment_args),
    ("export", export::Args::augment_args),
    ("run", run::Args::augment_args),
    ("redact", redact::Args::augment_args),
    ("watch", watch::Args::augment_args),
    ("scan", scan::Args::augment_args),
    ("key", key::Args::augment_args),
    ("trust", trust::Args::augment_args),
    ("audit", audit::Args::augment_args),
    ("git-credential", git_credential::Args::augment_args),
    ("git-merge", git_merge::Args::augment_args),
    ("git-textconv", git_textconv::Args::augment_args),
    ("conformance", conformance::Args::augment_args),
    ("completions", completions::Args::augment_args),
    ("man", man::Args::augment_args),
    ("schema", schema::Args::augment_args),
    ("__complete", complete::Args::augment_args),
];

/// Reports whether a command line, which may be wrong elsewhere, is one of `run`.
pub(crate) fn attempts_run(arguments: &[OsString]) -> bool {
    let mut cli = Cli::command();
    cli.build();
    let words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let mut words = words.take_while(|word| word != "--");
    // What follows a mistyped option may be its value, or the command.
    let mut may_be_value = false;
    while let Some(word) = words.next() {
        if let Some(command) = cli.find_subcommand(&*word) {
            return command.get_name() == "run";
        }
        let Some(option) = word.strip_prefix('-') else {
            if !may_be_value {
                return false;
            }
            may_be_value = false;
            continue;
        };
        let is_named = |known: &&clap::Arg| match option.strip_prefix('-') {
            Some(long) => known.get_long() == Some(long),
            None => known
                .get_short()
                .is_some_and(|short| option == short.to_string()),
        };
        let known = cli.get_arguments().find(is_named);
        may_be_value = known.is_none() && !option.contains('=');
        if known.is_some_and(|known| known.get_action().takes_values()) {
            words.next();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
        for (name, _) in DEFINITIONS {
            only_named(&[name.into()]).debug_assert();
        }
    }

    #[test]
    fn a_named_command_is_defined_as_it_is_among_all() {
        let mut whole = Cli::command();
        whole.build();
        let names: Vec<_> = whole
            .get_subcommands()
            .map(clap::Command::get_name)
            .filter(|name| *name != "help")
            .collect();
        assert_eq!(names, DEFINITIONS.map(|(name, _)| name));
        for name in names {
            let mut named = only_named(&[name.into()]);
            named.build();
            let [alone, among_all] = [&named, &whole].map(|cli| {
                let found = cli.find_subcommand(name).unwrap();
                format!("{:?}", found.get_arguments().collect::<Vec<_>>())
            });
            assert_eq!(alone, among_all, "{name}");
            assert!(named.get_subcommands().count() <= 2, "{name}");
        }
    }

    /// The command lines of ours in a line of the shell.
    fn ours(line: &str) -> Vec<Vec<String>> {
        let mut all = vec![vec![]];
        let mut word: Option<String> = None;
        let mut quote = None;
        for c in line.chars().chain([' ']) {
            match (quote, c) {
                (Some(mark), c) if c == mark => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, ' ' | '|' | '&' | ';') => {
                    all.last_mut().unwrap().extend(word.take());
                    if c != ' ' {
                        all.push(vec![]);
                    }
                }
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        let command = |words: Vec<String>| {
            let redirected = |word: &String| !matches!(word.as_str(), "<" | ">");
            let words = words.into_iter().take_while(redirected);
            let words = words.skip_while(|word| word.contains('=') && !word.starts_with('-'));
            words.collect::<Vec<_>>()
        };
        let named = |words: &Vec<String>| words.first().is_some_and(|first| first == "strongroom");
        all.into_iter().map(command).filter(named).collect()
    }

    #[test]
    fn every_command_teaches_by_examples_that_parse() {
        fn check(command: &clap::Command, path: &str) {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("{path} has no examples"));
            let (_, examples) = help
                .split_once("Examples:\n")
                .unwrap_or_else(|| panic!("{path} has no examples"));
            let examples = examples.lines().take_while(|line| line.starts_with("  "));
            // A comment stands behind three blanks or more.
            let lines = examples.map(|line| line.trim_start().split("   ").next().unwrap());
            let lines: Vec<_> = lines.filter(|line| line.contains("strongroom")).collect();
            assert!(lines.len() >= 2, "{path} has {} examples", lines.len());
            for line in lines {
                for words in ours(line) {
                    let parsed = Cli::command().try_get_matches_from(&words);
                    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
                    assert!(parsed.is_ok(), "{path}: {line}: {:?}", parsed.err());
                }
            }
            for sub in command.get_subcommands() {
                // Nobody types what is hidden.
                if sub.get_name() != "help" && !sub.is_hide_set() {
                    check(sub, &format!("{path} {}", sub.get_name()));
                }
            }
        }
        check(&Cli::command(), "strongroom");
    }

    #[test]
    fn a_command_line_means_the_same_to_both_definitions() {
        for line in [
            "strongroom get a/b",
            "strongroom get list --quiet",
            "strongroom --provider get list --format json",
            "strongroom -q run --profile get -- get -q --version",
            "strongroom key list --manifest run",
            "strongroom git-merge a b c d --color=never",
            "strongroom set inspect --if-absent",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let [alone, among_all] = [only_named(&words), Cli::command()].map(|cli| {
                let matches = cli.try_get_matches_from(&words);
                let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
                format!("{:?}", parsed.unwrap())
            });
            assert_eq!(alone, among_all, "{line}");
        }
        for line in [
            "strongroom",
            "strongroom --version",
            "strongroom get",
            "strongroom exec -- a",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let alone = only_named(&words).try_get_matches_from(&words);
            assert!(alone.is_err(), "{line}");
        }
    }
}
