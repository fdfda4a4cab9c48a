//! `cargo xtask constant-time`: measures what comparing takes, on a machine that is as quiet as can be.

use crate::Result;
use crate::command::{cargo, run as run_command};

pub(crate) fn run() -> Result<()> {
    let args = "run --locked --quiet --release --manifest-path benches/Cargo.toml \
                --package strongroom-constant-time";
    run_command(cargo(&args.split_whitespace().collect::<Vec<_>>()))
}
