//! `watch`: what it prints while secrets change, how it ends, and what it never shows.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Room, TOKEN};

const NEXT: &str = "Gw5u-Hk2sD7f_Q9pN3xV6yB0tM4zC8aL";
const THIRD: &str = "Ny8c-Wd4gJ1v_K6rT9bF2mS5qX7hE3zU";
const WEAK: &str = "hunter2";

const MANIFEST: &str = r#"
[default.secrets]
"api/token" = { kind = "token" }
"db/token" = { kind = "token" }
"#;

/// How long a machine may take for anything; nothing waits for it to pass.
const LIMIT: Duration = Duration::from_secs(60);

fn room() -> Room {
    let room = Room::new()
        .var("STRONGROOM_DIR", "secrets")
        .file("strongroom.toml", MANIFEST);
    write(&room, "api/token", TOKEN);
    write(&room, "db/token", THIRD);
    room
}

/// Replaces a value as a deployment does, at once.
fn write(room: &Room, name: &str, value: &str) {
    let (new, path) = (room.path("new"), room.path("secrets").join(name));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&new, value).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A command that runs until it is told to end.
struct Watching {
    child: Child,
    stdout: Option<BufReader<std::process::ChildStdout>>,
    stderr: Receiver<String>,
    said: Vec<String>,
}

impl Watching {
    fn start(room: &Room, arguments: &[&str]) -> Self {
        let mut command = room.command(&[&["watch"], arguments].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut watching = Self {
            stdout: child.stdout.take().map(BufReader::new),
            stderr: lines(child.stderr.take().unwrap()),
            child,
            said: Vec::new(),
        };
        while !watching
            .said
            .iter()
            .any(|line| line.starts_with("watching "))
        {
            match watching.stderr.recv_timeout(LIMIT) {
                Ok(line) => watching.said.push(line),
                Err(end) => panic!("it doesn't watch ({end}): {:?}", watching.said),
            }
        }
        watching
    }

    /// Returns the next line of the result.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        assert!(
            length > 0,
            "it ended: {:?}",
            self.stderr.iter().collect::<Vec<_>>()
        );
        assert_eq!(line.pop(), Some('\n'));
        line
    }

    fn json(&mut self) -> Value {
        let line = self.line();
        crate::schemas::check(&["watch", "--format", "json"], line.as_bytes());
        serde_json::from_str(&line).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; returns the exit code, the rest of the result, and all of standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut rest = String::new();
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_string(&mut rest).unwrap();
        }
        self.said.extend(self.stderr.iter());
        let status = self.child.wait().unwrap();
        (status.code(), rest, self.said.join("\n"))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
fn each_event_is_a_line_for_people() {
    let room = room();
    let mut watching = Watching::start(&room, &[]);
    assert!(watching.said[0].starts_with("watching 2 secrets of file:secrets "));
    write(&room, "api/token", NEXT);
    let line = watching.line();
    let (at, event) = line.split_once(' ').unwrap();
    assert!(at.ends_with('Z') && at.contains('T'), "{line}");
    assert!(event.starts_with("api/token: rotated"), "{line}");
    write(&room, "api/token", WEAK);
    let line = watching.line();
    assert!(
        line.contains(" api/token: a new value was refused: "),
        "{line}"
    );
    std::fs::remove_file(room.path("secrets/db/token")).unwrap();
    let line = watching.line();
    assert!(
        line.ends_with(" db/token: no longer handed out: absent"),
        "{line}"
    );
}

