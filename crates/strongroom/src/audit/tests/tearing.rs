//! What a crash in the middle of a write leaves.

use super::*;

#[test]
fn a_line_torn_at_every_byte_is_recorded_and_nothing_before_it_is_lost() {
    let (_dir, path) = log_of(2);
    let text = fs::read(&path).unwrap();
    let whole: Vec<_> = (0..text.len()).filter(|at| text[*at] == b'\n').collect();
    for end in 0..text.len() {
        fs::write(&path, &text[..end]).unwrap();
        let is_torn = end > 0 && !whole.contains(&(end - 1));
        if is_torn {
            refused(&path, None);
        }
        let mut writer = chain(&path);
        writer.append(&[record(9)]).unwrap();
        writer.append(&[record(10)]).unwrap();

        let now = fs::read(&path).unwrap();
        assert!(
            now.starts_with(&text[..end]),
            "{end}: something was trimmed"
        );
        let verified = verify(&path, &key(), None).unwrap();
        // One that lacks nothing but its newline is whole.
        let kept = whole.iter().filter(|at| **at <= end).count() as u64;
        let header = u64::from(kept == 0);
        assert_eq!(verified.events, kept + header + 2, "{end}");
        let is_noted = is_torn && !whole.contains(&end);
        assert_eq!(verified.notes.len(), usize::from(is_noted), "{end}");
    }
}

#[test]
fn a_line_torn_twice_is_recorded_as_a_whole() {
    let (_dir, path) = log_of(2);
    let text = fs::read(&path).unwrap();
    let mut writer = chain(&path);
    writer.append(&[record(5)]).unwrap();
    let next = fs::read(&path).unwrap()[text.len()..].to_vec();
    for (first, second) in [(1, 1), (40, 3), (next.len() - 2, next.len() - 2), (7, 0)] {
        // The second one began with the newline that ends the first.
        let torn = [&text[..], &next[..first], b"\n", &next[..second]].concat();
        fs::write(&path, &torn).unwrap();
        chain(&path).append(&[record(6)]).unwrap();
        let verified = verify(&path, &key(), None).unwrap();
        assert_eq!(
            (verified.events, verified.notes.len()),
            (4, 1),
            "{first} {second}"
        );
    }
}

#[test]
fn what_a_crash_left_can_be_neither_changed_nor_taken_away() {
    let (_dir, path) = log_of(1);
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 30]).unwrap();
    chain(&path).append(&[record(9)]).unwrap();
    let text = fs::read(&path).unwrap();
    verify(&path, &key(), None).unwrap();
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        refused(&path, None);
    }
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(&path, [lines[0], lines[2]].concat()).unwrap();
    refused(&path, None);
}

#[test]
fn a_failed_append_leaves_no_half_line_and_later_ones_go_on() {
    let (_dir, path) = log_of(1);
    let mut writer = chain(&path);
    writer.append(&[record(1)]).unwrap();
    let before = fs::read(&path).unwrap();
    // A directory in place of the lock is no lock.
    let lock = path.with_file_name("audit.jsonl.lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert!(writer.append(&[record(2)]).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_dir(&lock).unwrap();
    writer.append(&[record(3)]).unwrap();
    assert_eq!(verify(&path, &key(), None).unwrap().events, 4);
}
