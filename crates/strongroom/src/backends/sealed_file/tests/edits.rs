//! Every edit is refused before a value is decrypted.

use super::*;

const REFUSALS: [ErrorKind; 4] = [
    ErrorKind::Malformed,
    ErrorKind::Unsupported,
    ErrorKind::Denied,
    ErrorKind::Integrity,
];

fn fixture() -> Room {
    let room = Room::new();
    room.put(&A, "first");
    room.put(&A, "second");
    room.put(&B, "another");
    room.file.add_slot(&cheap("recovery", PASSPHRASE)).unwrap();
    unlock(room.bytes(), &room.key).unwrap();
    room
}

#[track_caller]
fn refused(bytes: Vec<u8>, key: &SlotKey, what: &str) {
    match unlock(bytes, key) {
        Ok(_) => panic!("{what}: accepted"),
        Err(error) => assert!(REFUSALS.contains(&error.kind()), "{what}: {error:?}"),
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let room = fixture();
    let bytes = room.bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            refused(flipped, &room.key, &format!("bit {bit} of byte {at}"));
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    let room = fixture();
    let bytes = room.bytes();
    for length in 0..bytes.len() {
        refused(
            bytes[..length].to_vec(),
            &room.key,
            &format!("{length} bytes"),
        );
    }
    for more in [" ", "\n", "\r\n", "x", "seal "] {
        refused([&bytes[..], more.as_bytes()].concat(), &room.key, more);
    }
    refused([&bytes[..], &bytes[..]].concat(), &room.key, "twice");
    refused(
        [&[0xef, 0xbb, 0xbf], &bytes[..]].concat(),
        &room.key,
        "a byte-order mark",
    );
    let converted = room.text().replace('\n', "\r\n");
    refused(converted.into_bytes(), &room.key, "CRLF");
}

#[test]
fn every_line_deleted_duplicated_or_moved_is_refused() {
    let room = fixture();
    let text = room.text();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let mut deleted = lines.clone();
        let line = deleted.remove(at);
        refused(
            deleted.concat().into_bytes(),
            &room.key,
            &format!("line {at} deleted"),
        );
        for to in 0..=lines.len() {
            let mut duplicated = lines.clone();
            duplicated.insert(to, line);
            let what = format!("line {at} again at {to}");
            refused(duplicated.concat().into_bytes(), &room.key, &what);
        }
        for to in (0..lines.len()).filter(|to| *to != at) {
            let mut swapped = lines.clone();
            swapped.swap(at, to);
            let what = format!("lines {at} and {to} swapped");
            refused(swapped.concat().into_bytes(), &room.key, &what);
            let mut moved = deleted.clone();
            moved.insert(to, line);
            let what = format!("line {at} moved to {to}");
            refused(moved.concat().into_bytes(), &room.key, &what);
        }
    }
}

#[test]
fn a_line_of_an_older_state_is_refused() {
    let room = fixture();
    let old = room.text();
    room.put(&A, "third");
    room.put(&B, "another still");
    let new = room.text();
    let words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut exchanged = 0;
    for line in new.lines() {
        let of_same = |other: &&str| words(other) == words(line) || line.starts_with("epoch");
        for other in old.lines().filter(of_same).filter(|other| *other != line) {
            let mixed = new.replacen(line, other, 1);
            refused(mixed.into_bytes(), &room.key, other);
            exchanged += 1;
        }
    }
    assert!(exchanged >= 4, "{exchanged}");
}

/// What a holder of the data key could do wrong: the seal holds, the entry does not.
#[test]
fn an_entry_opens_only_in_its_own_line_and_file() {
    let room = fixture();
    let unlocked = unlock(room.bytes(), &room.key).unwrap();
    let (line, previous) = unlocked.document.lines_of(A.as_str()).unwrap();
    let (line, previous) = (line.to_owned(), previous.unwrap().to_owned());
    let field = |at: usize| line.split(' ').nth(at).unwrap().to_owned();
    let old = |at: usize| previous.split(' ').nth(at).unwrap().to_owned();
    let other = room
        .text()
        .lines()
        .find(|l| l.contains(B.as_str()))
        .unwrap()
        .to_owned();
    let foreign = |at: usize| other.split(' ').nth(at).unwrap().to_owned();
    let edits = [
        line.replacen(A.as_str(), "database/passwore", 1),
        line.replacen(&field(2), "9-0123456789abcdef", 1),
        line.replacen(&field(3), "1", 1),
        line.replacen(&field(4), &old(5), 1),
        line.replacen(&field(5), &old(6), 1),
        line.replacen(&field(6), &old(7), 1),
        line.replacen(&field(6), &foreign(6), 1),
        format!(
            "entry {} {} {} {} {} {}",
            field(1),
            old(2),
            old(3),
            old(5),
            old(6),
            old(7)
        ),
        previous.replacen(&old(4), "9999999999", 1),
    ];
    for edit in edits {
        let entry = Entry::parse(&edit).unwrap();
        assert_eq!(
            kind(entry.open(&unlocked.data)),
            ErrorKind::Integrity,
            "{edit}"
        );
    }
    assert_eq!(
        *Entry::parse(&line).unwrap().open(&unlocked.data).unwrap(),
        b"second"
    );

    let elsewhere = Room::new();
    let elsewhere = unlock(elsewhere.bytes(), &elsewhere.key).unwrap();
    let data =
        super::super::entries::DataKey::new(elsewhere.document.id, unlocked.data.key.clone());
    assert_eq!(
        kind(Entry::parse(&line).unwrap().open(&data)),
        ErrorKind::Integrity
    );
}

