//! A server: a process that dies with this one, and a log that tells when it listens.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

const GUARD: &str = include_str!("../../servers/guard.sh");
const LONGEST_START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

pub(super) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
    port: u16,
}

impl Server {
    /// Starts a program under the guard, with its log and its home in `dir`.
    pub(super) fn spawn(
        name: &'static str,
        program: &Path,
        args: &[&str],
        dir: &Path,
    ) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let cannot = |error| format!("can't start {name}: {error}");
        let output = File::create(&log).map_err(cannot)?;
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(program).args(args);
        // Nothing of the environment sets up a server, but the search path of the shell.
        command.env_clear().env("HOME", dir.join("home"));
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().map_err(cannot)?)
            .stderr(output);
        let child = command.spawn().map_err(cannot)?;
        Ok(Self {
            name,
            child,
            log,
            port: 0,
        })
    }

    /// Waits until the server's own log has `mark`, and returns what follows it in the log.
    ///
    /// An answer on the port alone would not do: it may be another's, to whom we lost the port.
    pub(super) fn wait_for(&mut self, mark: &str) -> Result<String> {
        let started = Instant::now();
        loop {
            // Asked before the log is read, so that nothing written at the last moment is missed.
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            let log = self.log();
            if let Some((_, behind)) = log.split_once(mark) {
                return Ok(behind.to_owned());
            }
            if let Some(status) = ended {
                return Err(self.failure(&format!("ended at once: {status}")));
            }
            if started.elapsed() > LONGEST_START {
                return Err(self.failure(&format!("is not ready after {LONGEST_START:?}")));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until the server answers with success on this port.
    pub(super) fn wait_for_answer(&mut self, port: u16, path: &str) -> Result<()> {
        self.port = port;
        let started = Instant::now();
        while !answers(port, path) {
            if started.elapsed() > LONGEST_START {
                return Err(self.failure(&format!("does not answer on port {port}")));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn failure(&self, what: &str) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(20)..);
        let tail = tail.unwrap_or_default().join("\n  ");
        format!("{} {what}; the end of its log:\n  {tail}", self.name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard is called off while the process is not yet reaped: its number is still ours.
        let _ = self.child.kill();
        if let Some(guard) = &mut self.child.stdin {
            let _ = guard.write_all(b"\n");
        }
        let _ = self.child.wait();
    }
}

fn answers(port: u16, path: &str) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        connection.set_read_timeout(Some(LONGEST_START))?;
        write!(connection, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| {
        let answer = String::from_utf8_lossy(&answer);
        answer.split(' ').nth(1) == Some("200")
    })
}
