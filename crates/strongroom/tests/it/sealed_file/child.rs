//! A writer in a process of its own: this test binary, started again for one test of it.

use std::error::Error as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use strongroom::provider::Expect;
use strongroom::sealed_file::{SealedFile, SlotKey};
use strongroom::{Secret, SecretName};

use super::Room;

/// What each of the writer's own lines begins with, among those of the test harness.
const WRITER: &str = "writer: ";

/// A process that has opened the file of a room, and writes what it is told to.
pub(super) struct Writer {
    pub(super) child: Child,
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// Starts a writer, and waits until it has opened the file.
    pub(super) fn start(room: &Room) -> Self {
        let mut writer = Self::launch(room, Command::new(program()));
        writer.expect_ready();
        writer
    }

    /// Starts a writer that may write no file beyond so many blocks, and is not killed for trying.
    pub(super) fn start_limited(room: &Room, blocks: u32) -> Self {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg("trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"")
            .args(["sh", &blocks.to_string()])
            .arg(program());
        let mut writer = Self::launch(room, shell);
        writer.expect_ready();
        writer
    }

    /// Starts a writer, and does not wait.
    pub(super) fn launch(room: &Room, mut command: Command) -> Self {
        let mut child = command
            .args(["--ignored", "--exact", "sealed_file::child::writer"])
            .arg("--nocapture")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut orders = child.stdin.take().unwrap();
        let (path, key) = (room.path(), room.key_path());
        writeln!(orders, "{}\n{}", path.display(), key.display()).unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            orders: Some(orders),
            answers,
        }
    }

    pub(super) fn expect_ready(&mut self) {
        assert_eq!(self.answer().as_deref(), Some("ready"));
    }

    /// Tells the writer to write, and does not wait.
    pub(super) fn order(&mut self, name: &SecretName, value: &str) {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{name} {value}").unwrap();
    }

    /// Waits for the next answer: `done` or what failed; `None` once the process has ended.
    pub(super) fn answer(&mut self) -> Option<String> {
        let lines = self.answers.by_ref().map(Result::unwrap);
        let mut ours = lines.filter_map(|line| Some(line.split_once(WRITER)?.1.to_owned()));
        ours.next()
    }

    /// Lets the writer do its orders and end.
    pub(super) fn finish(mut self) -> Vec<String> {
        self.orders = None;
        let answers = std::iter::from_fn(|| self.answer()).collect();
        assert!(self.child.wait().unwrap().success());
        answers
    }

    /// Kills the writer, and returns what it had answered before.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.answer()).collect()
    }
}

pub(super) fn program() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

/// The writer: standard input names the file and its key file, then a name and a value in each line.
#[test]
#[ignore = "it is the process that other tests start"]
fn writer() {
    let mut lines = std::io::stdin().lines().map(Result::unwrap);
    let (Some(path), Some(key)) = (lines.next(), lines.next()) else {
        return;
    };
    let key = SlotKey::from_text(&Secret::from_bytes(fs::read(key).unwrap())).unwrap();
    let file = SealedFile::open(path, key).unwrap();
    println!("\n{WRITER}ready");
    for line in lines {
        let (name, value) = line.split_once(' ').unwrap();
        let name = SecretName::parse(name).unwrap();
        match file.put(&name, &Secret::from_text(value), &Expect::Any) {
            Ok(_) => println!("{WRITER}done"),
            Err(error) => {
                let cause = error.source().map(ToString::to_string);
                let (kind, cause) = (error.kind(), cause.unwrap_or_default());
                println!("{WRITER}{kind:?}: {error}: {cause}");
            }
        }
    }
}