#[test]
fn each_event_is_an_object_for_programs() {
    let room = room();
    let mut watching = Watching::start(&room, &["--format", "json"]);
    let keys = |event: &Value| {
        let keys = event.as_object().unwrap().keys();
        keys.cloned().collect::<Vec<_>>().join(" ")
    };
    write(&room, "api/token", NEXT);
    let event = watching.json();
    assert_eq!(keys(&event), "at event name schema version");
    assert_eq!(event["schema"], 1);
    assert_eq!(event["name"], "api/token");
    assert_eq!(event["event"], "rotated");
    write(&room, "api/token", WEAK);
    let event = watching.json();
    assert_eq!(keys(&event), "at event name reason schema");
    assert_eq!(event["event"], "refused");
    std::fs::remove_file(room.path("secrets/db/token")).unwrap();
    let event = watching.json();
    assert_eq!(keys(&event), "at error event name schema");
    assert_eq!(
        (&event["event"], &event["error"]),
        (&"withdrawn".into(), &"absent".into())
    );
    write(&room, "api/token", NEXT);
    let event = watching.json();
    assert_eq!(keys(&event), "at event name schema");
    assert_eq!(event["event"], "recovered");
}

#[test]
fn only_the_named_secrets_are_told_of() {
    let room = room();
    let mut watching = Watching::start(&room, &["db/token", "db/token"]);
    assert!(watching.said[0].starts_with("watching 1 secret of "));
    write(&room, "api/token", NEXT);
    for value in [NEXT.to_lowercase(), NEXT.to_uppercase()] {
        // The other one was read by the second reading at the latest.
        write(&room, "db/token", &value);
        assert!(watching.line().contains(" db/token: rotated"));
    }
    watching.signal(Signal::INT);
    assert!(!watching.end().1.contains("api/token"));
}

#[test]
fn what_is_not_declared_is_not_watched() {
    let ran = room().run(&["watch", "db/tokn"]).ends(2);
    let said = ran.stderr();
    assert!(
        said.contains("db/tokn") && said.contains("not declared"),
        "{said}"
    );
    assert!(said.contains("did you mean `db/token`?"), "{said}");
    let ran = room().run(&["watch", "something/else"]).ends(2);
    assert!(ran.stderr().contains("declare it in the manifest"));
    let ran = room().run(&["watch", "no name"]).ends(2);
    assert_eq!(ran.stdout(), "");
}

#[test]
fn a_boot_that_fails_is_told_as_a_service_would_tell_it() {
    let room = room();
    write(&room, "api/token", WEAK);
    let ran = room.run(&["watch"]).ends(1);
    let said = ran.stderr();
    assert!(
        said.contains("api/token") && !said.contains("watching"),
        "{said}"
    );
    assert_eq!(ran.stdout(), "");
    let ran = room.run(&["watch", "--format", "json"]).ends(1);
    let failed: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(failed["error"]["kind"], "policy");
    assert!(!(ran.stdout() + &said).contains(WEAK));
}

#[test]
fn it_ends_in_order_when_it_is_told_to() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let watching = Watching::start(&room(), &[]);
        watching.signal(signal);
        let (code, rest, said) = watching.end();
        assert_eq!((code, &*rest), (Some(0), ""), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn it_ends_quietly_when_nobody_reads_any_more() {
    for format in ["text", "json"] {
        let room = room();
        let mut watching = Watching::start(&room, &["--format", format]);
        write(&room, "api/token", NEXT);
        watching.line();
        watching.stdout = None;
        write(&room, "api/token", TOKEN);
        let (code, _, said) = watching.end();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn no_value_is_shown() {
    for format in ["text", "json"] {
        let room = room().var("STRONGROOM_LOG", "trace");
        let mut watching = Watching::start(&room, &["--format", format]);
        let mut shown = String::new();
        for value in [NEXT, WEAK, THIRD, TOKEN] {
            write(&room, "api/token", value);
            shown += &watching.line();
        }
        watching.signal(Signal::INT);
        let (code, rest, said) = watching.end();
        assert_eq!(code, Some(0), "{said}");
        shown = shown + &rest + &said;
        for value in [TOKEN, NEXT, THIRD, WEAK] {
            assert!(!shown.contains(value), "{shown}");
        }
        // A value under two names is refused, and says so.
        assert!(shown.matches("refused").count() >= 2, "{shown}");
    }
}
