//! `run --mask` and `run --watch`: the program's output, its signals, its end, and its restarts.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Room, TOKEN};
use crate::terminal::Terminal;

const NEXT: &str = "Gw5u-Hk2sD7f_Q9pN3xV6yB0tM4zC8aL";
const LIMIT: Duration = Duration::from_secs(60);

fn room() -> Room {
    let room = Room::new()
        .var("STRONGROOM_DIR", "secrets")
        .dir_of_mode("secrets/api", 0o700)
        .file(
            "strongroom.toml",
            "[default.secrets]\n\"api/token\" = { kind = \"token\" }\n",
        );
    write(&room, TOKEN);
    room
}

/// Replaces the value as a deployment does, at once.
fn write(room: &Room, value: &str) {
    std::fs::write(room.path("new"), value).unwrap();
    std::fs::rename(room.path("new"), room.path("secrets/api/token")).unwrap();
}

/// A program beside which strongroom stays.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    said: Receiver<String>,
}

impl Running {
    fn start(room: &Room, options: &[&str], script: &str) -> Self {
        let arguments = [&["run"], options, &["--", "sh", "-c", script]].concat();
        let mut command = room.command(&arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            said: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until standard error has a line with this in it.
    fn says(&mut self, text: &str) {
        loop {
            let line = self.said.recv_timeout(LIMIT).unwrap();
            if line.contains(text) {
                return;
            }
        }
    }

    fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let _ = send.send(line.unwrap());
        }
    });
    receive
}

#[test]
fn both_streams_are_masked_and_the_code_is_the_programs() {
    let script = r#"echo "out $API_TOKEN"; printf %s "u:$API_TOKEN" | base64 -w 20 >&2; exit 42"#;
    let ran = room()
        .run(&["run", "--quiet", "--mask", "--", "sh", "-c", script])
        .ends(42);
    assert_eq!(ran.stdout(), "out [REDACTED:api/token]\n");
    assert!(
        ran.stderr().contains("[REDACTED:api/token]"),
        "{}",
        ran.stderr()
    );
    assert!(ran.stderr().len() < 40, "{}", ran.stderr());
}

#[test]
fn a_program_that_a_signal_killed_ends_with_128_and_the_signal() {
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
        let script = format!("kill -{signal} $$");
        room()
            .run(&["run", "--mask", "--", "sh", "-c", &script])
            .ends(code);
    }
    room()
        .run(&["run", "--mask", "--", "no-such-program"])
        .ends(127);
    room().run(&["run", "--mask", "--", "./secrets"]).ends(126);
    room()
        .run(&["run", "--watch", "nonsense", "--", "true"])
        .ends(125);
}

#[test]
fn a_prompt_of_the_program_shows_and_its_input_is_ours() {
    let script = "printf 'Name? '; read name; echo \"$name $API_TOKEN\"";
    let room = room();
    let mut terminal = Terminal::start(&room.command(&["run", "--mask", "--", "sh", "-c", script]));
    terminal
        .wait_for("Name? ")
        .press("me\r")
        .wait_for("me [REDACTED:api/token]");
    assert_eq!(terminal.end().status.code(), Some(0));
}

#[test]
fn control_c_on_a_terminal_reaches_the_program_once() {
    let script = "trap 'n=$((n + 1))' INT; echo ready; while [ -z \"$n\" ]; do read x; done; read x; echo \"interrupts: $n.\"; exit 7";
    let room = room();
    let mut terminal = Terminal::start(&room.command(&["run", "--mask", "--", "sh", "-c", script]));
    terminal
        .wait_for("ready")
        .press("\x03")
        .press("\r")
        .press("\r")
        .press("\r");
    terminal.wait_for("interrupts: 1.");
    assert_eq!(terminal.end().status.code(), Some(7));
}

#[test]
fn signals_are_passed_on() {
    for options in [&["--mask"][..], &["--watch", "restart"]] {
        for (signal, name) in [
            (Signal::INT, "INT"),
            (Signal::TERM, "TERM"),
            (Signal::HUP, "HUP"),
            (Signal::USR1, "USR1"),
            (Signal::WINCH, "WINCH"),
        ] {
            let script = format!(
                "trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
            );
            let room = room();
            let mut running = Running::start(&room, options, &script);
            assert_eq!(running.line(), "ready");
            running.signal(signal);
            assert_eq!(running.line(), format!("got {name}"), "{options:?}");
            assert_eq!(running.code(), Some(9));
        }
    }
}

