//! Locked memory from outside, and where the system locks no more of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::backends::{Room, write};
use super::child::as_user;
use super::{Copies, Holder};

/// Whether all memory around an address of a process is locked and in no core dump.
fn is_locked(process: u32, address: u64) -> bool {
    let maps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let mut ours = false;
    for line in maps.lines() {
        let range = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        if let Some((Ok(from), Ok(to))) =
            range.map(|(from, to)| (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)))
        {
            ours = (from..to).contains(&address);
        }
        if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| ours) {
            return ["lo", "dd"]
                .iter()
                .all(|flag| flags.split(' ').any(|found| found == *flag));
        }
    }
    panic!("{address:#x} is not mapped");
}

#[test]
fn the_one_copy_of_a_value_is_in_locked_memory() {
    let room = Room::new();
    write(&room.dir.path().join("app_token"), room.canary.text());
    let holder = Holder::start(&format!("file:{}", room.dir.path().display())).live();
    let Some(copies) = Copies::find(holder.id(), &room.canary) else {
        return;
    };
    let addresses: Vec<_> = copies.addresses().collect();
    assert_eq!(addresses.len(), 1, "{copies}");
    assert!(is_locked(holder.id(), addresses[0]), "{copies}");
}

/// Root may lock without a limit.
#[test]
fn a_value_that_cannot_be_locked_stops_the_boot() {
    let room = Room::new();
    let path = room.dir.path().join("app_token");
    write(&path, room.canary.text());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(room.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let address = format!("file:{}", room.dir.path().display());
    for (limit, boots) in [("0", false), ("64", true)] {
        let Some(mut shell) = as_user("sh") else {
            return;
        };
        shell.args(["-c", "ulimit -l \"$1\"; shift; exec \"$@\"", "sh", limit]);
        shell.arg(std::env::current_exe().unwrap());
        let holder = Holder::start_in(&address, shell);
        if boots {
            holder.live();
        } else {
            let refusal = holder.refused();
            assert!(refusal.starts_with("Config"), "{refusal}");
            assert!(refusal.contains("RLIMIT_MEMLOCK"), "{refusal}");
        }
    }
}
