//! An example that serves, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a machine may take for anything; nothing waits for it to pass.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Kills the service if a test fails while it runs.
pub(crate) struct Service {
    process: Child,
    pub(crate) address: String,
    printed: Receiver<String>,
}

impl Service {
    /// Starts it, and returns when it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (send, printed) = channel();
        thread::spawn(move || {
            for line in lines {
                let _ = send.send(line.unwrap());
            }
        });
        let mut service = Self {
            process,
            address: String::new(),
            printed,
        };
        let listens = "listening on http://";
        let line = service.wait_for(|line| line.starts_with(listens));
        let address = line.strip_prefix(listens).unwrap().split(' ').next();
        service.address = address.unwrap().to_owned();
        service
    }

    /// Waits until it prints such a line, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, is_it: impl Fn(&str) -> bool) -> String {
        let mut before = Vec::new();
        loop {
            match self.printed.recv_timeout(LIMIT) {
                Ok(line) if is_it(&line) => return line,
                Ok(line) => before.push(line),
                Err(end) => panic!("{end}; it printed {before:#?}"),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Ends it by a signal, which it must take for a good reason; returns what else it printed.
    pub(crate) fn stop(mut self, signal: Signal) -> Vec<String> {
        self.signal(signal);
        let rest = self.printed.iter().collect();
        assert!(self.process.wait().unwrap().success());
        rest
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
