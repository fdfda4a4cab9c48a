//! Writes that find no room.

use std::fs;

use super::child::Writer;
use super::{NAME, Room};

#[test]
fn a_write_that_finds_no_room_leaves_the_old_file() {
    let room = Room::new();
    let (old, new) = ("old-".repeat(4096), "new-".repeat(4096));
    room.put(&old);
    let before = fs::read(room.path()).unwrap();
    // A block is 512 or 1024 bytes, and the new file would have more than 64 KiB: with each limit the
    // write stops somewhere else.
    for blocks in [0, 1, 2, 7, 20, 40] {
        let mut writer = Writer::start_limited(&room, blocks);
        writer.order(&NAME, &new);
        let answers = writer.finish();
        let [answer] = answers.as_slice() else {
            panic!("{answers:?}");
        };
        assert!(answer.starts_with("Transient: can't write"), "{answer}");
        assert!(answer.contains("secrets.sealed"), "{answer}");
        assert!(answer.contains("too large"), "{answer}");
        assert!(!answer.contains("new-"));
        assert_eq!(fs::read(room.path()).unwrap(), before, "{blocks} blocks");
        let leftovers = room.leftovers(&["old-old-", "new-new-"]);
        assert!(leftovers.is_empty(), "{leftovers:?}");
        assert!(room.value() == old);
    }
    let mut writer = Writer::start_limited(&room, 1024);
    writer.order(&NAME, &new);
    assert_eq!(writer.finish(), ["done"]);
    assert!(room.value() == new);
}
