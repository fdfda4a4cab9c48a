//! `conformance`: the suite that every backend must pass, against an address.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use serde::Serialize;
use strongroom::conformance::{self, Harness};
use strongroom::{
    Backend, Connect, Deployment, Env, Error, ErrorKind, GuardRails, ProviderUrl, Secret,
    SecretName, SecretProvider,
};

use crate::context::Context;
use crate::exit::{CHECK_FAILED, FINE, Outcome};

/// What stands in an address for the name of a store.
const STORE: &str = "{store}";

/// Try a backend of your own against the rules that every backend keeps
///
/// Runs the conformance suite of the library, some 50 cases, each on a new and empty store of its own:
/// `{store}` in the address becomes another name each time. What is written there stays, so name a place
/// that you can throw away. Values are made up; no secret of yours is read. The exit code is 1 if a
/// case fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom conformance 'exec:/srv/provider.py?config=/tmp/try/{store}'
  strongroom conformance 'exec:/srv/provider?config={store}' --text-only --format json")]
pub(crate) struct Args {
    /// The address of a provider, with {store} where it names what is to be new each time
    address: String,
    /// It holds text only, and refuses bytes that are none
    #[arg(long)]
    text_only: bool,
    /// It takes one final newline off a text
    #[arg(long)]
    strips_newline: bool,
    /// It maps names that differ in case or punctuation alone to one place
    #[arg(long)]
    one_spelling: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    ok: bool,
    passed: &'a [&'static str],
    skipped: Vec<Skipped<'a>>,
    failed: Vec<Failed<'a>>,
}

#[derive(Serialize)]
struct Skipped<'a> {
    case: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Failed<'a> {
    case: &'static str,
    problem: &'a str,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let stores = Stores::new(args, context)?;
    let outcome = context.block_on(async {
        stores.check_writable().await?;
        Ok(conformance::run(&stores).await)
    })?;
    if context.screen.is_json() {
        let skipped = outcome.skipped.iter();
        let failed = outcome.failed.iter();
        context.screen.json(&Body {
            ok: outcome.is_conforming(),
            passed: &outcome.passed,
            skipped: skipped
                .map(|(case, reason)| Skipped { case, reason })
                .collect(),
            failed: failed
                .map(|(case, problem)| Failed { case, problem })
                .collect(),
        })?;
    } else {
        let passed = outcome.passed.iter().map(|case| format!("✓ {case}"));
        let skipped = outcome.skipped.iter();
        let skipped = skipped.map(|(case, reason)| format!("- {case}: {reason}"));
        let failed = outcome.failed.iter();
        let failed = failed.map(|(case, problem)| format!("✗ {case}: {problem}"));
        let lines: Vec<_> = passed.chain(skipped).chain(failed).collect();
        context.screen.text(&lines.join("\n"))?;
        context.screen.done(&format!(
            "{} cases hold, {} don't apply, {} failed",
            outcome.passed.len(),
            outcome.skipped.len(),
            outcome.failed.len()
        ));
    }
    Ok(match outcome.is_conforming() {
        true => FINE,
        false => CHECK_FAILED,
    })
}

/// Opens a provider on a new store for each case.
struct Stores<'a> {
    args: &'a Args,
    backend: Backend,
    env: Env,
    /// The beginning of every name, of this run alone.
    run: String,
    opened: AtomicUsize,
}

impl<'a> Stores<'a> {
    fn new(args: &'a Args, context: &Context<'_>) -> Result<Self, Error> {
        let wrong = |message: &str| {
            Error::new(ErrorKind::Config, message).with_help(
                "for example 'exec:/path/to/provider?config=/tmp/try/{store}', in quotes",
            )
        };
        if !args.address.contains(STORE) {
            return Err(wrong(
                "the address has no `{store}`: each case needs a new and empty store of its own",
            ));
        }
        let url = address(args, "store")?;
        let known = |backend: &&Backend| backend.scheme() == url.base_scheme();
        let Some(backend) = context.backends().find(known) else {
            return Err(wrong("no backend has the scheme of the address"));
        };
        if let Some(key) = url
            .query_keys()
            .find(|key| !backend.url_keys().contains(key))
        {
            let message = format!("`{key}` is no key of such an address");
            let help = format!("it may have {}", backend.url_keys().join(", "));
            return Err(Error::new(ErrorKind::Config, message).with_help(help));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_millis();
        Ok(Self {
            args,
            backend: *backend,
            env: context.env.clone(),
            run: format!("conformance-{}-{now}", std::process::id()),
            opened: AtomicUsize::new(0),
        })
    }

    async fn check_writable(&self) -> Result<(), Error> {
        let provider = self.open(&[]).await?;
        let description = provider.describe();
        provider.close().await?;
        match description.writable {
            true => Ok(()),
            false => {
                let message = format!("{} can't be written", description.address);
                Err(Error::new(ErrorKind::Unsupported, message).with_help(
                    "what its stores hold must be put there behind its back: run the suite from a test \
                     of your own, with the library's feature `conformance`",
                ))
            }
        }
    }
}

#[async_trait]
impl Harness for Stores<'_> {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>, Error> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let url = address(self.args, &format!("{}-{number}", self.run))?;
        // Nothing of value is read or written, so nothing is refused that a development would allow.
        let rails = GuardRails::new(Deployment::Development, []);
        let provider = self
            .backend
            .open(Connect::new(url, self.env.clone(), rails))
            .await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
    }

    fn holds_bytes(&self) -> bool {
        !self.args.text_only
    }

    fn strips_final_newline(&self) -> bool {
        self.args.strips_newline
    }

    fn tells_spellings_apart(&self) -> bool {
        !self.args.one_spelling
    }
}

fn address(args: &Args, store: &str) -> Result<ProviderUrl, Error> {
    args.address.replace(STORE, store).parse()
}
