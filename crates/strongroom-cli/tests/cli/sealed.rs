//! The sealed file as a new user meets it: made, opened, refused, and its keys.

use std::path::Path;

use crate::harness::{Room, TOKEN};
use crate::project::{FILE, PASSPHRASE, Project};

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_empty_folder_becomes_a_project_that_boots() {
    let project = Project::new();
    let ran = project.run(&["init"]).ends(0);
    assert!(
        ran.stderr()
            .contains("recorded this machine as development")
    );
    project.run(&["validate"]).ends(1);
    project.run(&["generate", "session/signing-key"]).ends(0);
    project.run(&["validate"]).ends(0);
    let shown = project.run(&["inspect"]).ends(0).stdout();
    assert!(shown.contains("deployment  development"), "{shown}");
    assert!(
        shown.contains("sealed:.strongroom/secrets.sealed"),
        "{shown}"
    );

    let key = project.key_file();
    for (path, expected) in [
        (project.room.path(FILE).as_path(), 0o600),
        (&project.room.path(".strongroom"), 0o700),
        (&key, 0o600),
        (key.parent().unwrap(), 0o700),
        (&project.home(".config/strongroom"), 0o700),
    ] {
        assert_eq!(mode(path), expected, "{}", path.display());
    }
    // Nothing in the folder opens the file.
    let word = std::fs::read_to_string(&key).unwrap();
    let word = word.lines().last().unwrap();
    assert!(!project.read(FILE).contains(word) && !project.read("strongroom.toml").contains(word));
    let value = project
        .run(&["get", "session/signing-key"])
        .ends(0)
        .stdout();
    assert!(!project.read(FILE).contains(&value));
}

#[test]
fn init_says_in_json_what_it_made() {
    let project = Project::new();
    let json = project.run(&["init", "--format", "json"]).ends(0).stdout();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["created"],
        serde_json::json!(["strongroom.toml", FILE])
    );
    assert_eq!(json["key_file"], project.key_file().to_str().unwrap());
    assert_eq!(json["deployment"]["recorded"], "development");
}

#[test]
fn init_overwrites_nothing() {
    let project = Project::begun();
    let before = [project.read(FILE), project.read("strongroom.toml")];
    let key = std::fs::read(project.key_file()).unwrap();
    project.fails(&["init"], 7, "conflict", "exists already");
    project.fails(
        &["init", "--passphrase-file", "x"],
        7,
        "conflict",
        "exists already",
    );
    assert_eq!(
        [project.read(FILE), project.read("strongroom.toml")],
        before
    );
    assert_eq!(std::fs::read(project.key_file()).unwrap(), key);

    let project = Project::new();
    project.write("strongroom.toml", "# mine\n");
    let ran = project.run(&["init"]).ends(0);
    assert!(
        ran.stderr().contains("kept    strongroom.toml"),
        "{}",
        ran.stderr()
    );
    assert_eq!(project.read("strongroom.toml"), "# mine\n");
}

#[test]
fn init_that_fails_leaves_nothing_half_made() {
    let project = Project::new();
    let taken = project.private("taken.key", "mine");
    project.fails(
        &["init", "--recovery", &taken],
        7,
        "conflict",
        "exists already",
    );
    let weak = project.private("weak", "short\n");
    project.fails(
        &["init", "--passphrase-file", &weak],
        1,
        "policy",
        "too weak",
    );
    project.fails(
        &["init", "--deployment", "live"],
        2,
        "config",
        "--deployment",
    );
    project.run(&["init", "--label", "a b"]).ends(2);
    for path in [FILE, "strongroom.toml"] {
        assert!(!project.room.path(path).exists(), "{path}");
    }
    let keys = std::fs::read_dir(project.home(".config/strongroom/keys"));
    assert_eq!(keys.map(Iterator::count).unwrap_or_default(), 0);
    assert_eq!(std::fs::read_to_string(taken).unwrap(), "mine");
    project.run(&["init"]).ends(0);
}

#[test]
fn no_key_is_written_beside_the_file() {
    let project = Project::new();
    project.fails(
        &["init", "--recovery", "recovery.key"],
        2,
        "config",
        "inside of the repository",
    );
    let room = Room::new();
    let inside = room.path("home").to_str().unwrap().to_owned();
    let ran = room.var("HOME", &inside).run(&["init"]).ends(2);
    assert!(
        ran.stderr().contains("inside of this folder"),
        "{}",
        ran.stderr()
    );
    let ran = Room::new().run(&["init"]).ends(2);
    assert!(ran.stderr().contains("set HOME"), "{}", ran.stderr());
}

