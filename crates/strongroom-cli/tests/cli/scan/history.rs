//! What was committed once is found, wherever it is now.

use serde_json::Value;

use super::{declared, json, literal, silent};
use crate::harness::{Room, TOKEN};

pub(super) fn repository(room: Room) -> Room {
    let room = room
        .var("GIT_CONFIG_NOSYSTEM", "1")
        .var("GIT_AUTHOR_NAME", "a")
        .var("GIT_AUTHOR_EMAIL", "a@example.com")
        .var("GIT_COMMITTER_NAME", "a")
        .var("GIT_COMMITTER_EMAIL", "a@example.com");
    room.shell("git init -q --initial-branch main . && git add -A && git commit -qm begin")
        .ends(0);
    room
}

fn commit(room: &Room, script: &str) -> String {
    room.shell(&format!("{script} && git add -A && git commit -qm work"))
        .ends(0);
    room.shell("git rev-parse HEAD")
        .ends(0)
        .stdout()
        .trim()
        .to_owned()
}

/// Returns each finding of the history: its path and its commit.
fn history(answer: &Value) -> Vec<(String, String)> {
    let findings = answer["findings"].as_array().unwrap().iter();
    let old = findings.filter(|finding| finding["history"] == true);
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    old.map(|finding| (text(&finding["path"]), text(&finding["commit"])))
        .collect()
}

#[test]
fn a_file_that_was_deleted_is_found_with_its_first_commit() {
    let room = repository(declared());
    let first = commit(&room, &format!("echo {TOKEN} > old.txt"));
    commit(&room, "echo more >> old.txt");
    commit(&room, "git mv old.txt new.txt");
    commit(&room, "git rm -q new.txt");
    json(&room, &[], 0);
    let answer = json(&room, &["--history"], 1);
    assert!(
        history(&answer).contains(&("old.txt".to_owned(), first)),
        "{answer}"
    );
    assert!(answer["looked_at"]["objects"].as_u64().unwrap() > 4);
    silent(&room.run(&["scan", "--history"]).ends(1));
}

#[test]
fn branches_tags_messages_stash_and_index_are_looked_at_and_what_is_unreachable_is_not() {
    let room = repository(declared());
    commit(&room, "git switch -qc side && echo side > side.txt");
    let token = literal();
    let side = commit(&room, &format!("echo {TOKEN} > branch.txt"));
    room.shell("git switch -q main").ends(0);
    // Amended: no reference leads to the first version.
    commit(&room, &format!("echo 'amended {token}' > amended.txt"));
    room.shell("git rm -qf amended.txt && git commit -q --amend --allow-empty -m amended")
        .ends(0);
    room.shell(&format!(
        "git commit -q --allow-empty -m 'the token\n\nis {token}'"
    ))
    .ends(0);
    let message = room
        .shell("git rev-parse HEAD")
        .ends(0)
        .stdout()
        .trim()
        .to_owned();
    room.shell(&format!("git tag -a v1 -m 'tagged {token}'"))
        .ends(0);
    room.shell(&format!(
        "echo 'stashed {token}' > s1.txt && git add -A && git stash -q"
    ))
    .ends(0);
    room.shell("echo x > s2.txt && git add -A && git stash -q")
        .ends(0);
    room.shell(&format!(
        "echo '{token}' > staged.txt && git add staged.txt && rm staged.txt"
    ))
    .ends(0);
    let found = history(&json(&room, &["--history"], 1));
    assert!(
        found.contains(&("branch.txt".to_owned(), side)),
        "{found:?}"
    );
    assert!(
        found.contains(&("commit-message".to_owned(), message)),
        "{found:?}"
    );
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert!(paths.contains(&"tag-message"), "{paths:?}");
    assert!(paths.contains(&"s1.txt"), "{paths:?}");
    assert!(
        found.contains(&("staged.txt".to_owned(), "none".to_owned())),
        "{found:?}"
    );
    assert!(!paths.contains(&"amended.txt"), "{paths:?}");
    let text = room.run(&["scan", "--history"]).ends(1);
    silent(&text);
    assert!(
        text.stdout().contains("staged.txt (in the index)"),
        "{}",
        text.stdout()
    );
}

#[test]
fn what_a_merge_alone_brought_is_found_in_the_merge() {
    let room = repository(declared());
    commit(&room, "git switch -qc side && echo a > a.txt");
    room.shell("git switch -q main").ends(0);
    commit(&room, "echo b > b.txt");
    room.shell("git merge -q --no-commit side").ends(0);
    let merge = commit(&room, &format!("echo {TOKEN} > m.txt"));
    commit(&room, "git rm -q m.txt");
    assert_eq!(
        history(&json(&room, &["--history"], 1)),
        [("m.txt".to_owned(), merge)]
    );
}

#[test]
fn a_baseline_covers_the_history() {
    let room = repository(declared());
    commit(&room, &format!("echo '{}' > a.txt", literal()));
    commit(&room, "git rm -q a.txt");
    let write = [
        "--baseline",
        "k.json",
        "--write-baseline",
        "--reason",
        "revoked in May",
    ];
    json(&room, &[&["--history"][..], &write].concat(), 0);
    assert_eq!(
        json(&room, &["--history", "--baseline", "k.json"], 0)["in_baseline"],
        1
    );
    // Without the history nothing of it is gone; in the tree it would be new.
    assert_eq!(
        json(&room, &["--baseline", "k.json"], 0)["gone"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let room = room.file("a.txt", literal());
    json(&room, &["--baseline", "k.json"], 1);
}

#[test]
fn a_shallow_repository_is_said_to_be_one() {
    let room = repository(declared());
    commit(&room, "echo a > a.txt");
    room.shell("git clone -q --depth 1 file://$PWD shallow")
        .ends(0);
    let answer = json(&room, &["--history", "shallow"], 0);
    assert!(
        answer["notes"][0].as_str().unwrap().contains("shallow"),
        "{answer}"
    );
}
