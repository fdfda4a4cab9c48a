//! Every change of a line, a byte or a bit, by somebody without the key.

use super::*;

/// Verifies changed text in place of the log, against the head that it had.
#[track_caller]
fn refuses(path: &Path, changed: &[u8], head: &Head, what: &str) -> Error {
    fs::write(path, changed).unwrap();
    match verify(path, &key(), Some(head)) {
        Ok(_) => panic!("not found: {what}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Integrity, "{what}: {error}");
            error
        }
    }
}

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

#[test]
fn each_change_of_a_line_is_found_and_named() {
    let (_dir, path) = log_of(7);
    let text = fs::read(&path).unwrap();
    let head = verify(&path, &key(), None).unwrap().head;
    let lines = lines(&text);
    let foreign = {
        let (_dir, other) = log_of(8);
        super::tampering::lines(&fs::read(other).unwrap())
    };
    for at in 0..lines.len() {
        let number = at + 1;
        let named = |error: Error, line: usize, what: &str| {
            let place = format!("line {line}:");
            assert!(error.to_string().contains(&place), "{what} {at}: {error}");
        };
        let mut deleted = lines.clone();
        deleted.remove(at);
        let error = refuses(&path, &deleted.concat(), &head, "deleted");
        if at + 1 < lines.len() {
            named(error, number, "deleted");
        } else {
            assert!(
                error.to_string().contains("the log ends at event 7"),
                "{error}"
            );
        }

        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        named(
            refuses(&path, &doubled.concat(), &head, "doubled"),
            number + 1,
            "doubled",
        );

        for other in 0..lines.len() {
            if other != at {
                let mut swapped = lines.clone();
                swapped.swap(at, other);
                named(
                    refuses(&path, &swapped.concat(), &head, "swapped"),
                    at.min(other) + 1,
                    "swapped",
                );
            }
        }

        for inserted in [
            foreign[at].clone(),
            foreign[at + 1].clone(),
            b"\n".to_vec(),
            b"{}\n".to_vec(),
        ] {
            let mut with = lines.clone();
            with.insert(at, inserted.clone());
            // The first line of another log may begin one; the line behind it goes on with another.
            let number = match at == 0 && inserted == foreign[0] {
                true => number + 1,
                false => number,
            };
            named(
                refuses(&path, &with.concat(), &head, "inserted"),
                number,
                "inserted",
            );
            let mut instead = lines.clone();
            instead[at] = inserted;
            named(
                refuses(&path, &instead.concat(), &head, "replaced"),
                number,
                "replaced",
            );
        }

        let mut edited = lines.clone();
        let line = String::from_utf8(edited[at].clone()).unwrap();
        edited[at] = line
            .replacen("\"status_id\":1", "\"status_id\":2", 1)
            .into_bytes();
        assert_ne!(edited[at], lines[at]);
        named(
            refuses(&path, &edited.concat(), &head, "edited"),
            number,
            "edited",
        );
    }
    fs::write(&path, &text).unwrap();
    verify(&path, &key(), Some(&head)).unwrap();
}

#[test]
fn what_another_reader_would_pass_over_is_found() {
    let (_dir, path) = log_of(2);
    let text = fs::read_to_string(&path).unwrap();
    let head = verify(&path, &key(), None).unwrap().head;
    let mac = format!(",\"mac\":\"{}\"", head.mac_text());
    let changes = [
        ("CRLF", text.replace('\n', "\r\n")),
        ("a mark of byte order", format!("\u{feff}{text}")),
        ("a blank at the end", text.replacen("}}\n", "}} \n", 1)),
        ("a blank before the end", text.replacen("}}\n", "} }\n", 1)),
        ("a blank at the beginning", format!(" {text}")),
        ("an empty line at the end", format!("{text}\n")),
        ("a comment", format!("{text}# fine\n")),
        ("no newline at the end", text.trim_end().to_owned()),
        ("a second code", text.replace(&mac, &mac.repeat(2))),
        (
            "a code before the number",
            text.replacen("\"seq\":2", "\"mac\":\"0\",\"seq\":2", 1),
        ),
        ("an escape", text.replacen("database", "\\u0064atabase", 1)),
        (
            "a slash escaped",
            text.replacen("database/", "database\\/", 1),
        ),
        (
            "a member twice",
            text.replacen("\"status_id\":1", "\"status_id\":1,\"status_id\":2", 1),
        ),
        (
            "members in another order",
            text.replacen(
                "\"status\":\"Success\",\"status_id\":1",
                "\"status_id\":1,\"status\":\"Success\"",
                1,
            ),
        ),
        (
            "a loss denied",
            text.replacen("\"seq\":2", "\"lost\":0,\"seq\":2", 1),
        ),
        (
            "a code in capitals",
            text.replace(
                &mac,
                &mac.replace(head.mac_text().as_str(), &head.mac_text().to_uppercase()),
            ),
        ),
        (
            "another number",
            text.replacen("\"seq\":2", "\"seq\":02", 1),
        ),
        ("a line without end", text.clone() + &"x".repeat(200_000)),
    ];
    for (what, changed) in changes {
        assert_ne!(changed, text, "{what}");
        refuses(&path, changed.as_bytes(), &head, what);
        // Without a head, too: no cut is among them.
        refused(&path, None);
    }
}