#[test]
fn the_machine_is_recorded_once_and_only_where_nothing_says_what_it_is() {
    let project = Project::new();
    project.run(&["init", "--deployment", "staging"]).ends(0);
    let record = project.home(".config/strongroom/deployment");
    assert_eq!(std::fs::read_to_string(&record).unwrap(), "staging\n");
    std::fs::remove_dir_all(project.room.path(".strongroom")).unwrap();
    project.fails(
        &["init", "--deployment", "test"],
        7,
        "conflict",
        "another deployment",
    );
    let ran = project.run(&["init"]).ends(0);
    assert!(!ran.stderr().contains("recorded"), "{}", ran.stderr());

    let mut project = Project::new();
    project.room = project.room.var("STRONGROOM_ENV", "production");
    project.run(&["init"]).ends(0);
    assert!(!project.home(".config/strongroom/deployment").exists());
}

#[test]
fn every_failure_has_its_code_and_says_what_to_do() {
    let project = Project::begun();
    let good = project.read(FILE);
    let at = |query: &str| format!("sealed:{FILE}?{query}");
    let get =
        |address: &str| ["get", "session/signing-key", "--provider", address].map(str::to_owned);
    let fails = |address: &str, code, kind: &str, says: &str| {
        let arguments = get(address);
        project.fails(&arguments.each_ref().map(String::as_str), code, kind, says);
    };
    project.fails(&["get", "nothing/here"], 3, "absent", "no entry");

    let other = project.private(
        "other.key",
        "q3f8YkH0tVnE2rZsX1bLw9cUoJ7mPi4aGd6hQyTe5Rk=\n",
    );
    fails(
        &at(&format!("key_file={other}")),
        4,
        "denied",
        "no slot opens with this key",
    );
    let id = "0".repeat(32);
    let text = format!(
        "# strongroom key of sealed file {id}\n{}",
        std::fs::read_to_string(other).unwrap()
    );
    let foreign = project.private("foreign.key", &text);
    fails(&at(&format!("key_file={foreign}")), 2, "config", &id);
    let typo = project.private("typo", "seven lamps over the old harbor\n");
    fails(
        &at(&format!("passphrase_file={typo}")),
        4,
        "denied",
        "raw-key slots only",
    );
    let right = project.private("right", &format!("{PASSPHRASE}\n"));
    project
        .run(&["key", "add", "anna", "--passphrase-file", &right])
        .ends(0);
    fails(
        &at(&format!("passphrase_file={typo}")),
        4,
        "denied",
        "no slot opens with this passphrase",
    );
    fails(&at("min_epoch=99"), 6, "integrity", "min_epoch");

    project.write(FILE, &good.replacen("epoch 2", "epoch 9", 1));
    fails(&at("min_epoch=1"), 6, "integrity", "the seal is broken");
    project.fails(&["validate"], 6, "integrity", "the seal is broken");
    project.write(FILE, &good.replacen(" 1\n", " 2\n", 1));
    fails(&at("min_epoch=1"), 2, "unsupported", "newer format");
    project.write(FILE, &good.replace('\n', "\r\n"));
    fails(&at("min_epoch=1"), 1, "malformed", "line endings");
    std::fs::remove_file(project.room.path(FILE)).unwrap();
    fails(&at("min_epoch=1"), 3, "absent", "does not exist");
    project.write(FILE, &good);

    let weak = project
        .room
        .run_with(&["set", "session/signing-key"], b"hunter2")
        .ends(1);
    assert!(weak.stderr().contains("[key-length]"), "{}", weak.stderr());
    let nonsense = project.private("nonsense.key", "nonsense\n");
    let address = at(&format!("key_file={nonsense}"));
    fails(&address, 1, "malformed", "nonsense.key: this is not a key");
    for key in ["key_file", "passphrase_file"] {
        fails(
            &at(&format!("{key}=nowhere")),
            4,
            "auth",
            "nowhere does not exist",
        );
    }
    let key = project.key_file();
    std::fs::remove_file(&key).unwrap();
    let says = format!("{FILE}: {} does not exist", key.display());
    for command in ["validate", "list", "inspect"] {
        let ran = project.run(&[command]).ends(4);
        assert!(ran.stderr().contains(&says), "{}", ran.stderr());
    }
    project.fails(&["validate"], 4, "auth", "there is no key for sealed file");
    project.fails(&["key", "list"], 4, "auth", "a recovery key");
}

#[test]
fn a_key_that_others_can_read_is_refused_but_in_development() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::begun();
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(project.key_file(), readable).unwrap();
    let ran = project.run(&["validate"]).ends(0);
    assert!(
        ran.stderr().contains("[readable-by-others]"),
        "{}",
        ran.stderr()
    );
    let room = project.room.var("STRONGROOM_ENV", "production");
    let project = Project {
        room,
        home: project.home,
    };
    project.fails(&["validate"], 1, "policy", "can be read by group or world");
}

