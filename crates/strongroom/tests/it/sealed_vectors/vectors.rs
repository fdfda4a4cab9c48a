//! The vectors: valid files, and files with one failure each.

use serde::{Deserialize, Serialize};

use super::writer::{Draft, FORMAT, PASSPHRASE, base64, bytes, raw_key};

/// One file, and what reading one name of it must lead to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Vector {
    pub(super) what: String,
    /// The layer of docs/sealed-file.md that must refuse it; none for a valid file.
    pub(super) refused_by: Option<String>,
    /// The kind of the refusal.
    pub(super) kind: Option<String>,
    /// 64 hexadecimal digits; or else there is a passphrase.
    pub(super) key: Option<String>,
    pub(super) passphrase: Option<String>,
    /// The name to read.
    pub(super) read: String,
    /// The value that is read from a valid file, in unpadded base64.
    pub(super) value: Option<String>,
    pub(super) file: String,
}

#[derive(Default)]
struct Collection(Vec<Vector>);

impl Collection {
    fn add(&mut self, what: &str, refusal: Option<(&str, &str)>, file: String) -> &mut Vector {
        self.0.push(Vector {
            what: what.to_owned(),
            refused_by: refusal.map(|(layer, _)| layer.to_owned()),
            kind: refusal.map(|(_, kind)| kind.to_owned()),
            key: Some(base16ct::lower::encode_string(&raw_key())),
            passphrase: None,
            read: "api/token".to_owned(),
            value: None,
            file,
        });
        self.0.last_mut().unwrap()
    }

    fn valid(&mut self, what: &str, read: &str, value: &[u8], file: String) -> &mut Vector {
        let vector = self.add(what, None, file);
        vector.read = read.to_owned();
        vector.value = Some(base64(value));
        vector
    }

    fn parse(&mut self, what: &str, file: String) {
        self.add(what, Some(("parse", "malformed")), file);
    }

    /// The usual file with its entries, or its slot, changed and sealed again.
    fn parse_with(&mut self, what: &str, change: impl FnOnce(&mut Draft)) {
        let mut draft = Draft::usual();
        change(&mut draft);
        self.parse(what, draft.write());
    }

    fn entry_with(&mut self, what: &str, kind: &str, change: impl FnOnce(&mut Draft)) {
        let mut draft = Draft::usual();
        change(&mut draft);
        self.add(what, Some(("entry", kind)), draft.write());
    }
}

impl Vector {
    fn by_passphrase(&mut self, passphrase: &str) {
        self.key = None;
        self.passphrase = Some(passphrase.to_owned());
    }
}

/// The line with one field replaced. Fields count from 0, from the end if `at` is negative.
fn with_field(line: &str, at: isize, value: &str) -> String {
    let mut fields: Vec<&str> = line.split(' ').collect();
    let at = at.rem_euclid(fields.len() as isize) as usize;
    fields[at] = value;
    fields.join(" ")
}

fn field(line: &str, at: isize) -> String {
    let fields: Vec<&str> = line.split(' ').collect();
    fields[at.rem_euclid(fields.len() as isize) as usize].to_owned()
}

/// The same base64 with one bit of its first byte flipped.
fn flipped(text: &str) -> String {
    let first = if text.starts_with('A') { "B" } else { "A" };
    format!("{first}{}", &text[1..])
}

pub(super) fn all() -> Vec<Vector> {
    let mut to = Collection::default();
    valid(&mut to);
    header(&mut to);
    slots(&mut to);
    costs(&mut to);
    lines(&mut to);
    keys(&mut to);
    unwrapping(&mut to);
    seals(&mut to);
    entries(&mut to);
    to.0
}

