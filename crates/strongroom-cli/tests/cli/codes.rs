//! Every kind of error ends with its own exit code, as text and as JSON.

use crate::harness::{Room, TOKEN};

#[test]
fn each_kind_of_failed_read_has_its_code() {
    let room = Room::with_notebook();
    for (kind, code) in [
        ("denied", 4),
        ("auth", 4),
        ("malformed", 1),
        ("transient", 5),
        ("stale", 5),
        ("conflict", 7),
        ("policy", 1),
        ("integrity", 6),
        ("config", 2),
        ("unsupported", 2),
        ("closed", 1),
    ] {
        let name = format!("fault/{kind}");
        let ran = room.run(&["get", &name]).ends(code);
        assert!(
            ran.stderr().starts_with("error: secret `fault/"),
            "{}",
            ran.stderr()
        );
        assert_eq!(ran.stdout(), "");

        let ran = room.run(&["get", &name, "--format", "json"]).ends(code);
        let json = ran.stdout();
        assert!(json.starts_with(r#"{"schema":1,"error":{"#), "{json}");
        assert!(json.contains(&format!(r#""kind":"{kind}""#)), "{json}");
        assert!(json.contains(&format!(r#""name":"{name}""#)), "{json}");
        assert_eq!(ran.stderr(), "");
    }
    room.run(&["get", "not/there"]).ends(3);
    room.run(&["rm", "not/there"]).ends(3);
}

#[test]
fn a_check_that_could_not_judge_says_so() {
    let manifest = |names: &[&str]| -> String {
        let line = |name: &&str| format!("\"{name}\" = {{ kind = \"token\" }}\n");
        format!(
            "[default.secrets]\n{}",
            names.iter().map(line).collect::<String>()
        )
    };
    for (names, code, inconclusive) in [
        (&["fault/transient", "absent"][..], 5, "\"transient\""),
        (&["fault/transient", "fault/integrity"], 6, "\"integrity\""),
        (&["fault/denied"], 1, "null"),
        (&["absent"], 1, "null"),
    ] {
        let room = Room::with_notebook().file("strongroom.toml", manifest(names));
        let ran = room.run(&["validate"]).ends(code);
        for name in names {
            assert!(ran.stderr().contains(name), "{}", ran.stderr());
        }
        let json = room.run(&["check", "--format", "json"]).ends(code).stdout();
        assert!(
            json.contains(&format!("\"inconclusive\":{inconclusive}")),
            "{json}"
        );
        assert!(json.contains("\"ok\":false"), "{json}");
    }
}

#[test]
fn a_check_without_declarations_says_that_it_checked_nothing() {
    let ran = Room::with_notebook().run(&["validate"]).ends(0);
    assert!(
        ran.stderr().contains("no secret is declared"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn usage_is_2_and_says_what_is_meant() {
    let room = Room::new();
    for (arguments, said) in [
        (&["valdate"][..], "did you mean `validate`"),
        (&["_complete"], "did you mean `completions`"),
        (&["get"], "<NAME> is missing"),
        (&["get", "a", "--formt", "json"], "did you mean `--format`"),
        (&["get", "a", "--format", "jso"], "did you mean `json`"),
        (&["get", "a", "--format", "xml"], "it can be text, json"),
        (
            &["set", "a", "--if-absent", "--if-version", "1"],
            "can't be used together",
        ),
        (&["get", "a//b"], "empty segment"),
        (
            &["get", "a", "--provider", "nonsense"],
            "--provider can't be used",
        ),
        (&["get", "a", "--provider", "fil:x"], "did you mean `file:`"),
        (&["get", "a", "--manifest", "none.toml"], "none.toml"),
    ] {
        let ran = room.run(arguments).ends(2);
        let stderr = ran.stderr();
        assert!(
            stderr.starts_with("error: ") && stderr.contains(said),
            "{stderr}"
        );
        let mut arguments = arguments.to_vec();
        arguments.insert(0, "--format=json");
        if !arguments[1..].contains(&"--format") {
            let json = room.run(&arguments).ends(2).stdout();
            assert!(
                json.starts_with(r#"{"schema":1,"error":{"kind":"config""#),
                "{json}"
            );
        }
    }
    assert!(room.run(&[]).ends(2).stderr().contains("Usage: strongroom"));
}

#[test]
fn a_choice_that_can_not_be_made_is_explained_and_is_2() {
    let room = Room::new();
    let undecided = room
        .var("VAULT_ADDR", "https://vault.internal:8200")
        .var("STRONGROOM_AWS_PREFIX", "payments");
    let ran = undecided.run(&["inspect"]).ends(2);
    for said in [
        "provider    none: ",
        "✗ VAULT_ADDR",
        "✗ STRONGROOM_AWS_PREFIX",
    ] {
        assert!(ran.stdout().contains(said), "{}", ran.stdout());
    }
    let stderr = ran.stderr();
    assert!(
        stderr.contains("VAULT_ADDR") && stderr.contains("STRONGROOM_AWS_PREFIX"),
        "{stderr}"
    );
    let json = undecided
        .run(&["inspect", "--format", "json"])
        .ends(2)
        .stdout();
    assert!(json.contains(r#""verdict":"ambiguous""#), "{json}");
    assert!(json.contains(r#""error":{"kind":"config""#), "{json}");
    undecided.run(&["validate"]).ends(2);
    undecided.run(&["run", "--", "true"]).ends(125);
}

#[test]
fn a_mistyped_variable_is_mentioned_when_nothing_is_chosen() {
    let room = Room::new().var("STRONGROOM_PROVIDR", "file:/run/secrets");
    let ran = room.run(&["get", "a", "--provider", "aws:///"]).ends(2);
    assert!(
        ran.stderr().contains("did you mean STRONGROOM_PROVIDER?"),
        "{}",
        ran.stderr()
    );
    let ran = room
        .run(&["get", "a", "--provider", "aws:///", "--quiet"])
        .ends(2);
    assert!(!ran.stderr().contains("warning"), "{}", ran.stderr());
}

#[test]
fn a_log_is_written_only_where_it_is_asked_for() {
    let room = Room::with_notebook();
    assert_eq!(room.run(&["list"]).ends(0).stderr(), "");
    let room = room.var("STRONGROOM_LOG", "info");
    let ran = room.run(&["list"]).ends(0);
    assert!(
        ran.stderr().contains("strongroom chose a provider"),
        "{}",
        ran.stderr()
    );
    assert_eq!(ran.stdout(), "");
    let ran = Room::with_notebook()
        .var("STRONGROOM_LOG", "a=b=c")
        .run(&["list"])
        .ends(2);
    assert!(
        ran.stderr().contains("STRONGROOM_LOG is no filter"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let room = Room::with_notebook();
    room.run_with(&["set", "a"], TOKEN.as_bytes()).ends(0);
    for arguments in [
        ["--provider", "notebook:notes", "get", "a"],
        ["get", "--provider", "notebook:notes", "a"],
        ["get", "a", "--provider", "notebook:notes"],
    ] {
        assert_eq!(room.run(&arguments).ends(0).stdout(), TOKEN);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::Stdio;
    let room = Room::with_notebook();
    room.run_with(&["set", "a"], &[b'x'; 60_000]).ends(0);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = room
        .command(&["get", "a"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn();
    let output = child.unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_failed_check_fails_though_its_reader_went_away() {
    let manifest = "[default.secrets]\n\"a\" = { kind = \"url\" }";
    let room = Room::with_notebook().file("strongroom.toml", manifest);
    for (command, code) in [
        (&["validate"][..], 1),
        (&["generate", "--all-missing"], 1),
        (&["inspect", "--provider", "aws:///"], 2),
        (&["get", "a"], 3),
        (&["list"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = room.command(command);
        let output = command.args(["--format", "json"]).stdout(writer).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(code), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn colours_follow_the_terminal_and_the_option() {
    let room = Room::with_notebook();
    assert!(!room.run(&["get", "a"]).stderr().contains('\u{1b}'));
    assert!(
        room.run(&["get", "a", "--color", "always"])
            .stderr()
            .contains('\u{1b}')
    );
    let room = room.var("CLICOLOR_FORCE", "1");
    assert!(
        !room
            .run(&["get", "a", "--color", "never"])
            .stderr()
            .contains('\u{1b}')
    );
    let room = Room::with_notebook().var("NO_COLOR", "1");
    assert!(!room.run(&["get", "a"]).stderr().contains('\u{1b}'));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_can_not_be_written_is_a_failure() {
    let room = Room::with_notebook();
    room.run_with(&["set", "a"], TOKEN.as_bytes()).ends(0);
    for command in [&["get", "a"][..], &["list"], &["list", "--format", "json"]] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let status = room.command(command).stdout(full).status().unwrap();
        assert_eq!(status.code(), Some(2), "{command:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn help_that_can_not_be_written_is_a_failure() {
    let room = Room::new();
    for command in [&["--help"][..], &["-V"], &["help", "get"], &["get", "-h"]] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let output = room.command(command).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("can't write to standard output"),
            "{stderr}"
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = room.command(command).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn completions_look_at_no_provider() {
    let room = Room::new().var("STRONGROOM_PROVIDER", "no address at all");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = room.run(&["completions", shell]).ends(0).stdout();
        for word in ["strongroom", "validate", "provider"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}