#[test]
fn slots_come_and_go() {
    let project = Project::new();
    let recovery = project.home_text("recovery.key");
    project.run(&["init", "--recovery", &recovery]).ends(0);
    project.set("api/token", TOKEN);
    let ci = project.home_text("ci.key");
    let json = project.run(&["key", "add", "ci", "--key-file", &ci, "--format", "json"]);
    assert!(json.ends(0).stdout().contains("\"label\":\"ci\""));
    assert_eq!(mode(Path::new(&ci)), 0o600);
    let with_ci = format!("sealed:{FILE}?key_file={ci}");
    let get = ["get", "api/token", "--provider", &with_ci];
    assert_eq!(project.run(&get).ends(0).stdout(), TOKEN);
    project.fails(
        &["key", "add", "ci", "--key-file", "x.key"],
        7,
        "conflict",
        "already",
    );
    assert!(!project.room.path("x.key").exists());
    let listed = project.run(&["key", "list"]).ends(0).stdout();
    for label in ["first", "recovery", "ci"] {
        assert!(listed.contains(label), "{listed}");
    }

    let before = project.read(FILE);
    project.fails(&["key", "remove", "ci"], 4, "denied", "`recovery`");
    let nowhere = project.home_text("nowhere");
    for option in ["--key-file", "--passphrase-file"] {
        let rotate = ["key", "rotate", option, &nowhere];
        project.fails(&rotate, 4, "auth", "can't open");
    }
    let add = ["key", "add", "x", "--passphrase-file", &nowhere];
    project.fails(&add, 2, "config", "can't open");
    project.fails(
        &["key", "remove", "nobody"],
        3,
        "absent",
        "no slot `nobody`",
    );
    assert_eq!(project.read(FILE), before);
    let ran = project
        .run(&["key", "remove", "ci", "--key-file", &recovery])
        .ends(0);
    assert!(ran.stderr().contains("git's history"), "{}", ran.stderr());
    project.run(&get).ends(4);
    assert_eq!(project.run(&["get", "api/token"]).ends(0).stdout(), TOKEN);

    let before = project.read(FILE);
    let ran = project
        .run(&["key", "rotate", "--key-file", &recovery])
        .ends(0);
    assert!(ran.stderr().contains("git's history"), "{}", ran.stderr());
    let entry = |text: &str| {
        text.lines()
            .find(|l| l.starts_with("entry"))
            .unwrap()
            .to_owned()
    };
    assert_ne!(
        entry(&project.read(FILE)),
        entry(&before),
        "encrypted again"
    );
    project.run(&["key", "remove", "recovery"]).ends(0);
    project.fails(&["key", "remove", "first"], 2, "config", "without a slot");
    let plain = ["key", "list", "--provider", "file:tmp"];
    project.fails(&plain, 2, "config", "no sealed file");
}

#[test]
fn a_passphrase_comes_from_a_file_or_a_descriptor_and_never_from_the_command_line() {
    let project = Project::new();
    let file = project.private("passphrase", &format!("{PASSPHRASE}\n"));
    project.run(&["init", "--passphrase-file", &file]).ends(0);
    assert!(!project.home(".config/strongroom/keys").exists());
    let room = project.room.var("STRONGROOM_PASSPHRASE_FILE", &file);
    let project = Project {
        room,
        home: project.home,
    };
    project.run(&["generate", "--all-missing"]).ends(0);

    let (strongroom, path) = (
        env!("CARGO_BIN_EXE_strongroom"),
        project.home_text("passphrase"),
    );
    let script = format!(
        "STRONGROOM_PASSPHRASE_FILE=/dev/fd/3 '{strongroom}' validate 3<<X\n{PASSPHRASE}\nX"
    );
    let piped =
        format!("cat '{path}' | STRONGROOM_PASSPHRASE_FILE=/dev/fd/0 '{strongroom}' validate");
    let added = format!("cat '{path}' | '{strongroom}' key add second --passphrase-fd 0");
    for script in [script, piped, added] {
        project.room.shell(&script).ends(0);
    }
    for arguments in [
        &["init", "--passphrase", PASSPHRASE][..],
        &["key", "add", "x", "--passphrase", PASSPHRASE],
        &["key", "rotate", "--passphrase", PASSPHRASE],
    ] {
        let ran = project.run(arguments).ends(2);
        assert!(!ran.stderr().contains(PASSPHRASE), "{}", ran.stderr());
    }
}
