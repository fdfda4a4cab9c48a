//! A repository of somebody else's: what it is set up to run is not run.

use super::history::repository;
use super::{declared, found, json, literal, silent};
use crate::harness::{Room, TOKEN};

#[test]
fn no_setting_of_a_repository_runs_a_program() {
    let room = declared().file(
        "evil.sh",
        "#!/bin/sh\necho \"$0 $*\" >> \"$(dirname \"$0\")/tmp/ran\"\ncat 2>/dev/null\n",
    );
    let room = repository(room.file(".gitattributes", "* filter=evil diff=evil merge=evil\n"));
    room.shell("chmod +x evil.sh").ends(0);
    let evil = room.path("evil.sh");
    let evil = evil.to_str().unwrap();
    for (key, value) in [
        ("core.fsmonitor", evil),
        ("core.sshCommand", evil),
        ("core.pager", evil),
        ("core.editor", evil),
        ("core.askPass", evil),
        ("core.gitProxy", evil),
        ("core.alternateRefsCommand", evil),
        ("credential.helper", evil),
        ("diff.external", evil),
        ("diff.evil.textconv", evil),
        ("diff.evil.command", evil),
        ("filter.evil.clean", evil),
        ("filter.evil.smudge", evil),
        ("filter.evil.process", evil),
        ("filter.evil.required", "true"),
        ("gpg.program", evil),
        ("log.showSignature", "true"),
        ("pager.rev-list", evil),
        ("pager.cat-file", evil),
        ("alias.rev-list", &format!("!{evil}")),
        ("alias.cat-file", &format!("!{evil}")),
        ("uploadpack.packObjectsHook", evil),
        ("remote.origin.url", &format!("ext::{evil}")),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("protocol.ext.allow", "always"),
        ("protocol.allow", "always"),
    ] {
        room.other("git", &["config", key, value]).status().unwrap();
    }
    room.shell(&format!("mkdir -p .git/hooks; for hook in post-checkout post-index-change reference-transaction pre-auto-gc; do cp {evil} .git/hooks/$hook; done; rm -f tmp/ran")).ends(0);
    json(&room, &["--history"], 0);
    assert!(
        !room.path("tmp/ran").exists(),
        "{}",
        std::fs::read_to_string(room.path("tmp/ran")).unwrap()
    );
    // An object that is missing is not fetched, and the scan does not pass.
    let blob = room.shell("git rev-parse HEAD:evil.sh").stdout();
    let blob = blob.trim();
    room.shell(&format!(
        "rm -f tmp/ran .git/objects/{}/{}",
        &blob[..2],
        &blob[2..]
    ))
    .ends(0);
    json(&room, &["--history"], 5);
    assert!(
        !room.path("tmp/ran").exists(),
        "{}",
        std::fs::read_to_string(room.path("tmp/ran")).unwrap()
    );
}

#[test]
fn variables_of_git_lead_nowhere_else() {
    let other = repository(Room::new().file("a.txt", literal()));
    let room = repository(declared().file("b.txt", literal()))
        .var("GIT_DIR", other.path(".git").to_str().unwrap())
        .var("GIT_WORK_TREE", other.path(".").to_str().unwrap())
        .var("GIT_OBJECT_DIRECTORY", "/nowhere")
        .var("GIT_EXTERNAL_DIFF", "/nowhere/evil");
    let answer = json(&room, &["--history"], 1);
    assert!(
        found(&answer).iter().all(|(_, path)| path == "b.txt"),
        "{answer}"
    );
}

#[test]
fn a_replaced_object_or_a_graft_hides_nothing() {
    let room = repository(declared().file("a.txt", literal()));
    room.shell("echo x > a.txt && git commit -qam clean && git replace --graft HEAD")
        .ends(0);
    room.shell("git rev-parse HEAD > .git/info/grafts 2>/dev/null || mkdir -p .git/info && git rev-parse HEAD > .git/info/grafts").ends(0);
    let answer = json(&room, &["--history"], 1);
    assert_eq!(
        found(&answer),
        [("github-token".to_owned(), "a.txt".to_owned())]
    );
}

#[test]
fn names_of_files_neither_steer_the_terminal_nor_look_like_a_line() {
    let name = "a\nb.txt\n  1:1      nothing\u{1b}[2J\u{202e}";
    let room = repository(declared().file(name, literal()));
    let ran = room.run(&["scan", "--history"]).ends(1);
    silent(&ran);
    let shown = ran.stdout();
    assert!(
        !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
        "{shown:?}"
    );
    assert!(
        !shown
            .lines()
            .any(|line| line.starts_with("  1:1      nothing")),
        "{shown}"
    );
    let answer = json(&room, &["--history"], 1);
    assert!(
        answer["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|finding| finding["path"] == name),
        "{answer}"
    );
}

#[test]
fn a_folder_that_only_looks_like_a_repository_is_no_clean_history() {
    let room = declared()
        .file(".git/HEAD", "ref: refs/heads/main")
        .file("a.txt", TOKEN);
    room.run(&["scan", "--history"]).ends(2);
    // The tree can be looked at all the same, and that git was of no help is said.
    let answer = json(&room, &[], 1);
    assert!(
        answer["notes"][0].as_str().unwrap().contains("git"),
        "{answer}"
    );
}
