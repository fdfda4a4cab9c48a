//! Two branches of one file.

use super::*;

/// Two copies of one file, and what they come from.
struct Branches {
    base: Vec<u8>,
    ours: Room,
    theirs: Room,
}

fn branches(prepare: impl FnOnce(&Room)) -> Branches {
    let ours = Room::new();
    prepare(&ours);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.sealed"), ours.bytes()).unwrap();
    let file = SealedFile::open(dir.path().join("s.sealed"), ours.key.clone()).unwrap();
    let key = ours.key.clone();
    Branches {
        base: ours.bytes(),
        ours,
        theirs: Room { dir, key, file },
    }
}

impl Branches {
    fn merge(&self) -> Result<Merged> {
        self.merge_with(&self.ours.key)
    }

    fn merge_with(&self, key: &SlotKey) -> Result<Merged> {
        merge(&self.base, &self.ours.bytes(), &self.theirs.bytes(), key)
    }
}

#[track_caller]
fn value(merged: &Merged, key: &SlotKey, name: &SecretName) -> Option<String> {
    let unlocked = unlock(merged.file.clone(), key).unwrap();
    match unlocked.read(name.as_str(), &Stage::Current) {
        Ok(secret) => Some(secret.expose_str().unwrap().to_owned()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Absent);
            None
        }
    }
}

const C: SecretName = SecretName::from_static("c");
const D: SecretName = SecretName::from_static("d");

#[test]
fn different_names_merge() {
    let b = branches(|room| {
        for name in [&A, &B, &C] {
            room.put(name, "base");
        }
    });
    b.ours.put(&A, "ours");
    b.ours.put(&D, "new");
    b.theirs.put(&B, "theirs");
    b.theirs.file.delete(&C, &Expect::Any).unwrap();
    let merged = b.merge().unwrap();
    assert!(merged.conflicts.is_empty(), "{:?}", merged.conflicts);
    let found = [&A, &B, &C, &D].map(|name| value(&merged, &b.ours.key, name));
    let found = found.each_ref().map(|found| found.as_deref());
    assert_eq!(found, [Some("ours"), Some("theirs"), None, Some("new")]);
    let text = String::from_utf8(merged.file.clone()).unwrap();
    let line = |room: &Room, name: &SecretName| {
        let text = room.text();
        let found = text
            .lines()
            .find(|line| line.starts_with(&format!("entry {name} ")));
        found.unwrap().to_owned()
    };
    assert!(text.contains(&line(&b.ours, &A)) && text.contains(&line(&b.theirs, &B)));
    let unlocked = unlock(merged.file, &b.ours.key).unwrap();
    assert_eq!(unlocked.document.epoch, 7, "the larger epoch and one");
}

#[test]
fn the_same_name_is_a_conflict_that_keeps_ours() {
    let b = branches(|room| {
        room.put(&A, "base");
        room.put(&B, "base");
    });
    b.ours.put(&A, "ours");
    b.theirs.put(&A, "theirs");
    b.ours.file.delete(&B, &Expect::Any).unwrap();
    b.theirs.put(&B, "theirs");
    b.theirs.put(&C, "theirs");
    let merged = b.merge().unwrap();
    assert_eq!(merged.conflicts.len(), 2);
    assert_eq!(merged.conflicts[0].name.as_ref(), Some(&A));
    let found = [&A, &B, &C].map(|name| value(&merged, &b.ours.key, name));
    let found = found.each_ref().map(|found| found.as_deref());
    assert_eq!(found, [Some("ours"), Some("theirs"), Some("theirs")]);
}

#[test]
fn a_removed_slot_stays_removed_and_its_holder_knows_no_new_key() {
    let b = branches(|room| {
        room.put(&A, "base");
        room.file.add_slot(&cheap("leaver", PASSPHRASE)).unwrap();
    });
    let leaver = passphrase(PASSPHRASE);
    let slots = b.ours.file.slots().unwrap();
    let slot = &slots.iter().find(|slot| slot.label == "leaver").unwrap().id;
    b.theirs.file.remove_slots(&[slot], &[]).unwrap();
    b.ours.put(&A, "ours");
    let merged = b.merge().unwrap();
    assert!(merged.conflicts.is_empty());
    assert_eq!(value(&merged, &b.ours.key, &A).as_deref(), Some("ours"));
    assert_eq!(
        kind(unlock(merged.file.clone(), &leaver)),
        ErrorKind::Denied
    );
    let old = unlock(b.ours.bytes(), &leaver).unwrap().data.key;
    assert_ne!(*unlock(merged.file, &b.ours.key).unwrap().data.key, *old);
}

