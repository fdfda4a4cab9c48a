//! One run of a program, from its start to the end of its whole process group.
//!
//! It all happens on the calling thread, with pipes that never block: so neither a handler of signals nor
//! another runtime is needed, and what happens when is written in one loop.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use zeroize::Zeroizing;

use super::settings::Settings;

/// The most bytes of an answer.
pub(super) const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The most bytes on standard error, which are counted and thrown away.
const MAX_STDERR: usize = 1024 * 1024;

/// How long a program that is late has between `SIGTERM` and `SIGKILL`.
const GRACE: Duration = Duration::from_millis(500);

/// How often the end of a process is looked for where the system can't tell it.
const TICK: Duration = Duration::from_millis(10);

/// What came of a run that ended by itself.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) answer: Zeroizing<Vec<u8>>,
    /// How many bytes it wrote to standard error.
    pub(super) stderr: usize,
}

/// Why a run has no end of its own.
#[derive(Debug)]
pub(super) enum Failure {
    NotStarted(io::Error),
    TimedOut,
    AnswerTooLarge,
    StderrTooLarge,
    Pipe(io::Error),
}

/// By which whoever waits for a run ends it: at once, and whether or not a thread of ours goes on.
#[derive(Debug, Default)]
pub(super) struct Leash(Mutex<Hold>);

#[derive(Debug, Default)]
enum Hold {
    #[default]
    NotStarted,
    Running(Pid),
    /// It has ended, or must not start any more.
    Over,
}

