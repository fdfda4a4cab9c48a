//! The `strongroom` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    strongroom_cli::main_with(&[])
}
