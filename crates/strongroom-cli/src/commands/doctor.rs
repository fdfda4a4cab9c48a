//! `doctor`: everything on the way to the secrets, looked at step by step.

use serde::Serialize;
use strongroom::{Check, CheckOutcome, Error, ErrorKind, Examination, Examined};

use crate::context::{Context, most_like};
use crate::exit::{self, CHECK_FAILED, FINE, Failure, Outcome};
use crate::paint::{BAD, GOOD, Marks, STRONG, Span, WARNING};

mod fix;

/// Check everything on the way to the secrets: configuration, network, login, permissions
///
/// Goes on where a check fails, and says what to do about each. Reads no secret: whether they are
/// there and strong is said by `validate`. What is looked at depends on the backend. For one behind a
/// network it is DNS, TCP, TLS and the ends of the certificates, clock, the server's state, latency, our
/// login, and whether each declared secret may be read; the least policy that allows it is printed.
/// The exit code is 0 if no check failed, 5 if a backend can't be reached, 4 if our login is
/// refused, and 1 for any other failed check.
///
/// With --fix nothing is examined. What can be repaired without asking is: a key, a passphrase, a .env or a
/// plain secret file that others can read; a sealed file that others can write; a line in .gitignore for
/// plain secrets; the merge driver that .gitattributes asks for; unfinished files of a crash. Only what
/// belongs to you is touched, no link is followed, and no value is read. The exit code is 1 if something
/// is left to you.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom doctor
  strongroom doctor --fix --dry-run            what can be repaired here
  strongroom doctor --format json | jq '.providers[].checks[] | select(.outcome != \"ok\")'
  strongroom doctor --policy | vault policy write payments -")]
pub(crate) struct Args {
    /// Print only the least policy, in the backend's own language, for its own tools; of the
    /// provider of this name in the manifest, or of the chosen one
    // The name needs its `=`, so that no word behind the option is mistaken for it.
    #[arg(long, value_name = "PROVIDER", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "")]
    policy: Option<String>,
    /// Repair what is safe to: permissions of our own files, what git should ignore and merge, what a
    /// crash left behind; each is named
    #[arg(long, conflicts_with = "policy")]
    fix: bool,
    /// With --fix: show what would be done, and change nothing
    #[arg(long, requires = "fix")]
    dry_run: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    ok: bool,
    #[serde(flatten)]
    examination: &'a Examination,
}

#[derive(Serialize)]
struct PolicyBody<'a> {
    policy: &'a str,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    if args.fix {
        return fix::run(args.dry_run, context);
    }
    let examination = context.examined()?;
    if let Some(provider) = &args.policy {
        let policy = policy(&examination, provider)?;
        match context.screen.is_json() {
            true => context.screen.json(&PolicyBody { policy })?,
            false => context.screen.text(policy.trim_end())?,
        }
        return Ok(FINE);
    }
    let code = code(&examination);
    if context.screen.is_json() {
        context.screen.json(&Body {
            ok: code == FINE,
            examination: &examination,
        })?;
        return Ok(code);
    }
    let marks = Marks::of(&context.screen);
    context.screen.painted(&shown(&examination, &marks))?;
    context.screen.done(&summary(&examination));
    Ok(code)
}

/// The policy of the provider of this name; of the chosen one where it is empty.
fn policy<'a>(examination: &'a Examination, provider: &str) -> Result<&'a str, Failure> {
    let named = |examined: &&Examined| examined.provider.as_deref().unwrap_or_default() == provider;
    let Some(examined) = examination.providers.iter().find(named) else {
        let failed = examination.configuration.iter();
        let mut failed = failed.filter(|check| check.outcome == CheckOutcome::Failed);
        let error = match failed.next().filter(|_| provider.is_empty()) {
            Some(check) => Error::new(check.kind.unwrap_or(ErrorKind::Config), &check.detail)
                .with_help(&check.help),
            None => {
                let message = "no declared secret is read from a provider of this name";
                let known = examination.providers.iter();
                let known = known.filter_map(|examined| examined.provider.as_deref());
                let help = match most_like(provider, known, |known| known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        "it is a key of the manifest's `providers` that a `source` names".into()
                    }
                };
                Error::new(ErrorKind::Config, message).with_help(help)
            }
        };
        return Err(error.into());
    };
    examined.diagnosis.policy.as_deref().ok_or_else(|| {
        let mut checks = examined.diagnosis.checks.iter();
        let address = &examined.address;
        let error = match checks.find(|check| check.kind.is_some()) {
            Some(check) => Error::new(
                check.kind.unwrap_or(ErrorKind::Config),
                format!(
                    "there is no policy to print for {address}: {}",
                    check.detail
                ),
            )
            .with_help(&check.help),
            None => {
                let message = format!("{address} has no policy of its own to print");
                Error::new(ErrorKind::Unsupported, message)
            }
        };
        error.into()
    })
}

/// The exit code: of what keeps most other checks from passing.
fn code(examination: &Examination) -> u8 {
    let of = |check: &Check| match check.kind.map(exit::code) {
        Some(unreachable @ 5) => unreachable,
        Some(refused @ 4) => refused,
        _ => CHECK_FAILED,
    };
    let failed = examination.checks();
    let failed = failed.filter(|check| check.outcome == CheckOutcome::Failed);
    failed.map(of).max().unwrap_or(FINE)
}

fn shown(examination: &Examination, marks: &Marks) -> String {
    let mut lines = Vec::new();
    section(
        &mut lines,
        "configuration",
        &examination.configuration,
        marks,
    );
    for examined in &examination.providers {
        let title = match &examined.provider {
            Some(name) => format!("{name}: {}", examined.address),
            None => examined.address.clone(),
        };
        lines.push(String::new());
        section(&mut lines, &title, &examined.diagnosis.checks, marks);
        if let Some(policy) = &examined.diagnosis.policy {
            let name = examined.provider.as_ref();
            let option = name.map_or_else(String::new, |name| format!("={name}"));
            let title =
                format!("least policy (`strongroom doctor --policy{option}` prints it alone)");
            lines.push(format!("\n{}", Span::new(STRONG, &title)));
            let indented = |line: &str| Span::from(format!("  {line}").trim_end()).to_string();
            lines.extend(policy.lines().map(indented));
        }
    }
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str, checks: &[Check], marks: &Marks) {
    lines.push(Span::new(STRONG, title).to_string());
    for check in checks {
        let (mark, style) = match check.outcome {
            CheckOutcome::Ok => (marks.ok, GOOD),
            CheckOutcome::Warning => (marks.warning, WARNING),
            CheckOutcome::Failed => (marks.bad, BAD.bold()),
        };
        let mark = Span::new(style, mark);
        for (at, line) in check.detail.lines().enumerate() {
            let line = Span::from(line);
            lines.push(match at {
                0 => format!("  {mark} {}: {line}", Span::from(check.subject.as_str())),
                _ => format!("    {line}"),
            });
        }
        let help = check.help.lines().map(Span::from);
        lines.extend(help.map(|line| format!("      {line}")));
    }
}

fn summary(examination: &Examination) -> String {
    let count = |outcome| {
        let checks = examination.checks();
        checks.filter(|check| check.outcome == outcome).count()
    };
    let all = examination.checks().count();
    let warnings = match count(CheckOutcome::Warning) {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        several => format!(", with {several} warnings"),
    };
    match count(CheckOutcome::Failed) {
        0 => format!("ok: all {all} checks pass{warnings}"),
        failed => format!("{failed} of {all} checks failed{warnings}"),
    }
}
