//! Sealed files in git: merged by name, shown without values.

use std::path::Path;

use crate::harness::{Ran, TOKEN};
use crate::project::{FILE, Project};

/// A project in a repository that knows of sealed files, with one commit.
struct Repository(Project);

impl Repository {
    fn new() -> Self {
        let mut project = Project::new();
        let bin = Path::new(env!("CARGO_BIN_EXE_strongroom"))
            .parent()
            .unwrap();
        let path = strongroom::Env::process()
            .var("PATH")
            .unwrap()
            .unwrap_or("")
            .to_owned();
        project.room = project
            .room
            .var("PATH", &format!("{}:{path}", bin.display()))
            .var("GIT_CONFIG_NOSYSTEM", "1")
            .var("GIT_AUTHOR_NAME", "a")
            .var("GIT_AUTHOR_EMAIL", "a@example.com")
            .var("GIT_COMMITTER_NAME", "a")
            .var("GIT_COMMITTER_EMAIL", "a@example.com");
        let repository = Self(project);
        repository.git(&["init", "--quiet", "--initial-branch", "main"], 0);
        let recovery = repository.0.home_text("recovery.key");
        repository
            .0
            .run(&["init", "--git", "--recovery", &recovery])
            .ends(0);
        repository.commit();
        repository
    }

    fn git(&self, arguments: &[&str], code: i32) -> Ran {
        Ran(self.0.room.other("git", arguments).output().unwrap()).ends(code)
    }

    fn commit(&self) {
        self.git(&["add", "--all"], 0);
        self.git(&["commit", "--quiet", "--message", "x"], 0);
    }

    fn set(&self, name: &str, value: &str) {
        self.0.set(name, value);
        self.commit();
    }

    fn switch(&self, branch: &str) {
        self.git(&["switch", "--quiet", branch], 0);
    }

    fn begin(&self, branch: &str) {
        self.git(&["switch", "--quiet", "--create", branch], 0);
    }

    fn get(&self, name: &str) -> String {
        self.0.run(&["get", name]).ends(0).stdout()
    }

