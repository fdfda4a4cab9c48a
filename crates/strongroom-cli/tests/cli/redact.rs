//! `redact`: what it lets through, what it doesn't, and when.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use base64ct::{Base64, Base64Url, Encoding as _};

use crate::harness::{Room, TOKEN};
use crate::terminal::Terminal;

const PASSWORD: &str = "a.*[b](c)+ \"d\"\\e$/f|?";
const LIMIT: Duration = Duration::from_secs(60);

/// A directory of secrets, all of which a manifest declares.
fn room(secrets: &[(&str, &[u8])]) -> Room {
    let declared = secrets
        .iter()
        .map(|(name, _)| format!("\"{name}\" = {{ kind = \"opaque\" }}\n"));
    let manifest = format!("[default.secrets]\n{}", declared.collect::<String>());
    let room = Room::new()
        .var("STRONGROOM_DIR", "secrets")
        .dir_of_mode("secrets", 0o700)
        .file("strongroom.toml", manifest);
    secrets.iter().fold(room, |room, (name, value)| {
        room.file(&format!("secrets/{name}"), value)
    })
}

/// A filter that is fed and read while it runs.
struct Filter {
    child: Child,
    stdin: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Filter {
    fn start(room: &Room, arguments: &[&str]) -> Self {
        let mut command = room.command(&[&["redact"], arguments].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            output: parts(child.stdout.take().unwrap()),
            child,
            seen: Vec::new(),
        }
    }

    fn feed(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_ref())
            .unwrap();
        self
    }

    /// Waits until all that came out is this.
    fn shows(&mut self, text: &str) -> &mut Self {
        while self.seen.len() < text.len() {
            self.seen.extend(self.output.recv_timeout(LIMIT).unwrap());
        }
        assert_eq!(String::from_utf8_lossy(&self.seen), text);
        self
    }

    fn end(mut self) -> (Option<i32>, Vec<u8>) {
        self.stdin = None;
        self.seen.extend(self.output.iter().flatten());
        (
            self.child.wait().unwrap().code(),
            std::mem::take(&mut self.seen),
        )
    }
}

fn parts(mut from: ChildStdout) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut part = [0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut part) {
            let _ = send.send(part[..length].to_vec());
        }
    });
    receive
}

/// Forms of a value as other programs write them; lines of the last are broken.
fn forms(value: &str) -> Vec<String> {
    let hex = base16ct::lower::encode_string(value.as_bytes());
    let json = serde_json::to_string(value).unwrap();
    let broken = |text: &str| {
        text.as_bytes()
            .chunks(7)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect::<Vec<_>>()
            .join("\r\n   ")
    };
    let mut all = vec![
        value.to_owned(),
        json[1..json.len() - 1].to_owned(),
        serde_json::to_string(&json).unwrap(),
        hex.to_uppercase(),
        broken(&hex),
        broken(value),
        value.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        value
            .bytes()
            .map(|byte| format!("\\u00{byte:02X}"))
            .collect(),
    ];
    for before in ["", "u:", "u"] {
        let text = format!("{before}{value}");
        all.push(Base64::encode_string(text.as_bytes()));
        all.push(Base64Url::encode_string(text.as_bytes()));
        all.push(broken(&Base64::encode_string(text.as_bytes())));
    }
    all
}

#[test]
fn every_form_is_masked_byte_by_byte_and_at_once() {
    let secrets: [(&str, &[u8]); 2] = [
        ("token", TOKEN.as_bytes()),
        ("password", PASSWORD.as_bytes()),
    ];
    let room = room(&secrets);
    for value in [TOKEN, PASSWORD] {
        let text = forms(value).join("\n----\n");
        let at_once = room.run_with(&["redact"], text.as_bytes()).ends(0);
        let mut filter = Filter::start(&room, &[]);
        for byte in text.bytes() {
            filter.feed([byte]);
        }
        let (code, out) = filter.end();
        assert_eq!(code, Some(0));
        assert_eq!(String::from_utf8_lossy(&out), at_once.stdout());
        let count = at_once.stdout().matches("[REDACTED:").count();
        assert_eq!(count, forms(value).len(), "{}", at_once.stdout());
        // Nothing of the value is left: what remains is shorter than any part that would tell.
        let rest = at_once
            .stdout()
            .replace("[REDACTED:token]", "")
            .replace("[REDACTED:password]", "");
        for line in rest.split("\n----\n") {
            assert!(line.len() <= 8, "{line}");
        }
    }
}

