//! `rotate`: the order, the hook, and what is left wherever it fails.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Ran, Room, TOKEN};
use crate::project::Project;

const OLD: &str = "kV9-tT2_wB7xQ4mL0zR5cJ8nH3sD6fYg";
const MANIFEST: &str = "\
[default.secrets]
\"api/token\" = { kind = \"token\" }
\"other/token\" = { kind = \"token\", required = false }
\"large/blob\" = { kind = \"opaque\", required = false }
";

/// A directory with one token, and a hook of this script.
fn room(hook: &str) -> Room {
    let room = Room::new()
        .var("STRONGROOM_PROVIDER", "file:secrets")
        .file("strongroom.toml", MANIFEST)
        .dir_of_mode("secrets", 0o700)
        .file("secrets/api/token", OLD)
        .file("hook", format!("#!/bin/sh\n{hook}\n"));
    use std::os::unix::fs::PermissionsExt as _;
    for (path, mode) in [("hook", 0o755), ("secrets/api/token", 0o600)] {
        fs::set_permissions(room.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    room
}

const ROTATE: &[&str] = &["rotate", "api/token", "--exec", "./hook"];

fn value(room: &Room) -> String {
    fs::read_to_string(room.path("secrets/api/token")).unwrap()
}

fn read(room: &Room, path: &str) -> String {
    fs::read_to_string(room.path(path)).unwrap_or_default()
}

fn json(room: &Room, arguments: &[&str], code: i32) -> Value {
    let ran = room
        .run(&[arguments, &["--format", "json"]].concat())
        .ends(code);
    serde_json::from_str(&ran.stdout()).unwrap()
}

#[test]
fn the_hook_reads_exactly_the_value_that_is_in_force_afterwards() {
    let room = room(r#"cat > got; printf '%s|' "$STRONGROOM_SECRET_NAME" "$@" > said; echo shown"#);
    let ran = room
        .run(&[ROTATE, &["--", "one two", "--format"]].concat())
        .ends(0);
    let new = value(&room);
    assert_ne!(new, OLD);
    assert_eq!(read(&room, "got"), new);
    assert_eq!(read(&room, "said"), "api/token|one two|--format|");
    // Our own output stays ours.
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("shown\n"), "{}", ran.stderr());
    assert!(
        ran.stderr().contains("rotated api/token"),
        "{}",
        ran.stderr()
    );
    assert!(
        ran.stderr().contains("there is no overlap"),
        "{}",
        ran.stderr()
    );

    let done = json(&room, ROTATE, 0);
    assert_eq!(done["name"], "api/token");
    assert_eq!(done["method"], "replacing");
    assert_eq!(
        (&done["hook"], &done["previous"]),
        (&Value::from(true), &Value::Null)
    );
    assert_ne!(done["version"], done["former"]);
}

#[test]
fn a_value_of_ones_own_is_rotated_to_without_a_hook() {
    let room = room("");
    let mut input = TOKEN.as_bytes().to_vec();
    input.push(b'\n');
    room.run_with(&["rotate", "api/token", "--stdin"], &input)
        .ends(0);
    assert_eq!(value(&room), TOKEN);
    // The same again, a weak one, and another's are refused, and nothing is told.
    room.run_with(&["set", "other/token"], OLD.as_bytes())
        .ends(0);
    for (given, said) in [
        (TOKEN, "in force already"),
        ("hunter2", "too-short"),
        (OLD, "duplicate-value"),
    ] {
        let ran = room
            .run_with(&[ROTATE, &["--stdin"]].concat(), given.as_bytes())
            .ends(1);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert!(!ran.stderr().contains(given), "{}", ran.stderr());
        assert_eq!(value(&room), TOKEN);
    }
}

#[test]
fn a_failed_hook_is_undone_however_it_failed() {
    for (hook, said) in [
        ("exit 3", "`./hook` ended with exit status 3"),
        ("kill -9 $$", "`./hook` was ended by signal 9"),
        (
            "cat > /dev/null; exit 1",
            "`./hook` ended with exit status 1",
        ),
    ] {
        let room = room(hook);
        let ran = room.run(ROTATE).ends(1);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert!(
            ran.stderr()
                .contains("it was undone: the former value is in force again")
        );
        assert_eq!(value(&room), OLD);
        let body = json(&room, ROTATE, 1);
        let error = &body["error"];
        assert_eq!(
            (&body["schema"], &error["kind"]),
            (&Value::from(1), &Value::from("hook"))
        );
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        assert_eq!(error["name"], "api/token");
        assert_eq!(error["rotation"]["undone"], true);
        assert_eq!(error["rotation"]["undo_error"], Value::Null);
    }
}

#[test]
fn a_hook_that_cannot_be_started_is_undone() {
    let room = room("exit 0");
    for (program, said) in [
        ("./nothing", "there is no program `./nothing`"),
        ("./secrets", "`./secrets` can't be started"),
    ] {
        let ran = room
            .run(&["rotate", "api/token", "--exec", program])
            .ends(1);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert_eq!(value(&room), OLD);
    }
}

#[test]
fn a_hook_that_takes_too_long_is_killed_with_all_it_started() {
    let room = room("sleep 600 & echo $! > pid; wait");
    let ran = room.run(&[ROTATE, &["--timeout", "2s"]].concat()).ends(1);
    assert!(
        ran.stderr().contains("took longer than 2s and was killed"),
        "{}",
        ran.stderr()
    );
    assert_eq!(value(&room), OLD);
    let stat = fs::read_to_string(format!("/proc/{}/stat", read(&room, "pid").trim()));
    // Gone, or dead and waited for by nobody.
    assert!(
        stat.is_err() || stat.unwrap().contains(") Z"),
        "it still runs"
    );
}

#[test]
fn a_hook_that_reads_nothing_is_no_failure() {
    let room = room("exec <&-; exit 0");
    room.run_with(&["set", "large/blob"], &[b'o'; 64 * 1024])
        .ends(0);
    let new = [b'n'; 64 * 1024];
    room.run_with(
        &["rotate", "large/blob", "--stdin", "--exec", "./hook"],
        &new,
    )
    .ends(0);
    assert_eq!(fs::read(room.path("secrets/large/blob")).unwrap(), new);
}

#[test]
fn whoever_wrote_meanwhile_is_not_overwritten() {
    let theirs = "printf theirs > secrets/api/token";
    for (end, said) in [("exit 1", "NOT UNDONE"), ("exit 0", "somebody else wrote")] {
        let room = room(&format!("{theirs}; {end}"));
        let ran = room.run(ROTATE).ends(7);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert!(ran.stderr().contains("somebody else"), "{}", ran.stderr());
        assert_eq!(value(&room), "theirs");
    }
    let room = room(&format!("{theirs}; exit 1"));
    let error = &json(&room, ROTATE, 7)["error"];
    assert_eq!(error["kind"], "hook");
    assert_eq!(error["rotation"]["undone"], false);
    assert_eq!(error["rotation"]["undo_error"]["kind"], "conflict");
}

/// Starts a rotation, sends it a signal once its hook runs, and waits for its end.
fn interrupted(room: &Room, signal: Signal) -> Ran {
    let mut command = room.command(ROTATE);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    while !room.path("started").exists() {
        std::thread::yield_now();
    }
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(process, signal).unwrap();
    Ran(child.wait_with_output().unwrap())
}

#[test]
fn an_interrupt_reaches_the_hook_and_its_end_decides() {
    let wait = ": > started; while :; do sleep 0.05; done";
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15), (Signal::HUP, 1)] {
        let room = room(wait);
        let ran = interrupted(&room, signal).ends(1);
        let said = format!("was ended by signal {number}");
        assert!(ran.stderr().contains(&said), "{}", ran.stderr());
        assert_eq!(value(&room), OLD);
    }
    let room = room(&format!("trap 'exit 0' INT; {wait}"));
    interrupted(&room, Signal::INT).ends(0);
    assert_ne!(value(&room), OLD);
}

