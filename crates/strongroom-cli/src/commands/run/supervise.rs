//! A program that strongroom stays beside: it masks the output, passes signals on, and tells the program
//! of replaced secrets.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use strongroom::{
    Encoding, Error, ErrorKind, EventKind, Events, Finding, Secret, SecretName, Secrets,
};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::output::{Known, Output};
use super::reaction::Reaction;
use super::signals::{Signals, Target};
use super::{Plan, Value, not_started};
use crate::context::Context;
use crate::exit::{Failure, Outcome, RUN_FAILED};
use crate::forms::KnownForms;
use crate::mask::Mask;

/// How long no further secret must be replaced before the program is told of those that were.
const QUIET: Duration = Duration::from_millis(300);

/// What is run, and how.
pub(super) struct Supervised<'a> {
    pub(super) command: &'a [OsString],
    pub(super) mask: bool,
    pub(super) watch: Option<Reaction>,
    pub(super) grace: Duration,
    pub(super) plan: &'a Plan<'a>,
    pub(super) secrets: &'a Secrets,
    pub(super) context: &'a Context<'a>,
}

/// The program as it runs.
struct Running {
    child: Child,
    target: Target,
    output: Option<Output>,
}

/// Why waiting for the program was over.
enum Turn {
    Ended(ExitStatus),
    Replaced,
}