fn valid(to: &mut Collection) {
    let usual = Draft::usual();
    to.valid("a raw key", "api/token", b"token", usual.write());
    to.valid(
        "the last entry",
        "session/key",
        &bytes::<32>("key"),
        usual.write(),
    );
    let with = |value: &[u8]| {
        let mut draft = Draft::new();
        draft
            .lines
            .push(draft.entry("a 1-0000000000000001 0", value));
        draft.write()
    };
    for (what, length) in [
        ("an empty value", 0),
        ("a value of 64 bytes", 64),
        ("a value of 65 bytes", 65),
        ("a value of 1000 bytes", 1000),
    ] {
        to.valid(what, "a", &vec![b'v'; length], with(&vec![b'v'; length]));
    }
    to.valid(
        "bytes that are no text",
        "a",
        &[0, 0xff, 0x0a],
        with(&[0, 0xff, 0x0a]),
    );
    let mut draft = Draft::new();
    let name = "n".repeat(256);
    draft
        .lines
        .push(draft.entry(&format!("{name} 1-0000000000000001 0"), b"v"));
    to.valid("a name of 256 bytes", &name, b"v", draft.write());
    let mut draft = usual.clone();
    draft.epoch = i64::MAX.to_string();
    to.valid("the last epoch", "api/token", b"token", draft.write());
    let mut draft = usual.clone();
    for n in 2..=8 {
        let other = draft.raw_slot(&format!("{n}000000000000000"), &bytes(&format!("key {n}")));
        draft.slots.push(other);
    }
    to.valid("eight slots", "api/token", b"token", draft.write());
    let mut draft = usual.clone();
    draft
        .slots
        .push("slot 2000000000000000 cloud 0 kms any-thing AAAA".to_owned());
    to.valid(
        "a slot of an unknown type",
        "api/token",
        b"token",
        draft.write(),
    );
    let mut draft = usual;
    draft.slots.push(draft.passphrase_slot("2000000000000000"));
    to.valid("a passphrase", "api/token", b"token", draft.write())
        .by_passphrase(PASSPHRASE);
}

