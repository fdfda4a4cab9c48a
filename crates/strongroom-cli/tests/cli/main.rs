//! The command as scripts and people meet it: what it prints, how it ends, and what it never shows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail as tests do"
)]

mod canary;
mod codes;
mod environment;
mod files;
#[cfg(unix)]
mod git;
mod harness;
mod program;
#[cfg(unix)]
mod project;
#[cfg(unix)]
mod prompts;
mod readme;
#[cfg(unix)]
mod sealed;
#[cfg(unix)]
mod terminal;
mod write;

/// Every command's help, results and failures, as files under `tests/cmd`.
#[test]
fn commands() {
    trycmd::TestCases::new()
        .register_bin("own_backend", harness::own_backend())
        .env("STRONGROOM_ENV", "development")
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd")
        .case("tests/cmd/*.toml");
}
