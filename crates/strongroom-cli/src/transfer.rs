//! Many secrets into one provider: planned first, then written by compare-and-set, then read back.
//!
//! `copy` and `import` differ in where the values come from, and in nothing else.

use std::collections::BTreeMap;

use clap::ValueEnum;
use strongroom::provider::Expect;
use strongroom::{
    Connection, Declared, Error, ErrorKind, Finding, Kind, Report, Result, Secret, SecretName,
    SecretsBuilder, policy,
};

use crate::context::Context;
use crate::exit::{FINE, Failure, Outcome};
use crate::interrupts::Interrupts;
use crate::inventory::{self, Inventory};
use crate::progress::Progress;
use crate::run_key::RunKey;

mod plan;
mod report;

use plan::{Action, Step};
use report::Told;

/// One secret to be written.
pub(crate) struct Entry {
    /// What it is called where it comes from.
    pub(crate) from: String,
    pub(crate) name: SecretName,
    pub(crate) value: Secret,
}

/// What `copy` and `import` ask for alike.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// What to do where another value is there: fail before anything is written, skip, or overwrite
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "RULE",
        hide_possible_values = true,
        hide_default_value = true
    )]
    on_conflict: OnConflict,
    /// Write values too that the strength policy refuses, with a warning for each
    // DANGER: a service does not boot with such a value. It is for moving what is there already.
    #[arg(long)]
    allow_weak: bool,
}

/// What to do where another value is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OnConflict {
    #[default]
    Fail,
    Skip,
    Overwrite,
}

/// Declares names to a provider that is to be opened, so that two which would land on one variable or
/// file are refused by the backend's own rules. What the manifest says of a name wins.
pub(crate) fn announce<'a>(
    builder: SecretsBuilder,
    names: impl IntoIterator<Item = &'a SecretName>,
) -> SecretsBuilder {
    let announced = |name: &SecretName| {
        let declared = Declared::new(name.clone(), Kind::Opaque);
        declared.optional().with_description(ANNOUNCED)
    };
    builder.declare(names.into_iter().map(announced).collect::<Vec<_>>())
}

/// Marks what this command declares; nobody reads it.
const ANNOUNCED: &str = "announced to its provider";

/// Returns what the manifest declares of a name.
fn declared<'a>(target: &'a Connection, name: &SecretName) -> Option<&'a Declared> {
    let declared = target.declaration(name.as_str());
    // What the manifest says of a name is joined with what was announced: a mark alone tells nothing.
    let demands = |known: &Declared| {
        known.required
            || known.kind != Kind::Opaque
            || known.min_length.is_some()
            || known.length.is_some()
    };
    declared.filter(|known| demands(known) || known.description.as_deref() != Some(ANNOUNCED))
}

/// Writes everything, or says what would be written.
pub(crate) async fn transfer(
    source: String,
    entries: Vec<Entry>,
    target: &Connection,
    options: &Options,
    context: &Context<'_>,
) -> Outcome {
    let key = RunKey::random()?;
    let mut told = Told {
        source,
        target: target.describe().address,
        dry_run: options.dry_run,
        verified: false,
        steps: plan(entries, target, options, &key).await?,
    };
    let conflicts = told.names(Action::Conflict);
    let judged = judge(&told.steps, target, options)?;
    context.screen.warnings(judged.warnings());
    if options.dry_run && !conflicts.is_empty() && context.screen.is_json() {
        // One document: the plan, and why it can't be.
        return told.stopped(conflict(&conflicts, &told.target), context);
    }
    if options.dry_run {
        told.show(context)?;
    }
    if !conflicts.is_empty() {
        return Err(conflict(&conflicts, &told.target).into());
    }
    if options.dry_run {
        return Ok(FINE);
    }
    if told.steps.iter().any(Step::is_to_write) {
        // Before the first write, and not after what one would leave.
        let mut interrupts = Interrupts::listen()?;
        if let Err(error) = write(&mut told.steps, target, &key, &mut interrupts, context).await {
            return told.stopped(error, context);
        }
    }
    let reading = Progress::start(&context.screen, "reading back", None);
    let verified = verify(&told, target, &key).await;
    drop(reading);
    if let Err(error) = verified {
        return told.stopped(error, context);
    }
    told.verified = true;
    told.show(context)?;
    Ok(FINE)
}

