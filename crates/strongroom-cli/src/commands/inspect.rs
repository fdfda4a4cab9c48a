//! `inspect`: what is chosen, why, and what is there.

use std::time::Duration;

use serde::Serialize;
use strongroom::provider::Description;
use strongroom::{
    Connection, Detection, Error, ErrorKind, Finding, Outcome as Found, SecretState, Source,
};

use crate::context::Context;
use crate::exit::{self, FINE, Failure, Outcome};
use crate::report::{ErrorBody, printable};
use crate::table;

/// Explain which provider is chosen here and why, and show the state of every declared secret
///
/// Shows the deployment, the manifest, everything detection looked for, each setting with its
/// origin, and each declared secret with its version, age and grade: never a value. Where no choice
/// can be made, or the provider can't be opened, the explanation comes first and the error after it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom inspect
  strongroom inspect --offline                 explain the choice, contact no provider
  strongroom inspect --format json | jq .detection.decision")]
pub(crate) struct Args {
    /// Explain the choice only: open no provider, read no secret
    #[arg(long)]
    offline: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    detection: &'a Detection,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<&'a [SecretState]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<&'a [Finding]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody<'a>>,
}

/// What was learnt by connecting.
struct Seen {
    provider: Description,
    secrets: Vec<SecretState>,
    findings: Vec<Finding>,
    inconclusive: Option<ErrorKind>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let builder = context.builder()?;
    let detection = builder.explain()?;
    let seen = match (args.offline, detection.chosen()) {
        (_, Err(error)) => Err(error),
        (true, Ok(_)) => Ok(None),
        (false, Ok(_)) => {
            let opening = context.opening(&builder);
            let look = async { Ok(look(builder.connect().await?).await) };
            let seen = context.block_on(look);
            drop(opening);
            seen.map(Some).map_err(|failure| failure.error)
        }
    };
    if context.screen.is_json() {
        json(&detection, &seen, context)?;
    } else {
        text(&detection, &seen, context)?;
    }
    Ok(match (&seen, seen.as_ref().ok().and_then(Option::as_ref)) {
        (Err(error), _) => exit::code(error.kind()),
        (Ok(_), Some(seen)) => seen.inconclusive.map_or(FINE, exit::code),
        (Ok(_), None) => FINE,
    })
}

async fn look(connection: Connection) -> Seen {
    let validation = connection.validate().await;
    let seen = Seen {
        provider: connection.describe(),
        inconclusive: validation.inconclusive(),
        secrets: validation.secrets,
        findings: validation.report.findings,
    };
    // The picture is complete; an error of closing adds nothing to it.
    let _ = connection.close().await;
    seen
}

fn json(
    detection: &Detection,
    seen: &Result<Option<Seen>, Error>,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let there = seen.as_ref().ok().and_then(Option::as_ref);
    context.screen.json(&Body {
        detection,
        provider: there.map(|seen| &seen.provider),
        secrets: there.map(|seen| seen.secrets.as_slice()),
        findings: there.map(|seen| seen.findings.as_slice()),
        error: seen.as_ref().err().map(ErrorBody::new),
    })
}

fn text(
    detection: &Detection,
    seen: &Result<Option<Seen>, Error>,
    context: &Context<'_>,
) -> Result<(), Failure> {
    context.screen.text(&detection.to_string())?;
    if !detection.settings.is_empty() {
        let row = |setting: &strongroom::Setting| {
            let cells = [&setting.key, &setting.value, &setting.origin];
            cells.map(|cell| printable(cell).into_owned()).to_vec()
        };
        let rows = detection.settings.iter().map(row);
        section(["SETTING", "VALUE", "FROM"], rows, context)?;
    }
    match seen {
        Ok(None) => context.screen.warnings(&detection.warnings),
        Ok(Some(seen)) => {
            if !seen.secrets.is_empty() {
                let rows = seen.secrets.iter().map(|state| row(state, &seen.provider));
                section(HEADS, rows, context)?;
            }
            let warnings = |finding: &&Finding| finding.severity == strongroom::Severity::Warning;
            context
                .screen
                .warnings(seen.findings.iter().filter(warnings));
            let violations = seen
                .findings
                .len()
                .saturating_sub(seen.findings.iter().filter(warnings).count());
            if violations > 0 {
                context.screen.done(
                    "not everything passes; `strongroom validate` says what and how to mend it",
                );
            }
        }
        Err(error) => {
            context.screen.warnings(&detection.warnings);
            context.screen.error(error);
        }
    }
    Ok(())
}

fn section<const N: usize>(
    heads: [&str; N],
    rows: impl Iterator<Item = Vec<String>>,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let heads = heads.map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(heads).chain(rows).collect();
    let table = table::layout(&rows, table::terminal_width());
    context.screen.text(&format!("\n{table}"))
}

const HEADS: [&str; 6] = ["SECRET", "KIND", "STATE", "VERSION", "AGE", "GRADE"];

fn row(state: &SecretState, provider: &Description) -> Vec<String> {
    let elsewhere = match state.provider == provider.address {
        true => String::new(),
        false => format!(" (from {})", state.provider),
    };
    let (word, version, age, grade) = match &state.outcome {
        Found::Present(present) => {
            let word = match (present.ok, present.source) {
                (false, _) => "weak",
                (true, Source::Default) => "default",
                (true, _) => "ok",
            };
            let version = present.version.as_ref().map(ToString::to_string);
            let age = present.age_seconds.map(age);
            (word, version, age, present.grade.to_string())
        }
        Found::Absent if state.required => ("absent", None, None, String::new()),
        Found::Absent => ("absent, optional", None, None, String::new()),
        Found::Failed { kind } => (kind.as_str(), None, None, String::new()),
        _ => ("unknown", None, None, String::new()),
    };
    let dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    vec![
        format!("{}{}", state.name, printable(&elsewhere)),
        state.kind.to_string(),
        word.to_owned(),
        printable(&dash(version)).into_owned(),
        dash(age),
        grade,
    ]
}

/// Shows an age by its two largest units: `3days 4h`.
fn age(seconds: u64) -> String {
    let whole = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    let units: Vec<&str> = whole.split(' ').take(2).collect();
    units.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_two_units_at_most() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (3_725, "1h 2m"),
            (864_000, "10days"),
        ] {
            assert_eq!(age(seconds), shown);
        }
    }
}
