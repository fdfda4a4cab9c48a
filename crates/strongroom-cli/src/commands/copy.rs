//! `copy`: secrets from one provider into another.

use strongroom::{Connection, Error, ErrorKind, Secret, SecretName};

use crate::context::{Context, parse_name};
use crate::exit::{Failure, Outcome};
use crate::inventory;
use crate::side::{Side, check_apart};
use crate::transfer::{self, Entry, Options};

/// Copy secrets from one provider into another
///
/// A side is an address, a name of the manifest's `providers`, or profile:NAME. Everything is read and
/// planned first: what is not there is created, an equal value is left alone, and another value is a
/// conflict, upon which nothing is written at all unless --on-conflict says otherwise. Each write
/// happens only if what the plan saw is still there. At the end everything is read back and compared.
/// Nothing is ever deleted.
///
/// A copy that was interrupted goes on where it stopped when it is run again. A value that a boot would
/// refuse is not copied without --allow-weak.
///
/// Exit code 7 is a conflict.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom copy sealed:.strongroom/secrets.sealed vault://vault.internal/kv/payments --dry-run
  strongroom copy profile:staging profile:production --only tls/ca
  strongroom copy blue green --on-conflict overwrite
  strongroom copy file:old sealed:new --prefix team/ --rename team/=payments/")]
pub(crate) struct Args {
    /// Where from: an address, a provider's name in the manifest, or profile:NAME
    a: String,
    /// Where to
    b: String,
    #[command(flatten)]
    options: Options,
    /// Only names that begin with this text
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// Only these names
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with = "prefix")]
    only: Vec<String>,
    /// Let names that begin with FROM begin with TO instead
    #[arg(long, value_name = "FROM=TO")]
    rename: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    context.check_no_provider()?;
    let (from, to) = (Side::parse(&args.a, "A")?, Side::parse(&args.b, "B")?);
    let only = args.only.iter().map(|name| parse_name(name));
    let only = only.collect::<Result<Vec<_>, _>>()?;
    let rename = args.rename.as_deref().map(parse_rename).transpose()?;
    let (from, to) = (from.builder(context)?, to.builder(context)?);
    context.block_on(async {
        let source = context.connect(from).await?;
        context.screen.warnings(&source.detection().warnings);
        let entries = match read(&source, args, &only, rename, context).await {
            Ok(entries) => entries,
            Err(error) => return transfer::closing(Err(error), &[&source]).await,
        };
        let to = transfer::announce(to, entries.iter().map(|entry| &entry.name));
        let target = match context.connect(to).await {
            Ok(target) => target,
            Err(error) => return transfer::closing(Err(error.into()), &[&source]).await,
        };
        let address = source.describe().address;
        let outcome = match check_apart(&source, &target) {
            Ok(()) => transfer::transfer(address, entries, &target, &args.options, context).await,
            Err(error) => Err(error.into()),
        };
        transfer::closing(outcome, &[&source, &target]).await
    })
}

/// Reads everything that is to be copied.
async fn read(
    source: &Connection,
    args: &Args,
    only: &[SecretName],
    rename: Option<(&str, &str)>,
    context: &Context<'_>,
) -> Result<Vec<Entry>, Failure> {
    let values = inventory::select(source, &args.prefix, only, &context.screen).await?;
    let entries = values
        .into_iter()
        .map(|(name, value)| entry(name, value, rename));
    entries.collect()
}

fn entry(name: SecretName, value: Secret, rename: Option<(&str, &str)>) -> Result<Entry, Failure> {
    let from = name.to_string();
    let renamed = rename.and_then(|(from, to)| Some((to, name.as_str().strip_prefix(from)?)));
    let name = match renamed {
        Some((to, rest)) => SecretName::parse(format!("{to}{rest}"))?,
        None => name,
    };
    Ok(Entry { from, name, value })
}

fn parse_rename(text: &str) -> Result<(&str, &str), Error> {
    text.split_once('=').ok_or_else(|| {
        Error::new(ErrorKind::Config, "--rename has no `=` in it")
            .with_help("write the former and the new beginning: --rename team/=payments/")
    })
}
