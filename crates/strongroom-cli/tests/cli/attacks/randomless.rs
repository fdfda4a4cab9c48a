//! Whole commands while the system gives no random bytes.
//!
//! The command is traced, and its `getrandom` fails from a given call on. The calls with which the
//! standard library seeds its hash tables have another flag, protect no value and don't count.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use nix::errno::Errno;
use nix::libc::{SYS_getrandom, SYS_openat};
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use strongroom::Env;

use crate::harness::{Ran, TOKEN};
use crate::project::{FILE, Project};

/// Which calls fail, and how.
#[derive(Debug, Clone, Copy)]
enum Failing {
    /// Each call for random bytes from this one on, by an error of the source.
    From(usize),
    /// Each call, as where the kernel has no such call or a sandbox refuses it, and each opening of
    /// the devices that give random bytes too.
    All(Errno),
    Never,
}

/// A run, how often random bytes were asked for, and how often that failed.
struct Traced {
    ran: Ran,
    asked: usize,
}

/// Runs a command; `None` where the system lets no process trace another.
#[allow(clippy::zombie_processes, reason = "`trace` waits for it")]
fn run(project: &Project, arguments: &[&str], input: &[u8], failing: Failing) -> Option<Traced> {
    // A shell waits until it is traced, and becomes the command.
    let program = env!("CARGO_BIN_EXE_strongroom");
    let words = ["-c", "read go && exec \"$@\"", "sh", program];
    let mut child = project
        .room
        .other("sh", &[&words, arguments].concat())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    if let Err(error) = ptrace::seize(pid, options) {
        child.kill().unwrap();
        child.wait().unwrap();
        let refused = error == Errno::EPERM && !Env::process().has("CI");
        assert!(refused, "can't trace a process: {error}");
        eprintln!("not tested: this system lets no process trace another");
        return None;
    }
    ptrace::interrupt(pid).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&[b"go\n", input].concat()).unwrap();
    drop(stdin);
    // What it says is far less than a pipe holds.
    let (code, asked) = trace(pid, failing);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut stdout)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut stderr)
        .unwrap();
    let output = Output {
        status: ExitStatus::from_raw(code << 8),
        stdout,
        stderr,
    };
    Some(Traced {
        ran: Ran(output),
        asked,
    })
}

/// Leads the process and its threads through their system calls. Returns its exit code, and how often
/// it asked for random bytes.
fn trace(process: Pid, failing: Failing) -> (i32, usize) {
    let group = Pid::from_raw(-process.as_raw());
    let (mut asked, mut inside) = (0, BTreeMap::new());
    let mut is_command = false;
    loop {
        let status = match waitpid(group, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::Exited(pid, code) if pid == process => return (code, asked),
            WaitStatus::Signaled(pid, signal, _) if pid == process => panic!("killed by {signal}"),
            status => status,
        };
        let Some(thread) = status.pid() else { continue };
        let signal = match status {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => continue,
            WaitStatus::PtraceEvent(_, _, event) => {
                is_command |= event == nix::libc::PTRACE_EVENT_EXEC;
                None
            }
            WaitStatus::PtraceSyscall(_) => {
                let mut registers = ptrace::getregs(thread).unwrap();
                if let Some(errno) = inside.remove(&thread) {
                    if let Some(errno) = errno {
                        registers.rax = i64::from(-(errno as i32)).cast_unsigned();
                        ptrace::setregs(thread, registers).unwrap();
                    }
                } else {
                    let errno = (is_command)
                        .then(|| failure(thread, &registers, failing, &mut asked))
                        .flatten();
                    if errno.is_some() {
                        // No call of this number: nothing is done.
                        registers.orig_rax = u64::MAX;
                        ptrace::setregs(thread, registers).unwrap();
                    }
                    inside.insert(thread, errno);
                }
                None
            }
            WaitStatus::Stopped(_, nix::sys::signal::Signal::SIGSTOP) => None,
            WaitStatus::Stopped(_, signal) => Some(signal),
            _ => None,
        };
        // It may have been ended by another of its threads.
        let _ = ptrace::syscall(thread, signal);
    }
}

/// Decides whether a call that begins is to fail.
fn failure(
    thread: Pid,
    registers: &nix::libc::user_regs_struct,
    failing: Failing,
    asked: &mut usize,
) -> Option<Errno> {
    let number = i64::try_from(registers.orig_rax).ok()?;
    if number == SYS_getrandom {
        // Without flags, and for at least one byte: the others are hash seeds, and a look at whether
        // there is such a call.
        let counts = registers.rdx == 0 && registers.rsi > 0;
        let before = *asked;
        *asked += usize::from(counts);
        return match failing {
            Failing::From(first) => (counts && before >= first).then_some(Errno::EIO),
            Failing::All(errno) => (registers.rdx == 0).then_some(errno),
            Failing::Never => None,
        };
    }
    let is_device = number == SYS_openat && {
        let mut path = [0; 13];
        let memory = fs::File::open(format!("/proc/{thread}/mem")).unwrap();
        memory.read_exact_at(&mut path, registers.rsi).is_ok()
            && (path.starts_with(b"/dev/urandom\0") || path.starts_with(b"/dev/random\0"))
    };
    (is_device && matches!(failing, Failing::All(_))).then_some(Errno::ENOENT)
}