    fn labels(&self) -> Vec<String> {
        let listed = self.0.run(&["key", "list"]).ends(0).stdout();
        let lines = listed.lines().skip(1);
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn only_what_may_be_shared_is_committed() {
    let repository = Repository::new();
    let files = repository.git(&["ls-files"], 0).stdout();
    let expected = [
        ".gitattributes",
        ".strongroom/.gitignore",
        FILE,
        "strongroom.toml",
        "tmp/.keep",
    ];
    assert_eq!(files.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn set_up_twice_is_set_up_once() {
    let repository = Repository::new();
    let attributes = repository.0.read(".gitattributes");
    assert_eq!(
        attributes,
        "*.sealed -text merge=strongroom diff=strongroom\n"
    );
    let config = repository.0.read(".git/config");
    assert!(
        config.contains("strongroom git-merge %O %A %B %P"),
        "{config}"
    );
    let ran = repository.0.run(&["init", "--git"]).ends(0);
    assert!(ran.stderr().contains("set up already"), "{}", ran.stderr());
    assert_eq!(repository.0.read(".gitattributes"), attributes);
    assert_eq!(repository.0.read(".git/config"), config);
    let ran = Project::new().run(&["init", "--git"]).ends(2);
    assert!(
        ran.stderr().contains("no git repository"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn branches_that_change_different_names_merge() {
    let repository = Repository::new();
    repository.set("shared", "base");
    repository.begin("side");
    repository.set("side/token", TOKEN);
    repository.switch("main");
    repository.set("main/token", "mine");
    repository.set("shared", "newer");
    repository.git(&["merge", "side"], 0);
    let values = ["side/token", "main/token", "shared"].map(|name| repository.get(name));
    assert_eq!(values, [TOKEN, "mine", "newer"]);
    repository.git(&["diff", "--exit-code"], 0);
}

#[test]
fn branches_that_change_one_name_conflict_and_lose_neither() {
    let repository = Repository::new();
    repository.set("shared", "base");
    repository.begin("side");
    repository.set("shared", "theirs");
    repository.set("side/token", TOKEN);
    repository.switch("main");
    repository.set("shared", "ours");
    let ran = repository.git(&["merge", "side"], 1);
    assert!(
        ran.stderr()
            .contains("✗ shared: both sides changed it [changed-by-both]"),
        "{}",
        ran.stderr()
    );
    assert!(!ran.stderr().contains("side/token"), "{}", ran.stderr());
    assert_eq!(repository.get("shared"), "ours");
    assert_eq!(repository.get("side/token"), TOKEN, "the rest merged");
    let theirs = repository.git(&["show", &format!(":3:{FILE}")], 0);
    std::fs::write(repository.0.home("theirs.sealed"), theirs.0.stdout).unwrap();
    let address = format!("sealed:{}", repository.0.home_text("theirs.sealed"));
    let get = ["get", "shared", "--provider", &address];
    assert_eq!(repository.0.run(&get).ends(0).stdout(), "theirs");
    repository.set("shared", "settled");
    assert_eq!(repository.get("shared"), "settled");
}

#[test]
fn a_merge_lists_its_conflicts_in_json_too() {
    let repository = Repository::new();
    let side = |path: &str, names: &[&str]| {
        for name in names {
            repository.0.set(name, path);
        }
        std::fs::copy(repository.0.room.path(FILE), repository.0.room.path(path)).unwrap();
    };
    side("base", &["a", "b", "c"]);
    side("ours", &["a", "b"]);
    std::fs::copy(repository.0.room.path("base"), repository.0.room.path(FILE)).unwrap();
    side("theirs", &["b", "a", "c"]);
    let merge = |base: &str| {
        let ours = ["git-merge", base, "ours", "theirs", "secrets.sealed"];
        let ran = repository
            .0
            .run(&[&ours[..], &["--format", "json"]].concat());
        let json: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
        (ran.code(), json)
    };
    let (code, json) = merge("base");
    assert_eq!(code, 7);
    assert_eq!(json["schema"], 1);
    assert_eq!(json["file"], "secrets.sealed");
    let conflicts = json["conflicts"].as_array().unwrap();
    let names: Vec<_> = conflicts.iter().map(|conflict| &conflict["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(conflicts[0]["rule"], "changed-by-both");
    assert!(conflicts[0]["help"].as_str().unwrap().contains("set a"));

    let (code, json) = merge("theirs");
    assert_eq!(code, 0);
    assert_eq!(json["conflicts"], serde_json::json!([]));
}

#[test]
fn a_removed_slot_stays_removed() {
    let repository = Repository::new();
    repository.begin("side");
    repository.set("side/token", TOKEN);
    repository.switch("main");
    repository.0.run(&["key", "remove", "recovery"]).ends(0);
    repository.commit();
    repository.switch("side");
    repository.git(&["merge", "main"], 0);
    assert_eq!(repository.labels(), ["first"]);
    assert_eq!(repository.get("side/token"), TOKEN);
    let recovery = repository.0.home_text("recovery.key");
    let address = format!("sealed:{FILE}?key_file={recovery}");
    repository
        .0
        .run(&["get", "side/token", "--provider", &address])
        .ends(4);
}

#[test]
fn without_the_key_a_merge_touches_nothing() {
    let repository = Repository::new();
    repository.begin("side");
    repository.set("a", "1");
    repository.switch("main");
    repository.set("b", "2");
    let before = repository.0.read(FILE);
    std::fs::remove_file(repository.0.key_file()).unwrap();
    let ran = repository.git(&["merge", "side"], 1);
    assert!(
        ran.stderr().contains("the file was not touched"),
        "{}",
        ran.stderr()
    );
    assert_eq!(repository.0.read(FILE), before);
    repository.git(&["merge", "--abort"], 0);
    assert_eq!(repository.0.read(FILE), before);
}

#[test]
fn a_side_that_was_tampered_with_is_not_merged() {
    let repository = Repository::new();
    let file = repository.0.read(FILE);
    for (name, text) in [
        ("base", &file),
        ("ours", &file),
        ("theirs", &file.replace("epoch 2", "epoch 3")),
    ] {
        std::fs::write(repository.0.room.path(name), text).unwrap();
    }
    let ran = repository
        .0
        .run(&["git-merge", "base", "ours", "theirs"])
        .ends(6);
    assert!(ran.stderr().contains("seal"), "{}", ran.stderr());
    assert_eq!(repository.0.read("ours"), file);
}

#[test]
fn line_endings_are_left_alone() {
    let repository = Repository::new();
    repository.git(&["config", "core.autocrlf", "true"], 0);
    repository.set("shared", "base");
    let before = repository.0.read(FILE);
    std::fs::remove_file(repository.0.room.path(FILE)).unwrap();
    repository.git(&["checkout", "--", FILE], 0);
    assert_eq!(repository.0.read(FILE), before);
    assert_eq!(repository.get("shared"), "base");
}

#[test]
fn a_diff_shows_names_and_versions_and_no_value() {
    let repository = Repository::new();
    repository.set("api/token", TOKEN);
    // Nobody needs a key to look.
    std::fs::remove_file(repository.0.key_file()).unwrap();
    let diff = repository.git(&["diff", "HEAD~1"], 0).stdout();
    assert!(diff.contains("\n+api/token 1-"), "{diff}");
    assert!(!diff.contains(TOKEN) && !diff.contains("entry"), "{diff}");
    let json = repository
        .0
        .run(&["git-textconv", FILE, "--format", "json"])
        .ends(0)
        .stdout();
    assert!(json.contains("\"name\":\"api/token\""), "{json}");
    repository
        .0
        .run(&["git-textconv", "strongroom.toml"])
        .ends(1);
}