#[test]
fn the_hook_gets_no_credential_and_no_value_but_by_its_input() {
    let script = "cat > got; tr '\\0' '\\n' < /proc/$$/environ > environment
        cat /proc/$$/cmdline /proc/$PPID/cmdline /proc/$PPID/environ > seen";
    let room = room(script)
        .var("STRONGROOM_LOG", "trace")
        .var("STRONGROOM_PASSPHRASE_FILE", "/nowhere")
        .var("KEPT", "k");
    let ran = room.run(&[ROTATE, &["--", "argument"]].concat()).ends(0);
    let new = read(&room, "got");
    assert_eq!(new, value(&room));
    let environment = read(&room, "environment");
    let ours: Vec<_> = environment
        .lines()
        .filter(|line| line.starts_with("STRONGROOM_"))
        .collect();
    assert_eq!(ours.len(), 3, "{ours:?}");
    assert!(
        environment.contains("STRONGROOM_ENV=development\n"),
        "{environment}"
    );
    assert!(
        environment.contains("STRONGROOM_SECRET_NAME=api/token\n"),
        "{environment}"
    );
    assert!(
        environment.contains("STRONGROOM_ROTATION_VERSION="),
        "{environment}"
    );
    assert!(environment.contains("KEPT=k\n"), "{environment}");
    for (place, text) in [
        ("stdout", ran.stdout()),
        ("stderr", ran.stderr()),
        ("environment", environment),
        (
            "seen",
            String::from_utf8_lossy(&fs::read(room.path("seen")).unwrap()).into_owned(),
        ),
    ] {
        assert!(!text.is_empty() || place == "stdout");
        for value in [new.as_str(), OLD] {
            assert!(!text.contains(value), "a value is in {place}");
        }
    }
    assert_eq!(fs::read_dir(room.path("tmp")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(room.path("secrets/api")).unwrap().count(), 1);
    // Nor in what is said of a failure.
    let failing = room.file("hook", "#!/bin/sh\ncat > got; exit 1\n");
    for format in ["text", "json"] {
        let ran = failing
            .run(&[ROTATE, &["--format", format]].concat())
            .ends(1);
        let refused = read(&failing, "got");
        for value in [new.as_str(), &refused] {
            assert!(!ran.stdout().contains(value) && !ran.stderr().contains(value));
        }
    }
}

#[test]
fn a_dry_run_shows_the_steps_and_changes_nothing() {
    let room = room(": > started");
    let ran = room
        .run(&[ROTATE, &["--dry-run", "--timeout", "5s"]].concat())
        .ends(0);
    let shown = ran.stdout();
    assert!(
        shown.starts_with("1. write a generated value to file:secrets over version "),
        "{shown}"
    );
    assert!(
        shown.contains("\n2. start `./hook` with the value on its input, for at most 5s\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\nIf step 2 fails: write the former value back"),
        "{shown}"
    );
    let plan = json(&room, &[ROTATE, &["--dry-run"]].concat(), 0);
    assert_eq!(plan["steps"].as_array().unwrap().len(), 3);
    assert_eq!(plan["method"], "replacing");
    let weak = room.run_with(&["rotate", "api/token", "--dry-run", "--stdin"], b"hunter2");
    assert!(weak.ends(1).stderr().contains("too-short"));
    assert_eq!(value(&room), OLD);
    assert!(!room.path("started").exists());
}

#[test]
fn what_cannot_be_done_says_so_and_changes_nothing() {
    let room = room(": > started");
    for (arguments, code, said) in [
        (&["rotate", "api/tokn"][..], 2, "did you mean `api/token`?"),
        (&["rotate", "other/token"], 3, "strongroom generate"),
        (
            &["rotate", "api/token", "--overlap", "7d"],
            2,
            "can't be set",
        ),
        (
            &["rotate", "api/token", "--resume", "--exec", "./hook"],
            2,
            "holds no pending values",
        ),
        (&["rotate", "api/token", "--abort"], 2, "is in force"),
        (
            &["rotate", "api/token", "--abort", "--resume"],
            2,
            "can't be used together",
        ),
        (&["rotate", "api/token", "--timeout", "5s"], 2, "--exec"),
        (
            &[
                "rotate",
                "api/token",
                "--exec",
                "./hook",
                "--timeout",
                "soon",
            ],
            2,
            "can't have this value",
        ),
        (&["rotate", "api/token", "--", "./hook"], 2, "--exec"),
        (&["rotate", "api/token", "a-value"], 2, "not understood"),
    ] {
        let ran = room.run(arguments).ends(code);
        assert!(
            ran.stderr().contains(said),
            "{arguments:?}: {}",
            ran.stderr()
        );
        assert!(!ran.stderr().contains("a-value"), "{}", ran.stderr());
    }
    let environment = room
        .without("STRONGROOM_PROVIDER")
        .var("STRONGROOM_PROVIDER", "env:");
    let environment = environment.var("API_TOKEN", OLD);
    let ran = environment.run(&["rotate", "api/token"]).ends(2);
    assert!(ran.stderr().contains("read-only"), "{}", ran.stderr());
    assert!(
        ran.stderr()
            .contains("help: rotate it where its value comes from"),
        "{}",
        ran.stderr()
    );
    assert_eq!(value(&environment), OLD);
    assert!(!environment.path("started").exists());
}

#[test]
fn the_sealed_file_keeps_the_former_value_for_the_overlap() {
    let project = Project::begun();
    let name = "session/signing-key";
    let before = project
        .run(&["get", name, "--format", "json"])
        .ends(0)
        .stdout();
    let before: Value = serde_json::from_str(&before).unwrap();
    let rotate = ["rotate", name, "--overlap", "2h", "--format", "json"];
    let done: Value = serde_json::from_str(&project.run(&rotate).ends(0).stdout()).unwrap();
    assert_eq!(done["former"], before["version"]);
    assert_eq!(done["previous"]["version"], before["version"]);
    let until = done["previous"]["until"].as_str().unwrap();
    let until = humantime::parse_rfc3339(until).unwrap();
    let left = until.duration_since(std::time::SystemTime::now()).unwrap();
    assert!(left.as_secs() <= 7200 && left.as_secs() > 3600, "{left:?}");
    let ran = project.run(&["rotate", name]).ends(0);
    assert!(
        ran.stderr()
            .contains("can be read as the previous one until"),
        "{}",
        ran.stderr()
    );
    // An undo brings the value back.
    let kept = project.run(&["get", name]).ends(0).0.stdout;
    project.run(&["rotate", name, "--exec", "false"]).ends(1);
    assert_eq!(project.run(&["get", name]).ends(0).0.stdout, kept);
}

mod staged;
