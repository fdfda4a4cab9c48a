//! The hook: a program of the operator's that makes the consumer accept the new value.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use strongroom::rotation::Begun;
use strongroom::{Connection, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin};

use crate::commands::run::withhold_credentials;
use crate::context::Context;
use crate::interrupts::Interrupts;

/// Tells the hook which secret its input is the value of.
const NAME: &str = "STRONGROOM_SECRET_NAME";
/// Tells the hook the version of its input.
const VERSION: &str = "STRONGROOM_ROTATION_VERSION";

/// A program, and what it is started with.
pub(super) struct Hook<'a> {
    pub(super) program: &'a OsStr,
    pub(super) arguments: &'a [OsString],
    pub(super) timeout: Duration,
}

impl Hook<'_> {
    /// Prepares the program: it gets no credential of ours, and no value but by its input.
    pub(super) fn command(
        &self,
        connection: &Connection,
        context: &Context<'_>,
    ) -> Result<Command> {
        let mut schemes = BTreeSet::from([connection.describe().scheme]);
        for declared in connection.declared() {
            schemes.insert(connection.describe_for(&declared.name)?.scheme);
        }
        let mut command = Command::new(self.program);
        command.args(self.arguments);
        withhold_credentials(&mut command, context, &schemes);
        // A group of its own, so that whatever it starts can be stopped with it.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(io::stderr());
        Ok(command)
    }

    /// Starts the program, hands it the value, and waits for its end.
    ///
    /// # Errors
    /// Why it counts as failed, in a sentence.
    pub(super) async fn tell(
        &self,
        mut command: Command,
        begun: &Begun,
        interrupts: &mut Interrupts,
    ) -> Result<(), String> {
        let shown = self.program.to_string_lossy();
        if interrupts.arrived().await {
            return Err(format!("interrupted before the hook `{shown}` was started"));
        }
        command.env(NAME, begun.rotation().name().as_str());
        if let Some(version) = begun.version() {
            command.env(VERSION, version.as_str());
        }
        let mut child = tokio::process::Command::from(command)
            .spawn()
            .map_err(|error| not_started(&shown, &error))?;
        let input = child.stdin.take();
        // EXPOSES: to the standard input of the hook that the operator named, by a pipe
        let feeding = feed(input, begun.value().expose_bytes());
        let waiting = self.wait(&mut child, interrupts);
        tokio::pin!(feeding, waiting);
        let ended = tokio::select! {
            ended = &mut waiting => ended,
            () = &mut feeding => waiting.await,
        };
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the hook `{shown}` {}", ending(status))),
            Err(why) => Err(format!("the hook `{shown}` {why}")),
        }
    }

    /// Waits for the program's end, kills it when its time is over, and passes signals on.
    async fn wait(
        &self,
        child: &mut Child,
        interrupts: &mut Interrupts,
    ) -> Result<ExitStatus, String> {
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let group = group.and_then(Pid::from_raw);
        // The group may have ended by itself, which is all that can go wrong.
        let send = |signal| group.map(|group| kill_process_group(group, signal));
        let timeout = tokio::time::sleep(self.timeout);
        tokio::pin!(timeout);
        loop {
            tokio::select! {
                ended = child.wait() => {
                    return ended.map_err(|error| format!("can't be waited for: {error}"));
                }
                () = &mut timeout => {
                    send(Signal::KILL);
                    let _ = child.wait().await;
                    let time = humantime::format_duration(self.timeout);
                    return Err(format!("took longer than {time} and was killed"));
                }
                signal = interrupts.next() => drop(send(signal)),
            }
        }
    }
}

/// Writes the value and ends the input. A hook that doesn't read it is no failure: it may have the
/// value from elsewhere, and how it ends decides.
async fn feed(input: Option<ChildStdin>, value: &[u8]) {
    if let Some(mut input) = input {
        let _ = input.write_all(value).await;
        let _ = input.shutdown().await;
    }
}

fn not_started(shown: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no program `{shown}` to be the hook"),
        _ => format!("the hook `{shown}` can't be started: {error}"),
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended without an exit status".to_owned(),
    }
}
