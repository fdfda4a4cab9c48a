//! A hardened process: no core, and nothing to see for others of its user.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use strongroom::{harden_launcher, harden_process};

use super::child::{as_nobody, as_user};

/// Starts a process of this binary in a directory, and waits until it did what the order says.
fn start(mut command: Command, order: &str, dir: &tempfile::TempDir) -> Child {
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut child = command
        .args([
            "--ignored",
            "--exact",
            "memory::harden::hardened",
            "--nocapture",
        ])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "{order}").unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(
        lines
            .map(Result::unwrap)
            .any(|line| line.ends_with("it is done")),
        "{order}"
    );
    child
}

/// The process: what to do is the first line of its input, and it crashes at the second.
#[test]
#[ignore = "it is the process that other tests start"]
fn hardened() {
    let mut lines = std::io::stdin().lines().map(Result::unwrap);
    let limit = match lines.next().as_deref() {
        Some("harden") => harden_process().map(|()| None),
        Some("launch") => harden_launcher().map(Some),
        Some("nothing") => Ok(None),
        _ => return,
    };
    let limit = limit.unwrap();
    println!("\nit is done");
    let _ = lines.next();
    if let Some(limit) = limit {
        limit.restore().unwrap();
    }
    std::process::abort();
}

fn core_limit(process: u32) -> Vec<String> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"));
    line.unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// A process of the same user that is not root.
fn peer_can_open_memory(process: u32) -> bool {
    let mut peer = as_user("sh").unwrap();
    peer.args(["-c", &format!(": < /proc/{process}/mem")]);
    peer.stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_hardened_process_has_no_core_limit_left_and_is_closed_to_its_own_user() {
    let dir = tempfile::tempdir().unwrap();
    for (order, closed) in [("nothing", false), ("harden", true), ("launch", true)] {
        let Some(nobody) = as_nobody() else { return };
        let mut child = start(nobody, order, &dir);
        let limit = core_limit(child.id());
        match order {
            "harden" => assert_eq!(limit[..2], ["0", "0"]),
            "launch" => assert_eq!(limit[0], "0"),
            _ => {}
        }
        let open = peer_can_open_memory(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        // Some systems let no process look into one that it didn't start, hardened or not.
        assert!(!closed || !open, "{order}: its memory can be opened");
        println!("{order}: core limit {limit:?}, its memory can be opened: {open}");
    }
}

#[test]
fn a_hardened_process_that_crashes_leaves_no_core() {
    for order in ["nothing", "harden", "launch"] {
        let dir = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$@\"", "sh"]);
        shell.arg(std::env::current_exe().unwrap());
        let mut child = start(shell, order, &dir);
        writeln!(child.stdin.as_mut().unwrap(), "crash").unwrap();
        let status = child.wait().unwrap();
        assert!(status.signal().is_some(), "{order}: {status}");
        let left = fs::read_dir(dir.path()).unwrap().count();
        println!("{order}: {status}, {left} files left");
        // Without hardening it depends on the system's pattern and limit.
        assert!(
            order == "nothing" || !status.core_dumped() && left == 0,
            "{order}: {status}"
        );
    }
}
