//! Ctrl-C and its kin, for commands that have something to finish first.

use rustix::process::Signal;
use strongroom::{Error, ErrorKind, Result};
use tokio::signal::unix::{self, SignalKind};

/// The signals by which a person or a supervisor ends a program. While this lives they do what
/// its owner makes of them, and don't end the process.
pub(crate) struct Interrupts {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

impl Interrupts {
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| {
            unix::signal(kind).map_err(|error| {
                let message = "can't listen for signals, so nothing was begun";
                Error::new(ErrorKind::Transient, message).with_source(error)
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
        }
    }

    /// Reports whether one has arrived already.
    pub(crate) async fn arrived(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.next() => true,
            () = std::future::ready(()) => false,
        }
    }
}