#[test]
fn of_values_that_begin_overlap_or_follow_one_another_nothing_is_left() {
    let room = room(&[
        ("a", b"abcdefgh"),
        ("b", b"abcdefghijkl"),
        ("c", b"ghijklmnop"),
    ]);
    let text = b"abcdefgh|abcdefghijkl|abcdefghijklmnop|abcdefghabcdefgh|abcdefghijk";
    let ran = room.run_with(&["redact"], text).ends(0);
    let expected =
        "[REDACTED:a]|[REDACTED:b]|[REDACTED:b]|[REDACTED:a][REDACTED:a]|[REDACTED:a]ijk";
    assert_eq!(ran.stdout(), expected);
}

#[test]
fn a_value_in_the_mask_is_not_shown() {
    let value = b"[REDACTED:a]";
    let room = room(&[("a", value)]);
    assert_eq!(room.run_with(&["redact"], value).ends(0).stdout(), "***");
    let ran = room
        .run_with(&["redact", "--with", "x[REDACTED:a]"], value)
        .ends(2);
    assert_eq!(ran.stdout(), "");
    assert!(
        ran.stderr().contains("its value is in the text of --with"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn a_value_of_64_kib_is_masked_in_every_form() {
    let mut state = 1_u32;
    let value: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(state >> 26) as usize]
    })
    .take(65_536)
    .collect();
    let room = room(&[("big", &value)]);
    let lines = Base64::encode_string(&value)
        .as_bytes()
        .chunks(76)
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>()
        .join(&b'\n');
    let text = [b"<".as_slice(), &value, b"|", &lines, b">"].concat();
    let ran = room.run_with(&["redact"], &text).ends(0);
    assert_eq!(ran.stdout(), "<[REDACTED:big]|[REDACTED:big]>");
}

#[test]
fn a_prompt_appears_and_only_what_may_be_a_value_waits() {
    let room = room(&[("token", TOKEN.as_bytes())]);
    let mut filter = Filter::start(&room, &[]);
    let half = &TOKEN[..20];
    filter.feed("Continue? ").shows("Continue? ");
    // The beginning of a value waits, and is let through as soon as it is none.
    filter
        .feed(half)
        .feed("!")
        .shows(&format!("Continue? {half}!"));
    filter
        .feed(TOKEN)
        .feed(" ok? ")
        .shows(&format!("Continue? {half}![REDACTED:token] ok? "));
    assert_eq!(filter.end().0, Some(0));
}

#[test]
fn a_line_that_ends_as_a_value_begins_waits_for_no_other_and_the_rest_is_masked() {
    let room = room(&[("token", TOKEN.as_bytes())]);
    let mut filter = Filter::start(&room, &[]);
    filter.feed("stop\n").shows("stop\n");
    filter.feed(&TOKEN[1..]).feed(" ");
    filter.shows("stop\n[REDACTED:token] ");
    // A value of one character a line shows no more than its first ones.
    for byte in TOKEN.bytes() {
        filter.feed([byte, b'\n']);
    }
    let (_, out) = filter.end();
    let out = String::from_utf8_lossy(&out).replace('\n', "");
    let left = out.strip_prefix("stop[REDACTED:token] ").unwrap();
    let shown = left.strip_suffix("[REDACTED:token]").unwrap();
    assert!(TOKEN[..3].starts_with(shown), "{out}");
}

#[test]
fn other_bytes_pass_exactly() {
    let bytes: Vec<u8> = (0..=255_u8).cycle().take(1_000_000).collect();
    let room = room(&[("token", TOKEN.as_bytes())]).file("bytes", &bytes);
    let ran = room.run(&["redact", "bytes"]).ends(0);
    assert!(ran.0.stdout == bytes);
}

