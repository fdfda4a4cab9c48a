//! What `doctor` says of any backend.

use crate::harness::{Room, TOKEN};

#[test]
fn a_backend_without_a_doctor_is_asked_for_its_health() {
    let room = Room::with_notebook();
    let ran = room.run(&["doctor"]).ends(0);
    for said in [
        "✓ deployment: development",
        "✓ provider: notebook:notes",
        "✓ health: it works",
    ] {
        assert!(ran.stdout().contains(said), "{}", ran.stdout());
    }
    assert!(ran.stderr().starts_with("ok: all "), "{}", ran.stderr());
    assert_eq!(room.run(&["doctor", "--quiet"]).ends(0).stderr(), "");
    let ran = room.run(&["doctor", "--policy"]).ends(2);
    assert!(
        ran.stderr().contains("notebook:notes has no policy"),
        "{}",
        ran.stderr()
    );
    assert_eq!(ran.stdout(), "");
}

#[test]
fn what_can_not_be_chosen_or_opened_is_a_failed_check() {
    for (room, said) in [
        (
            Room::new()
                .var("VAULT_ADDR", "https://vault.internal:8200")
                .var("STRONGROOM_AWS_PREFIX", "payments"),
            "both point to a provider",
        ),
        (
            Room::new().var("STRONGROOM_PROVIDER", "aws:///payments"),
            "no AWS region is set",
        ),
    ] {
        let ran = room.run(&["doctor"]).ends(1);
        assert!(ran.stdout().contains(said), "{}", ran.stdout());
        let json = room.run(&["doctor", "--format", "json"]).ends(1).stdout();
        assert!(
            json.starts_with(r#"{"schema":1,"ok":false,"configuration":["#),
            "{json}"
        );
        assert!(json.contains(said), "{json}");
        room.run(&["doctor", "--policy"]).ends(2);
    }
}

#[test]
fn guard_rails_are_among_the_checks() {
    let manifest = "[default.secrets]\n\"a\" = { kind = \"token\" }";
    let room = Room::new()
        .file("strongroom.toml", manifest)
        .file("secrets/a", TOKEN)
        .var("STRONGROOM_PROVIDER", "file:secrets");
    let json = room.run(&["doctor", "--format", "json"]).ends(0).stdout();
    assert!(!json.contains(TOKEN), "{json}");
    let room = room
        .without("STRONGROOM_ENV")
        .var("STRONGROOM_ENV", "production")
        .var("STRONGROOM_PROVIDER", "vault+http://vault.invalid/kv");
    let ran = room.run(&["doctor"]).ends(1);
    assert!(
        ran.stdout().contains("[plaintext-http]"),
        "{}",
        ran.stdout()
    );
}

#[cfg(unix)]
#[test]
fn a_sealed_file_with_one_slot_is_warned_of() {
    let project = crate::project::Project::new();
    project.run(&["init"]).ends(0);
    let ran = project.run(&["doctor"]).ends(0);
    assert!(
        ran.stdout().contains("✓ file: our key opens it"),
        "{}",
        ran.stdout()
    );
    assert!(
        ran.stdout().contains("! slots: one only: "),
        "{}",
        ran.stdout()
    );
    assert!(ran.stderr().contains("with "), "{}", ran.stderr());
}
