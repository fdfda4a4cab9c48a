//! `run`: a program with its secrets in the environment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::time::Duration;

use strongroom::{Connection, Error, ErrorKind, Secret, Secrets};

use crate::context::Context;
use crate::exit::{Failure, Outcome, RUN_FAILED};

mod output;
mod reaction;
mod signals;
mod supervise;
pub(crate) mod variables;

use reaction::Reaction;
use supervise::Supervised;
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
/// With --mask or --watch strongroom stays beside the program: it passes signals on, and ends with the
/// program's exit code, or 128 and the number of the signal that killed it. With --mask the program
/// sees pipes, not a terminal, at its standard output and error. What it leaves running may write on for
/// 5 seconds after its own end. With --watch it gets an own process group and no standard input.
///
/// The exit code is 125 if strongroom fails (a wrong option included), 126 if the program can't be executed, and 127 if it is
/// not found.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "exec",
    after_help = "\
Examples:
  strongroom run -- ./server --port 8080
  strongroom run --profile staging -- sh -c 'psql \"$DATABASE_URL\"'
  strongroom run --mask -- ./deploy
  strongroom run --watch restart -- ./server
  strongroom run --watch HUP -- nginx -g 'daemon off;'"
)]
pub(crate) struct Args {
    /// Mask the values in the program's output, in every form that `redact` knows
    #[arg(long)]
    mask: bool,
    /// When a secret is replaced, restart the program with the new value, or send it this signal
    #[arg(long, value_name = "restart|SIGNAL", value_parser = reaction::parse)]
    watch: Option<Reaction>,
    /// How long a restart waits for the program to end after TERM, before KILL
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = super::rotate::duration)]
    grace: Duration,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// The program can't be executed.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such program.
const NOT_FOUND: u8 = 127;

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Outcome {
    if args.command.is_empty() {
        let nothing = Error::new(ErrorKind::Config, "there is no program to run");
        return Err(Failure::from(nothing).with_code(RUN_FAILED));
    }
    if args.mask || args.watch.is_some() {
        return supervise(args, context);
    }
    let read = context.connected_quietly(async |connection| {
        let plan = Plan::of(connection)?;
        let secrets = booted(connection, context).await?;
        let values = plan.values(&secrets).await?;
        Ok(plan.command(&args.command, &values, context))
    });
    let command = read.map_err(|failure| failure.with_code(RUN_FAILED))?;
    // Its core files are its own matter; ours stay off until it takes our place.
    if let Some(limit) = &context.core_limit {
        let restored = limit.restore();
        restored.map_err(|error| Failure::from(error).with_code(RUN_FAILED))?;
    }
    start(command).map_err(|error| not_started(&args.command, error))
}

/// Runs the program and stays beside it.
fn supervise(args: &Args, context: &Context<'_>) -> Outcome {
    let supervised = context.connected_quietly(async |connection| {
        let plan = Plan::of(connection)?;
        let secrets = booted(connection, context).await?;
        let supervised = Supervised {
            command: &args.command,
            mask: args.mask,
            watch: args.watch,
            grace: args.grace,
            plan: &plan,
            secrets: &secrets,
            context,
        };
        Ok(supervised.run().await)
    });
    match supervised {
        Ok(outcome) => outcome,
        Err(failure) => Err(failure.with_code(RUN_FAILED)),
    }
}

/// Boots as a service would.
async fn booted(connection: &Connection, context: &Context<'_>) -> Result<Secrets, Failure> {
    let secrets = connection.clone().boot().await?;
    context.screen.warnings(&connection.rails().said());
    Ok(secrets)
}

/// Which secret becomes which variable, and the schemes of the providers that they come from.
struct Plan<'a> {
    variables: Vec<Variable<'a>>,
    schemes: BTreeSet<String>,
}

/// A variable and its value; only an optional secret can be absent.
struct Value<'a> {
    variable: &'a Variable<'a>,
    secret: Option<Secret>,
}

impl<'a> Plan<'a> {
    fn of(connection: &'a Connection) -> strongroom::Result<Self> {
        let variables = variables::of(connection.declared())?;
        for declared in connection.declared() {
            super::get::check_not_lent(Some(declared))?;
        }
        let providers = connection.describe_all().into_iter();
        let schemes = providers.map(|provider| provider.scheme).collect();
        Ok(Self { variables, schemes })
    }

    /// Reads what the secrets are now, as the program gets them.
    async fn values(&self, secrets: &Secrets) -> strongroom::Result<Vec<Value<'_>>> {
        let mut values = Vec::new();
        for variable in &self.variables {
            let declared = variable.declared;
            let secret = match secrets.get_optional(&declared.name).await? {
                Some(secret) => Some(variables::value(declared, &secret)?),
                None => None,
            };
            values.push(Value { variable, secret });
        }
        Ok(values)
    }

    /// Prepares the program: it gets the values, and no credential of ours.
    fn command(&self, words: &[OsString], values: &[Value<'_>], context: &Context<'_>) -> Command {
        let (program, arguments) = words.split_first().unzip();
        let mut command = Command::new(program.map_or_else(OsString::new, OsString::clone));
        command.args(arguments.unwrap_or_default());
        withhold_credentials(&mut command, context, &self.schemes);
        for value in values {
            // The program would find two sources for one secret. It goes before any is set, as it may
            // be another secret's own variable.
            command.env_remove(format!("{}_FILE", value.variable.variable));
        }
        for Value { variable, secret } in values {
            // EXPOSES: to the environment of the child, which is what `run` is for
            match secret.as_ref().and_then(|secret| secret.expose_str().ok()) {
                Some(text) => command.env(&variable.variable, text),
                // What was neither read nor proven must not reach the program from elsewhere.
                None => command.env_remove(&variable.variable),
            };
        }
        command
    }
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

fn not_started(command: &[OsString], error: io::Error) -> Failure {
    let program = command.first().map(|program| program.to_string_lossy());
    let program = program.unwrap_or_default();
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
