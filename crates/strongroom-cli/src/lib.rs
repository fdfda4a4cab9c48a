//! The `strongroom` command as a library, so that a CLI with further backends is a `main` around it.
//!
//! ```no_run
//! use std::process::ExitCode;
//! # const ECHO: strongroom::Backend = strongroom::Backend::new("echo", "a demonstration", |_| {
//! #     Box::pin(async { Err(strongroom::Error::new(strongroom::ErrorKind::Unsupported, "no")) })
//! # });
//!
//! fn main() -> ExitCode {
//!     strongroom_cli::main_with(&[ECHO])
//! }
//! ```
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | fine; a `watch` that was ended by Ctrl-C, SIGTERM or SIGHUP |
//! | 1 | the check failed: policy, guard rail, a malformed value; a hook of `rotate`; `redact --check` masked something |
//! | 2 | usage or configuration |
//! | 3 | absent |
//! | 4 | denied, or our own credential is missing or was refused |
//! | 5 | the backend can't be reached |
//! | 6 | integrity |
//! | 7 | conflict: something else was there than expected |
//! | 125, 126, 127 | `run` only: strongroom failed, the program can't be executed, it was not found |
//!
//! # JSON
//!
//! With `--format json` every command but `completions`, `man` and `schema` writes objects to standard output,
//! one a line, each with the version of their form. docs/json.md describes them and says what may change;
//! `strongroom schema output` prints their JSON Schema, by which the tests judge everything that is written.

use std::ffi::OsString;
use std::process::ExitCode;

use strongroom::{Backend, Env, Error, ErrorKind, Finding};
use tracing_subscriber::EnvFilter;

mod args;
mod commands;
mod context;
mod declared;
mod exchange;
mod exit;
mod files;
mod forms;
mod interrupts;
mod inventory;
mod key_source;
mod known;
mod mask;
mod paint;
mod progress;
mod prompt;
mod report;
mod run_key;
mod side;
mod table;
mod transfer;
mod tree;
mod usage;

use context::Context;
use exit::Failure;
use report::Screen;

/// Runs the command line of this process, with these backends beside strongroom's own.
pub fn main_with(backends: &[Backend]) -> ExitCode {
    let hardened = strongroom::harden_launcher();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut screen = Screen::before_parsing(&arguments);
    // The program that `run` starts has the codes below 125 for itself.
    let before_run = |failure: Failure| match args::attempts_run(&arguments) {
        true => failure.with_code(exit::RUN_FAILED),
        false => failure,
    };
    if let Err(failure) = refuse_foreign_rights() {
        return ExitCode::from(screen.failure(&before_run(failure)));
    }
    let code = match args::parse(&arguments, screen.color()) {
        Err(args::Stop::Shown(code)) => code,
        Err(args::Stop::Wrong(failure)) => screen.failure(&before_run(failure)),
        Ok(args::Cli { global, command }) => {
            let env = Env::process();
            screen = Screen::new(&global, &env);
            let core_limit = match hardened {
                Ok(limit) => Some(limit),
                Err(error) => {
                    let help = error.help().unwrap_or_default();
                    let finding = Finding::warning(None, "not-hardened", error.to_string(), help);
                    screen.warnings(&[finding]);
                    None
                }
            };
            let logs = log_to_stderr(&env, &screen).map_err(before_run);
            let outcome = logs.and_then(|()| {
                let context = Context::new(env, backends, global, screen, core_limit);
                commands::run(command, &context)
            });
            outcome.unwrap_or_else(|failure| screen.failure(&failure))
        }
    };
    ExitCode::from(code)
}

/// Refuses to act with rights that its starter doesn't have: variables, folder and input are the
/// starter's, and would decide what is done with them.
fn refuse_foreign_rights() -> Result<(), Failure> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    if getuid() == geteuid() && getgid() == getegid() {
        return Ok(());
    }
    let message = "the program is set-user-ID or set-group-ID, which would lend the rights of its \
                   owner to anybody";
    let error = Error::new(ErrorKind::Unsupported, message)
        .with_help("take the mark away, `chmod ug-s`, and let users run it as themselves");
    Err(error.into())
}

/// Logs what `STRONGROOM_LOG` asks for. Without it nothing is logged: reports say what matters.
fn log_to_stderr(env: &Env, screen: &Screen) -> Result<(), Failure> {
    let Some(filter) = env.var("STRONGROOM_LOG")? else {
        return Ok(());
    };
    let filter = EnvFilter::builder().parse(filter).map_err(|_| {
        Error::new(ErrorKind::Config, "STRONGROOM_LOG is no filter for logs")
            .with_help("for example `debug`, or `strongroom=trace,warn`")
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(screen.colors_stderr())
        // It would be printed to standard error, which is what failed.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A program around ours may have installed its own subscriber, which then stays.
    let _ = log.try_init();
    Ok(())
}
