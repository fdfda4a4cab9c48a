//! The signals that are passed on to the program.

use std::fs::File;
use std::future::poll_fn;
use std::task::Poll;

use rustix::process::{Pid, Signal, getpgrp, kill_process, kill_process_group};
use rustix::termios::tcgetpgrp;
use strongroom::{Error, ErrorKind, Result};
use tokio::signal::unix::{self, SignalKind};

/// While this lives, these signals don't end this process.
pub(super) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let kinds = [
            (Signal::INT, SignalKind::interrupt()),
            (Signal::TERM, SignalKind::terminate()),
            (Signal::HUP, SignalKind::hangup()),
            (Signal::QUIT, SignalKind::quit()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
            (Signal::WINCH, SignalKind::window_change()),
        ];
        let listen = |(signal, kind)| Ok((signal, unix::signal(kind)?));
        let all: std::io::Result<_> = kinds.into_iter().map(listen).collect();
        all.map(Self).map_err(|error| {
            let message = "can't listen for signals, so nothing was begun";
            Error::new(ErrorKind::Transient, message).with_source(error)
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, arrivals) in &mut self.0 {
                if arrivals.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Whom signals are sent to.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) process: Option<Pid>,
    /// Whether the program has a process group of its own.
    pub(super) own_group: bool,
}

impl Target {
    /// Sends a signal to the program, and in a group of its own to all that it started.
    pub(super) fn send(self, signal: Signal) {
        // It may have ended by itself, which is all that can go wrong.
        let _ = match (self.process, self.own_group) {
            (None, _) => Ok(()),
            (Some(process), true) => kill_process_group(process, signal),
            (Some(process), false) => kill_process(process, signal),
        };
    }

    /// Passes on a signal that this process got, unless the program got it too.
    pub(super) fn forward(self, signal: Signal) {
        let of_terminal = [Signal::INT, Signal::QUIT, Signal::HUP, Signal::WINCH];
        let had_it = !self.own_group && of_terminal.contains(&signal) && is_foreground();
        if !had_it {
            self.send(signal);
        }
    }
}

/// Reports whether this process group is the one that the terminal sends its signals to.
fn is_foreground() -> bool {
    let terminal = File::open("/dev/tty").ok();
    let group = terminal.and_then(|terminal| tcgetpgrp(terminal).ok());
    group == Some(getpgrp())
}
