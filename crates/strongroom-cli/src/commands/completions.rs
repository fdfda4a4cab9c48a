//! `completions`: a completion script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::context::Context;
use crate::exit::{FINE, Outcome};

/// Print a completion script for a shell
///
/// Completion looks at the words typed only: it never contacts a provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  strongroom completions bash > ~/.local/share/bash-completion/completions/strongroom
  strongroom completions fish > ~/.config/fish/completions/strongroom.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "strongroom", &mut script);
    context.screen.bytes(&script)?;
    Ok(FINE)
}
