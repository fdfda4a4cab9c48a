//! `run`: a program with its secrets in the environment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::process::Command;

use strongroom::{Error, ErrorKind, Secret};

use crate::context::Context;
use crate::exit::{Failure, Outcome, RUN_FAILED};

pub(crate) mod variables;

use variables::Variable;

/// Run a program with the declared secrets in its environment
///
/// Every declared secret must pass, as at a service's boot; otherwise the program is not started.
/// Each is set as its own variable: the manifest's `env`, or the name in capitals. One that is
/// optional and absent is absent for the program too, whatever stood in its variable. A `…_FILE`
/// variable beside either is taken away. A value with an `encoding` is handed over in that encoding, as
/// the environment backend would read it. strongroom is replaced by the program, so its exit code and
/// signals are the program's own.
///
/// The program gets no credential of strongroom's: every STRONGROOM_… variable but STRONGROOM_ENV
/// is taken out of its environment, and so is every token or key by which the backends in use are
/// reached. Names that would change
/// how programs load, such as PATH or LD_PRELOAD, are refused.
///
/// The exit code is 125 if strongroom fails (a wrong option included), 126 if the program can't be executed, and 127 if it is
/// not found.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "exec",
    after_help = "\
Examples:
  strongroom run -- ./server --port 8080
  strongroom run --profile staging -- sh -c 'psql \"$DATABASE_URL\"'"
)]
pub(crate) struct Args {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// The program can't be executed.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such program.
const NOT_FOUND: u8 = 127;

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    let Some((program, arguments)) = args.command.split_first() else {
        let nothing = Error::new(ErrorKind::Config, "there is no program to run");
        return Err(Failure::from(nothing).with_code(RUN_FAILED));
    };
    let read = secrets(context).map_err(|failure| failure.with_code(RUN_FAILED))?;
    let Read { secrets, schemes } = read;
    let mut command = Command::new(program);
    command.args(arguments);
    withhold_credentials(&mut command, context, &schemes);
    for (variable, _) in &secrets {
        // The program would find two sources for one secret. It goes before any is set, as it may
        // be another secret's own variable.
        command.env_remove(format!("{variable}_FILE"));
    }
    for (variable, secret) in &secrets {
        // EXPOSES: to the environment of the child, which is what `run` is for
        match secret.as_ref().and_then(|secret| secret.expose_str().ok()) {
            Some(text) => command.env(variable, text),
            // What was neither read nor proven must not reach the program from elsewhere.
            None => command.env_remove(variable),
        };
    }
    // Its core files are its own matter; ours stay off until it takes our place.
    if let Some(limit) = &context.core_limit {
        let restored = limit.restore();
        restored.map_err(|error| Failure::from(error).with_code(RUN_FAILED))?;
    }
    start(command).map_err(|error| not_started(program, error))
}

/// Takes every key, passphrase and token of ours out of the program's environment.
///
/// Of our own variables only the deployment stays: an unknown one may be a mistyped key, and the
/// program's own guard rails need to know where it runs. Credentials of a backend that is not in use
/// are not ours: the program may have a use for them, as for AWS's.
pub(super) fn withhold_credentials(
    command: &mut Command,
    context: &Context<'_>,
    schemes: &BTreeSet<String>,
) {
    let ours = |name: &&str| name.starts_with("STRONGROOM_") && *name != "STRONGROOM_ENV";
    let credentials = context
        .backends()
        .filter(|backend| schemes.contains(backend.scheme()))
        .flat_map(|backend| backend.credentials().iter().copied());
    for name in context.env.names().filter(ours).chain(credentials) {
        command.env_remove(name);
    }
}

/// What the program gets, and the schemes of the providers that it came from.
struct Read {
    /// Each by its variable; only an optional one can be absent.
    secrets: Vec<(String, Option<Secret>)>,
    schemes: BTreeSet<String>,
}

/// Reads and proves every declared secret.
fn secrets(context: &Context<'_>) -> Result<Read, Failure> {
    context.connected_quietly(async |connection| {
        let variables = variables::of(connection.declared())?;
        for declared in connection.declared() {
            super::get::check_not_lent(Some(declared))?;
        }
        let providers = connection.describe_all().into_iter();
        let schemes = providers.map(|provider| provider.scheme).collect();
        let secrets = connection.clone().boot().await?;
        context.screen.warnings(&connection.rails().said());
        let mut pairs = Vec::new();
        for Variable { declared, variable } in variables {
            let secret = match secrets.get_optional(&declared.name).await? {
                Some(secret) => Some(variables::value(declared, &secret)?),
                None => None,
            };
            pairs.push((variable, secret));
        }
        let secrets = pairs;
        Ok(Read { secrets, schemes })
    })
}

/// Becomes the program.
#[cfg(unix)]
fn start(mut command: Command) -> io::Result<u8> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

/// Runs the program and takes over its exit code.
#[cfg(not(unix))]
fn start(mut command: Command) -> io::Result<u8> {
    let code = command
        .status()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(RUN_FAILED))
}

fn not_started(program: &OsString, error: io::Error) -> Failure {
    let program = program.to_string_lossy();
    let (message, code) = match error.kind() {
        io::ErrorKind::NotFound => (format!("there is no program `{program}`"), NOT_FOUND),
        _ => (
            format!("the program `{program}` can't be executed"),
            NOT_EXECUTABLE,
        ),
    };
    let failed = Error::new(ErrorKind::Config, message).with_source(error);
    Failure::from(failed).with_code(code)
}
