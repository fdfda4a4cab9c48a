//! The command against plain files, as scripts address them.

use crate::harness::{Room, TOKEN};

const MANIFEST: &str = "[default.secrets]\n\"api/token\" = { kind = \"token\" }\n";

fn files() -> Room {
    Room::new()
        .file("strongroom.toml", MANIFEST)
        .dir_of_mode("secrets", 0o700)
        .var("STRONGROOM_PROVIDER", "file:secrets")
}

#[test]
fn a_secret_goes_through_a_directory() {
    let room = files();
    room.run(&["validate"]).ends(1);
    room.run_with(&["set", "api/token", "--if-absent"], TOKEN.as_bytes())
        .ends(0);
    room.run_with(&["set", "api/token", "--if-absent"], TOKEN.as_bytes())
        .ends(7);
    assert_eq!(room.run(&["get", "api/token"]).ends(0).stdout(), TOKEN);
    assert_eq!(room.run(&["list"]).ends(0).stdout(), "api/token\n");
    room.run(&["validate"]).ends(0);
    let ran = room
        .run(&["run", "--", "sh", "-c", "printf %s \"$API_TOKEN\""])
        .ends(0);
    assert_eq!(ran.stdout(), TOKEN);
    room.run(&["rm", "api/token"]).ends(0);
    room.run(&["rm", "api/token"]).ends(3);
    room.run(&["generate", "--all-missing"]).ends(0);
    room.run(&["validate"]).ends(0);
}

#[cfg(unix)]
#[test]
fn what_is_written_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let room = files();
    room.run_with(&["set", "api/token"], TOKEN.as_bytes())
        .ends(0);
    let file = std::fs::metadata(room.path("secrets/api/token")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

/// Whoever names a manifest takes responsibility for its overrides; who merely finds one doesn't.
#[cfg(unix)]
#[test]
fn an_override_counts_only_in_a_manifest_that_was_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let overrides = "danger_allow_readable_files = true\ndanger_allow_plain_files = true\n";
    let room = files()
        .file("secrets/api/token", TOKEN)
        .file(
            "strongroom.toml",
            format!("[default]\n{overrides}{MANIFEST}"),
        )
        .var("STRONGROOM_ENV", "production");
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(room.path("secrets/api/token"), readable).unwrap();
    let get = ["get", "api/token", "--manifest", "strongroom.toml"];
    let ran = room.run(&get).ends(0);
    assert_eq!(ran.stdout(), TOKEN);
    let ran = room.run(&get[..2]).ends(1);
    assert!(
        ran.stderr().contains("untrusted-manifest"),
        "{}",
        ran.stderr()
    );
    assert_eq!(ran.stdout(), "");
}
