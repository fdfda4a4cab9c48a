//! `copy`: planned, written by compare-and-set, read back, and gone on with after anything.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::canary::CANARY;
use crate::harness::{Room, TOKEN};

mod servers;

const PASSWORD: &str = "violet-Kayak-19-thunder";

fn room() -> Room {
    Room::new().dir_of_mode("a", 0o700).dir_of_mode("b", 0o700)
}

fn copy(room: &Room, more: &[&str], code: i32) -> Value {
    let arguments = [&["copy", "file:a", "file:b", "--format", "json"], more].concat();
    let ran = room.run(&arguments).ends(code);
    serde_json::from_str(&ran.stdout()).unwrap()
}

fn actions(told: &Value) -> Vec<(String, String, bool)> {
    let rows = told["secrets"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.map(|row| {
        (
            text(&row["name"]),
            text(&row["action"]),
            row["done"] == true,
        )
    })
    .collect()
}

fn count(dir: &Path) -> usize {
    let is_secret =
        |entry: &std::fs::DirEntry| entry.file_name().to_str().unwrap().starts_with('s');
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.filter(is_secret).count()
}

#[test]
fn a_dry_run_says_everything_and_writes_nothing() {
    let room = room()
        .file("a/api/token", TOKEN)
        .file("a/db", PASSWORD)
        .file("b/db", PASSWORD);
    let told = copy(&room, &["--dry-run"], 0);
    let plan = [
        ("api/token".to_owned(), "create".to_owned(), false),
        ("db".to_owned(), "equal".to_owned(), false),
    ];
    assert_eq!(actions(&told), plan);
    assert_eq!(told["dry_run"], true);
    assert_eq!(told["verified"], false);
    assert!(!room.path("b/api").exists());
    let told = copy(&room, &[], 0);
    assert_eq!(told["verified"], true);
    assert!(actions(&told)[0].2);
    room.run(&["diff", "file:a", "file:b"]).ends(0);
    // A second time there is nothing left to do.
    assert_eq!(actions(&copy(&room, &[], 0))[0].1, "equal");
}

#[test]
fn a_conflict_stops_before_the_first_write_unless_a_rule_says_otherwise() {
    let room = room()
        .file("a/first", TOKEN)
        .file("a/other", PASSWORD)
        .file("b/other", CANARY);
    for more in [&[][..], &["--dry-run"]] {
        let arguments = [&["copy", "file:a", "file:b"], more].concat();
        let ran = room.run(&arguments).ends(7);
        assert!(
            ran.stderr().contains("other: another value is there"),
            "{}",
            ran.stderr()
        );
        assert!(!ran.stderr().contains("canary"), "{}", ran.stderr());
        assert!(!room.path("b/first").exists());
    }
    copy(&room, &["--on-conflict", "skip"], 0);
    assert_eq!(
        room.run(&["get", "other", "--provider", "file:b"]).stdout(),
        CANARY
    );
    assert_eq!(
        room.run(&["get", "first", "--provider", "file:b"]).stdout(),
        TOKEN
    );
    let told = copy(&room, &["--on-conflict", "overwrite"], 0);
    assert_eq!(
        actions(&told)[1],
        ("other".to_owned(), "overwrite".to_owned(), true)
    );
    assert_eq!(
        room.run(&["get", "other", "--provider", "file:b"]).stdout(),
        PASSWORD
    );
}

#[test]
fn names_are_chosen_and_renamed() {
    let room = room()
        .file("a/team/x", TOKEN)
        .file("a/team/y", PASSWORD)
        .file("a/z", PASSWORD);
    let told = copy(
        &room,
        &["--prefix", "team/", "--rename", "team/=pay/", "--dry-run"],
        0,
    );
    assert_eq!(told["secrets"][0]["name"], "pay/x");
    assert_eq!(told["secrets"][0]["from"], "team/x");
    assert_eq!(told["secrets"].as_array().unwrap().len(), 2);
    let told = copy(&room, &["--only", "z", "team/y"], 0);
    let names: Vec<_> = actions(&told).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["team/y", "z"]);
    let ran = room
        .run(&["copy", "file:a", "file:b", "--only", "none"])
        .ends(3);
    assert!(ran.stderr().contains("doesn't hold it"), "{}", ran.stderr());
    let ran = room
        .run(&["copy", "file:a", "file:b", "--rename", CANARY])
        .ends(2);
    assert!(!ran.stderr().contains("canary"), "{}", ran.stderr());
}

