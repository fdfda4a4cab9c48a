//! `generate`: creates values by the manifest's kind.

use serde::Serialize;
use strongroom::provider::Expect;
use strongroom::{Connection, Declared, Error, ErrorKind, Result, Secret, SecretName, Source};

use super::set::Written;
use crate::context::{Context, nearest, parse_name};
use crate::declared::Declaration;
use crate::exit::{self, CHECK_FAILED, FINE, Outcome};
use crate::progress::Progress;
use crate::report::ErrorBody;

/// Create a secret's value by the kind that the manifest declares
///
/// The value comes from the system's random source, passes the strength policy, and is never shown.
/// One that is there already stays, unless `--force` says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom generate session/signing-key
  strongroom generate api/token --force        replaces the value
  strongroom generate --all-missing            every declared secret that is absent
  strongroom generate --all-missing --declared app.json")]
pub(crate) struct Args {
    /// The name of a declared secret
    #[arg(
        required_unless_present = "all_missing",
        conflicts_with = "all_missing"
    )]
    name: Option<String>,
    /// Replace a value that is there
    #[arg(long, conflicts_with = "all_missing")]
    force: bool,
    /// Create every declared secret that is absent and of a kind that can be generated
    #[arg(long)]
    all_missing: bool,
    #[command(flatten)]
    declaration: Declaration,
}

#[derive(Serialize)]
struct Body<'a> {
    generated: Vec<Written<'a>>,
    still_missing: Vec<&'a SecretName>,
}

/// An error after which some of what was asked for is written.
#[derive(Serialize)]
struct Interrupted<'a> {
    error: InterruptedBody<'a>,
}

#[derive(Serialize)]
struct InterruptedBody<'a> {
    #[serde(flatten)]
    error: ErrorBody<'a>,
    generated: Vec<Written<'a>>,
}

/// What is to be written, and what can't be.
struct Plan<'a> {
    values: Vec<(&'a Declared, Secret)>,
    /// Required secrets that are absent and of a kind that can't be generated.
    still_missing: Vec<&'a SecretName>,
}

impl Plan<'_> {
    fn progress(&self, context: &Context<'_>) -> Progress {
        let total = u64::try_from(self.values.len()).ok();
        Progress::start(&context.screen, "generating", total)
    }
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let name = args.name.as_deref().map(parse_name).transpose()?;
    let expect = if args.force {
        Expect::Any
    } else {
        Expect::Absent
    };
    context.connected_quietly_for(args.declaration.read()?, async |connection| {
        context.screen.warnings(&connection.detection().warnings);
        let plan = match &name {
            Some(name) => one(connection, name)?,
            None => missing(connection).await?,
        };
        let mut generated = Vec::new();
        let progress = plan.progress(context);
        for (declared, value) in &plan.values {
            let name = &declared.name;
            let version = connection.put(name, value, expect.clone()).await;
            let version = match version {
                Ok(version) => version,
                Err(error) => return interrupted(error, generated, context),
            };
            let written = Written { name, version };
            if !context.screen.is_json() {
                // At once, so before the error of a later one.
                let done = format!("generated {written}");
                progress.above(|| context.screen.done(&done));
            }
            progress.advance(1);
            generated.push(written);
        }
        drop(progress);
        finish(generated, plan.still_missing, context)
    })
}

/// Ends with an error, which must not hide what was written before it.
fn interrupted(error: Error, generated: Vec<Written<'_>>, context: &Context<'_>) -> Outcome {
    let error = match error.kind() {
        ErrorKind::Conflict => error.with_help("it is there already; --force replaces it"),
        _ => error,
    };
    if generated.is_empty() || !context.screen.is_json() {
        return Err(error.into());
    }
    context.screen.json(&Interrupted {
        error: InterruptedBody {
            error: ErrorBody::new(&error),
            generated,
        },
    })?;
    Ok(exit::code(error.kind()))
}

fn finish(
    generated: Vec<Written<'_>>,
    still_missing: Vec<&SecretName>,
    context: &Context<'_>,
) -> Outcome {
    let code = if still_missing.is_empty() {
        FINE
    } else {
        CHECK_FAILED
    };
    if context.screen.is_json() {
        context.screen.json(&Body {
            generated,
            still_missing,
        })?;
        return Ok(code);
    }
    if generated.is_empty() && still_missing.is_empty() {
        context
            .screen
            .done("nothing is missing that can be generated");
    }
    for name in still_missing {
        let message = format!("`{name}` is missing, and its kind can't be generated");
        let error = Error::new(ErrorKind::Absent, message)
            .with_help(format!("write it by `strongroom set {name}`"));
        context.screen.error(&error);
    }
    Ok(code)
}

fn one<'a>(connection: &'a Connection, name: &SecretName) -> Result<Plan<'a>> {
    let Some(declared) = connection.declaration(name.as_str()) else {
        let help = match nearest(connection, name) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                "declare it in the manifest with its kind, or write a value by `strongroom set`"
                    .to_owned()
            }
        };
        let message = "it is not declared, so its kind is not known";
        return Err(Error::new(ErrorKind::Config, message)
            .with_name(name)
            .with_help(help));
    };
    Ok(Plan {
        values: vec![(declared, strongroom::generate(declared)?)],
        still_missing: Vec::new(),
    })
}

async fn missing(connection: &Connection) -> Result<Plan<'_>> {
    let declared: Vec<&Declared> = connection.declared().collect();
    let names: Vec<SecretName> = declared
        .iter()
        .map(|declared| declared.name.clone())
        .collect();
    let answers = connection.fetch(&names).await;
    let mut plan = Plan {
        values: Vec::new(),
        still_missing: Vec::new(),
    };
    let refuses_defaults = connection.rails().deployment().is_strict();
    for (declared, answer) in declared.into_iter().zip(answers) {
        let boots_without = match answer {
            Err(error) if error.kind() == ErrorKind::Absent => !declared.required,
            // The manifest's default is not in the backend.
            Ok(secret) if secret.metadata().source() == Source::Default => {
                !declared.required || !refuses_defaults
            }
            // Something is there, weak or malformed as it may be.
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::Malformed => continue,
            // Unreadable is not missing: before it is known, nothing is written.
            Err(error) => return Err(error),
        };
        match strongroom::generate(declared) {
            Ok(value) => plan.values.push((declared, value)),
            Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error),
            Err(_) if boots_without => {}
            Err(_) => plan.still_missing.push(&declared.name),
        }
    }
    Ok(plan)
}
