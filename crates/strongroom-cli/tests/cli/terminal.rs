//! The command on a terminal: this test binary is started again for one test of it, makes a
//! pseudo-terminal its own, and becomes the command.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use strongroom::Env;

/// What the process that becomes the command is told: the command, and its terminal.
const COMMAND: &str = "TERMINAL_TEST_COMMAND";
const TERMINAL: &str = "TERMINAL_TEST_PATH";

/// How long a machine may take for anything; nothing waits for it to pass.
const LIMIT: Duration = Duration::from_secs(60);

/// A command that runs on a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// How much of what was seen was waited for.
    read: usize,
}

/// What became of the command.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// All that was ever on the screen.
    pub(crate) screen: String,
}

impl Terminal {
    /// Starts a command, which then has this terminal for everything.
    pub(crate) fn start(command: &Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = ptsname(&ours, Vec::new()).unwrap();
        let child = again(command)
            .env(TERMINAL, path.to_str().unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let keyboard = File::from(ours);
        let mut output = keyboard.try_clone().unwrap();
        let (send, screen) = channel();
        // It ends when the terminal has no other side any more, which reads as an error.
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut part) {
                let _ = send.send(part[..length].to_vec());
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: Vec::new(),
            read: 0,
        }
    }

    /// Waits until the screen shows a text, after what was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) -> &mut Self {
        loop {
            let new = String::from_utf8_lossy(&self.seen[self.read..]).into_owned();
            if let Some(at) = new.find(text) {
                self.read += at + text.len();
                return self;
            }
            match self.screen.recv_timeout(LIMIT) {
                Ok(part) => self.seen.extend(part),
                Err(end) => panic!("no `{text}` ({end}): {}", self.shown()),
            }
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits for a question, and answers it.
    pub(crate) fn answer(&mut self, question: &str, answer: &str) -> &mut Self {
        self.wait_for(question).press(&format!("{answer}\r"))
    }

    /// Reports whether the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Waits for the end, whatever it is. The terminal must be as it was.
    pub(crate) fn end(&mut self) -> Ended {
        loop {
            match self.screen.recv_timeout(LIMIT) {
                Ok(part) => self.seen.extend(part),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(timeout) => panic!("{timeout}: {}", self.shown()),
            }
        }
        let status = self.child.wait().unwrap();
        assert!(self.echoes(), "the terminal is left as it was");
        Ended {
            status,
            screen: self.shown(),
        }
    }

    /// Waits for the end with this exit code.
    pub(crate) fn ends(&mut self, code: i32) -> String {
        let Ended { status, screen } = self.end();
        assert_eq!(status.code(), Some(code), "{:?}: {screen}", status.signal());
        screen
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen).replace("\r\n", "\n")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed left it at a question.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prepares this test binary to become a command, in a session that has no terminal yet.
pub(crate) fn again(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
    let variables = command.get_envs();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again
        .args(["--ignored", "--exact", "terminal::becomes_the_command"])
        .arg("--nocapture")
        .env_clear()
        .envs(variables.filter_map(|(name, value)| Some((name, value?))))
        .env("NO_COLOR", "1")
        .env(COMMAND, serde_json::to_string(&words).unwrap())
        .current_dir(command.get_current_dir().unwrap());
    again
}

#[test]
#[ignore = "it is the process that other tests start"]
fn becomes_the_command() {
    let env = Env::process();
    let Some(words) = env.var(COMMAND).unwrap() else {
        return;
    };
    let words: Vec<String> = serde_json::from_str(words).unwrap();
    rustix::process::setsid().unwrap();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_remove(COMMAND);
    if let Some(path) = env.var(TERMINAL).unwrap() {
        // The first terminal that the leader of a session opens is the session's own.
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        command
            .env_remove(TERMINAL)
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal);
    }
    panic!("{}", command.exec());
}
