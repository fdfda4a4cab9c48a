//! `HOME` of somebody else, as `sudo` keeps it, and a program that is set-user-ID.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use crate::harness::{Ran, TOKEN};
use crate::project::Project;

/// A user that is nobody on any machine.
const OTHER: u32 = 54_321;

/// Gives a file to another user, which only the superuser can.
fn give_away(path: &Path) -> bool {
    match chown(path, Some(OTHER), Some(OTHER)) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            eprintln!("not tested: only the superuser can give a file away");
            false
        }
    }
}

fn production(project: &Project, arguments: &[&str]) -> Ran {
    let mut command = project.room.command(arguments);
    Ran(command
        .env("STRONGROOM_ENV", "production")
        .output()
        .unwrap())
}

#[test]
fn a_key_that_belongs_to_somebody_else_opens_nothing_in_production() {
    let project = Project::begun();
    production(&project, &["list"]).ends(0);
    if !give_away(&project.key_file()) {
        return;
    }
    let ran = production(&project, &["list"]).ends(1);
    assert!(
        ran.stderr().contains("[owned-by-others]"),
        "{}",
        ran.stderr()
    );
    // On a developer's machine it is only said.
    let ran = project.run(&["validate"]).ends(0);
    assert!(
        ran.stderr().contains("belongs to another user"),
        "{}",
        ran.stderr()
    );
    let overridden = "[default]\ndanger_allow_foreign_files = true\n";
    project.write("strongroom.toml", overridden);
    let arguments = ["--manifest", "strongroom.toml", "validate"];
    let ran = production(&project, &arguments).ends(0);
    assert!(
        ran.stderr().contains("danger_allow_foreign_files"),
        "{}",
        ran.stderr()
    );
}

#[cfg(feature = "vault")]
#[test]
fn a_token_that_belongs_to_somebody_else_is_sent_nowhere_in_production() {
    let project = Project::new();
    let token = project.private(".vault-token", TOKEN);
    if !give_away(Path::new(&token)) {
        return;
    }
    let arguments = [
        "--provider",
        "vault://127.0.0.1:9/?mount=kv",
        "get",
        "token",
    ];
    let ran = production(&project, &arguments).ends(1);
    assert!(
        ran.stderr().contains("[owned-by-others]"),
        "{}",
        ran.stderr()
    );
    assert!(!ran.stderr().contains(TOKEN));
}

/// The word `development` lowers every guard rail.
#[test]
fn a_record_of_the_deployment_that_somebody_else_can_write_is_refused() {
    let project = Project::begun();
    let record = project.home(".config/strongroom/deployment");
    std::fs::set_permissions(&record, std::fs::Permissions::from_mode(0o666)).unwrap();
    project.fails(&["list"], 2, "config", "can be written by anyone");
    std::fs::set_permissions(&record, std::fs::Permissions::from_mode(0o600)).unwrap();
    project.run(&["list"]).ends(0);
    if give_away(&record) {
        project.fails(&["list"], 2, "config", "belongs to another user");
    }
}

/// Nothing is recorded in the home of somebody else, who could make a link lead anywhere.
#[test]
fn no_state_is_kept_in_the_home_of_somebody_else() {
    let project = Project::begun();
    let state = project.home(".local/state/strongroom");
    std::fs::remove_dir_all(&state).unwrap();
    if !give_away(&project.home(".local/state")) {
        return;
    }
    let ran = production(&project, &["validate"]).ends(0);
    assert!(
        ran.stderr().contains("belongs to another user"),
        "{}",
        ran.stderr()
    );
    assert!(!state.exists());
}

/// A record of somebody else's says nothing about which file is the newest.
#[test]
fn a_record_of_somebody_else_vouches_for_no_sealed_file() {
    let project = Project::begun();
    let records = project.home(".local/state/strongroom/sealed");
    let is_record =
        |path: &std::path::PathBuf| !path.to_str().unwrap().contains(".strongroom.lock");
    let mut paths = std::fs::read_dir(&records)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let record = paths.find(is_record).unwrap();
    if !give_away(&record) {
        return;
    }
    let ran = production(&project, &["list"]).ends(1);
    assert!(
        ran.stderr().contains("belongs to another user"),
        "{}",
        ran.stderr()
    );
}

/// Its environment and folder belong to whoever started it, and its rights to somebody else.
#[test]
fn a_program_that_is_set_user_id_does_nothing() {
    let project = Project::begun();
    let copy = project.home("strongroom");
    std::fs::copy(env!("CARGO_BIN_EXE_strongroom"), &copy).unwrap();
    if !give_away(&copy) {
        return;
    }
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o4755)).unwrap();
    for arguments in [&["list"][..], &["--help"], &["init"]] {
        let ran = Ran(project
            .room
            .other(copy.to_str().unwrap(), arguments)
            .output()
            .unwrap());
        let ran = ran.ends(2);
        assert!(ran.stderr().contains("set-user-ID"), "{}", ran.stderr());
        assert_eq!(ran.stdout(), "");
    }
}
