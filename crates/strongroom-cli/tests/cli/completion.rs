//! Completion in a shell: names of the manifest, quickly, offline and silently.

use std::path::Path;

use crate::harness::{Ran, Room, TOKEN};

const MANIFEST: &str = r#"
[default.providers]
overlay = "file:secrets"

[default.secrets]
"database/password" = { kind = "password" }
"database/user" = { kind = "opaque", default = "not-shown" }
"api/token" = { kind = "token" }
"$(touch pwned)" = { kind = "token" }
"`touch pwned`" = { kind = "token" }

[production.secrets]
"database/replica" = { kind = "password" }
"#;

fn room() -> Room {
    let bin = Path::new(env!("CARGO_BIN_EXE_strongroom"))
        .parent()
        .unwrap();
    Room::new()
        .var("PATH", &format!("{}:/usr/bin:/bin", bin.display()))
        .file("strongroom.toml", MANIFEST)
        .file("data.txt", "")
}

/// What bash would offer for these words, of which the last is being typed.
fn completed(room: &Room, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <(strongroom completions bash)
        COMP_WORDS=(strongroom "$@")
        COMP_CWORD=$#
        COMP_LINE="${COMP_WORDS[*]}"
        COMP_POINT=${#COMP_LINE}
        complete -p strongroom | grep -q -e '-F _strongroom ' || exit 9
        _strongroom strongroom "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let arguments = [&["-c", script, "bash"], words].concat();
    let ran = Ran(room.other("bash", &arguments).output().unwrap()).ends(0);
    assert_eq!(ran.stderr(), "");
    ran.stdout().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_names_of_the_manifest() {
    let room = room();
    let database = ["database/password", "database/replica", "database/user"];
    assert_eq!(completed(&room, &["get", "data"]), database);
    assert_eq!(completed(&room, &["get", "api"]), ["api/token"]);
    assert_eq!(
        completed(&room, &["--quiet", "watch", "api/token", "database/p"]),
        [database[0]]
    );
    assert_eq!(
        completed(&room, &["get", "x", "--profile", "p"]),
        ["production"]
    );
    assert_eq!(completed(&room, &["--profile", "=", "p"]), ["production"]);
    // What is no name is completed as before.
    assert_eq!(completed(&room, &["valid"]), ["validate"]);
    assert!(completed(&room, &["get", "--pro"]).contains(&"--provider".to_owned()));
    assert!(!completed(&room, &["_"]).contains(&"__complete".to_owned()));
    assert!(!completed(&room, &[""]).contains(&"__complete".to_owned()));
}

#[test]
fn hostile_names_are_not_offered_and_nothing_runs() {
    let room = room();
    for typed in ["$", "`", "$(touch pwned)", "'; touch pwned; '"] {
        let found = completed(&room, &["get", typed]);
        assert!(
            !found.iter().any(|name| name.contains("touch")),
            "{found:?}"
        );
    }
    assert_eq!(completed(&room, &["get", ""]).len(), 4);
    assert!(!room.path("pwned").exists());
}

#[test]
fn completion_is_silent_and_asks_nobody() {
    let asked = |room: &Room, line: &[u8]| {
        let ran = room.run_with(&["__complete"], line).ends(0);
        assert_eq!(ran.stderr(), "");
        ran.stdout()
    };
    // A provider that isn't there, a manifest that is wrong, none at all, and one that was named.
    let room = room()
        .var("STRONGROOM_PROVIDER", "vault://127.0.0.1:1/secret")
        .var("STRONGROOM_KEY", TOKEN);
    assert_eq!(asked(&room, b"get\0api\0"), "api/token\n");
    let room = room.file(
        "other.toml",
        "[default.secrets]\nother = 5\nunknown = \"key\"",
    );
    assert_eq!(
        asked(&room, b"get\0--manifest\0other.toml\0oth\0"),
        "other\n"
    );
    assert_eq!(asked(&room, b"get\0--manifest=other.toml\0oth"), "other\n");
    assert_eq!(asked(&room, b"get\0--manifest\0none.toml\0oth\0"), "");
    let room = room.file("strongroom.toml", "not TOML at all [");
    assert_eq!(asked(&room, b"get\0api\0"), "");
    assert_eq!(asked(&Room::new(), b"get\0api\0"), "");
    assert_eq!(asked(&room, b""), "");
    assert_eq!(asked(&room, b"get\0\xff\xfe\0"), "");
    assert_eq!(asked(&room, &vec![b'a'; 1 << 20]), "");
}