/// Everything beneath a directory: files with their content, directories without. Locks stay behind
/// by design, and hold nothing.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.file_name().unwrap() != ".strongroom.lock" {
                let content = fs::read(&path).unwrap();
                found.insert(path.to_str().unwrap().to_owned(), content);
            }
        }
    }
    found
}

/// A project that keeps no records of its sealed file, where the source may fail without harm: the
/// next reading makes them.
fn unrecorded(project: Project) -> Project {
    let room = project.room.var("XDG_STATE_HOME", "/dev/null");
    Project { room, ..project }
}

/// Runs a command whose random source fails at its first use, then at its second, until it
/// succeeds: each failure is one that says so, and changes nothing anywhere.
fn fails_cleanly(project: &Project, arguments: &[&str], input: &str) {
    let everything = || {
        let mut all = contents(&project.room.path(""));
        all.extend(contents(&project.home("")));
        all
    };
    let before = everything();
    let broken = |failing| run(project, arguments, input.as_bytes(), failing);
    let check = |traced: Traced, failing: Failing| {
        let what = format!("{arguments:?} {failing:?}");
        let (ran, shown) = (&traced.ran, traced.ran.stderr());
        assert_eq!(ran.code(), 5, "{what}: {shown}");
        assert!(shown.contains("random source failed"), "{what}: {shown}");
        assert!(shown.contains("help: "), "{what}: {shown}");
        assert!(
            !shown.contains("panicked") && !shown.contains(TOKEN),
            "{what}: {shown}"
        );
        assert_eq!(ran.stdout(), "", "{what}");
        let after = everything();
        let changed = |path: &&String| before.get(*path) != after.get(*path);
        let changed: Vec<_> = before.keys().chain(after.keys()).filter(changed).collect();
        assert!(changed.is_empty(), "{what}: {changed:?}");
    };
    for errno in [Errno::ENOSYS, Errno::EPERM, Errno::EIO] {
        let failing = Failing::All(errno);
        let Some(traced) = broken(failing) else {
            return;
        };
        check(traced, failing);
    }
    for first in 0.. {
        let failing = Failing::From(first);
        let Some(traced) = broken(failing) else {
            return;
        };
        if traced.asked <= first {
            let traced = traced.ran.ends(0);
            assert!(first > 0, "it draws nothing: {}", traced.stderr());
            return;
        }
        check(traced, failing);
    }
}

#[test]
fn init_without_random_bytes_leaves_nothing() {
    let project = unrecorded(Project::new());
    let recovery = project.home_text("recovery.key");
    fails_cleanly(&project, &["init", "--recovery", &recovery], "");
    assert!(project.key_file().is_file() && Path::new(&recovery).is_file());
    project.run(&["list"]).ends(0);
}

#[test]
fn writing_without_random_bytes_changes_nothing() {
    let project = unrecorded(Project::begun());
    fails_cleanly(&project, &["set", "api/token"], TOKEN);
    project.run(&["get", "api/token"]).ends(0);
    fails_cleanly(
        &project,
        &["generate", "--force", "session/signing-key"],
        "",
    );
    fails_cleanly(&project, &["rm", "api/token"], "");
}

#[test]
fn keys_without_random_bytes_change_nothing() {
    let project = unrecorded(Project::begun());
    let second = project.home_text("second.key");
    fails_cleanly(
        &project,
        &["key", "add", "second", "--key-file", &second],
        "",
    );
    fails_cleanly(&project, &["key", "rotate", "--key-file", &second], "");
    fails_cleanly(&project, &["key", "remove", "second"], "");
}

#[test]
fn a_rotation_without_random_bytes_changes_nothing() {
    let project = unrecorded(Project::begun());
    fails_cleanly(&project, &["rotate", "session/signing-key"], "");
}

#[test]
fn plain_files_without_random_bytes_change_nothing() {
    let project = Project::new();
    let room = project.room.var("STRONGROOM_ENV", "development");
    let room = room
        .file("values/api/token", "old")
        .file("values.env", "API_TOKEN=old\n");
    let project = Project { room, ..project };
    for provider in ["file:values", "file:values.env"] {
        fails_cleanly(
            &project,
            &["--provider", provider, "set", "api/token"],
            TOKEN,
        );
    }
}

/// Reading needs none: a service starts whatever the source does.
#[test]
fn secrets_are_read_without_random_bytes() {
    let project = Project::begun();
    let arguments = ["get", "session/signing-key"];
    let value = project.run(&arguments).ends(0).stdout();
    let Some(traced) = run(&project, &arguments, b"", Failing::All(Errno::ENOSYS)) else {
        return;
    };
    assert_eq!(traced.ran.ends(0).stdout(), value);
    assert_eq!(traced.asked, 0);
    let never = run(
        &project,
        &["set", "api/token"],
        TOKEN.as_bytes(),
        Failing::Never,
    );
    let never = never.unwrap();
    never.ran.ends(0);
    assert!(
        never.asked > 0,
        "the calls can't be seen here: {FILE} was written without one"
    );
}