#[test]
fn a_line_is_never_too_long_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    // All that others choose, each as long as it may get, and each character as JSON at its longest.
    let endless = "\u{1}".repeat(200_000);
    let identity = Identity::of_process(Some(&endless));
    let journal = Journal::new(&path).unwrap();
    let mut chain = Chain::new(journal, key(), settings(&path), identity.clone());
    let event = Event::new(Operation::List, Outcome::Success)
        .below(&endless)
        .at_provider(&endless);
    let versioned = Event::new(Operation::Fetch, Outcome::Success)
        .of(&NAME, Some(&Version::new("v".repeat(500))));
    for event in [event, versioned] {
        chain
            .append(&[(event.to_json(&identity), event.extras)])
            .unwrap();
    }
    assert_eq!(verify(&path, &key(), None).unwrap().events, 3);

    // What is too long all the same is an error, and not half of a line.
    let before = fs::read(&path).unwrap();
    let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(line::MOST)).into_bytes();
    let error = chain
        .append(&[(huge, line::Extras::default())])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(fs::read(&path).unwrap(), before);
    chain.append(&[record(0)]).unwrap();
    assert_eq!(verify(&path, &key(), None).unwrap().events, 4);
}

#[test]
fn each_changed_byte_is_found() {
    let (_dir, path) = log_of(2);
    let text = fs::read(&path).unwrap();
    let head = verify(&path, &key(), None).unwrap().head;
    for at in 0..text.len() {
        for change in [0x20, 0xff] {
            let mut changed = text.clone();
            changed[at] ^= change;
            refuses(&path, &changed, &head, &format!("byte {at} ^ {change}"));
        }
        let mut shorter = text.clone();
        shorter.remove(at);
        refuses(&path, &shorter, &head, &format!("byte {at} removed"));
        for byte in [b'\n', text[at]] {
            let mut longer = text.clone();
            longer.insert(at, byte);
            refuses(&path, &longer, &head, &format!("{byte} inserted at {at}"));
        }
    }
}

#[test]
fn each_flipped_bit_is_found_without_a_head_too() {
    let (_dir, path) = log_of(1);
    let text = fs::read(&path).unwrap();
    for at in 0..text.len() * 8 {
        let mut changed = text.clone();
        changed[at / 8] ^= 1 << (at % 8);
        fs::write(&path, &changed).unwrap();
        refused(&path, None);
    }
}

#[test]
fn a_cut_at_every_byte_is_found_against_a_head() {
    let (_dir, path) = log_of(2);
    let text = fs::read(&path).unwrap();
    let head = verify(&path, &key(), None).unwrap().head;
    for end in 1..text.len() {
        refuses(&path, &text[..end], &head, &format!("cut at {end}"));
    }
    // A chain of its own is another one.
    let (_other, foreign) = log_of(4);
    refuses(&path, &fs::read(foreign).unwrap(), &head, "another log");
}

#[test]
fn a_key_of_ones_own_is_no_way_to_forge_a_chain() {
    let (_dir, path) = log_of(2);
    let head = verify(&path, &key(), None).unwrap().head;
    fs::remove_file(&path).unwrap();
    let mut forger = chain_with(settings(&path), other_key());
    forger.append(&[record(0), record(1)]).unwrap();
    refused(&path, Some(&head));
    refused(&path, None);
}

proptest! {
    #[test]
    fn random_edits_are_found(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..4)) {
        let (_dir, path) = log_of(4);
        let text = fs::read(&path).unwrap();
        let head = verify(&path, &key(), None).unwrap().head;
        let mut changed = text.clone();
        for (at, byte, kind) in edits {
            let at = at.index(changed.len());
            match kind {
                0 => changed[at] = byte,
                1 => changed.insert(at, byte),
                2 => { changed.remove(at); }
                _ => changed.truncate(at.max(1)),
            }
        }
        fs::write(&path, &changed).unwrap();
        let verified = verify(&path, &key(), Some(&head));
        prop_assert_eq!(verified.is_ok(), changed == text);
    }

    #[test]
    fn anything_at_all_is_read_without_a_panic(text in prop::collection::vec(any::<u8>(), 0..300), wrapped in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let text = match wrapped {
            true => [b"{\"unmapped\":{\"seq\":1,\"mac\":\"".as_slice(), &text, b"\"}}\n"].concat(),
            false => text,
        };
        fs::write(&path, text).unwrap();
        prop_assert!(verify(&path, &key(), None).is_err());
        let read = read::<Error>(&path, &Filter::default(), |_| Ok(true));
        prop_assert!(read.is_ok());
        // Nor does a writer take it for its own.
        if let Ok(head) = chain(&path).append(&[record(0)]) {
            prop_assert_eq!(head.seq(), 2);
        }
    }
}