/// Compares what is to be written with what is there.
async fn plan(
    mut entries: Vec<Entry>,
    target: &Connection,
    options: &Options,
    key: &RunKey,
) -> Result<Vec<Step>> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    for pair in entries.windows(2) {
        if let [one, other] = pair
            && one.name == other.name
        {
            let message = format!("`{}` and `{}` would both become it", one.from, other.from);
            return Err(Error::new(ErrorKind::Config, message)
                .with_name(&one.name)
                .with_help("nothing was written; give one of them another name"));
        }
    }
    check_apart(&entries, target)?;
    for entry in &entries {
        if declared(target, &entry.name).is_some_and(|known| !inventory::is_held_here(known)) {
            let message = "the manifest's `source` has it from another provider";
            return Err(Error::new(ErrorKind::Config, message)
                .with_name(&entry.name)
                .with_help("nothing was written; leave it out by --only, or write it there"));
        }
    }
    let names = || entries.iter().map(|entry| &entry.name);
    let there = Inventory::read(target, names()).await;
    let there = there.complete(&target.describe().address)?;
    let mut steps = Vec::new();
    for entry in entries {
        let former = match there.get(&entry.name) {
            Some(value) => Some(key.tag(value)?),
            None => None,
        };
        let tag = key.tag(&entry.value)?;
        steps.push(Step::new(entry, tag, former, options.on_conflict));
    }
    if !target.describe().writable && steps.iter().any(Step::is_to_write) {
        let message = format!("{} can't be written", target.describe().address);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(steps)
}

/// Refuses two names that are one variable, where each is found by its variable too: in plain files.
fn check_apart(entries: &[Entry], target: &Connection) -> Result<()> {
    if target.describe().scheme != "file" {
        return Ok(());
    }
    let mut variables = BTreeMap::new();
    for Entry { name, .. } in entries {
        if let Some(other) = variables.insert(name.to_variable(), name) {
            let place = target.describe().address;
            let message = format!("it and `{other}` share a spelling in {place}");
            return Err(Error::new(ErrorKind::Config, message)
                .with_name(name)
                .with_help("nothing was written; rename one of them"));
        }
    }
    Ok(())
}

/// Holds every value that is to be written against the policy, as `set` does.
fn judge(steps: &[Step], target: &Connection, options: &Options) -> Result<Report> {
    let mut findings = Vec::new();
    for step in steps.iter().filter(|step| step.is_to_write()) {
        if let Some(declared) = declared(target, &step.entry.name) {
            findings.extend(policy::check_one(declared, &step.entry.value));
        }
    }
    let report = Report::new(findings);
    if report.is_clean() {
        return Ok(report);
    }
    if options.allow_weak {
        let warning = |finding: Finding| {
            Finding::warning(
                finding.name.as_ref(),
                finding.rule,
                finding.message,
                finding.help,
            )
        };
        return Ok(Report::new(
            report.findings.into_iter().map(warning).collect(),
        ));
    }
    let message = "values that a boot would refuse are not written";
    Err(Error::new(ErrorKind::Policy, message)
        .with_help("nothing was written; mend them where they come from, or say --allow-weak")
        .with_report(report))
}

