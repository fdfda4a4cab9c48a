//! Calls of a program: a few at a time, each a process of its own, and what came of it as our errors.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::introduction::{Introduction, Operation};
use super::object::Problem;
use super::process::{self, Ended, Failure, Leash, MAX_ANSWER};
use super::request;
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Result};

/// The most processes of one provider at a time.
const MAX_PROCESSES: usize = 8;

/// Starts the program of one address.
#[derive(Debug)]
pub(super) struct Caller {
    settings: Arc<Settings>,
    processes: Arc<Semaphore>,
}

impl Caller {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            processes: Arc::new(Semaphore::new(MAX_PROCESSES)),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks the program what it is.
    pub(super) async fn introduce(&self) -> Result<Introduction> {
        // That nothing is there is a mistake in the address now, and a moment's trouble later.
        self.settings.program.check(ErrorKind::Config)?;
        let asked = request::plain(Operation::Describe, self.settings.config.as_deref());
        let answer = self.call(Operation::Describe, asked).await?;
        Introduction::read(answer).map_err(|problem| self.failure(Operation::Describe, problem))
    }

    /// Makes one call, and returns what the program wrote to its standard output.
    ///
    /// When the returned future is dropped, the program is ended.
    pub(super) async fn call(
        &self,
        operation: Operation,
        request: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let Ok(permit) = Arc::clone(&self.processes).acquire_owned().await else {
            return Err(self.error(ErrorKind::Closed, "was closed"));
        };
        let waiting = Waiting(Arc::default());
        let (settings, leash) = (Arc::clone(&self.settings), Arc::clone(&waiting.0));
        let work = move || {
            let checked = settings.program.check(ErrorKind::Transient);
            let ran = checked.map(|_| process::run(&settings, &request, &leash));
            drop(permit);
            ran
        };
        // Never on the calling thread, even where a boot says that nothing else waits there: a program may take
        // long, and could not be ended then.
        let ran = match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|_| {
                let message = "was not waited for: the runtime shut down";
                Err(self.error(ErrorKind::Closed, message))
            }),
            Err(_) => {
                let message = "can't be started without a running tokio runtime";
                let error = self.error(ErrorKind::Config, message);
                Err(error.with_help("call it from async code, or use `strongroom::blocking`"))
            }
        };
        match ran? {
            Ok(ended) => self.answer(operation, ended),
            Err(failure) => Err(self.no_end(operation, failure)),
        }
    }

    /// Makes an error of what the program said, or of how it broke the protocol.
    pub(super) fn failure(&self, operation: Operation, problem: Problem) -> Error {
        let word = operation.as_str();
        let (kind, retry_after, no_effect) = match problem {
            Problem::Broken(what) => {
                let what = format!("answered `{word}` against the protocol: the answer {what}");
                return self.error(ErrorKind::Malformed, &what).with_help(
                    "it may be another program, or one of another version; docs/write-a-backend.md \
                     specifies the protocol",
                );
            }
            Problem::Told {
                kind,
                retry_after,
                no_effect,
            } => (kind, retry_after, no_effect),
        };
        let what = match kind {
            ErrorKind::Absent => "has no such secret",
            ErrorKind::Denied => "may not do that with this secret",
            ErrorKind::Auth => "has a credential that is refused or has expired",
            ErrorKind::Malformed => "has or was given a value that is broken or too large",
            ErrorKind::Conflict => "holds another version than was expected",
            ErrorKind::Unsupported => "can't do that",
            _ => "can't do that at present",
        };
        let mut error = self.error(kind, &format!("{what} (`{word}`)"));
        if let Some(wait) = retry_after {
            error = error.with_retry_after(wait);
        }
        match no_effect {
            true => error.with_no_effect(),
            false => error,
        }
    }

    /// `what` completes the sentence whose subject is the address.
    pub(super) fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("{} {what}", self.settings.shown))
    }

    fn answer(&self, operation: Operation, ended: Ended) -> Result<Zeroizing<Vec<u8>>> {
        if ended.status.success() {
            return Ok(ended.answer);
        }
        let word = operation.as_str();
        let how = match (ended.status.code(), ended.status.signal()) {
            (Some(code), _) => format!("with code {code}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "in an unknown way".to_owned(),
        };
        let kind = ended.status.code().map_or(ErrorKind::Transient, kind_of);
        let stderr = match ended.stderr {
            0 => "nothing".to_owned(),
            bytes => format!("{bytes} bytes"),
        };
        let what = format!(
            "ended {how} instead of answering `{word}`, and wrote {stderr} to standard error"
        );
        let help = "what it wrote is not shown, since it may hold values: let the program write a log of its own";
        Err(self.error(kind, &what).with_help(help))
    }

    fn no_end(&self, operation: Operation, failure: Failure) -> Error {
        let word = operation.as_str();
        let error = |kind, what: &str| self.error(kind, what);
        match failure {
            Failure::NotStarted(error) => self.not_started(operation, error).with_no_effect(),
            Failure::TimedOut => {
                let after = humantime::format_duration(self.settings.timeout);
                let what = format!("gave no answer to `{word}` within {after}, and was ended");
                let help = "a longer time can stand in its address, as `?timeout=30s`";
                error(ErrorKind::Transient, &what).with_help(help)
            }
            Failure::AnswerTooLarge => {
                let mib = MAX_ANSWER / (1024 * 1024);
                let what = format!("answered `{word}` with more than {mib} MiB, and was ended");
                error(ErrorKind::Malformed, &what)
            }
            Failure::StderrTooLarge => {
                let what = format!(
                    "flooded its standard error instead of answering `{word}`, and was ended"
                );
                error(ErrorKind::Malformed, &what)
            }
            Failure::Pipe(source) => {
                let what = format!("could not be talked to (`{word}`)");
                error(ErrorKind::Transient, &what).with_source(source)
            }
        }
    }

    fn not_started(&self, operation: Operation, error: std::io::Error) -> Error {
        use std::io::ErrorKind::{ExecutableFileBusy, NotFound, PermissionDenied};
        let (kind, help) = match error.kind() {
            NotFound => (
                ErrorKind::Config,
                "its interpreter, or its loader, is missing: look at its first line",
            ),
            PermissionDenied => (
                ErrorKind::Config,
                "the process's user needs the right to execute it; a file system may be mounted `noexec`",
            ),
            ExecutableFileBusy => (ErrorKind::Transient, "it is being written just now"),
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => (
                ErrorKind::Config,
                "it is no program of this machine: a script begins with `#!` and its interpreter",
            ),
            _ => (
                ErrorKind::Transient,
                "the system may have no process or memory to spare",
            ),
        };
        let what = format!("can't be started for `{}`", operation.as_str());
        self.error(kind, &what).with_help(help).with_source(error)
    }
}

/// Ends a run when nobody waits for it any more.
struct Waiting(Arc<Leash>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// What a program means by the code that it ends with, after the BSD's `sysexits.h`. Where it says nothing
/// better, nothing is known of any secret, and it may go well another time.
fn kind_of(code: i32) -> ErrorKind {
    match code {
        64 => ErrorKind::Unsupported,
        65 => ErrorKind::Malformed,
        77 => ErrorKind::Denied,
        78 | 126 | 127 => ErrorKind::Config,
        _ => ErrorKind::Transient,
    }
}
