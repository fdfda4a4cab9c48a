//! `cargo xtask miri`: the tests of what is `unsafe`, where undefined behaviour is seen.

use crate::Result;
use crate::command::{cargo, run as run_command, succeeds};

/// The tests of the one module that may hold `unsafe`, and of what is built on it.
const TESTS: &str =
    "--locked --package strongroom --no-default-features --features locked-memory --lib";

/// Where the compiler's tables of the host are built for, as the sanitizer has to be told.
const HOST: &str = "x86_64-unknown-linux-gnu";

pub(crate) fn run() -> Result<()> {
    if !succeeds(cargo(&["+nightly", "miri", "--version"])) {
        return Err("Miri is not installed; \
                    `rustup component add miri rust-src --toolchain nightly` does it"
            .to_owned());
    }
    // Under Miri a plain allocation stands in for the system's mappings.
    let args =
        format!("+nightly miri test {TESTS} --target-dir target/miri -- locked:: secret::tests");
    let mut miri = cargo(&args.split(' ').collect::<Vec<_>>());
    // The tests of secrets look at the clock.
    miri.env(
        "MIRIFLAGS",
        "-Zmiri-strict-provenance -Zmiri-disable-isolation",
    );
    run_command(miri)?;
    // The mappings themselves are looked at by the sanitizer.
    let args = format!(
        "+nightly test {TESTS} --target {HOST} --target-dir target/asan -- locked:: secret::tests"
    );
    let mut sanitized = cargo(&args.split(' ').collect::<Vec<_>>());
    sanitized.env("RUSTFLAGS", "-Zsanitizer=address");
    run_command(sanitized)
}
