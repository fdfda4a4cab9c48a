//! `audit show`: the events, picked and laid out.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::ValueHint;
use strongroom::audit::{self, Entry, Filter};
use strongroom::{Error, ErrorKind, Result};

use super::path_or_manifest;
use crate::context::Context;
use crate::exit::{FINE, Failure, Outcome};
use crate::paint::{BAD, GOOD, Span};

/// In milliseconds since 1970.
const YEAR_10000: u64 = 253_402_300_800_000;

/// Show the events of the log, the oldest first
///
/// One line for each: when, by whom (service, user id, process id), what, to which secret, and how it ended.
/// With `--format json` each is an object. Nothing is verified: `audit verify` does that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom audit show --since 24h
  strongroom audit show --name 'payments/*' --outcome denied
  strongroom audit show --since 2026-01-01 --until 2026-02-01 --operation put --format json")]
pub(super) struct Show {
    /// The log, instead of the one that the manifest names
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Only events at this time or later: a date, a time (RFC 3339), or how long ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<SystemTime>,
    /// Only of secrets whose names match; `*` stands for any text
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Only by this service, user id or process id
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// Only with this outcome: success, failure, or a kind of error such as denied
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only this operation: fetch, hand_out, put, delete, refuse, rotation.begin and so on
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
}

pub(super) fn run(args: &Show, context: &Context<'_>) -> Outcome {
    let path = path_or_manifest(args.file.as_ref(), context)?;
    let mut filter = Filter::default();
    filter.since = args.since;
    filter.until = args.until;
    filter.name.clone_from(&args.name);
    filter.actor.clone_from(&args.actor);
    filter.outcome.clone_from(&args.outcome);
    filter.operation.clone_from(&args.operation);
    let passed_over = audit::read(&path, &filter, |entry| {
        context.screen.painted_item(&line(&entry), &entry)
    })
    .map_err(|failure: Failure| failure)?;
    if passed_over > 0 {
        let lines = match passed_over {
            1 => "1 line is no event".to_owned(),
            lines => format!("{lines} lines are no events"),
        };
        context.screen.done(&format!(
            "{lines}; `strongroom audit verify` says what they are"
        ));
    }
    Ok(FINE)
}

fn line(entry: &Entry) -> String {
    let actor = format!(
        "{} {}:{}",
        entry.service.as_deref().unwrap_or("-"),
        entry.user.as_deref().unwrap_or("-"),
        entry
            .process
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string())
    );
    let mut what = entry.name.clone().unwrap_or_default();
    if let Some(version) = &entry.version {
        what.push_str(&format!(" v{version}"));
    }
    let style = match entry.outcome.as_str() {
        "success" => GOOD,
        _ => BAD,
    };
    let outcome = entry.detail.as_deref().unwrap_or(&entry.outcome);
    let mut cells = vec![
        Span::from(shown_time(entry)).to_string(),
        Span::from(actor).padded(24),
        Span::from(entry.operation.as_str()).padded(18),
    ];
    let outcome = Span::new(style, outcome);
    if what.is_empty() {
        cells.push(outcome.to_string());
    } else {
        cells.extend([outcome.padded(10), Span::from(what).to_string()]);
    }
    cells.join("  ")
}

/// Writes when it was; as the number that stands there where no calendar of four digits has the year.
fn shown_time(entry: &Entry) -> String {
    match entry.time {
        time if time < YEAR_10000 => humantime::format_rfc3339_millis(entry.at()).to_string(),
        time => time.to_string(),
    }
}

fn time(text: &str) -> Result<SystemTime> {
    let wrong = || {
        let message = "no time, such as 2026-01-31, 2026-01-31T08:00:00Z or 24h";
        Error::new(ErrorKind::Config, message)
    };
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(wrong);
    }
    humantime::parse_rfc3339_weak(text)
        .or_else(|_| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .map_err(|_| wrong())
}
