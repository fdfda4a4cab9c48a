//! `scan`: secrets in a tree and in its history.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use strongroom::{Error, ErrorKind};

use crate::context::Context;
use crate::exit::{self, CHECK_FAILED, FINE, Failure};
use crate::files;
use crate::progress::Progress;

mod baseline;
mod content;
mod finding;
mod git;
mod gitignore;
mod history;
mod known;
mod lines;
mod literals;
mod logging;
mod looked;
mod plausible;
mod rules;
mod sarif;
mod secret_files;
mod show;
mod tree;

use baseline::{Baseline, Scope};
use content::Examiner;
use git::Git;
use known::Known;
use looked::Looked;

/// Find secrets that leaked into files: values, literals, logging, whole files
///
/// Searches for the value of every declared secret, in each form in which values leak (base64, percent-encoded,
/// escaped, in hexadecimal, wrapped); for literals that look like secrets; for secret variables that source code
/// logs; and for plain secret files that would ship. What is printed is where, which secret or rule, never a value
/// or its line.
///
/// Files that .gitignore names are left out unless git tracks them. Links are not followed. A finding that may stay
/// is allowed by a comment on its line, `strongroom:allow(RULE) REASON`, or by a baseline; the value of a declared
/// secret by a baseline alone.
///
/// The exit code is 0 if nothing was found, 1 if something was, 4 or 5 if a file could not be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom scan                                this folder
  strongroom scan --history                      and everything that was ever committed
  strongroom scan --no-known src                 rules alone, without a provider
  strongroom scan --sarif results.sarif          for a service that shows findings beside the code
  strongroom scan --baseline .strongroom-scan.json --write-baseline --reason 'keys of tests'")]
