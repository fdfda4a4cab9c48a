//! Providers that are programs, and the suite for their authors.

use std::path::Path;

use crate::harness::{Room, TOKEN};

/// A program that holds one token, and can only be read.
fn script(room: Room) -> Room {
    let script = format!(
        "#!/bin/sh
case $(cat) in
*'\"operation\":\"describe\"'*)
    echo '{{\"protocol\":1,\"name\":\"script\",\"version\":\"1.0\",\"operations\":[\"fetch\"]}}' ;;
*)
    echo ran >> \"${{0%/*}}/ran\"
    echo '{{\"protocol\":1,\"answers\":[{{\"request\":1,\"text\":\"{TOKEN}\"}}]}}' ;;
esac
"
    );
    let room = room.file("program", script);
    executable(&room.path("program"));
    room
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn address(room: &Room, query: &str) -> String {
    let path = room.path("program").canonicalize().unwrap();
    format!("exec:{}{query}", path.display())
}

#[test]
fn a_program_is_a_provider_where_the_operator_names_it() {
    let room = script(Room::new());
    let provider = address(&room, "?timeout=1m");
    let ran = room
        .run(&["get", "api/token", "--provider", &provider])
        .ends(0);
    assert_eq!(ran.stdout(), TOKEN);
    let room = room.var("STRONGROOM_PROVIDER", &provider);
    assert_eq!(room.run(&["get", "api/token"]).ends(0).stdout(), TOKEN);
    room.run_with(&["set", "api/token"], b"x").ends(2);
    let ran = room.run(&["doctor"]).ends(0);
    for said in ["✓ program: ", "✓ protocol: script 1.0", "✓ health: "] {
        assert!(ran.stdout().contains(said), "{}", ran.stdout());
    }
}

#[test]
fn a_manifest_that_was_merely_found_runs_no_program() {
    let room = script(Room::new());
    let manifest = format!(
        "[default]\nprovider = \"{}\"\n[default.secrets]\n\"api/token\" = {{ kind = \"token\" }}\n",
        address(&room, "?timeout=1m")
    );
    let named = format!(
        "[default]\nprovider = \"env:\"\n[default.providers]\nmine = \"{}\"\n[default.secrets]\n\
         \"api/token\" = {{ kind = \"token\", source = {{ provider = \"mine\" }} }}\n",
        address(&room, "?timeout=1m")
    );
    for manifest in [manifest, named] {
        let room = script(Room::new()).file("strongroom.toml", &manifest);
        for command in [
            &["get", "api/token"][..],
            &["validate"],
            &["run", "--", "true"],
        ] {
            let ran = room.run(command);
            assert!(
                ran.stderr().contains("its program is not run"),
                "{}",
                ran.stderr()
            );
            assert!(
                ran.stderr().contains("strongroom trust"),
                "{}",
                ran.stderr()
            );
        }
        let ran = room
            .run(&["get", "api/token", "--manifest", "strongroom.toml"])
            .ends(0);
        assert_eq!(ran.stdout(), TOKEN);
    }
}

#[test]
fn the_suite_wants_new_stores_in_what_can_be_written() {
    let room = script(Room::new());
    let ran = room.run(&["conformance", &address(&room, "")]).ends(2);
    assert!(ran.stderr().contains("no `{store}`"), "{}", ran.stderr());
    let ran = room
        .run(&["conformance", &address(&room, "?config={store}")])
        .ends(2);
    assert!(
        ran.stderr().contains("can't be written"),
        "{}",
        ran.stderr()
    );
    let ran = room
        .run(&["conformance", &address(&room, "?store={store}")])
        .ends(2);
    assert!(
        ran.stderr().contains("timeout, pass, config"),
        "{}",
        ran.stderr()
    );
    let ran = room.run(&["conformance", "nobody:{store}"]).ends(2);
    assert!(ran.stderr().contains("no backend"), "{}", ran.stderr());
}

#[test]
fn the_suite_finds_what_a_program_does_wrong() {
    // It takes every write, and holds nothing.
    let script = r#"#!/bin/sh
case $(cat) in
*'"operation":"describe"'*)
    echo '{"protocol":1,"name":"sieve","version":"1","operations":["fetch","put","delete"]}' ;;
*) echo '{"protocol":1}' ;;
esac
"#;
    let room = Room::new().file("program", script);
    executable(&room.path("program"));
    let address = address(&room, "?timeout=1m&config={store}");
    let ran = room.run(&["conformance", &address]).ends(1);
    let said = "✗ an absent secret is Absent and fails alone: ";
    assert!(ran.stdout().contains(said), "{}", ran.stdout());
    assert!(
        ran.stdout().contains("✓ an open provider is healthy"),
        "{}",
        ran.stdout()
    );
    assert!(ran.stderr().contains(" failed"), "{}", ran.stderr());
    let json = room
        .run(&["conformance", &address, "--format", "json"])
        .ends(1)
        .stdout();
    assert!(
        json.starts_with(r#"{"schema":1,"ok":false,"passed":["#),
        "{json}"
    );
    assert!(
        json.contains(r#"{"case":"an absent secret is Absent and fails alone","problem":"#),
        "{json}"
    );
}

#[test]
fn the_program_of_the_page_passes_the_suite() {
    let found = ["/usr/local/bin", "/usr/bin", "/bin"].map(|dir| Path::new(dir).join("python3"));
    if !found.iter().any(|python| python.exists()) {
        let ci = strongroom::Env::process();
        assert_ne!(ci.var("CI").unwrap(), Some("true"), "CI has no python3");
        eprintln!("skipped: there is no python3");
        return;
    }
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/exec_provider/provider.py");
    let room = Room::new().file("program", std::fs::read(source).unwrap());
    executable(&room.path("program"));
    let stores = room.path("tmp").canonicalize().unwrap();
    let query = format!("?timeout=1m&config={}/{{store}}", stores.display());
    let ran = room.run(&["conformance", &address(&room, &query)]).ends(0);
    assert!(
        ran.stdout().contains("✓ no value shows in errors"),
        "{}",
        ran.stdout()
    );
    assert!(ran.stderr().contains(" cases hold, "), "{}", ran.stderr());

    // As the page goes on.
    let provider = address(
        &room,
        &format!("?timeout=1m&config={}/store.json", stores.display()),
    );
    let room = room.var("STRONGROOM_PROVIDER", &provider);
    room.run(&["doctor"]).ends(0);
    room.run_with(&["set", "some/name"], b"a value").ends(0);
    assert_eq!(room.run(&["get", "some/name"]).ends(0).stdout(), "a value");
    assert_eq!(room.run(&["list"]).ends(0).stdout(), "some/name\n");
}
