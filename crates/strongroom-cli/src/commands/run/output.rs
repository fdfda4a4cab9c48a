//! The program's output on its way through the mask.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::forms::KnownForms;
use crate::mask::{Mask, Masker, PAUSE};

/// How long what the program left running may write on after the program's end.
const AFTER_END: Duration = Duration::from_secs(5);

/// What is copied of a stream that goes on after that: what a pipe may hold.
const LEFT: usize = 64 * 1024;

/// The values that are masked, which may be replaced while the program runs.
pub(super) struct Known(Mutex<Arc<(KnownForms, Mask)>>);

impl Known {
    pub(super) fn new(forms: KnownForms, mask: Mask) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new((forms, mask)))))
    }

    /// Masks other values from now on.
    pub(super) fn replace(&self, forms: KnownForms, mask: Mask) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new((forms, mask));
    }

    fn current(&self) -> Arc<(KnownForms, Mask)> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Both streams of a program, each copied by a thread.
pub(super) struct Output {
    ended: mpsc::UnboundedReceiver<io::Result<()>>,
    /// When these are dropped, the threads copy what is there and end.
    stops: Vec<PipeWriter>,
}

impl Output {
    /// Has the program write to pipes, and copies what comes out of them.
    pub(super) fn connect(command: &mut Command, known: &Arc<Known>) -> io::Result<Self> {
        let (send, ended) = mpsc::unbounded_channel();
        let mut stops = Vec::new();
        let mut copy = |to: io::Result<File>| -> io::Result<PipeWriter> {
            let ((from, program_end), (stop, stopper)) = (io::pipe()?, io::pipe()?);
            let (to, known, send) = (to?, Arc::clone(known), send.clone());
            stops.push(stopper);
            thread::Builder::new().spawn(move || {
                // A reader who has gone is told to the program, by a closed pipe.
                let copied = match copy(from, &stop, &to, &known) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    copied => copied,
                };
                let _ = send.send(copied);
            })?;
            Ok(program_end)
        };
        command.stdout(copy(duplicate(io::stdout()))?);
        command.stderr(copy(duplicate(io::stderr()))?);
        Ok(Self { ended, stops })
    }

    /// Waits for the rest of the output, after the program's end.
    ///
    /// # Errors
    /// Whatever made a stream end early, but that nobody read it on.
    pub(super) async fn finish(mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        let late = tokio::time::sleep(AFTER_END);
        tokio::pin!(late);
        loop {
            tokio::select! {
                ended = self.ended.recv() => match ended {
                    Some(copied) => outcome = outcome.and(copied),
                    None => return outcome,
                },
                () = &mut late, if !self.stops.is_empty() => self.stops.clear(),
            }
        }
    }
}

fn copy(mut from: PipeReader, stop: &PipeReader, to: &File, known: &Known) -> io::Result<()> {
    let mut held = Zeroizing::new(Vec::new());
    loop {
        let current = known.current();
        let (forms, mask) = &*current;
        let mut masker = Masker::new(forms, mask, to);
        masker.feed(&held)?;
        loop {
            let pause = masker.waits_for_line().then_some(&PAUSE);
            match wait(&from, stop, pause)? {
                Ready::Text => {}
                Ready::Pause => {
                    masker.pause()?;
                    continue;
                }
                Ready::Stop => {
                    copy_left(&mut from, &mut masker)?;
                    return masker.end();
                }
            }
            // What was written since then may hold the new values, and what is held the beginning of one.
            if !Arc::ptr_eq(&current, &known.current()) {
                break;
            }
            match from.read(masker.room()) {
                Ok(0) => return masker.end(),
                Ok(count) => masker.filled(count)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    masker.end()?;
                    return Err(error);
                }
            }
        }
        held = Zeroizing::new(masker.held().to_vec());
    }
}

/// Copies what is there, and no more than a pipe holds: whoever writes may never end.
fn copy_left(from: &mut PipeReader, masker: &mut Masker<'_, &File>) -> io::Result<()> {
    let mut left = LEFT;
    while left > 0 {
        let mut ready = [PollFd::new(&*from, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if poll(&mut ready, Some(&now))? == 0 {
            break;
        }
        let count = from.read(masker.room())?;
        if count == 0 {
            break;
        }
        masker.filled(count)?;
        left = left.saturating_sub(count);
    }
    Ok(())
}

/// What waiting for text came to.
enum Ready {
    Text,
    Pause,
    Stop,
}

/// Waits until there is something to read, for no longer than a pause where one is asked for.
fn wait(from: &PipeReader, stop: &PipeReader, pause: Option<&Timespec>) -> io::Result<Ready> {
    let mut both = [
        PollFd::new(from, PollFlags::IN),
        PollFd::new(stop, PollFlags::IN),
    ];
    loop {
        match poll(&mut both, pause) {
            Ok(0) => return Ok(Ready::Pause),
            // First, as there may be text without an end.
            Ok(_) if both.last().is_some_and(|stop| !stop.revents().is_empty()) => {
                return Ok(Ready::Stop);
            }
            Ok(_) => return Ok(Ready::Text),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn duplicate(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}
