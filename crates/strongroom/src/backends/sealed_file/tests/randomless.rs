//! A random source that fails at each of its uses: an error, and nothing on the disk has changed.

use std::collections::BTreeMap;

use super::*;
use crate::random::failing;

/// What is in a directory. The lock stays, as it does after any write.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    let all = fs::read_dir(dir).unwrap().map(entry);
    all.filter(|(name, _)| name != ".strongroom.lock").collect()
}

/// Does something with a source that fails at its first use, then at its second, until it succeeds.
/// Returns how often it draws.
fn fails_cleanly<T>(dir: &Path, work: impl Fn() -> Result<T>) -> usize {
    let before = contents(dir);
    for draws in 0.. {
        match failing::after(draws, &work) {
            Ok(_) => return draws,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Transient, "{draws}: {error:?}");
                assert_eq!(contents(dir), before, "after {draws} draws");
            }
        }
    }
    unreachable!("it never succeeded");
}

#[test]
fn every_write_of_a_sealed_file_without_random_bytes_is_an_error_that_changes_nothing() {
    let room = Room::new();
    let dir = room.dir.path();
    let slot = NewSlot::new("test", room.key.clone());
    let id = room.file.id();
    // Salt, nonce and id of a slot, the data key, the name of the temporary file.
    let drawn = fails_cleanly(dir, || SealedFile::create(dir.join("new"), id, &slot));
    assert!(drawn >= 5, "{drawn}");
    let value = Secret::from_text("correct horse");
    // Salt and nonce of the entry, the id of its version, the name of the temporary file.
    let drawn = fails_cleanly(dir, || room.file.put(&A, &value, &Expect::Any));
    assert!(drawn >= 4, "{drawn}");
    let first = room.file.versions(&A).unwrap()[0].version.clone();
    room.put(&A, "battery staple");
    let other = SlotKey::generate().unwrap();
    let added = || room.file.add_slot(&NewSlot::new("second", other.clone()));
    assert!(fails_cleanly(dir, added) >= 4);
    let others = [other.clone()];
    assert!(fails_cleanly(dir, || room.file.rotate(&others)) >= 10);
    let slots = room.file.slots().unwrap();
    let second = slots.into_iter().find(|slot| slot.label == "second");
    let second = second.unwrap().id;
    assert!(fails_cleanly(dir, || room.file.remove_slots(&[&second], &[])) >= 6);
    assert!(fails_cleanly(dir, || room.file.promote(&A, &first)) >= 1);
    assert!(fails_cleanly(dir, || room.file.delete(&A, &Expect::Any)) >= 1);
}

#[test]
fn nothing_that_names_or_opens_a_file_is_made_without_random_bytes() {
    failing::after(0, || {
        assert_eq!(kind(SlotKey::generate()), ErrorKind::Transient);
        assert_eq!(kind(FileId::random()), ErrorKind::Transient);
    });
}

/// Nothing is drawn for it, so that a service reads its secrets whatever the source does.
#[test]
fn a_sealed_file_is_read_without_random_bytes() {
    let room = Room::new();
    room.put(&A, "correct horse");
    failing::after(0, || {
        let file = SealedFile::open(room.path(), room.key.clone()).unwrap();
        assert!(
            file.get(&A, &Stage::Current)
                .unwrap()
                .verify("correct horse")
        );
        assert_eq!(file.list().unwrap().len(), 1);
    });
}
