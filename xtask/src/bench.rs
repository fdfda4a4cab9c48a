//! `cargo xtask bench`: runs the benchmarks of `benches/` and writes docs/performance.md.

use crate::command::{cargo, output};
use crate::servers::Servers;
use crate::workspace::Workspace;
use crate::{Result, page};

pub(crate) fn run() -> Result<()> {
    let args = "run --locked --quiet --release --features peers --manifest-path benches/Cargo.toml";
    let servers = Servers::start(&Workspace::load()?.target_dir)?;
    let mut benches = cargo(&args.split(' ').collect::<Vec<_>>());
    benches.envs(servers.variables());
    page::write("docs/performance.md", "bench", &output(benches)?)
}
