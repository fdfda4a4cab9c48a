//! `generate`: creates values by the manifest's kind.

use serde::Serialize;
use strongroom::provider::Expect;
use strongroom::{Connection, Declared, Error, ErrorKind, Result, SecretName};

use super::set::Written;
use crate::context::{Context, nearest, parse_name};
use crate::exit::{CHECK_FAILED, FINE, Outcome};

/// Create a secret's value by the kind that the manifest declares
///
/// The value comes from the system's random source, passes the strength policy, and is never shown.
/// One that is there already stays, unless `--force` says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom generate session/signing-key
  strongroom generate api/token --force        replaces the value
  strongroom generate --all-missing            every declared secret that is absent")]
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
}

#[derive(Serialize)]
struct Body<'a> {
    generated: Vec<Written<'a>>,
    /// Required secrets of a kind that can't be generated.
    still_missing: Vec<&'a SecretName>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let name = args.name.as_deref().map(parse_name).transpose()?;
    context.connected(async |connection| {
        let body = match &name {
            Some(name) => Body {
                generated: vec![one(connection, name, args.force).await?],
                still_missing: Vec::new(),
            },
            None => all_missing(connection).await?,
        };
        if context.screen.is_json() {
            context.screen.json(&body)?;
        } else {
            show(&body, context);
        }
        Ok(match body.still_missing.is_empty() {
            true => FINE,
            false => CHECK_FAILED,
        })
    })
}

fn show(body: &Body<'_>, context: &Context<'_>) {
    for Written { name, version } in &body.generated {
        let version = version
            .as_ref()
            .map_or_else(String::new, |version| format!(", version {version}"));
        context.screen.done(&format!("generated {name}{version}"));
    }
    if body.generated.is_empty() && body.still_missing.is_empty() {
        context
            .screen
            .done("nothing is missing that can be generated");
    }
    for name in &body.still_missing {
        let error = Error::new(
            ErrorKind::Absent,
            format!("`{name}` is missing, and its kind can't be generated"),
        );
        context
            .screen
            .error(&error.with_help(format!("write it by `strongroom set {name}`")));
    }
}

async fn one<'a>(
    connection: &'a Connection,
    name: &SecretName,
    force: bool,
) -> Result<Written<'a>> {
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
    let expect = if force { Expect::Any } else { Expect::Absent };
    let written = create(connection, declared, expect).await;
    written.map_err(|error| match error.kind() {
        ErrorKind::Conflict => error.with_help("it is there already; --force replaces it"),
        _ => error,
    })
}

async fn all_missing(connection: &Connection) -> Result<Body<'_>> {
    let declared: Vec<&Declared> = connection.declared().collect();
    let names: Vec<SecretName> = declared
        .iter()
        .map(|declared| declared.name.clone())
        .collect();
    let answers = connection.fetch(&names).await;
    let mut missing = Vec::new();
    for (declared, answer) in declared.into_iter().zip(answers) {
        match answer {
            Err(error) if error.kind() == ErrorKind::Absent => missing.push(declared),
            // Unreadable is not missing: what is there can't be judged, so nothing is written.
            Err(error) if error.kind() != ErrorKind::Malformed => return Err(error),
            _ => {}
        }
    }
    let mut body = Body {
        generated: Vec::new(),
        still_missing: Vec::new(),
    };
    for declared in missing {
        match strongroom::generate(declared) {
            Ok(value) => {
                let version = connection
                    .put(&declared.name, &value, Expect::Absent)
                    .await?;
                body.generated.push(Written {
                    name: &declared.name,
                    version,
                });
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                if declared.required {
                    body.still_missing.push(&declared.name);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(body)
}

async fn create<'a>(
    connection: &Connection,
    declared: &'a Declared,
    expect: Expect,
) -> Result<Written<'a>> {
    let value = strongroom::generate(declared)?;
    let version = connection.put(&declared.name, &value, expect).await?;
    Ok(Written {
        name: &declared.name,
        version,
    })
}