#[test]
fn two_fields_of_one_document_are_overwritten_together() {
    // Writing one field moves the version of the other.
    let room = room()
        .file("strongroom.toml", "[default.secrets]\n\"db#user\" = { kind = \"opaque\" }\n\"db#password\" = { kind = \"opaque\" }\n")
        .file("a/db.json", format!("{{\"user\": \"new-user\", \"password\": \"{PASSWORD}\"}}"))
        .file("b.env", "DB_USER=old\nDB_PASSWORD=older\n");
    let arguments = ["copy", "file:a", "file:b.env", "--on-conflict", "overwrite"];
    room.run(&arguments).ends(0);
    assert_eq!(
        room.run(&["get", "db#user", "--provider", "file:b.env"])
            .stdout(),
        "new-user"
    );
}

#[test]
fn a_document_is_copied_and_compared_by_all_its_fields() {
    // One field is declared; the other is found in the document.
    let manifest = "[default.secrets]\n\"db#user\" = { kind = \"opaque\" }\n";
    let document = "{\"user\": \"somebody\", \"password\": \"p\"}";
    let room = room()
        .file("strongroom.toml", manifest)
        .file("a/db.json", document);
    let told = copy(&room, &[], 0);
    let names: Vec<_> = actions(&told).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["db#password", "db#user"]);
    room.run(&["diff", "file:a", "file:b"]).ends(0);
    // Written in another way, it is the same.
    let other = "{ \"password\" : \"p\", \"user\":\"some\\u0062ody\" }";
    let room = room.file("b/db.json", other);
    room.run(&["diff", "file:a", "file:b"]).ends(0);
    let room = room.file("b/db.json", other.replace("\"p\"", "\"q\""));
    let ran = room.run(&["diff", "file:a", "file:b"]).ends(1);
    assert!(ran.stdout().contains("db#password"), "{}", ran.stdout());
    // The notebook has no fields: a part of its document is not taken for the whole.
    let room = Room::with_notebook()
        .file("strongroom.toml", manifest)
        .dir_of_mode("b", 0o700);
    room.run_with(&["set", "db"], document.as_bytes()).ends(0);
    let ran = room.run(&["copy", "notebook:notes", "file:b"]).ends(2);
    assert!(
        ran.stderr().contains("a name of their own"),
        "{}",
        ran.stderr()
    );
    let ran = room.run(&["diff", "notebook:notes", "file:b"]).ends(1);
    assert!(ran.stdout().contains("db "), "{}", ran.stdout());
}

#[test]
fn what_a_boot_would_refuse_needs_a_word() {
    let room = room()
        .file(
            "strongroom.toml",
            "[default.secrets]\n\"api/token\" = { kind = \"token\" }\n",
        )
        .file("a/api/token", "changeme")
        .file("a/other", PASSWORD);
    let ran = room.run(&["copy", "file:a", "file:b"]).ends(1);
    assert!(ran.stderr().contains("[placeholder]"), "{}", ran.stderr());
    assert!(ran.stderr().contains("--allow-weak") && !ran.stderr().contains("changeme"));
    assert!(!room.path("b/other").exists());
    let ran = room
        .run(&["copy", "file:a", "file:b", "--allow-weak"])
        .ends(0);
    assert!(ran.stderr().contains("[placeholder]"), "{}", ran.stderr());
    assert!(room.path("b/other").exists());
}

#[test]
fn bytes_that_the_target_can_not_hold_are_refused_before_any_write() {
    let room = room()
        .file("a/aaa", TOKEN)
        .file("a/key", [0xff, 0x00, 0xfe])
        .file("b.env", "");
    let ran = room.run(&["copy", "file:a", "file:b.env"]).ends(1);
    let stderr = ran.stderr();
    assert!(
        stderr.contains("`key`") && stderr.contains("encoding"),
        "{stderr}"
    );
    assert!(stderr.contains("0 written: none"), "{stderr}");
    assert_eq!(std::fs::read_to_string(room.path("b.env")).unwrap(), "");
    // With an encoding it goes, and is compared decoded.
    let manifest = "[default.secrets]\nkey = { kind = \"opaque\", encoding = \"base64\" }\n";
    let room = room.file("strongroom.toml", manifest).file("a/key", "/wD+");
    room.run(&["copy", "file:a", "file:b.env"]).ends(0);
    room.run(&["diff", "file:a", "file:b.env"]).ends(0);
}

