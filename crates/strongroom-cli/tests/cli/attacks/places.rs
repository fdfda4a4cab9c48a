//! Links where the command writes, and old files put back.

use std::fs;
use std::os::unix::fs::symlink;

use crate::project::{FILE, Project};

#[test]
fn init_writes_through_no_link_in_the_folder() {
    let project = Project::new();
    let elsewhere = project.home("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, project.room.path(".strongroom")).unwrap();
    project.fails(&["init"], 2, "config", "symbolic link");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(!project.home(".config/strongroom/keys").exists());
    assert!(!project.room.path("strongroom.toml").exists());
}

#[test]
fn init_appends_to_no_file_that_attributes_of_git_lead_to() {
    let project = Project::begun();
    project.room.shell("git init -q").ends(0);
    let profile = project.private("profile", "umask 077\n");
    symlink(&profile, project.room.path(".gitattributes")).unwrap();
    project.fails(&["init", "--git"], 2, "config", ".gitattributes");
    assert_eq!(fs::read_to_string(&profile).unwrap(), "umask 077\n");
}

/// A lock is opened for writing: a link in its place must lead nowhere.
#[test]
fn a_lock_that_is_a_link_is_refused() {
    let project = Project::begun();
    let victim = project.home("victim");
    let lock = project.room.path(".strongroom/.strongroom.lock");
    let before = project.read(FILE);
    fs::remove_file(&lock).unwrap();
    symlink(&victim, &lock).unwrap();
    let ran = project.room.run_with(&["set", "api/token"], b"v").ends(1);
    assert!(
        ran.stderr().contains(".strongroom.lock"),
        "{}",
        ran.stderr()
    );
    assert!(!victim.exists());
    assert_eq!(project.read(FILE), before);
}

#[test]
fn a_merge_leaves_nothing_behind_where_it_can_not_write() {
    let project = Project::begun();
    // What cannot be replaced by a file.
    fs::copy(project.room.path(FILE), project.room.path("ours")).unwrap();
    fs::create_dir(project.room.path("ours.merged")).unwrap();
    let ran = project.run(&["git-merge", FILE, "ours", FILE]).ends(7);
    assert!(ran.stderr().contains("ours.merged"), "{}", ran.stderr());
    assert_eq!(project.read("ours"), project.read(FILE));
}

/// The whole story of an old file put back, in production.
#[test]
fn an_older_sealed_file_is_refused_as_long_as_anything_remembers_the_newer_one() {
    let project = Project::begun();
    let room = &project.room;
    let old = fs::read(room.path(FILE)).unwrap();
    let epoch = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("epoch "));
        line.unwrap().parse::<u64>().unwrap()
    };
    project.set("api/token", "the newer value");
    let newer = epoch(&fs::read(room.path(FILE)).unwrap());
    assert!(epoch(&old) < newer);
    fs::write(room.path(FILE), &old).unwrap();

    let production = |address: &str| {
        let mut command = room.command(&["--provider", address, "list"]);
        let ran = command.env("STRONGROOM_ENV", "production").output();
        crate::harness::Ran(ran.unwrap())
    };
    let address = format!("sealed:{FILE}");
    let refused = production(&address).ends(6);
    assert!(
        refused.stderr().contains("was seen before"),
        "{}",
        refused.stderr()
    );
    // Whoever can delete the record can put the old file back unnoticed, which is what
    // `min_epoch` is for.
    fs::remove_dir_all(project.home(".local/state/strongroom")).unwrap();
    let pinned = format!("{address}?min_epoch={newer}");
    production(&pinned).ends(6);
    production(&address).ends(0);
    // From then on the old one is the newest that anybody knows.
    production(&pinned).ends(6);
}
