//! `run`: what the program gets, what it doesn't, and how it ends.

#![cfg(unix)]

use std::os::unix::process::ExitStatusExt as _;

use crate::harness::{Room, TOKEN};

const MANIFEST: &str = r#"
[default.secrets]
"api/token" = { kind = "token" }
"db/password" = { kind = "opaque", env = "PGPASSWORD" }
"feature/key" = { kind = "opaque", required = false }
"#;

fn room() -> Room {
    let room = Room::with_notebook().file("strongroom.toml", MANIFEST);
    room.run_with(&["set", "api/token"], TOKEN.as_bytes())
        .ends(0);
    room.run_with(&["set", "db/password"], b"line one\nline two")
        .ends(0);
    room
}

#[test]
fn the_program_gets_each_secret_in_its_variable() {
    let script = r#"printf '%s|%s|%s' "$API_TOKEN" "$PGPASSWORD" "${FEATURE_KEY-none}""#;
    let ran = room()
        .var("PGPASSWORD", "another")
        .var("FEATURE_KEY", "never read or proven")
        .run(&["run", "--", "sh", "-c", script])
        .ends(0);
    assert_eq!(ran.stdout(), format!("{TOKEN}|line one\nline two|none"));
    // A program's own options are its own, with or without the two dashes.
    let ran = room()
        .run(&["exec", "sh", "-c", "echo $0", "--format"])
        .ends(0);
    assert_eq!(ran.stdout(), "--format\n");
}

#[test]
fn no_file_variable_stays_beside_a_secrets_own() {
    let script = "printf '%s|%s|%s' \"${PGPASSWORD_FILE-none}\" \"${FEATURE_KEY_FILE-none}\" \"$OTHER_FILE\"";
    let ran = room()
        .var("PGPASSWORD_FILE", "/run/password")
        .var("FEATURE_KEY_FILE", "/run/key")
        .var("OTHER_FILE", "kept")
        .run(&["run", "--", "sh", "-c", script])
        .ends(0);
    assert_eq!(ran.stdout(), "none|none|kept");
    // A declared secret's own variable may look like another's file variable.
    let manifest =
        "[default.secrets]\n\"a/file\" = { kind = \"opaque\" }\n\"a\" = { kind = \"opaque\" }";
    let room = Room::with_notebook().file("strongroom.toml", manifest);
    room.run_with(&["set", "a"], b"first of two").ends(0);
    room.run_with(&["set", "a/file"], b"second of two").ends(0);
    let ran = room.run(&["run", "--", "sh", "-c", "echo \"$A|$A_FILE\""]);
    assert_eq!(ran.ends(0).stdout(), "first of two|second of two\n");
}

#[test]
fn the_program_inherits_no_credential_of_ours() {
    let room = room()
        .var("NOTEBOOK_TOKEN", "n")
        .var("AWS_ACCESS_KEY_ID", "a")
        .var("STRONGROOM_PASSPHRASE", "p")
        .var("STRONGROOM_LOG", "off")
        .var("KEPT", "k");
    let variables = room.run(&["run", "--", "env"]).ends(0).stdout();
    for gone in ["NOTEBOOK_TOKEN", "STRONGROOM_P", "STRONGROOM_LOG"] {
        assert!(!variables.contains(gone), "{gone} in {variables}");
    }
    // No backend in use is reached by it: the program may need it for something else.
    assert!(variables.contains("AWS_ACCESS_KEY_ID=a\n"), "{variables}");
    assert!(variables.contains("KEPT=k\n"), "{variables}");
    assert!(
        variables.contains("STRONGROOM_ENV=development\n"),
        "{variables}"
    );
}

/// It would be given back when we end, so nothing is asked of the server, which there is none here.
#[test]
fn a_dynamic_secret_is_handed_to_nobody() {
    let manifest = "[default.secrets.\"db/password\"]\nkind = \"opaque\"\n\
                    source = { id = \"database/creds/app\", field = \"password\", lease = true }\n";
    let room = Room::new()
        .file("strongroom.toml", manifest)
        .var("STRONGROOM_PROVIDER", "vault+http://127.0.0.1:1/")
        .var("VAULT_TOKEN", "v");
    for (arguments, code) in [
        (&["get", "db/password"][..], 2),
        (&["run", "--", "echo", "started"], 125),
    ] {
        let ran = room.run(arguments).ends(code);
        assert_eq!(ran.stdout(), "");
        let stderr = ran.stderr();
        assert!(
            stderr.contains("`db/password`: it is a dynamic secret"),
            "{stderr}"
        );
        assert!(
            stderr.contains("have the service read it itself"),
            "{stderr}"
        );
    }
}

