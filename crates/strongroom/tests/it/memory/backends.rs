//! The backends of this machine: how often a value stands in memory, held and dropped.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom::Secret;
use strongroom::provider::Expect;
use strongroom::sealed_file::{Argon2Cost, FileId, NewSlot, SealedFile, SlotKey};
use tempfile::TempDir;

use super::{Canary, Counted, Holder, NAME};

/// A canary, and a directory with a file that holds it.
pub(super) struct Room {
    pub(super) dir: TempDir,
    pub(super) canary: Canary,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            canary: Canary::draw(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file around the canary, and starts a holder that reads it.
    fn with_file(name: &str, content: impl FnOnce(&str) -> String) -> (Self, Holder) {
        let room = Self::new();
        write(&room.path(name), content(room.canary.text()));
        let holder = Holder::start(&format!("file:{}", room.path(name).display()));
        (room, holder)
    }
}

pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_directory_leaves_one_copy_and_then_none() {
    let room = Room::new();
    write(&room.path("app_token"), format!("{}\n", room.canary.text()));
    let holder = Holder::start(&format!("file:{}", room.dir.path().display()));
    let Some(counted) = Counted::of(holder, &room.canary) else {
        return;
    };
    counted.assert("directory", 1, 0);
}

/// A piece of the text in the file is decoded before it is the value.
#[test]
fn a_declared_encoding_leaves_one_copy_and_then_none() {
    for (encoding, form) in [("hex", "as hexadecimal digits"), ("base64", "in base64")] {
        let room = Room::new();
        let form = room
            .canary
            .forms
            .iter()
            .find(|known| known.name == form)
            .unwrap();
        let encoded: Vec<_> = form
            .pieces
            .iter()
            .flat_map(|piece| piece.bytes.clone())
            .collect();
        write(&room.path("app_token"), encoded);
        let holder = Holder::start(&format!("file:{}", room.dir.path().display()));
        let holder = holder.declared("token", encoding);
        let Some(counted) = Counted::of(holder, &room.canary) else {
            return;
        };
        counted.assert(encoding, 1, 0);
    }
}

/// What judges a value makes no copy of it that stays.
#[test]
fn the_policy_of_each_kind_leaves_one_copy_and_then_none() {
    for (kind, value) in [
        ("opaque", "X"),
        #[cfg(not(feature = "zxcvbn"))]
        ("url", "postgres://app:X@db.internal/app"),
        #[cfg(not(feature = "zxcvbn"))]
        ("password", "X"),
        ("json", "{\"a\": [\"\\u0062\", \"X\"]}"),
        ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.X"),
    ] {
        let room = Room::new();
        write(
            &room.path("app_token"),
            value.replace('X', room.canary.text()),
        );
        let holder = Holder::start(&format!("file:{}", room.dir.path().display()));
        let holder = holder.declared(kind, "text");
        let Some(counted) = Counted::of(holder, &room.canary) else {
            return;
        };
        counted.assert(kind, 1, 0);
    }
}

/// zxcvbn wipes none of its own buffers, which is why its feature is off by default.
#[test]
#[cfg(feature = "zxcvbn")]
fn what_the_score_of_a_password_leaves_is_known() {
    let room = Room::new();
    write(&room.path("app_token"), room.canary.text());
    let holder = Holder::start(&format!("file:{}", room.dir.path().display()));
    let holder = holder.declared("password", "text");
    let Some(counted) = Counted::of(holder, &room.canary) else {
        return;
    };
    counted.show("password, with zxcvbn");
    assert!(counted.after.count() > 0, "docs/memory.md says otherwise");
}

#[test]
fn a_dotenv_file_leaves_one_copy_and_then_none() {
    for (quoting, line) in [("bare", "X"), ("quoted", "'X'"), ("escaped", "\"\\$X\"")] {
        let line =
            |canary: &str| format!("A=1\nAPP_TOKEN={} # it\nB=2\n", line.replace('X', canary));
        let (room, holder) = Room::with_file(".env", line);
        let Some(counted) = Counted::of(holder, &room.canary) else {
            return;
        };
        counted.assert(&format!("dotenv, {quoting}"), 1, 0);
    }
}

#[test]
fn a_json_document_leaves_one_copy_and_then_none() {
    let plain =
        |canary: &str| format!("{{\"a\": 1, \"app\": {{\"token\": \"{canary}\"}}, \"b\": [2]}}");
    // An escape has a parser copy what stands around it.
    let escaped = |canary: &str| plain(&format!("\\u0061{canary}")).replace("app", "\\u0061pp");
    for (what, document) in [
        ("JSON", &plain as &dyn Fn(&str) -> String),
        ("JSON, escaped", &escaped),
    ] {
        let (room, holder) = Room::with_file("secrets.json", document);
        let Some(counted) = Counted::of(holder, &room.canary) else {
            return;
        };
        counted.assert(what, 1, 0);
    }
}

#[test]
fn a_sealed_file_leaves_one_copy_and_then_none() {
    let key = SlotKey::generate().unwrap();
    let room = Room::new();
    let holder = sealed(&room, NewSlot::new("key", key.clone()), |room, id| {
        write(&room.path("key"), key.to_text(id).unwrap().expose_bytes());
        ("key_file", room.path("key"))
    });
    let Some(counted) = Counted::of(holder, &room.canary) else {
        return;
    };
    counted.assert("sealed file, raw key", 1, 0);
}

#[test]
fn a_sealed_file_under_a_passphrase_leaves_one_copy_and_then_none() {
    const WORDS: &str = "tundra-velvet-orbit-cactus-mimic-plaza-7";
    let passphrase = SlotKey::passphrase(Secret::from_text(WORDS)).unwrap();
    let slot =
        NewSlot::new("words", passphrase).with_cost(Argon2Cost::new(19 * 1024, 2, 1).unwrap());
    let room = Room::new();
    let holder = sealed(&room, slot, |room, _| {
        write(&room.path("words"), WORDS);
        ("passphrase_file", room.path("words"))
    });
    let Some(counted) = Counted::of(holder, &room.canary) else {
        return;
    };
    counted.assert("sealed file, passphrase", 1, 0);
}

/// Puts the canary into a new sealed file, and starts a holder that opens it.
fn sealed(
    room: &Room,
    slot: NewSlot,
    write_key: impl FnOnce(&Room, FileId) -> (&'static str, PathBuf),
) -> Holder {
    let (path, id) = (room.path("secrets.sealed"), FileId::random().unwrap());
    let file = SealedFile::create(&path, id, &slot).unwrap();
    file.put(&NAME, room.canary.secret(), &Expect::Any).unwrap();
    let (parameter, key) = write_key(room, id);
    let (path, key) = (path.display(), key.display());
    Holder::start(&format!("sealed:{path}?{parameter}={key}"))
}

#[test]
fn what_toml_and_yaml_leave_is_known() {
    let toml = |canary: &str| format!("a = 1\n[app]\ntoken = \"{canary}\"\n");
    #[cfg(feature = "yaml")]
    let yaml = |canary: &str| format!("a: 1\napp:\n  token: \"{canary}\"\n");
    let escaped = |canary: &str| format!("\\u0061{canary}");
    for (name, document) in [
        ("a.toml", &toml as &dyn Fn(&str) -> String),
        #[cfg(feature = "yaml")]
        ("a.yaml", &yaml),
        ("escaped.toml", &|canary| toml(&escaped(canary))),
        #[cfg(feature = "yaml")]
        ("escaped.yaml", &|canary| yaml(&escaped(canary))),
    ] {
        let (room, holder) = Room::with_file(name, document);
        let Some(counted) = Counted::of(holder, &room.canary) else {
            return;
        };
        counted.show(name);
        // What has escapes is decoded by the parsers in texts of their own, which nobody wipes; how many
        // depends on how they grow.
        let (live, after) = if name.starts_with("escaped") {
            (3, 2)
        } else {
            (1, 0)
        };
        assert!(counted.live.count() <= live, "{}", counted.live);
        assert!(counted.after.count() <= after, "{}", counted.after);
    }
}

#[test]
fn what_the_environment_leaves_is_known() {
    let canary = Canary::draw();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("APP_TOKEN", canary.text());
    let holder = Holder::start_in("env:", command).with_its_environment();
    let Some(counted) = Counted::of(holder, &canary) else {
        return;
    };
    counted.show("environment");
    // The kernel's, which nobody can take away; and while it is held, that of the `Env` and the value.
    assert_eq!(counted.after.count(), 1, "{}", counted.after);
    assert!(counted.live.count() <= 3, "{}", counted.live);
}

#[test]
fn one_copy_too_many_is_counted() {
    let room = Room::new();
    write(&room.path("app_token"), room.canary.text());
    let holder = Holder::start(&format!("file:{}", room.dir.path().display()));
    let Some(counted) = Counted::of(holder.leaking(), &room.canary) else {
        return;
    };
    counted.assert("a planted leak", 2, 1);
}