#[test]
fn what_the_program_left_running_may_finish_its_output() {
    // The pipe is open until the other end of the handshake has been read.
    let script = "{ sleep 0.3; echo \"later $API_TOKEN\"; } & exit 3";
    let room = room();
    let mut running = Running::start(&room, &["--mask"], script);
    assert_eq!(running.line(), "later [REDACTED:api/token]");
    assert_eq!(running.code(), Some(3));
    // What never ends is not waited for for ever.
    let mut running = Running::start(&room, &["--mask"], "sleep 1000 & echo $!; exit 4");
    let left = running.line().parse().unwrap();
    assert_eq!(running.code(), Some(4));
    let _ = kill_process(Pid::from_raw(left).unwrap(), Signal::KILL);
}

#[test]
fn a_closed_output_reaches_the_program() {
    let room = room();
    let program = room.command(&[]).get_program().to_str().unwrap().to_owned();
    let script = format!("'{program}' run --mask -- sh -c 'yes; echo $? > ended' | head -n 1");
    assert_eq!(room.shell(&script).ends(0).stdout(), "y\n");
}

#[test]
fn a_rotation_restarts_the_program_with_the_new_value() {
    let room = room();
    let script =
        "echo \"$API_TOKEN\"; trap 'echo stopping; exit 0' TERM; while :; do sleep 0.05; done";
    let mut running = Running::start(&room, &["--watch", "restart"], script);
    assert_eq!(running.line(), TOKEN);
    write(&room, NEXT);
    assert_eq!(running.line(), "stopping");
    assert_eq!(running.line(), NEXT);
    // What the policy refuses is not taken, and the program goes on.
    write(&room, "hunter2");
    running.says("a new value was refused");
    running.signal(Signal::TERM);
    assert_eq!(running.line(), "stopping");
    assert_eq!(running.code(), Some(0));
}

#[test]
fn a_rotation_signals_the_program_and_both_values_are_masked() {
    let room = room();
    let script = "trap 'echo reloaded; cat secrets/api/token; echo; echo \"$API_TOKEN\"; exit 5' HUP; echo ready; while :; do sleep 0.05; done";
    let mut running = Running::start(&room, &["--watch", "HUP", "--mask"], script);
    assert_eq!(running.line(), "ready");
    write(&room, NEXT);
    assert_eq!(running.line(), "reloaded");
    assert_eq!(running.line(), "[REDACTED:api/token]");
    assert_eq!(running.line(), "[REDACTED:api/token]");
    assert_eq!(running.code(), Some(5));
}

#[test]
fn a_program_that_does_not_end_is_killed_with_all_it_started() {
    let room = room();
    let script =
        "trap '' TERM; (trap '' TERM; while :; do sleep 0.05; done) & echo $! \"$API_TOKEN\"; wait";
    let options = ["--watch", "restart", "--grace", "200ms"];
    let mut running = Running::start(&room, &options, script);
    let first = running.line();
    assert!(first.ends_with(TOKEN), "{first}");
    let inner: i32 = first.split(' ').next().unwrap().parse().unwrap();
    write(&room, NEXT);
    running.says("killed");
    assert!(running.line().ends_with(NEXT));
    let status = std::fs::read_to_string(format!("/proc/{inner}/stat"));
    assert!(
        status.is_err() || status.unwrap().contains(") Z "),
        "it is gone"
    );
    running.signal(Signal::KILL);
}

#[test]
fn a_crash_of_the_program_ends_it() {
    let room = room();
    let running = Running::start(&room, &["--watch", "restart"], "kill -SEGV $$");
    assert_eq!(running.code(), Some(139));
}

#[test]
fn output_that_is_lost_is_no_success() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ran = room()
        .command(&["run", "--mask", "--", "sh", "-c", "echo hi"])
        .stdout(full)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("a part of it is lost"), "{stderr}");
}

#[test]
fn what_writes_for_ever_is_not_waited_for() {
    let room = room();
    let mut child = room
        .command(&["run", "--mask", "--", "sh", "-c", "yes & exit 3"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    // Slower than what writes: there is always more to copy.
    let reader = thread::spawn(move || {
        let mut some = [0; 4096];
        while output.read(&mut some).unwrap() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(child.wait().unwrap().code(), Some(3));
    reader.join().unwrap();
}