#[test]
fn kdf_parameters_out_of_bounds_are_refused_before_any_work() {
    let room = fixture();
    let text = room.text();
    for (cost, allowed) in [
        ("19456 2 1", true),
        ("19455 2 1", false),
        ("262145 2 1", false),
        ("4294967295 2 1", false),
        ("99999999999999 2 1", false),
        ("19456 1 1", false),
        ("19456 9 1", false),
        ("19456 2 0", false),
        ("19456 2 5", false),
        ("019456 2 1", false),
    ] {
        let edited = text.replacen(" passphrase 19456 2 1 ", &format!(" passphrase {cost} "), 1);
        let parsed = Document::parse(edited.into_bytes());
        assert_eq!(parsed.is_ok(), allowed, "{cost}");
        if let Err(error) = parsed {
            assert_eq!(error.kind(), ErrorKind::Malformed, "{cost}");
        }
    }
}

#[test]
fn what_somebody_may_have_done_is_explained() {
    let room = fixture();
    let text = room.text();
    let help = |text: String| unlock(text, &room.key).map(drop).unwrap_err();
    let newer = help(text.replacen("strongroom-sealed 1", "strongroom-sealed 2", 1));
    assert_eq!(newer.kind(), ErrorKind::Unsupported);
    let converted = help(text.replace('\n', "\r\n"));
    assert!(converted.help().unwrap().contains("-text"), "{converted:?}");
    let conflict = help(text.replacen("entry ", "<<<<<<< HEAD\nentry ", 1));
    assert!(conflict.to_string().contains("conflict"), "{conflict:?}");
    assert!(
        help("{}".to_owned())
            .to_string()
            .contains("not a sealed file")
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        values in proptest::collection::btree_map("[a-z]{1,8}(/[a-z]{1,8})?", ".{0,200}", 0..6),
    ) {
        let room = Room::new();
        for (name, value) in &values {
            room.put(&SecretName::parse(name).unwrap(), value);
        }
        let unlocked = unlock(room.bytes(), &room.key).unwrap();
        prop_assert_eq!(unlocked.document.names().collect::<Vec<_>>(), values.keys().collect::<Vec<_>>());
        for (name, value) in &values {
            let found = unlocked.read(name, &Stage::Current).unwrap();
            prop_assert_eq!(found.expose_bytes(), value.as_bytes());
        }
        let lines = unlocked.document.lines().map(|(line, _)| format!("{line}\n"));
        let again: String = lines.collect();
        prop_assert_eq!(again, unlocked.document.entries());
    }

    #[test]
    fn mutated_lines_never_panic(
        at in any::<proptest::sample::Index>(),
        with in "[ -~\n\u{80}-\u{100}]{0,12}",
        length in 0_usize..40,
    ) {
        thread_local! { static FIXTURE: (String, SlotKey) = { let room = fixture(); (room.text(), room.key) } }
        FIXTURE.with(|(text, key)| {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            let mutated = [&text[..at], &with, &text[end..]].concat();
            if mutated != *text {
                refused(mutated.into_bytes(), key, "mutated");
            }
        });
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), line in ".{0,200}") {
        let _ = Document::parse(bytes.clone());
        let _ = Document::parse([&b"strongroom-sealed 1\n"[..], &bytes].concat());
        let _ = Entry::parse(&line);
        let _ = Entry::parse(&format!("entry {line}"));
        let _ = super::super::slots::Slot::parse(&format!("slot {line}"));
    }
}
