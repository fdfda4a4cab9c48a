//! What is said of the plan, of what was done, and of where it stopped.

use serde::Serialize;
use strongroom::{Error, SecretName};

use super::plan::{Action, Step};
use crate::context::Context;
use crate::exit::{Failure, Outcome};
use crate::paint::Span;
use crate::report::ErrorBody;
use crate::table::Table;

/// Everything that can be told.
pub(super) struct Told {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) dry_run: bool,
    pub(super) verified: bool,
    pub(super) steps: Vec<Step>,
}

#[derive(Serialize)]
struct Body<'a> {
    source: &'a str,
    target: &'a str,
    dry_run: bool,
    verified: bool,
    secrets: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a SecretName,
    from: &'a str,
    action: Action,
    done: bool,
}

impl<'a> Row<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            name: &step.entry.name,
            from: &step.entry.from,
            action: step.action,
            done: step.done,
        }
    }
}

/// The most names that a sentence lists.
const MOST_NAMED: usize = 20;

impl Told {
    pub(super) fn names(&self, action: Action) -> Vec<&SecretName> {
        let found = self.steps.iter().filter(|step| step.action == action);
        found.map(|step| &step.entry.name).collect()
    }

    /// Shows the plan of a dry run; of a run that wrote, how much it was.
    pub(super) fn show(&self, context: &Context<'_>) -> Result<(), Failure> {
        if context.screen.is_json() {
            return context.screen.json(&self.body());
        }
        if self.dry_run && !self.steps.is_empty() {
            self.table().show(&context.screen)?;
        }
        let count = |action| self.names(action).len();
        let written = count(Action::Create).saturating_add(count(Action::Overwrite));
        let mut said = match (self.dry_run, written) {
            (_, 0) => "nothing to write".to_owned(),
            (true, written) => format!("would write {written}"),
            (false, written) => format!("wrote {written}, read back and compared"),
        };
        for (action, what) in [
            (Action::Equal, "there already"),
            (Action::Skip, "skipped, as another value is there"),
        ] {
            match count(action) {
                0 => {}
                number => said = format!("{said}; {number} {what}"),
            }
        }
        let Self { source, target, .. } = self;
        context
            .screen
            .done(&format!("{said} ({source} → {target})"));
        Ok(())
    }

    /// Says where it stopped, what was done, what was not, and how to go on.
    pub(super) fn stopped(&self, error: Error, context: &Context<'_>) -> Outcome {
        let names = |done: bool| -> Vec<&SecretName> {
            let steps = self
                .steps
                .iter()
                .filter(|step| step.is_to_write() && step.done == done);
            steps.map(|step| &step.entry.name).collect()
        };
        let (written, missing) = (names(true), names(false));
        let message = format!(
            "{error}; {} written: {}; {} not written: {}",
            written.len(),
            listed(&written),
            missing.len(),
            listed(&missing)
        );
        let help = match error.help() {
            Some(help) => {
                format!("{help}; then run the same again, which goes on with what is missing")
            }
            None => "run the same again, which goes on with what is missing".to_owned(),
        };
        let mut told = Error::new(error.kind(), message).with_help(help);
        if let Some(report) = error.report() {
            told = told.with_report(report.clone());
        }
        let failed = Failure::from(told);
        if !context.screen.is_json() {
            return Err(failed);
        }
        #[derive(Serialize)]
        struct Stopped<'a> {
            error: ErrorBody<'a>,
            #[serde(flatten)]
            body: Body<'a>,
        }
        let error = ErrorBody::new(&failed.error);
        let body = self.body();
        context.screen.json(&Stopped { error, body })?;
        Ok(failed.code)
    }

    fn body(&self) -> Body<'_> {
        Body {
            source: &self.source,
            target: &self.target,
            dry_run: self.dry_run,
            verified: self.verified,
            secrets: self.steps.iter().map(Row::of).collect(),
        }
    }

    /// The plan as a table, with the former names where any changes.
    fn table(&self) -> Table {
        let is_renamed = |step: &Step| step.entry.from != step.entry.name.as_str();
        let spans = |step: &Step| {
            let name = Span::from(step.entry.name.as_str());
            (name, Span::from(step.action.as_str()))
        };
        if !self.steps.iter().any(is_renamed) {
            let mut table = Table::new(["NAME", "ACTION"]);
            for (name, action) in self.steps.iter().map(spans) {
                table.row([name, action]);
            }
            return table;
        }
        let mut table = Table::new(["NAME", "ACTION", "FROM"]);
        for step in &self.steps {
            let (name, action) = spans(step);
            table.row([name, action, Span::from(step.entry.from.as_str())]);
        }
        table
    }
}

fn listed(names: &[&SecretName]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let some: Vec<_> = names
        .iter()
        .take(MOST_NAMED)
        .map(|name| name.as_str())
        .collect();
    match names.len().saturating_sub(some.len()) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}