pub(crate) struct Args {
    /// Folders and files [default: the working directory]
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// Search for no values of declared secrets, so that no provider is asked
    #[arg(long)]
    no_known: bool,
    /// Also look at all that the repository's references, index and stash lead to
    #[arg(long)]
    history: bool,
    /// Also look at what .gitignore names
    #[arg(long)]
    no_ignore: bool,
    /// Leave files out that are larger, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    max_size: u16,
    /// Write the findings as SARIF 2.1.0 to this file; `-` is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    sarif: Option<PathBuf>,
    /// Don't report again what this file knows
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    baseline: Option<PathBuf>,
    /// Write what is found into the baseline, instead of reporting it
    #[arg(long, requires = "baseline", requires = "reason")]
    write_baseline: bool,
    /// Why what is new in the baseline may stay
    #[arg(long, value_name = "TEXT", requires = "write_baseline")]
    reason: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> exit::Outcome {
    let sarif_to_stdout = args.sarif.as_deref() == Some(Path::new("-"));
    if sarif_to_stdout && context.screen.is_json() {
        let both = Error::new(
            ErrorKind::Config,
            "--sarif - and --format json both want standard output",
        );
        return Err(both.with_help("name a file: --sarif results.sarif").into());
    }
    let baseline = baseline(args, context)?;
    let known = match args.no_known {
        true => Known::default(),
        false => Known::read(context)?,
    };
    let (searched, unsearched) = (known.searched, known.unsearched.clone());
    let examiner = Examiner::new(known, baseline.tagger.clone())?;
    let mut looked = look(args, context, &examiner)?;
    looked.findings.sort();
    looked.findings.dedup();
    looked.skipped.sort();
    let roots = roots(args, context);
    let looked_at = |path: &str| {
        let path = absolute(Path::new(path), context);
        roots.iter().any(|root| path.starts_with(root))
    };
    let scope = Scope {
        looked_at: &looked_at,
        history: args.history,
        known: !args.no_known,
    };
    if let (true, Some(path), Some(reason)) = (args.write_baseline, &args.baseline, &args.reason) {
        let path = context.env.working_dir().join(path);
        let count = baseline.write(&path, &looked.findings, &scope, reason)?;
        looked.findings.clear();
        looked
            .notes
            .push(format!("{} holds {count} findings now", path.display()));
    }
    let (in_baseline, gone) = baseline.apply(&mut looked.findings, &scope);
    let code = looked.code();
    let shown = show::Outcome {
        looked: &looked,
        in_baseline,
        gone: if args.write_baseline {
            Vec::new()
        } else {
            gone
        },
        searched: (!args.no_known).then_some(searched),
        unsearched: &unsearched,
    };
    if let Some(file) = &args.sarif {
        write_sarif(file, &sarif::document(&looked.findings), context)?;
    }
    match (context.screen.is_json(), sarif_to_stdout) {
        (true, _) => shown.json(context)?,
        (false, to_stdout) => shown.text(context, !to_stdout)?,
    }
    Ok(code)
}

fn baseline(args: &Args, context: &Context<'_>) -> Result<Baseline, Error> {
    let Some(path) = &args.baseline else {
        return Baseline::new();
    };
    match Baseline::read(&context.env.working_dir().join(path))? {
        Some(baseline) => Ok(baseline),
        None if args.write_baseline => Baseline::new(),
        None => {
            let message = format!("there is no baseline {}", path.display());
            Err(Error::new(ErrorKind::Config, message)
                .with_help("--write-baseline --reason TEXT writes it from what is found now"))
        }
    }
}

fn look(args: &Args, context: &Context<'_>, examiner: &Examiner) -> Result<Looked, Failure> {
    let here = [PathBuf::from(".")];
    let paths = if args.paths.is_empty() {
        &here[..]
    } else {
        &args.paths
    };
    let most = usize::from(args.max_size).saturating_mul(1 << 20);
    let tree = tree::Tree {
        examiner,
        with_ignored: args.no_ignore,
        most,
    };
    let mut looked = Looked::default();
    let progress = Progress::start(&context.screen, "Scanning files", None);
    for path in paths {
        looked.join(tree.look(path, context, &|| progress.advance(1))?);
    }
    drop(progress);
    if args.history {
        let progress = Progress::start(&context.screen, "Scanning history", None);
        let mut seen = BTreeSet::new();
        for path in paths {
            let git =
                Git::of(&context.env, path)?.ok_or_else(|| no_repository(&examiner.shown(path)))?;
            if seen.insert(git.storage()?) {
                looked.join(history::look(&git, examiner, most, &|| {
                    progress.advance(1)
                })?);
            }
        }
    }
    Ok(looked)
}

fn no_repository(path: &str) -> Error {
    let message = format!("{path} is in no git repository, so it has no history");
    Error::new(ErrorKind::Config, message).with_help("scan it without --history")
}

fn roots(args: &Args, context: &Context<'_>) -> Vec<PathBuf> {
    match args.paths.as_slice() {
        [] => vec![absolute(Path::new("."), context)],
        paths => paths.iter().map(|path| absolute(path, context)).collect(),
    }
}

/// Returns where a path leads, whether something is there or not.
fn absolute(path: &Path, context: &Context<'_>) -> PathBuf {
    let here = context.env.working_dir();
    let here = std::fs::canonicalize(here).unwrap_or_else(|_| here.to_owned());
    let path = here.join(path);
    std::fs::canonicalize(&path).unwrap_or(path)
}

fn write_sarif(
    file: &Path,
    document: &serde_json::Value,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(document).map_err(|_| {
        Error::new(
            ErrorKind::Unsupported,
            "the findings can't be written as SARIF",
        )
    })?;
    text.push('\n');
    if file == Path::new("-") {
        return context.screen.bytes(text.as_bytes());
    }
    let path = context.env.working_dir().join(file);
    match path.exists() {
        true => files::replace(&path, text.as_bytes())?,
        false => files::create(&path, text.as_bytes(), 0o644)?,
    }
    Ok(())
}

impl Looked {
    /// Returns the exit code: what could not be judged comes before what was found.
    fn code(&self) -> u8 {
        match self.inconclusive() {
            Some(kind) => exit::code(kind),
            None if self.findings.is_empty() => FINE,
            None => CHECK_FAILED,
        }
    }
}
