//! A writer killed at every system call of a write, and at random moments.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use strongroom::Env;

use super::child::Writer;
use super::mutator::Random;
use super::{NAME, Room};

#[test]
fn a_kill_at_any_system_call_leaves_the_old_file_or_the_new_one() {
    let room = Room::new();
    room.put("value-old");
    let (mut old, mut new, mut left) = (0, 0, 0);
    for stop in 1.. {
        let value = format!("value-of-stop-{stop}");
        let before = room.value();
        let Some(done) = kill_at(&room, stop, &value) else {
            return;
        };
        let found = room.value();
        if found == value {
            new += 1;
        } else {
            assert_eq!(found, before, "stop {stop}");
            assert!(!done, "stop {stop}: a write that was done is lost");
            old += 1;
        }
        for path in room.leftovers(&["value-o"]) {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "stop {stop}: {}", path.display());
            fs::remove_file(path).unwrap();
            left += 1;
        }
        if done {
            break;
        }
    }
    eprintln!("{old} kills left the old file, {new} the new one, {left} a temporary file too");
    assert!(old > 20 && new > 1 && left > 5, "{old}, {new}, {left}");
}

/// Has a writer write a value, and kills it at the given stop: each system call is one when it begins
/// and one when it ends. Returns whether it had reported the write as done, and nothing where tracing
/// is refused.
fn kill_at(room: &Room, stop: usize, value: &str) -> Option<bool> {
    let mut writer = Writer::start(room);
    let process = Pid::from_raw(writer.child.id().try_into().unwrap());
    let thread = writing_thread(process);
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
    if let Err(error) = ptrace::seize(thread, options) {
        writer.kill();
        let refused = error == Errno::EPERM && !Env::process().has("CI");
        assert!(refused, "can't trace a process: {error}");
        eprintln!("not tested: this system lets no process trace another");
        return None;
    }
    ptrace::interrupt(thread).unwrap();
    wait(thread);
    writer.order(&NAME, value);
    let mut stops = 0;
    while stops < stop {
        ptrace::syscall(thread, None).unwrap();
        match wait(thread) {
            Some(WaitStatus::PtraceSyscall(_)) => stops += 1,
            Some(_) => {}
            None => panic!("the writer ended before stop {stop}"),
        }
    }
    nix::sys::signal::kill(process, nix::sys::signal::SIGKILL).unwrap();
    // Its other threads are told of its end only after this one was waited for.
    while wait(thread).is_some() {}
    Some(writer.kill().iter().any(|answer| answer == "done"))
}

/// Waits for the next stop of a thread; `None` once it has ended.
fn wait(thread: Pid) -> Option<WaitStatus> {
    match waitpid(thread, Some(WaitPidFlag::__WALL)) {
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD) => None,
        status => Some(status.unwrap()),
    }
}

/// The one thread that the harness runs the writer in.
fn writing_thread(process: Pid) -> Pid {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let id = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.unwrap().file_name();
        Pid::from_raw(name.to_str().unwrap().parse().unwrap())
    };
    let others: Vec<Pid> = threads.map(id).filter(|id| *id != process).collect();
    match others.as_slice() {
        [] => process,
        [one] => *one,
        _ => panic!("{others:?}: which of the threads writes?"),
    }
}

#[test]
fn a_kill_at_a_random_moment_loses_at_most_the_write_at_work() {
    kills_during(200);
}

#[test]
#[ignore = "the same for longer; CONTRIBUTING.md says when and how"]
fn a_kill_at_a_random_moment_of_1000_writes() {
    kills_during(1_000);
}

fn kills_during(writes: usize) {
    let room = Room::new();
    let mut random = Random::new(3);
    let (mut done, mut kills, mut ahead) = (0, 0, 0);
    room.put("value-0");
    while done < writes {
        let mut writer = Writer::start(&room);
        for n in 1..=1_000 {
            writer.order(&NAME, &format!("value-{}", done + n));
        }
        // Where exactly it stops is the machine's choice, and every place is fine. A slow machine gets
        // more and more time.
        let moment = random.below(40_000 + 500 * kills);
        thread::sleep(Duration::from_micros(moment as u64));
        let answers = writer.kill();
        assert!(answers.iter().all(|answer| answer == "done"), "{answers:?}");
        kills += 1;
        let (last, found) = (done + answers.len(), room.value());
        let found: usize = found.strip_prefix("value-").unwrap().parse().unwrap();
        assert!(
            found == last || found == last + 1,
            "{last} was the last one done, and {found} is there"
        );
        ahead += found - last;
        done = found;
        for path in room.leftovers(&["value-"]) {
            fs::remove_file(path).unwrap();
        }
    }
    eprintln!("{kills} kills in {done} writes; {ahead} had written and not yet said so");
    assert!(kills > 1);
}