impl Leash {
    /// Kills the group, unless it is over.
    pub(super) fn cut(&self) {
        let mut hold = self.hold();
        if let Hold::Running(id) = *hold {
            // There may be nobody left.
            let _ = kill_process_group(id, Signal::KILL);
        }
        *hold = Hold::Over;
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the program to its end, or until the leash is cut.
pub(super) fn run(settings: &Settings, request: &[u8], leash: &Leash) -> Result<Ended, Failure> {
    let mut group = Group::start(settings, leash).map_err(Failure::NotStarted)?;
    let deadline = Instant::now().checked_add(settings.timeout);
    let outcome = converse(&mut group, request, deadline);
    if let Err(Failure::TimedOut) = outcome {
        group.ask_to_end();
    }
    outcome
}

fn converse(
    group: &mut Group<'_>,
    request: &[u8],
    deadline: Option<Instant>,
) -> Result<Ended, Failure> {
    let pipes = (
        group.child.stdin.take(),
        group.child.stdout.take(),
        group.child.stderr.take(),
    );
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(Failure::Pipe(io::ErrorKind::BrokenPipe.into()));
    };
    let mut writing = Writing::new(stdin, request).map_err(Failure::Pipe)?;
    let mut stdout = Reading::new(stdout, MAX_ANSWER, true).map_err(Failure::Pipe)?;
    let mut stderr = Reading::new(stderr, MAX_STDERR, false).map_err(Failure::Pipe)?;
    loop {
        let ended = group.has_ended();
        if ended {
            // What else is in the group must not write on.
            group.kill();
        }
        writing.go_on();
        if !stdout.go_on().map_err(Failure::Pipe)? {
            return Err(Failure::AnswerTooLarge);
        }
        if !stderr.go_on().map_err(Failure::Pipe)? {
            return Err(Failure::StderrTooLarge);
        }
        if ended {
            let status = group.reap().map_err(Failure::Pipe)?;
            let (answer, stderr) = (stdout.into_read(), stderr.length);
            return Ok(Ended {
                status,
                answer,
                stderr,
            });
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_none_or(|left| left.is_zero()) {
            return Err(Failure::TimedOut);
        }
        let ends = [
            (writing.pipe.as_ref().map(AsFd::as_fd), PollFlags::OUT),
            (stdout.pipe.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (stderr.pipe.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (group.end.as_ref().map(AsFd::as_fd), PollFlags::IN),
        ];
        let open = ends
            .into_iter()
            .filter_map(|(end, flags)| Some((end?, flags)));
        let mut watched: Vec<_> = open
            .map(|(end, flags)| PollFd::from_borrowed_fd(end, flags))
            .collect();
        let most = match group.end {
            Some(_) => left,
            None => left.map(|left| left.min(TICK)),
        };
        wait(&mut watched, most).map_err(Failure::Pipe)?;
    }
}

fn wait(watched: &mut [PollFd<'_>], most: Option<Duration>) -> io::Result<()> {
    let most = most.and_then(|most| Timespec::try_from(most).ok());
    match poll(watched, most.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A program and what it started, as long as these stay in the group. None of it outlives this.
struct Group<'a> {
    leash: &'a Leash,
    child: Child,
    id: Pid,
    /// Readable once the program has ended.
    end: Option<OwnedFd>,
    is_reaped: bool,
}

impl<'a> Group<'a> {
    fn start(settings: &Settings, leash: &'a Leash) -> io::Result<Self> {
        let mut hold = leash.hold();
        if !matches!(*hold, Hold::NotStarted) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let environment = settings
            .environment
            .iter()
            .map(|(name, value)| (name, value));
        let mut child = Command::new(settings.program.path())
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(id) = id else {
            // No system has such a number.
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::Unsupported.into());
        };
        *hold = Hold::Running(id);
        drop(hold);
        Ok(Self {
            leash,
            child,
            id,
            end: end_of(id),
            is_reaped: false,
        })
    }

    /// Reports whether the program has ended. It is not reaped, so that its number stays its own, and that of
    /// the group, until [`kill`](Self::kill) was sent there.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // Where it can't be waited for, somebody else reaped it.
        !matches!(waitid(WaitId::Pid(self.id), options), Ok(None))
    }

    /// Gives the program a moment to tidy up.
    fn ask_to_end(&self) {
        // It may have ended by now.
        let _ = kill_process_group(self.id, Signal::TERM);
        let Some(deadline) = Instant::now().checked_add(GRACE) else {
            return;
        };
        while !self.has_ended() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(TICK.min(left));
        }
    }

    fn kill(&self) {
        // There may be nobody left.
        let _ = kill_process_group(self.id, Signal::KILL);
    }

    /// Ends the group, then reaps the program: the other way round its number could be another's by then.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.leash.cut();
        self.is_reaped = true;
        self.child.wait()
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if !self.is_reaped {
            // Nobody is left to be told what came of it.
            let _ = self.reap();
        }
    }
}

#[cfg(target_os = "linux")]
fn end_of(id: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn end_of(_: Pid) -> Option<OwnedFd> {
    None
}

/// The request, on its way.
struct Writing<'a> {
    /// Closed when all is written, or when nobody reads any more.
    pipe: Option<ChildStdin>,
    rest: &'a [u8],
}

impl<'a> Writing<'a> {
    fn new(pipe: ChildStdin, request: &'a [u8]) -> io::Result<Self> {
        never_block(&pipe)?;
        Ok(Self {
            pipe: Some(pipe),
            rest: request,
        })
    }

    /// Writes what the pipe takes. A program that answers without reading on is none the worse for it.
    fn go_on(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            match pipe.write(self.rest) {
                Ok(written) => {
                    self.rest = self.rest.get(written..).unwrap_or_default();
                    if self.rest.is_empty() {
                        self.pipe = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// What comes out of the program.
struct Reading<R> {
    /// Closed at the end.
    pipe: Option<R>,
    buffer: Zeroizing<Vec<u8>>,
    /// How many bytes came, whether they are kept or not.
    length: usize,
    limit: usize,
    is_kept: bool,
}

impl<R: Read + AsFd> Reading<R> {
    fn new(pipe: R, limit: usize, is_kept: bool) -> io::Result<Self> {
        never_block(&pipe)?;
        Ok(Self {
            pipe: Some(pipe),
            buffer: Zeroizing::new(vec![0; 16 * 1024]),
            length: 0,
            limit,
            is_kept,
        })
    }

    /// Reads what is there. `false` if it is more than may come in all.
    fn go_on(&mut self) -> io::Result<bool> {
        while let Some(pipe) = &mut self.pipe {
            let start = if self.is_kept { self.length } else { 0 };
            let room = self.buffer.get_mut(start..).unwrap_or_default();
            match pipe.read(room) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.length = self.length.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
            if self.length > self.limit {
                return Ok(false);
            }
            if self.is_kept && self.length == self.buffer.len() {
                self.grow();
            }
        }
        Ok(true)
    }

    /// Moves to a larger buffer. The former one is wiped, which a vector that grows by itself is not.
    fn grow(&mut self) {
        let size = self.buffer.len().saturating_mul(2);
        let mut larger = Zeroizing::new(vec![0; size]);
        let (kept, _) = larger.split_at_mut(self.buffer.len());
        kept.copy_from_slice(&self.buffer);
        self.buffer = larger;
    }

    fn into_read(mut self) -> Zeroizing<Vec<u8>> {
        self.buffer.truncate(self.length);
        std::mem::take(&mut self.buffer)
    }
}

/// The program's own end of the pipe stays as it is.
fn never_block(pipe: &impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(pipe)?;
    Ok(fcntl_setfl(pipe, flags | OFlags::NONBLOCK)?)
}