impl Supervised<'_> {
    /// Runs the program to its end, and returns its exit code.
    pub(super) async fn run(&self) -> Outcome {
        let ours = |error: Error| Failure::from(error).with_code(RUN_FAILED);
        let mut signals = Signals::listen().map_err(ours)?;
        let mut events = self.secrets.events();
        let mut values = self.plan.values(self.secrets).await.map_err(ours)?;
        let known = match self.mask {
            true => Some(self.known(&[], &values).map_err(ours)?),
            false => None,
        };
        let mut running = self.start(&values, known.as_ref())?;
        loop {
            match self.wait(&mut running, &mut signals, &mut events).await {
                Err(error) => return Err(ours(error)),
                Ok(Turn::Ended(status)) => return self.end(running, status).await,
                Ok(Turn::Replaced) => {}
            }
            let next = match self.plan.values(self.secrets).await {
                Ok(next) => next,
                // The program keeps what it has.
                Err(error) => {
                    self.context.screen.error(&error);
                    continue;
                }
            };
            if let Some(known) = &known {
                let (forms, mask) = self.forms(&values, &next).map_err(ours)?;
                known.replace(forms, mask);
            }
            values = next;
            match self.watch {
                Some(Reaction::Signal(signal)) => running.target.send(signal),
                Some(Reaction::Restart) => {
                    if let Some(status) = self.stop(&mut running, &mut signals).await? {
                        return self.end(running, status).await;
                    }
                    if let Some(output) = running.output.take() {
                        self.say(output.finish().await);
                    }
                    running = self.start(&values, known.as_ref())?;
                    self.context
                        .screen
                        .done("restarted the program with its new secrets");
                }
                None => {}
            }
        }
    }

    /// Returns the exit code of a program that ended, when all of its output is written.
    async fn end(&self, mut running: Running, status: ExitStatus) -> Outcome {
        let written = match running.output.take() {
            Some(output) => self.say(output.finish().await),
            None => true,
        };
        let code = status.code().or_else(|| status.signal()?.checked_add(128));
        let code = code.and_then(|code| u8::try_from(code).ok());
        Ok(match code {
            // The program can't know that a part of its output is lost.
            Some(0) if !written => RUN_FAILED,
            code => code.unwrap_or(RUN_FAILED),
        })
    }

    /// Says that output is lost, if it is. Reports whether all of it was written.
    fn say(&self, written: io::Result<()>) -> bool {
        let Err(error) = written else {
            return true;
        };
        let message = "can't write the program's output, and a part of it is lost";
        let lost = Error::new(ErrorKind::Config, message).with_source(error);
        self.context.screen.error(&lost);
        false
    }

    fn start(&self, values: &[Value<'_>], known: Option<&Arc<Known>>) -> Result<Running, Failure> {
        let fails = |error| not_started(self.command, error);
        let mut command = self.plan.command(self.command, values, self.context);
        let own_group = self.watch.is_some();
        if own_group {
            // All that the program starts is stopped and told with it. Such a group can't read from a
            // terminal.
            command.process_group(0).stdin(Stdio::null());
        }
        let output = known.map(|known| Output::connect(&mut command, known));
        let output = output.transpose().map_err(fails)?;
        // Its core files are its own matter. This process can't be dumped meanwhile: that is a mark of
        // its own.
        if let Some(limit) = &self.context.core_limit {
            limit
                .restore()
                .map_err(|error| Failure::from(error).with_code(RUN_FAILED))?;
        }
        let started = tokio::process::Command::from(command).spawn();
        let hardened = strongroom::harden_launcher();
        let child = started.map_err(fails)?;
        let process = child.id().and_then(|id| i32::try_from(id).ok());
        let target = Target {
            process: process.and_then(Pid::from_raw),
            own_group,
        };
        if let Err(error) = hardened {
            target.send(Signal::KILL);
            return Err(Failure::from(error).with_code(RUN_FAILED));
        }
        Ok(Running {
            child,
            target,
            output,
        })
    }

    /// Waits for the program's end or a replaced secret, and passes signals on.
    async fn wait(
        &self,
        running: &mut Running,
        signals: &mut Signals,
        events: &mut Events,
    ) -> strongroom::Result<Turn> {
        let mut replaced = false;
        loop {
            tokio::select! {
                ended = running.child.wait() => {
                    return ended.map(Turn::Ended).map_err(lost);
                }
                signal = signals.next() => running.target.forward(signal),
                Some(event) = events.next(), if self.watch.is_some() => {
                    self.context.screen.done(&event.to_string());
                    replaced |= matches!(event.kind, EventKind::Rotated { .. });
                }
                // Begun anew by each event.
                () = sleep(QUIET), if replaced => return Ok(Turn::Replaced),
            }
        }
    }

    /// Ends the program for a restart. Returns how it ended if it is not to be started again: because
    /// somebody told it to end meanwhile.
    async fn stop(
        &self,
        running: &mut Running,
        signals: &mut Signals,
    ) -> Result<Option<ExitStatus>, Failure> {
        let target = running.target;
        target.send(Signal::TERM);
        let mut is_told_to_end = false;
        let ended = async {
            loop {
                tokio::select! {
                    ended = running.child.wait() => return ended,
                    signal = signals.next() => {
                        is_told_to_end |= matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT);
                        target.forward(signal);
                    }
                }
            }
        };
        let ended = match timeout(self.grace, ended).await {
            Ok(ended) => ended,
            Err(_) => {
                self.context
                    .screen
                    .done("the program didn't end in time and was killed");
                target.send(Signal::KILL);
                running.child.wait().await
            }
        };
        let status = ended.map_err(|error| Failure::from(lost(error)).with_code(RUN_FAILED))?;
        // What it started and left would go on with the former values.
        target.send(Signal::KILL);
        Ok(is_told_to_end.then_some(status))
    }

    fn known(&self, former: &[Value<'_>], values: &[Value<'_>]) -> strongroom::Result<Arc<Known>> {
        let (forms, mask) = self.forms(former, values)?;
        Ok(Known::new(forms, mask))
    }

    /// Prepares to mask values, and the former ones, which the program may still write.
    fn forms(
        &self,
        former: &[Value<'_>],
        values: &[Value<'_>],
    ) -> strongroom::Result<(KnownForms, Mask)> {
        let named: fn(&Value<'_>) -> Option<(SecretName, Secret)> = |value| {
            let name = value.variable.declared.name.clone();
            Some((name, value.secret.clone()?))
        };
        let named: Vec<_> = values.iter().chain(former).filter_map(named).collect();
        // As the program gets it, and as it decodes it.
        let decoded: Vec<_> = named
            .iter()
            .filter_map(|(name, secret)| {
                let known = self.plan.variables.iter().map(|known| known.declared);
                let encoding = known
                    .into_iter()
                    .find(|known| known.name == *name)?
                    .encoding;
                let decoded =
                    (encoding != Encoding::Text).then(|| encoding.decode(secret).ok())??;
                Some((name.clone(), decoded))
            })
            .collect();
        let all = named.iter().chain(&decoded);
        let (forms, warnings) = KnownForms::new(all.map(|(name, secret)| (name, secret)));
        // The former were warned of when they came.
        let version = |values: &[Value<'_>], finding: &Finding| {
            let is_it =
                |value: &&Value<'_>| finding.name.as_ref() == Some(&value.variable.declared.name);
            let secret = values.iter().find(is_it)?.secret.as_ref()?;
            secret.metadata().version().cloned()
        };
        let is_new = |finding: &&Finding| {
            let current = version(values, finding);
            current.is_none() || current != version(former, finding)
        };
        self.context.screen.warnings(warnings.iter().filter(is_new));
        let mask = Mask::new(None, &forms)?;
        Ok((forms, mask))
    }
}

fn lost(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Transient, "can't wait for the program's end").with_source(error)
}
