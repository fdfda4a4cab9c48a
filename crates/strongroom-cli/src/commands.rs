//! The commands, one file each: its options with their help, and `run`.

use crate::args::Command;
use crate::context::Context;
use crate::exit::Outcome;

pub(crate) mod audit;
pub(crate) mod complete;
pub(crate) mod completions;
pub(crate) mod copy;
pub(crate) mod diff;
pub(crate) mod conformance;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod get;
pub(crate) mod git_credential;
pub(crate) mod git_merge;
pub(crate) mod git_textconv;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod redact;
pub(crate) mod rm;
pub(crate) mod rotate;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod schema;
pub(crate) mod set;
pub(crate) mod trust;
pub(crate) mod validate;
pub(crate) mod watch;

/// Runs a command.
pub(crate) fn run(command: Command, context: &Context<'_>) -> Outcome {
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::Inspect(args) => inspect::run(&args, context),
        Command::Validate(args) => validate::run(&args, context),
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Get(args) => get::run(&args, context),
        Command::Set(args) => set::run(&args, context),
        Command::Rm(args) => rm::run(&args, context),
        Command::List(args) => list::run(&args, context),
        Command::Generate(args) => generate::run(&args, context),
        Command::Key(args) => key::run(args, context),
        Command::Rotate(args) => rotate::run(&args, context),
        Command::Diff(args) => diff::run(&args, context),
        Command::Copy(args) => copy::run(&args, context),
        Command::Import(args) => import::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Run(args) => run::run(&args, context),
        Command::Redact(args) => redact::run(&args, context),
        Command::Watch(args) => watch::run(&args, context),
        Command::Scan(args) => scan::run(&args, context),
        Command::Trust(args) => trust::run(&args, context),
        Command::GitCredential(args) => git_credential::run(&args, context),
        Command::GitMerge(args) => git_merge::run(&args, context),
        Command::GitTextconv(args) => git_textconv::run(&args, context),
        Command::Audit(args) => audit::run(args, context),
        Command::Conformance(args) => conformance::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
        Command::Schema(args) => schema::run(&args, context),
        Command::Complete(args) => complete::run(&args, context),
    }
}