#[test]
fn a_check_says_what_was_masked_and_fails() {
    let room = room(&[("token", TOKEN.as_bytes())]);
    let text = format!("{TOKEN} {TOKEN}");
    let ran = room
        .run_with(&["redact", "--check"], text.as_bytes())
        .ends(1);
    assert_eq!(ran.stdout(), "[REDACTED:token] [REDACTED:token]");
    assert_eq!(ran.stderr(), "a value was masked 2 times: token (raw)\n");
    let ran = room
        .run_with(&["redact", "--fail-on-match"], b"clean")
        .ends(0);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn nothing_passes_when_a_value_can_not_be_read() {
    let room = room(&[("token", TOKEN.as_bytes())]);
    let text = b"some text";
    // A folder in the place of a value can't be read as one.
    std::fs::remove_file(room.path("secrets/token")).unwrap();
    std::fs::create_dir(room.path("secrets/token")).unwrap();
    let ran = room.run_with(&["redact"], text);
    assert_ne!(ran.code(), 0);
    assert_eq!(ran.stdout(), "");
    // With nothing to search for everything would pass.
    std::fs::remove_dir(room.path("secrets/token")).unwrap();
    let ran = room.run_with(&["redact"], text).ends(2);
    assert_eq!(ran.stdout(), "");
    assert!(
        ran.stderr().contains("no value to search for"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn a_value_too_short_to_mask_is_named() {
    let room = room(&[("token", TOKEN.as_bytes()), ("pin", b"1234")]);
    let ran = room.run_with(&["redact"], b"1234").ends(0);
    assert_eq!(ran.stdout(), "1234");
    assert!(
        ran.stderr().contains("pin: its value is not searched for"),
        "{}",
        ran.stderr()
    );
    assert!(!ran.stderr().contains("1234"));
}

#[test]
fn files_are_read_in_order_and_all_secrets_on_demand() {
    let room = room(&[("token", TOKEN.as_bytes())])
        .file("secrets/undeclared", PASSWORD)
        .file("one.log", format!("1 {TOKEN}\n"))
        .file("two.log", format!("2 {PASSWORD}\n"));
    let declared = room.run(&["redact", "one.log", "two.log"]).ends(0);
    assert_eq!(
        declared.stdout(),
        format!("1 [REDACTED:token]\n2 {PASSWORD}\n")
    );
    let all = room.run(&["redact", "--all", "one.log", "two.log"]).ends(0);
    assert_eq!(
        all.stdout(),
        "1 [REDACTED:token]\n2 [REDACTED:undeclared]\n"
    );
    room.run(&["redact", "none.log"]).ends(3);
}

#[test]
fn a_closed_output_ends_it() {
    let room = room(&[("token", TOKEN.as_bytes())]);
    let mut command = room.command(&["redact"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    while stdin.write_all(&[b'x'; 65_536]).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.status.signal()),
        (Some(0), None)
    );
    assert!(output.stderr.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn a_stream_without_a_newline_needs_little_memory() {
    let room = room(&[("token", TOKEN.as_bytes()), ("ones", b"11111111")]);
    let mut filter = Filter::start(&room, &["--with", ""]);
    let resident = |filter: &Filter, field: &str| -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", filter.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    filter.feed("begin: ").shows("begin: ");
    let before = resident(&filter, "VmHWM:");
    // Plain text, an endless run of a value that overlaps itself, and breaks that never end.
    let breaks = [&TOKEN.as_bytes()[..20], &[b'\n'; 1 << 20]].concat();
    for (part, times) in [
        (vec![b'x'; 1 << 20], 100),
        (vec![b'1'; 1 << 18], 4),
        (breaks, 4),
    ] {
        for _ in 0..times {
            filter.feed(&part);
            while let Ok(out) = filter.output.try_recv() {
                drop(out);
            }
        }
    }
    let after = resident(&filter, "VmHWM:");
    assert!(
        after < before + 16 * 1024,
        "{before} KiB before, {after} KiB after"
    );
    assert_eq!(filter.end().0, Some(0));
}

#[test]
fn a_prompt_shows_on_a_terminal_behind_the_filter() {
    let room = room(&[("token", TOKEN.as_bytes())]);
    let program = room.command(&[]).get_program().to_str().unwrap().to_owned();
    let script = format!(
        "{{ printf 'Name? '; read name; printf '%s is {TOKEN}. Sure? ' \"$name\"; read sure; }} | '{program}' redact"
    );
    let mut terminal = Terminal::start(&room.other("sh", &["-c", &script]));
    terminal.wait_for("Name? ").press("me\r");
    terminal
        .wait_for("me is [REDACTED:token]. Sure? ")
        .press("y\r");
    let ended = terminal.end();
    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.screen.contains(TOKEN));
}
