//! The command against the environment, as scripts address it.

use crate::canary;
use crate::harness::{Room, TOKEN};

const MANIFEST: &str = "[default.secrets]\n\"api/token\" = { kind = \"token\" }\n";

fn environment() -> Room {
    Room::new()
        .file("strongroom.toml", MANIFEST)
        .var("STRONGROOM_PROVIDER", "env:?prefix=APP_")
        .var("APP_API_TOKEN", TOKEN)
}

#[test]
fn the_environment_is_read_and_never_written() {
    let room = environment();
    assert_eq!(room.run(&["get", "api/token"]).ends(0).stdout(), TOKEN);
    room.run(&["validate"]).ends(0);
    room.run(&["get", "api/other"]).ends(3);
    room.run_with(&["set", "scratch"], b"value").ends(2);
    room.run(&["rm", "api/token"]).ends(2);
    let shown = room.run(&["inspect"]).ends(0).stdout();
    assert!(
        shown.contains("visible in /proc") && !shown.contains(TOKEN),
        "{shown}"
    );
}

#[test]
fn a_weak_value_is_read_and_stops_the_check() {
    let room = environment().var("APP_API_TOKEN", "changeme");
    assert_eq!(room.run(&["get", "api/token"]).ends(0).stdout(), "changeme");
    let ran = room.run(&["validate"]).ends(1);
    assert!(ran.stderr().contains("[placeholder]"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("changeme"), "{}", ran.stderr());
}

#[test]
fn no_command_shows_a_value() {
    let mut room = Room::new()
        .var("STRONGROOM_LOG", "trace")
        .file("strongroom.toml", canary::MANIFEST);
    for kind in canary::KINDS {
        room = room.var(&format!("APP_WEAK_{}", kind.to_uppercase()), canary::CANARY);
    }
    room = room.var("APP_DOC_KEY", canary::CANARY);
    canary::walk(&room, "env:?prefix=APP_");
    assert_eq!(
        room.run(&["get", "weak/token", "--provider", "env:?prefix=APP_"])
            .stdout(),
        canary::CANARY
    );
}