fn header(to: &mut Collection) {
    let text = Draft::usual().write();
    to.parse("an empty file", String::new());
    to.parse("the first line alone", format!("{FORMAT}\n"));
    for (what, first) in [
        ("format 0", "strongroom-sealed 0"),
        ("a format with a leading zero", "strongroom-sealed 01"),
        ("a blank after the format", "strongroom-sealed 1 "),
        ("another word before the format", "strongroom-seal 1"),
        ("upper-case letters in the format", "Strongroom-Sealed 1"),
    ] {
        to.parse_with(what, |draft| draft.first = first.to_owned());
    }
    for first in ["strongroom-sealed 2", "strongroom-sealed 10"] {
        let file = text.replacen(FORMAT, first, 1);
        to.add("a newer format", Some(("parse", "unsupported")), file);
    }
    to.parse("a byte-order mark", format!("\u{feff}{text}"));
    to.parse("CRLF line endings", text.replace('\n', "\r\n"));
    to.parse("a blank line at the beginning", format!("\n{text}"));
    for (what, file) in [
        ("a file id of 31 digits", "0123456789abcdef0123456789abcde"),
        (
            "a file id of 33 digits",
            "0123456789abcdef0123456789abcdef0",
        ),
        (
            "a file id in upper case",
            "0123456789ABCDEF0123456789ABCDEF",
        ),
    ] {
        to.parse_with(what, |draft| draft.file = file.to_owned());
    }
    for (what, epoch) in [
        ("epoch 0", "0"),
        ("an epoch with a leading zero", "07"),
        ("an epoch with a sign", "+7"),
        ("a negative epoch", "-7"),
        ("an epoch of 2^63", "9223372036854775808"),
        ("an epoch without digits", ""),
        ("a blank after the epoch", "7 "),
    ] {
        to.parse_with(what, |draft| draft.epoch = epoch.to_owned());
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(1, 2);
    to.parse("the epoch before the file id", lines.join("\n") + "\n");
}

fn slots(to: &mut Collection) {
    to.parse_with("no slot", |draft| draft.slots.clear());
    to.parse_with("nine slots", |draft| {
        for n in 2..=9 {
            draft
                .slots
                .push(draft.raw_slot(&format!("{n}000000000000000"), &bytes("other")));
        }
    });
    to.parse_with("slots out of order", |draft| {
        draft
            .slots
            .insert(0, draft.raw_slot("2000000000000000", &bytes("other")));
    });
    to.parse_with("a slot twice", |draft| {
        draft.slots.push(draft.slots[0].clone())
    });
    to.parse_with("a slot after the entries", |draft| {
        draft
            .lines
            .push(draft.raw_slot("2000000000000000", &bytes("other")));
    });
    let unused_bits = |line: &str| {
        let salt = field(line, 5);
        let last = if salt.ends_with('A') { "B" } else { "z" };
        format!("{}{last}", &salt[..salt.len() - 1])
    };
    type Edit = Box<dyn Fn(&str) -> String>;
    let set = |at: isize, value: &str| -> Edit {
        let value = value.to_owned();
        Box::new(move |line: &str| with_field(line, at, &value))
    };
    let edits: Vec<(&str, Edit)> = vec![
        ("a slot id in upper case", set(1, "ABCDEF0000000000")),
        ("a slot id of 15 digits", set(1, "100000000000000")),
        ("an empty label", set(2, "")),
        ("a label of 65 characters", set(2, &"x".repeat(65))),
        ("a slash in a label", set(2, "a/b")),
        ("a slot's time with a leading zero", set(3, "01763731600")),
        ("a slot type in upper case", set(4, "RAW")),
        (
            "a slot without its wrapped key",
            Box::new(|line| line.rsplit_once(' ').unwrap().0.to_owned()),
        ),
        (
            "a slot with a field too many",
            Box::new(|line| format!("{line} AAAA")),
        ),
        (
            "a blank at the end of a slot",
            Box::new(|line| format!("{line} ")),
        ),
        (
            "two blanks in a slot",
            Box::new(|line| line.replacen(' ', "  ", 1)),
        ),
        (
            "a tab in a slot",
            Box::new(|line| line.replacen(' ', "\t", 1)),
        ),
        (
            "a padded salt",
            Box::new(|line| with_field(line, 5, &format!("{}==", field(line, 5)))),
        ),
        (
            "a salt whose unused bits are set",
            Box::new(move |line| with_field(line, 5, &unused_bits(line))),
        ),
        ("a salt of 15 bytes", set(5, &base64(&[1; 15]))),
        (
            "a salt in the URL alphabet",
            set(5, &base64(&[0xff; 16]).replace('/', "_")),
        ),
        ("a commitment of 31 bytes", set(6, &base64(&[1; 31]))),
        ("a nonce of 11 bytes", set(7, &base64(&[1; 11]))),
        ("a wrapped key of 47 bytes", set(8, &base64(&[1; 47]))),
    ];
    for (what, edit) in edits {
        to.parse_with(what, |draft| draft.slots[0] = edit(&draft.slots[0]));
    }
    to.parse_with("an unknown slot of 4097 bytes", |draft| {
        let line = "slot 2000000000000000 cloud 0 kms ";
        draft
            .slots
            .push(format!("{line}{}", "x".repeat(4097 - line.len())));
    });
}

fn costs(to: &mut Collection) {
    let slot = Draft::usual().passphrase_slot("2000000000000000");
    for (what, cost) in [
        ("memory below the bounds", "19455 2 1"),
        ("memory above the bounds", "262145 2 1"),
        ("memory of 2^32 KiB", "4294967296 2 1"),
        ("memory with a leading zero", "019456 2 1"),
        ("too few passes", "19456 1 1"),
        ("too many passes", "19456 9 1"),
        ("no lane", "19456 2 0"),
        ("too many lanes", "19456 2 5"),
        ("a cost without lanes", "19456 2"),
    ] {
        to.parse_with(what, |draft| {
            draft.slots.push(slot.replacen("19456 2 1", cost, 1))
        });
    }
}

fn lines(to: &mut Collection) {
    to.parse_with("entries out of order", |draft| draft.lines.swap(2, 3));
    to.parse_with("a name twice", |draft| {
        draft.lines.insert(2, draft.lines[2].clone())
    });
    let long = "n".repeat(257);
    for (what, name) in [
        ("a name with a segment that begins with a dot", "a/../b"),
        ("a name with an empty segment", "a//b"),
        ("a name with a field", "a#b"),
        ("a name of 257 bytes", &long),
        ("an empty name", ""),
        ("a name that is not ASCII", "naïve"),
    ] {
        to.parse_with(what, |draft| {
            draft.lines = vec![draft.entry(&format!("{name} 1-0000000000000001 0"), b"v")];
        });
    }
    to.parse_with("a previous value before its entry", |draft| {
        draft.lines.swap(0, 1)
    });
    to.parse_with("a previous value without an entry", |draft| {
        drop(draft.lines.remove(0))
    });
    to.parse_with("a previous value of another name", |draft| {
        draft.lines.swap(1, 2)
    });
    to.parse_with("two previous values", |draft| {
        draft.lines.insert(1, draft.lines[1].clone())
    });
    to.parse_with("an unknown line", |draft| {
        draft.lines.push("comment x".to_owned())
    });
    to.parse_with("a blank line", |draft| draft.lines.insert(1, String::new()));
    to.parse_with("marks of a conflict", |draft| {
        draft.lines.insert(1, "<<<<<<< HEAD".to_owned())
    });
    let text = Draft::usual().write();
    let body = text.split_once("seal ").unwrap().0.to_owned();
    let seal = text.lines().last().unwrap().to_owned();
    to.parse("no seal", body.clone());
    to.parse("no newline at the end", text.trim_end().to_owned());
    to.parse("a newline too many", format!("{text}\n"));
    to.parse("something after the seal", format!("{text}x\n"));
    to.parse("two seals", format!("{text}{seal}\n"));
    to.parse(
        "a seal in upper case",
        format!("{body}seal {}\n", seal[5..].to_uppercase()),
    );
    to.parse("a seal of 31 bytes", format!("{body}{}\n", &seal[..67]));
    to.parse(
        "an entry after the seal",
        format!("{text}{}\n", Draft::usual().lines[2]),
    );
}

fn keys(to: &mut Collection) {
    let usual = Draft::usual();
    let denied = Some(("slot", "denied"));
    let other = base16ct::lower::encode_string(&bytes::<32>("other key"));
    to.add("another key", denied, usual.write()).key = Some(other);
    for (what, at) in [("a changed commitment", 6), ("a changed salt", 5)] {
        let mut draft = usual.clone();
        draft.slots[0] = with_field(&draft.slots[0], at, &flipped(&field(&draft.slots[0], at)));
        to.add(what, denied, draft.write());
    }
    let mut both = usual.clone();
    both.slots.push(both.passphrase_slot("2000000000000000"));
    let text = both.write();
    to.add("another passphrase", denied, text.clone())
        .by_passphrase("seven lamps");
    to.add("a passphrase with a newline", denied, text.clone())
        .by_passphrase(&format!("{PASSPHRASE}\n"));
    let costlier = text.replacen("19456 2 1", "19456 3 1", 1);
    to.add("another cost within the bounds", denied, costlier)
        .by_passphrase(PASSPHRASE);
    to.add(
        "a passphrase where there are keys only",
        denied,
        usual.write(),
    )
    .by_passphrase(PASSPHRASE);
    both.slots.remove(0);
    to.add(
        "a key where there are passphrases only",
        denied,
        both.write(),
    );
    let mut unknown = usual;
    unknown.slots = vec!["slot 2000000000000000 cloud 0 kms any-thing AAAA".to_owned()];
    to.add(
        "only slots of unknown types",
        Some(("slot", "unsupported")),
        unknown.write(),
    );
}

fn unwrapping(to: &mut Collection) {
    let usual = Draft::usual();
    let slot = &usual.slots[0];
    let integrity = Some(("unwrap", "integrity"));
    for (what, at, value) in [
        ("a changed slot id", 1, "1000000000000001".to_owned()),
        ("a changed label", 2, "desktop".to_owned()),
        ("a changed time of a slot", 3, "1763731601".to_owned()),
        ("a changed nonce of a slot", 7, flipped(&field(slot, 7))),
        ("a changed wrapped key", 8, flipped(&field(slot, 8))),
    ] {
        let mut draft = usual.clone();
        draft.slots[0] = with_field(slot, at, &value);
        to.add(what, integrity, draft.write());
    }
    let other = base16ct::lower::encode_string(&bytes::<16>("other file"));
    let mut draft = usual.clone();
    draft.file = other.clone();
    to.add("a changed file id", integrity, draft.write());
    let mut elsewhere = usual.clone();
    elsewhere.file = other;
    let mut draft = usual.clone();
    draft.slots[0] = elsewhere.raw_slot("1000000000000000", &raw_key());
    to.add(
        "a slot of another file with the same key",
        integrity,
        draft.write(),
    );
}

fn seals(to: &mut Collection) {
    let usual = Draft::usual();
    let text = usual.write();
    let line = |at: usize| format!("{}\n", usual.lines[at]);
    let integrity = Some(("seal", "integrity"));
    let seal = &text.lines().last().unwrap()[5..];
    let first = if seal.starts_with('0') { "1" } else { "0" };
    let mut two = usual.clone();
    two.slots
        .push(two.raw_slot("2000000000000000", &bytes("other")));
    let extra = format!("{}\n", usual.entry("zzz 1-0000000000000001 0", b"v"));
    let older = format!(
        "{}\n",
        usual.entry("api/token 1-00000000000000a1 1763731600", b"old token")
    );
    let mut foreign = usual.clone();
    foreign.data_key = bytes("other data key");
    let body = text.split_once("seal ").unwrap().0;
    for (what, file) in [
        (
            "a changed seal",
            text.replacen(seal, &format!("{first}{}", &seal[1..]), 1),
        ),
        ("a changed epoch", text.replacen("epoch 7", "epoch 8", 1)),
        ("an entry deleted", text.replacen(&line(2), "", 1)),
        ("a previous value deleted", text.replacen(&line(1), "", 1)),
        (
            "an entry added",
            text.replacen("seal ", &format!("{extra}seal "), 1),
        ),
        (
            "an entry exchanged with an older one",
            text.replacen(&line(0), &older, 1),
        ),
        (
            "an entry renamed",
            text.replacen("database/password", "database/passwore", 1),
        ),
        (
            "a changed version",
            text.replacen(" 1-00000000000000b1", " 1-00000000000000b2", 1),
        ),
        (
            "a changed time",
            text.replacen(" 1763731601", " 1763731603", 1),
        ),
        (
            "a changed expiry",
            text.replacen(" 9000000000", " 9000000001", 1),
        ),
        (
            "a slot deleted",
            two.write().replacen(&format!("{}\n", two.slots[1]), "", 1),
        ),
        (
            "a slot added",
            text.replacen("entry ", &format!("{}\nentry ", two.slots[1]), 1),
        ),
        ("a seal under another data key", foreign.sealed(body)),
        (
            "CR at the end of an entry",
            text.replacen(&line(0), &line(0).replace('\n', "\r\n"), 1),
        ),
    ] {
        assert_ne!(file, text, "{what}");
        to.add(what, integrity, file);
    }
}

fn entries(to: &mut Collection) {
    let usual = Draft::usual();
    let lines = usual.lines.clone();
    let token = lines[0].clone();
    let set = |at: isize, value: String| {
        let line = with_field(&token, at, &value);
        move |draft: &mut Draft| draft.lines[0] = line
    };
    for (what, at, value) in [
        (
            "a changed version of an entry",
            2,
            "3-00000000000000a2".to_owned(),
        ),
        ("a changed time of an entry", 3, "1763731696".to_owned()),
        ("a changed salt of an entry", 4, flipped(&field(&token, 4))),
        ("a changed nonce of an entry", 5, flipped(&field(&token, 5))),
        ("a changed ciphertext", 6, flipped(&field(&token, 6))),
        ("the ciphertext of another entry", 6, field(&lines[2], 6)),
        ("a ciphertext shorter than its tag", 6, base64(&[1; 15])),
        ("no ciphertext at all", 6, String::new()),
    ] {
        to.entry_with(what, "integrity", set(at, value));
    }
    to.entry_with("an entry under another's name", "integrity", |draft| {
        draft.lines = vec![with_field(&lines[2], 1, "api/token")];
    });
    to.entry_with(
        "a previous value as the current one",
        "integrity",
        |draft| {
            let old = |at| field(&lines[1], at);
            let fields = [old(1), old(2), old(3), old(5), old(6), old(7)];
            draft.lines[0] = format!("entry {}", fields.join(" "));
            draft.lines.remove(1);
        },
    );
    to.entry_with("an entry of another file", "integrity", |draft| {
        let mut other = draft.clone();
        other.file = base16ct::lower::encode_string(&bytes::<16>("other file"));
        draft.lines[0] = other.entry("api/token 2-00000000000000a2 1763731695", b"token");
    });
    let leading = "entry api/token 2-00000000000000a2 1763731695";
    let padded = |length: u32, value: &[u8], size: usize| {
        let mut text = length.to_be_bytes().to_vec();
        text.extend(value);
        text.resize(size, 0);
        text
    };
    for (what, text) in [
        ("more padding than needed", padded(5, b"token", 4 + 128)),
        ("less padding than needed", padded(5, b"token", 4 + 32)),
        ("padding that is not zeros", padded(5, b"token!", 4 + 64)),
        (
            "a length that is longer than the text",
            padded(65, b"token", 4 + 64),
        ),
        ("a length of 2^32 - 1", padded(u32::MAX, b"token", 4 + 64)),
        ("no length", Vec::new()),
    ] {
        to.entry_with(what, "integrity", |draft| {
            draft.lines[0] = draft.padded(leading, &text)
        });
    }
    let canonical = field(&token, 4);
    let loose = format!(
        "{}{}",
        &canonical[..21],
        if canonical.ends_with('A') { "B" } else { "z" }
    );
    for (what, at, value) in [
        (
            "a version without a counter",
            2,
            "-00000000000000a2".to_owned(),
        ),
        ("a version of counter 0", 2, "0-00000000000000a2".to_owned()),
        (
            "a version in upper case",
            2,
            "2-00000000000000A2".to_owned(),
        ),
        ("a time with a leading zero", 3, "01763731695".to_owned()),
        ("a salt of an entry whose unused bits are set", 4, loose),
        ("a nonce of an entry of 11 bytes", 5, base64(&[1; 11])),
        ("a padded ciphertext", 6, format!("{}=", field(&token, 6))),
        (
            "CR at the end of a sealed entry",
            6,
            format!("{}\r", field(&token, 6)),
        ),
        ("a field too many", 6, format!("AAAA {}", field(&token, 6))),
    ] {
        to.entry_with(what, "malformed", set(at, value));
    }
    to.entry_with("a field too few", "malformed", |draft| {
        draft.lines[0] = token.rsplit_once(' ').unwrap().0.to_owned();
    });
}
