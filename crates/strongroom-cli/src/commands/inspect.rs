//! `inspect`: what is chosen, why, and what is there.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use strongroom::provider::Description;
use strongroom::{Connection, Detection, Error, ErrorKind, Finding, SecretState, Severity};

use crate::context::Context;
use crate::exit::{self, FINE, Failure, Outcome};
use crate::files;
use crate::paint::Marks;
use crate::report::ErrorBody;
use crate::table::{Table, terminal_width};

mod decision;
mod html;
mod secrets;

/// Explain which provider is chosen here and why, and show the state of every declared secret
///
/// Shows the deployment, the manifest, everything detection looked for, each setting with its
/// origin, and each declared secret with its version, age and grade: never a value. Where no choice
/// can be made, or the provider can't be opened, the explanation comes first and the error after it.
///
/// With --html it is written as one page for people who review: without a script, without anything that a
/// browser would load, and without a value. A file that is no such page is never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom inspect
  strongroom inspect --offline                 explain the choice, contact no provider
  strongroom inspect --html secrets.html       one page for people who review
  strongroom inspect --format json | jq .detection.decision")]
pub(crate) struct Args {
    /// Explain the choice only: open no provider, read no secret
    #[arg(long)]
    offline: bool,
    /// Write it as one page to this file, or to standard output: `-`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    html: Option<PathBuf>,
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
    let stdout = args.html.as_deref() == Some(Path::new("-"));
    if stdout && context.screen.is_json() {
        let message = "the page and JSON can't both be written to standard output";
        return Err(Error::new(ErrorKind::Config, message)
            .with_help("name a file for the page: --html FILE")
            .into());
    }
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
    if let Some(path) = &args.html {
        page(path, &detection, &seen, context)?;
    }
    if context.screen.is_json() {
        json(&detection, &seen, context)?;
    } else if args.html.is_none() {
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

/// Writes the page, to standard output or to a file. Only one of our own pages is replaced.
fn page(
    path: &Path,
    detection: &Detection,
    seen: &Result<Option<Seen>, Error>,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let page = html::page(detection, seen, &at);
    if path == Path::new("-") {
        return context.screen.bytes(page.as_bytes());
    }
    match files::read(path, MAX_PAGE) {
        Ok(there) if is_ours(&there) => files::replace(path, page.as_bytes())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            files::create(path, page.as_bytes(), 0o600)?;
        }
        _ => return Err(files::exists(path).into()),
    }
    if !context.screen.is_json() {
        context.screen.done(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// The most bytes of a file that may be one of our pages.
const MAX_PAGE: usize = 16 * 1024 * 1024;

fn is_ours(page: &[u8]) -> bool {
    let begin = page.get(..GENERATOR_WITHIN).unwrap_or(page);
    let generator = html::GENERATOR.as_bytes();
    begin
        .windows(generator.len())
        .any(|window| window == generator)
}

/// Within how many bytes a page of ours says that it is one.
const GENERATOR_WITHIN: usize = 256;

fn text(
    detection: &Detection,
    seen: &Result<Option<Seen>, Error>,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let screen = &context.screen;
    let marks = Marks::of(screen);
    let tree = decision::tree(detection, &marks);
    screen.painted(&tree.draw(terminal_width(), &marks).join("\n"))?;
    section(&settings(detection), context)?;
    match seen {
        Ok(None) => screen.warnings(&detection.warnings),
        Ok(Some(seen)) => {
            let shown = secrets::shown(&seen.secrets, &seen.provider);
            section(&secrets::table(&shown, &marks), context)?;
            let warning = |finding: &&Finding| finding.severity == Severity::Warning;
            screen.warnings(seen.findings.iter().filter(warning));
            let summary = secrets::summary(&shown);
            screen.done(
                &match seen.findings.iter().all(|finding| warning(&finding)) {
                    true => summary,
                    false => format!(
                        "{summary}; `strongroom validate` says what is wrong and how to mend it"
                    ),
                },
            );
        }
        Err(error) => {
            screen.warnings(&detection.warnings);
            screen.error(error);
        }
    }
    Ok(())
}

fn settings(detection: &Detection) -> Table {
    let mut table = Table::new(["SETTING", "VALUE", "FROM"]);
    for setting in &detection.settings {
        table.row([&setting.key, &setting.value, &setting.origin].map(|cell| cell.as_str().into()));
    }
    table
}

/// Shows a table beneath an empty line, if it has rows.
fn section(table: &Table, context: &Context<'_>) -> Result<(), Failure> {
    if table.is_empty() {
        return Ok(());
    }
    context.screen.painted("")?;
    table.show(&context.screen)
}