#[test]
fn exit_codes_and_signals_are_the_programs() {
    let room = room();
    for code in [0, 1, 3, 42, 255] {
        room.run(&["run", "--", "sh", "-c", &format!("exit {code}")])
            .ends(code);
    }
    let ran = room.run(&["run", "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(ran.0.status.signal(), Some(15));
    // The pipe signal is not ignored in the program as it is in ours.
    let ran = room
        .run(&["run", "--", "sh", "-c", "yes 2>&1 | head -n 1"])
        .ends(0);
    assert_eq!(ran.stdout(), "y\n");
}

#[test]
fn its_own_failures_are_125_to_127() {
    let room = room().file("not-executable", "");
    room.run(&["run", "--", "no-such-program"]).ends(127);
    room.run(&["run", "--", "./not-executable"]).ends(126);
    room.run(&["rm", "api/token"]).ends(0);
    let ran = room
        .run(&["run", "--", "sh", "-c", "echo started"])
        .ends(125);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("api/token"), "{}", ran.stderr());
}

#[test]
fn its_own_usage_errors_are_125_as_the_programs_may_be_2() {
    let room = room();
    for arguments in [
        &["run"][..],
        &["exec"],
        &["run", "--formt", "json", "--", "true"],
        &["run", "--format", "xml", "--", "true"],
        &["--format", "xml", "run", "--", "true"],
        &["--formt", "json", "--quiet", "exec", "true"],
        &["run", "--profile"],
        &["run", "--provider", "nonsense", "--", "true"],
        &["run", "--manifest", "none.toml", "--", "true"],
    ] {
        let ran = room.run(arguments).ends(125);
        assert!(ran.stderr().starts_with("error: "), "{}", ran.stderr());
    }
    room.run(&["run", "--", "sh", "-c", "exit 2"]).ends(2);
    for arguments in [
        &["--profile", "run", "get"][..],
        &["get", "run", "--formt"],
        &["valdate", "run"],
        &["--quiet", "valdate", "run"],
        &["--", "run"],
    ] {
        room.run(arguments).ends(2);
    }
    room.var("STRONGROOM_LOG", "a=b=c")
        .run(&["run", "--", "true"])
        .ends(125);
}

#[test]
fn what_no_variable_can_hold_stops_the_start() {
    let room = room();
    for value in [&b"\xff\xfe"[..], b"a\0b"] {
        room.run_with(&["set", "db/password"], value);
        let ran = room
            .run(&["run", "--", "sh", "-c", "echo started"])
            .ends(125);
        assert!(ran.stderr().contains("db/password"), "{}", ran.stderr());
        assert_eq!(ran.stdout(), "");
    }
}

#[test]
fn variables_that_change_how_programs_load_stop_the_start() {
    for (manifest, said) in [
        (
            "\"a\" = { kind = \"opaque\", env = \"LD_PRELOAD\" }",
            "LD_PRELOAD",
        ),
        ("\"path\" = { kind = \"opaque\" }", "PATH"),
        (
            "\"a/b\" = { kind = \"opaque\" }\n\"a_b\" = { kind = \"opaque\" }",
            "A_B",
        ),
    ] {
        let room =
            Room::with_notebook().file("strongroom.toml", format!("[default.secrets]\n{manifest}"));
        let ran = room
            .run(&["run", "--", "sh", "-c", "echo started"])
            .ends(125);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert_eq!(ran.stdout(), "");
    }
}

#[test]
fn a_value_with_an_encoding_is_handed_over_in_it() {
    let manifest = "[default.secrets]\n\"a/key\" = { kind = \"key\", encoding = \"hex\" }";
    let room = Room::with_notebook().file("strongroom.toml", manifest);
    room.run(&["generate", "a/key"]).ends(0);
    let ran = room.run(&["run", "--", "sh", "-c", "printf %s \"$A_KEY\""]);
    let key = room.run(&["get", "a/key"]).ends(0).0.stdout;
    assert_eq!(ran.ends(0).stdout(), base16ct::lower::encode_string(&key));
}
