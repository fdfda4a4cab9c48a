use std::thread;

use super::*;

fn filled(byte: u8, length: usize) -> Locked {
    Locked::copy_of(&vec![byte; length]).unwrap()
}

fn is_filled(locked: &Locked, byte: u8, length: usize) -> bool {
    locked.as_ref().len() == length && locked.as_ref().iter().all(|found| *found == byte)
}

#[test]
fn values_of_every_size_stand_beside_each_other() {
    let sizes = [
        0,
        1,
        63,
        64,
        65,
        300,
        4096,
        4097,
        REGION - 1,
        REGION,
        REGION + 1,
    ];
    let all: Vec<_> = (1..)
        .zip(sizes)
        .map(|(byte, size)| (byte, size, filled(byte, size)))
        .collect();
    for (byte, size, locked) in &all {
        assert!(is_filled(locked, *byte, *size), "{size}");
    }
}

#[test]
fn small_values_share_a_region_and_memory_is_used_again() {
    let mut arena = Vec::new();
    let values: Vec<_> = (0..REGION / GRANULE)
        .map(|_| take(&mut arena, 40).unwrap())
        .collect();
    assert_eq!(arena.len(), 1);
    let one_more = take(&mut arena, 1).unwrap();
    assert_eq!(arena.len(), 2);
    give_back(&mut arena, one_more, 1);
    assert_eq!(arena.len(), 1, "an empty region is given back");
    // Two in a row make room for one of twice the size, and nothing else does.
    give_back(&mut arena, values[7], 40);
    give_back(&mut arena, values[9], 40);
    let elsewhere = take(&mut arena, 100).unwrap();
    assert_eq!(arena.len(), 2);
    give_back(&mut arena, values[8], 40);
    assert_eq!(take(&mut arena, 100).unwrap(), values[7]);
    give_back(&mut arena, elsewhere, 100);
    assert_eq!(arena.len(), 1);
}

#[test]
fn many_threads_get_memory_of_their_own() {
    let rounds = if cfg!(miri) { 5 } else { 500 };
    thread::scope(|scope| {
        for byte in 1..=8 {
            scope.spawn(move || {
                for round in 0..rounds {
                    let length = 1 + (round * usize::from(byte) * 37) % 1500;
                    let locked = filled(byte, length);
                    thread::yield_now();
                    assert!(is_filled(&locked, byte, length));
                    let moved = thread::spawn(move || is_filled(&locked, byte, length));
                    assert!(round % 50 != 0 || moved.join().unwrap());
                }
            });
        }
    });
}

#[test]
#[cfg(all(target_os = "linux", not(miri)))]
fn what_is_given_back_is_wiped() {
    use std::os::unix::fs::FileExt as _;

    // Keeps the region, so that its memory can be read behind the allocator's back.
    let _beside = filled(1, 1);
    let locked = filled(0xa5, 1000);
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let (address, mut found) = (locked.start.addr().get() as u64, vec![0; 1000]);
    memory.read_exact_at(&mut found, address).unwrap();
    assert!(found.iter().all(|byte| *byte == 0xa5));
    drop(locked);
    // Other tests of this process may have taken it by now; they never fill it with this byte.
    if memory.read_exact_at(&mut found, address).is_ok() {
        assert!(found.iter().all(|byte| *byte != 0xa5));
    }
}

#[test]
#[cfg(all(target_os = "linux", not(miri)))]
fn the_system_says_that_the_memory_is_locked_and_in_no_core_dump() {
    let locked = filled(1, 40);
    let address = locked.start.addr().get();
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut ours = false;
    for line in maps.lines() {
        if let Some((from, to)) = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'))
            && let (Ok(from), Ok(to)) = (
                usize::from_str_radix(from, 16),
                usize::from_str_radix(to, 16),
            )
        {
            ours = (from..to).contains(&address);
        }
        if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| ours) {
            // Locked, not dumped, not copied to a child.
            for flag in ["lo", "dd", "dc"] {
                assert!(
                    flags.split(' ').any(|found| found == flag),
                    "{flag} is not in{flags}"
                );
            }
            return;
        }
    }
    panic!("the mapping is not listed");
}
