//! The command as scripts and people meet it: what it prints, how it ends, and what it never shows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail as tests do"
)]

#[cfg(unix)]
mod attacks;
#[cfg(unix)]
mod audit;
mod canary;
mod chain;
mod codes;
#[cfg(unix)]
mod completion;
mod copy;
mod declared;
#[cfg(unix)]
mod deployments;
mod diff;
mod doctor;
mod environment;
mod exec;
#[cfg(unix)]
mod export;
mod files;
#[cfg(unix)]
mod fix;
#[cfg(unix)]
mod git;
#[cfg(target_os = "linux")]
mod harden;
mod harness;
#[cfg(unix)]
mod hostile;
mod import;
#[cfg(unix)]
mod page;
mod program;
#[cfg(unix)]
mod progress;
#[cfg(unix)]
mod project;
#[cfg(unix)]
mod prompts;
mod readme;
#[cfg(unix)]
mod redact;
#[cfg(unix)]
mod rotate;
mod scan;
#[cfg(unix)]
mod schemas;
#[cfg(unix)]
mod sealed;
#[cfg(unix)]
mod supervise;
#[cfg(unix)]
mod terminal;
mod vault;
mod vault_page;
#[cfg(unix)]
mod watch;
mod write;

/// Every command's help, results and failures, as files under `tests/cmd`.
///
/// trycmd hands our environment on, and the commands warn of the variables that lead the other tests to
/// their servers. So it runs in a process of its own, without them.
#[test]
fn commands() {
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", "--ignored", "--nocapture", "commands_alone"]);
    for name in strongroom::Env::process().names() {
        if name.starts_with("STRONGROOM_") {
            alone.env_remove(name);
        }
    }
    assert!(alone.status().unwrap().success());
}

#[test]
#[ignore = "`commands` runs it"]
fn commands_alone() {
    trycmd::TestCases::new()
        .register_bin("own_backend", harness::own_backend())
        .env("STRONGROOM_ENV", "development")
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd")
        .case("tests/cmd/*.toml");
}