#[test]
fn where_each_side_removed_another_slot_the_data_key_is_new() {
    let b = branches(|room| {
        room.put(&A, "base");
        room.file.add_slot(&cheap("one", PASSPHRASE)).unwrap();
        room.file
            .add_slot(&cheap("two", "eight bells under the new bridge"))
            .unwrap();
    });
    let (one, two) = (
        passphrase(PASSPHRASE),
        passphrase("eight bells under the new bridge"),
    );
    let slots = b.ours.file.slots().unwrap();
    let id = |label: &str| {
        slots
            .iter()
            .find(|slot| slot.label == label)
            .unwrap()
            .id
            .clone()
    };
    b.ours
        .file
        .remove_slots(&[&id("one")], std::slice::from_ref(&two))
        .unwrap();
    b.theirs
        .file
        .remove_slots(&[&id("two")], std::slice::from_ref(&one))
        .unwrap();
    let merged = b.merge().unwrap();
    let new = unlock(merged.file.clone(), &b.ours.key).unwrap().data.key;
    for (side, leaver) in [(&b.ours, &two), (&b.theirs, &one)] {
        assert_eq!(kind(unlock(merged.file.clone(), leaver)), ErrorKind::Denied);
        assert_ne!(*unlock(side.bytes(), leaver).unwrap().data.key, *new);
    }
    assert_eq!(value(&merged, &b.ours.key, &A).as_deref(), Some("base"));
}

#[test]
fn a_slot_added_beside_a_new_data_key_must_be_added_again() {
    let b = branches(|room| {
        room.put(&A, "base");
    });
    b.ours.file.rotate(&[]).unwrap();
    b.theirs.file.add_slot(&cheap("new", PASSPHRASE)).unwrap();
    b.theirs.put(&A, "theirs");
    let merged = b.merge().unwrap();
    assert_eq!(merged.conflicts.len(), 1);
    assert!(merged.conflicts[0].message.contains("`new`"));
    assert_eq!(value(&merged, &b.ours.key, &A).as_deref(), Some("theirs"));
    // Without a new data key it just merges.
    let b = branches(|_| {});
    b.theirs.file.add_slot(&cheap("new", PASSPHRASE)).unwrap();
    b.ours.put(&A, "ours");
    let merged = b.merge().unwrap();
    assert!(merged.conflicts.is_empty());
    assert_eq!(
        value(&merged, &passphrase(PASSPHRASE), &A).as_deref(),
        Some("ours")
    );
}

#[test]
fn what_cannot_be_trusted_is_not_merged() {
    let b = branches(|room| {
        room.put(&A, "base");
    });
    b.ours.put(&A, "ours");
    b.theirs.put(&B, "theirs");
    assert_eq!(
        kind(b.merge_with(&SlotKey::generate().unwrap())),
        ErrorKind::Denied
    );
    let (ours, theirs) = (b.ours.bytes(), b.theirs.bytes());
    let broken = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .unwrap()
            .replacen("epoch ", "epoch 1", 1)
            .into_bytes()
    };
    for (base, ours, theirs) in [
        (broken(&b.base), ours.clone(), theirs.clone()),
        (b.base.clone(), broken(&ours), theirs.clone()),
        (b.base.clone(), ours.clone(), broken(&theirs)),
    ] {
        assert_eq!(
            kind(merge(&base, &ours, &theirs, &b.ours.key)),
            ErrorKind::Integrity
        );
    }
    let slot = NewSlot::new("same", b.ours.key.clone());
    let path = b.ours.dir.path().join("other.sealed");
    SealedFile::create(&path, FileId::random().unwrap(), &slot).unwrap();
    let other = fs::read(path).unwrap();
    assert_eq!(
        kind(merge(&b.base, &ours, &other, &b.ours.key)),
        ErrorKind::Conflict
    );
    // Both sides added the file's first names: there is no base.
    let merged = merge(&[], &ours, &theirs, &b.ours.key).unwrap();
    assert_eq!(merged.conflicts.len(), 1);
}

#[test]
fn an_outline_needs_no_key_and_shows_no_value() {
    let room = Room::new();
    room.put(&A, "canary");
    let version = room.put(&A, "canary");
    let outline = Outline::read(room.bytes()).unwrap();
    assert_eq!(outline.id, room.file.id());
    assert_eq!(outline.entries[0].version, version);
    assert!(outline.entries[0].previous.is_some());
    let shown = outline.to_string();
    assert!(
        shown.contains(&format!("{A} {version}\n")) && !shown.contains("canary"),
        "{shown}"
    );
    assert_eq!(kind(Outline::read("x")), ErrorKind::Malformed);
}
