//! `cargo xtask program`: builds the program `strongroom` as it starts fastest.
//!
//! It is linked statically and stays position-independent: a dynamic loader would look up and relocate for longer than
//! the program then runs. Names of hosts are looked up by the C library's own files and DNS; further modules of
//! `nsswitch.conf` are loaded only if they are of the same C library, so build it on the system that it runs on.

use std::path::PathBuf;

use crate::Result;
use crate::command::{cargo, host, run as run_command};
use crate::workspace::Workspace;

/// Builds, and prints where the program is.
pub(crate) fn run() -> Result<()> {
    let path = build()?;
    println!("{}", path.display());
    Ok(())
}

/// Builds it, and returns where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let target_dir = Workspace::load()?.target_dir.join("program");
    let host = host()?;
    let mut command = cargo(&[
        "rustc",
        "--release",
        "--locked",
        "--package",
        "strongroom-cli",
        "--bin",
        "strongroom",
        // Procedural macros can't be static: with a target named, they are built without these flags.
        "--target",
        &host,
        "--",
        // A tenth of the size, which a start would read.
        "-Clink-arg=-Wl,-z,pack-relative-relocs",
    ]);
    command
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    run_command(command)?;
    Ok(target_dir.join(host).join("release/strongroom"))
}