/// Writes what is to be written, one after the other. Each write happens only if what is there is still
/// what the plan saw.
async fn write(
    steps: &mut [Step],
    target: &Connection,
    key: &RunKey,
    interrupts: &mut Interrupts,
    context: &Context<'_>,
) -> Result<()> {
    // What is no text comes first, a field before anything: a provider that holds text alone refuses it
    // before anything else was written.
    let mut order: Vec<&mut Step> = steps.iter_mut().filter(|step| step.is_to_write()).collect();
    order.sort_by_key(|step| {
        let value = &step.entry.value;
        // EXPOSES: only whether a zero byte is in it is looked at
        let has_zero = value.expose_bytes().iter().any(|byte| matches!(byte, 0));
        (
            value.is_text() && !has_zero,
            step.entry.name.field().is_none(),
        )
    });
    let total = u64::try_from(order.len()).ok();
    let progress = Progress::start(&context.screen, "writing", total);
    for step in order {
        if interrupts.arrived().await {
            let message = "it was interrupted before this one was written";
            return Err(Error::new(ErrorKind::Config, message).with_name(&step.entry.name));
        }
        let outcome = write_one(step, target, key).await;
        outcome.map_err(|error| error.with_name(&step.entry.name))?;
        step.done = true;
        progress.advance(1);
    }
    Ok(())
}

async fn write_one(step: &Step, target: &Connection, key: &RunKey) -> Result<()> {
    let name = &step.entry.name;
    let expect = match &step.former {
        None => Expect::Absent,
        // Its version is read anew: writing another field of its document may have moved it.
        Some(former) => {
            let there = target.read(name).await?;
            if key.tag(&there)? != *former {
                return Err(Error::new(ErrorKind::Conflict, "it was changed meanwhile"));
            }
            let version = there.metadata().version().cloned();
            version.map_or(Expect::Any, Expect::Version)
        }
    };
    match target.put(name, &step.entry.value, expect).await {
        Ok(_) => Ok(()),
        // A write whose answer was lost is tried again by the layers, and then meets itself.
        Err(error) if error.kind() == ErrorKind::Conflict => match target.read(name).await {
            Ok(there) if key.tag(&there)? == step.tag => Ok(()),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Reads everything back, what was there already included.
async fn verify(told: &Told, target: &Connection, key: &RunKey) -> Result<()> {
    let expected: BTreeMap<_, _> = told
        .steps
        .iter()
        .filter(|step| step.done || step.action == Action::Equal)
        .map(|step| (&step.entry.name, &step.tag))
        .collect();
    let there = Inventory::read(target, expected.keys().copied()).await;
    if let Some((name, error)) = there.failed.first() {
        let message = format!("what was written could not be read back: {error}");
        return Err(Error::new(error.kind(), message)
            .with_name(name)
            .with_help("what was written is not compared yet"));
    }
    let mut wrong = Vec::new();
    for (name, tag) in expected {
        let message = match there.values.get(name) {
            Some(value) if key.tag(value)? == *tag => continue,
            Some(_) => "another value was read back than the one that was written",
            None => "it could not be read back",
        };
        wrong.push(Finding::violation(Some(name), "read-back", message, ""));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let message = format!(
        "what was written to {} does not read back as it was",
        told.target
    );
    Err(Error::new(ErrorKind::Integrity, message)
        .with_help("somebody else may have written meanwhile; look by `strongroom diff`")
        .with_report(Report::new(wrong)))
}

fn conflict(names: &[&SecretName], target: &str) -> Error {
    let finding = |name: &&SecretName| {
        Finding::violation(Some(*name), "conflict", "another value is there", "")
    };
    let message = match names.len() {
        1 => format!("a secret has another value in {target}"),
        all => format!("{all} secrets have another value in {target}"),
    };
    Error::new(ErrorKind::Conflict, message)
        .with_help("nothing was written; say --on-conflict skip or --on-conflict overwrite")
        .with_report(Report::new(names.iter().map(finding).collect()))
}

impl From<OnConflict> for Action {
    fn from(rule: OnConflict) -> Self {
        match rule {
            OnConflict::Fail => Self::Conflict,
            OnConflict::Skip => Self::Skip,
            OnConflict::Overwrite => Self::Overwrite,
        }
    }
}

/// Unwraps what closing comes to: the outcome of the command matters more.
pub(crate) async fn closing(outcome: Outcome, connections: &[&Connection]) -> Result<u8, Failure> {
    for connection in connections {
        let _ = connection.close().await;
    }
    outcome
}
