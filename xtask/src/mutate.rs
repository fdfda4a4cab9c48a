//! `cargo xtask mutate`: opens mutated sealed files, many more than each run of the tests does.

use crate::Result;
use crate::command::{cargo, run as run_command};

pub(crate) fn run(count: &str) -> Result<()> {
    if count.parse::<u64>().is_err() {
        return Err(format!("`{count}` is not a number of inputs"));
    }
    let args = "run --locked --quiet --release --manifest-path benches/Cargo.toml --bin mutate --";
    let args = args.split(' ').chain([count]);
    run_command(cargo(&args.collect::<Vec<_>>()))
}