#[test]
fn a_failure_in_the_middle_says_what_was_done_and_how_to_go_on() {
    // `m` becomes a file, in which no file `m/x` fits.
    let room = room()
        .file("a.json", format!("{{\"a\": \"{TOKEN}\", \"m\": \"{CANARY}\", \"m/x\": \"{PASSWORD}\", \"z\": \"{PASSWORD}\"}}"));
    let arguments = ["copy", "file:a.json", "file:b"];
    let ran = room.run(&arguments);
    assert_ne!(ran.code(), 0);
    let stderr = ran.stderr();
    assert!(
        stderr.contains("2 written: a, m; 2 not written: m/x, z"),
        "{stderr}"
    );
    assert!(stderr.contains("run the same again"), "{stderr}");
    assert!(!stderr.contains("canary"), "{stderr}");
    let ran = room.run(&["copy", "file:a.json", "file:b", "--format", "json"]);
    let told: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .contains("not written: m/x, z")
    );
    assert_eq!(told["secrets"][0]["action"], "equal");
    assert_eq!(
        told["secrets"][2],
        json!({"name": "m/x", "from": "m/x", "action": "create", "done": false})
    );
    room.run(&["copy", "file:a.json", "file:b", "--only", "z"])
        .ends(0);
}

#[test]
fn a_copy_that_was_killed_goes_on_and_overwrites_nothing() {
    const MANY: usize = 400;
    let mut room = room();
    for number in 0..MANY {
        room = room.file(&format!("a/s{number:03}"), format!("{TOKEN}-{number}"));
    }
    // It is killed once it has written something. Should it have been faster, it begins anew.
    let killed = (0..20).any(|_| {
        std::fs::remove_dir_all(room.path("b")).unwrap();
        std::fs::create_dir(room.path("b")).unwrap();
        let mut command = room.command(&["copy", "file:a", "file:b"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while count(&room.path("b")) < 3 && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        (1..MANY).contains(&count(&room.path("b")))
    });
    assert!(killed, "it was never killed in the middle");
    let written = count(&room.path("b"));
    let told = copy(&room, &[], 0);
    let equal = actions(&told)
        .into_iter()
        .filter(|(_, action, _)| action == "equal");
    assert_eq!(equal.count(), written);
    assert_eq!(told["verified"], true);
    room.run(&["diff", "file:a", "file:b"]).ends(0);
}

#[test]
fn an_interrupted_copy_stops_between_two_writes() {
    use rustix::process::{Pid, Signal, kill_process};
    let mut room = room();
    for number in 0..400 {
        room = room.file(&format!("a/s{number:03}"), TOKEN);
    }
    let mut command = room.command(&["copy", "file:a", "file:b"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while count(&room.path("b")) < 3 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = crate::harness::Ran(child.wait_with_output().unwrap());
    let there = count(&room.path("b"));
    if there < 400 {
        let stderr = ran.ends(2).stderr();
        assert!(stderr.contains(&format!("; {there} written: ")), "{stderr}");
    }
    copy(&room, &[], 0);
    room.run(&["diff", "file:a", "file:b"]).ends(0);
}

#[test]
fn what_can_not_be_read_or_written_is_said_before_any_write() {
    let room = Room::with_notebook().dir_of_mode("b", 0o700).file(
        "strongroom.toml",
        "[default.secrets]\n\"fault/transient\" = { kind = \"opaque\" }\n",
    );
    let ran = room.run(&["copy", "notebook:notes", "file:b"]).ends(5);
    assert!(
        ran.stderr().contains("nothing was written"),
        "{}",
        ran.stderr()
    );
    let room = Room::new().file("a/x", TOKEN).dir_of_mode("a", 0o700);
    let ran = room.run(&["copy", "file:a", "env:"]).ends(2);
    assert!(
        ran.stderr().contains("can't be written"),
        "{}",
        ran.stderr()
    );
    // A manifest that has a secret elsewhere is not overruled.
    let manifest = "[default.providers]\nother = \"file:c\"\n[default.secrets]\n\
                    x = { kind = \"opaque\", source = { provider = \"other\" } }\n";
    let room = room
        .file("strongroom.toml", manifest)
        .dir_of_mode("b", 0o700)
        .dir_of_mode("c", 0o700);
    let ran = room.run(&["copy", "file:a", "file:b", "--only", "x"]);
    assert_ne!(ran.code(), 0);
    assert!(!room.path("c/x").exists() && !room.path("b/x").exists());
}
