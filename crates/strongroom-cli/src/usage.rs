//! Mistakes on the command line, explained without repeating what was typed.
//!
//! clap's own messages quote the offending argument. Here that may be a secret in the wrong place,
//! which would end up in the log of a CI run: only words of ours are ever shown.

use clap::error::{ContextKind, ContextValue, ErrorKind as ClapError};
use strongroom::{Error, ErrorKind};

/// Turns clap's error into ours.
pub(crate) fn explain(error: &clap::Error) -> Error {
    let ours = words(error, ContextKind::InvalidArg).join(", ");
    let message = match error.kind() {
        ClapError::InvalidSubcommand => "there is no such command".to_owned(),
        ClapError::MissingSubcommand => "a command is missing".to_owned(),
        ClapError::MissingRequiredArgument => format!("{ours} is missing"),
        ClapError::ArgumentConflict => {
            match words(error, ContextKind::PriorArg).join(", ").as_str() {
                prior if prior.is_empty() || prior == ours => {
                    format!("{ours} can't be given twice, or not beside the others")
                }
                prior => format!("{ours} can't be used together with {prior}"),
            }
        }
        ClapError::InvalidValue if words(error, ContextKind::InvalidValue) == [""] => {
            format!("{ours} needs a value")
        }
        ClapError::InvalidValue | ClapError::ValueValidation => match own(error) {
            Some(why) => format!("{ours} can't have this value: {why}"),
            None => format!("{ours} can't have this value"),
        },
        ClapError::InvalidUtf8 => "an argument is not UTF-8 text".to_owned(),
        _ => "an argument is not understood".to_owned(),
    };
    Error::new(ErrorKind::Config, message).with_help(help(error))
}

/// What a parser of ours says, which never repeats what it parsed.
fn own(error: &clap::Error) -> Option<&Error> {
    std::error::Error::source(error)?.downcast_ref()
}

fn help(error: &clap::Error) -> String {
    let near = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    let near: Vec<String> = near
        .into_iter()
        // The most similar one is the last. What begins with `__` is for scripts of ours, and hidden.
        .filter_map(|kind| {
            let mut words = words(error, kind).into_iter();
            words.rfind(|word| !word.starts_with("__"))
        })
        .map(|word| format!("`{word}`"))
        .collect();
    let possible = words(error, ContextKind::ValidValue);
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    if !near.is_empty() {
        format!("did you mean {}?", near.join(" or "))
    } else if !possible.is_empty() {
        format!("it can be {}", possible.join(", "))
    } else if let Some(usage) = usage {
        let usage = usage.trim().trim_start_matches("Usage:").trim();
        format!("usage: {usage}; `--help` says more")
    } else {
        "`strongroom --help` lists the commands".to_owned()
    }
}

/// Returns words that clap attached, which are ours except where a kind is for user input.
fn words(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    // For these kinds of error the "invalid argument" is what was typed.
    let typed = matches!(error.kind(), ClapError::UnknownArgument);
    match error.get(kind) {
        Some(_) if typed && kind == ContextKind::InvalidArg => Vec::new(),
        Some(ContextValue::String(word)) => vec![word.clone()],
        Some(ContextValue::Strings(words)) => words.clone(),
        _ => Vec::new(),
    }
}
