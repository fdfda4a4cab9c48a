//! `validate`: what a boot would say.

use serde::Serialize;
use strongroom::{Deployment, Error, ErrorKind, Validation};

use crate::context::Context;
use crate::declared::Declaration;
use crate::exit::{self, CHECK_FAILED, FINE, Failure, Outcome};

/// Check every declared secret and the guard rails, as a service's boot would
///
/// Everything that is wrong is reported at once. The exit code is 0 if a service would boot, 1 if
/// it would not (an absent secret included), 5 if the backend can't be reached and 6 if data was
/// tampered with, so that nothing could be judged.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "check",
    after_help = "\
Examples:
  strongroom validate
  STRONGROOM_ENV=production strongroom validate --provider file:/run/secrets
  strongroom validate --declared app.json       what the service declares, as it wrote it
  ./app --declared | strongroom validate --declared -
  strongroom check --quiet && deploy"
)]
pub(crate) struct Args {
    #[command(flatten)]
    declaration: Declaration,
}

#[derive(Serialize)]
struct Body<'a> {
    ok: bool,
    /// The kind of error that kept the check from judging.
    inconclusive: Option<&'static str>,
    provider: String,
    deployment: Deployment,
    #[serde(flatten)]
    validation: Flat<'a>,
}

#[derive(Serialize)]
struct Flat<'a> {
    findings: &'a [strongroom::Finding],
    secrets: &'a [strongroom::SecretState],
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    context.connected_quietly_for(args.declaration.read()?, async |connection| {
        let validation = connection.validate().await;
        let provider = connection.describe().address;
        let deployment = connection.rails().deployment();
        let inconclusive = validation.inconclusive();
        let clean = validation.report.is_clean();
        let code = match inconclusive {
            Some(kind) => exit::code(kind),
            None if clean => FINE,
            None => CHECK_FAILED,
        };
        if context.screen.is_json() {
            context.screen.json(&Body {
                ok: clean && inconclusive.is_none(),
                inconclusive: inconclusive.map(ErrorKind::as_str),
                provider,
                deployment,
                validation: Flat {
                    findings: &validation.report.findings,
                    secrets: &validation.secrets,
                },
            })?;
            return Ok(code);
        }
        if code != FINE {
            return Err(failed(validation, inconclusive, &provider).with_code(code));
        }
        context.screen.warnings(validation.report.warnings());
        let subject = match validation.secrets.len() {
            0 => "no secret is declared, so none was checked".to_owned(),
            1 => "1 declared secret passes".to_owned(),
            all => format!("all {all} declared secrets pass"),
        };
        context
            .screen
            .done(&format!("ok: {subject} ({provider}, {deployment})"));
        Ok(FINE)
    })
}

fn failed(validation: Validation, inconclusive: Option<ErrorKind>, provider: &str) -> Failure {
    let mut bad: Vec<_> = validation
        .report
        .violations()
        .filter_map(|finding| finding.name.as_ref())
        .collect();
    bad.sort();
    bad.dedup();
    let message = match (inconclusive, bad.len(), validation.secrets.len()) {
        (Some(_), bad, all) => {
            format!("the check could not judge: {bad} of {all} declared secrets fail at {provider}")
        }
        (None, 0, _) => format!("the configuration doesn't pass at {provider}"),
        (None, 1, 1) => format!("the only declared secret doesn't pass at {provider}"),
        (None, bad, all) => format!("{bad} of {all} declared secrets don't pass at {provider}"),
    };
    let kind = inconclusive.unwrap_or(ErrorKind::Policy);
    Failure::from(Error::new(kind, message).with_report(validation.report))
}
