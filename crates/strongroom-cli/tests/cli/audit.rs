//! The audit log: verified against a head and against a sealed file, and shown to people.

use std::fs;

use crate::harness::{Ran, Room, TOKEN};
use crate::project::{FILE, Project};

const LOG: &str = "audit.jsonl";

/// A project on a sealed file whose manifest asks for a log.
fn audited(more: &str) -> Project {
    let project = Project::begun();
    let key = project.private("audit.key", &"0123456789abcdef".repeat(4));
    let manifest = project.read("strongroom.toml");
    project.write(
        "strongroom.toml",
        &format!("{manifest}\n[default.audit]\npath = \"{LOG}\"\nkey_file = \"{key}\"\n{more}"),
    );
    project
}

/// Runs a command with the manifest named, so that its section is trusted.
fn named(project: &Project, arguments: &[&str]) -> Ran {
    named_with(project, arguments, b"")
}

fn named_with(project: &Project, arguments: &[&str], input: &[u8]) -> Ran {
    let arguments = [&["--manifest", "strongroom.toml"], arguments].concat();
    project.room.run_with(&arguments, input)
}

fn set(project: &Project, value: &str) {
    named_with(project, &["set", "api/token"], value.as_bytes()).ends(0);
}

fn head(project: &Project) -> String {
    let shown = named(project, &["audit", "verify"]).ends(0).stdout();
    let head = shown.lines().find_map(|line| line.strip_prefix("head "));
    head.unwrap().to_owned()
}

#[track_caller]
fn says(ran: &Ran, text: &str) {
    assert!(ran.stderr().contains(text), "{}", ran.stderr());
}

#[test]
fn a_sealed_file_older_than_the_log_knows_is_found() {
    let project = audited("");
    set(&project, TOKEN);
    let old = project.read(FILE);
    set(&project, "wN3-pR8_tK5vQ1zL7mX0cJ4hB9sD2fYg");
    let sealed = |path: &str| named(&project, &["audit", "verify", "--sealed", path]);
    let ran = sealed(FILE).ends(0);
    assert!(
        ran.stdout().contains("not older than epoch"),
        "{}",
        ran.stdout()
    );

    project.write("old.sealed", &old);
    says(&sealed("old.sealed").ends(6), "and the log knows epoch");
    let json = named(
        &project,
        &[
            "audit",
            "verify",
            "--sealed",
            "old.sealed",
            "--format",
            "json",
        ],
    );
    let json: serde_json::Value = serde_json::from_str(&json.ends(6).stdout()).unwrap();
    assert_eq!(json["error"]["kind"], "integrity");

    // As new as the newest, but with another history: written where the log didn't see it.
    let newest = project.read(FILE);
    project.write(FILE, &old);
    project.set("api/token", "zX6-yB2_uH9gT4rE8nM1kV5lC0jP3qSd");
    let other = project.read(FILE);
    project.write(FILE, &newest);
    project.write("other.sealed", &other);
    says(
        &sealed("other.sealed").ends(6),
        "the log knows another state of epoch",
    );
    sealed(FILE).ends(0);
}

#[test]
fn a_sealed_file_that_the_log_does_not_know_is_absent_from_it() {
    let project = audited("");
    set(&project, TOKEN);
    project.write("foreign.sealed", &Project::begun().read(FILE));
    let sealed = |path: &str| named(&project, &["audit", "verify", "--sealed", path]);
    says(
        &sealed("foreign.sealed").ends(3),
        "the log knows no state of this sealed file",
    );
    says(
        &sealed("missing.sealed").ends(2),
        "can't read missing.sealed",
    );
}

#[test]
fn a_cut_tail_is_found_against_a_head() {
    let project = audited("");
    set(&project, TOKEN);
    let early = head(&project);
    named(&project, &["get", "api/token"]).ends(0);
    let late = head(&project);
    assert_ne!(early, late);
    let expect = |head: &str| named(&project, &["audit", "verify", "--expect-head", head]);
    expect(&early).ends(0);
    expect(&late).ends(0);

    // Another event of this number, as another history would have it.
    let (number, _) = late.split_once(':').unwrap();
    let (_, code) = early.split_once(':').unwrap();
    says(
        &expect(&format!("{number}:{code}")).ends(6),
        "the event is another one than the expected head",
    );

    let log = project.read(LOG);
    let whole = log.trim_end().rfind('\n').unwrap() + 1;
    project.write(LOG, &log[..whole]);
    expect(&early).ends(0);
    says(&expect(&late).ends(6), "the log ends at event");
    project.write(LOG, &log[..log.len() - 9]);
    says(&expect(&late).ends(6), "the line is not whole");
}

#[test]
fn what_is_no_head_is_a_mistake_of_usage() {
    let project = audited("");
    set(&project, TOKEN);
    let head = head(&project);
    let (number, code) = head.split_once(':').unwrap();
    for wrong in [
        "",
        "12",
        code,
        &format!("0:{code}"),
        &format!("0{head}"),
        &format!("+{head}"),
        &format!("{number}:{}", code.to_uppercase()),
        &format!("{head}0"),
        &format!("{head}\n"),
        &format!("99999999999999999999:{code}"),
    ] {
        // A code of digits alone has no upper case.
        if wrong == head {
            continue;
        }
        let ran = named(&project, &["audit", "verify", "--expect-head", wrong]);
        says(&ran.ends(2), "not the head of an audit log");
    }
}

#[test]
fn each_filter_picks_its_events() {
    let project = audited("service = \"shop\"\n");
    set(&project, TOKEN);
    named(&project, &["get", "api/token"]).ends(0);
    named(&project, &["get", "api/tokn"]).ends(3);
    let show = |filters: &[&str]| {
        let ran = named(&project, &[&["audit", "show", LOG], filters].concat()).ends(0);
        assert_eq!(ran.stderr(), "");
        let lines: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
        lines
    };
    let all = show(&[]);
    let having = |text: &str| -> Vec<_> {
        let has = |line: &&String| line.contains(text);
        all.iter().filter(has).cloned().collect()
    };
    assert!(!having("api/tokn").is_empty());
    assert!(having("api/token").len() < all.len());
    assert_eq!(show(&["--name", "api/tokn"]), having("api/tokn"));
    assert_eq!(show(&["--name", "api/*"]), having("api/"));
    assert_eq!(show(&["--outcome", "absent"]), having("  absent "));
    assert_eq!(show(&["--outcome", "failure"]), having("  absent "));
    assert_eq!(show(&["--operation", "fetch"]), having("  fetch  "));
    assert_eq!(show(&["--actor", "shop"]), all);
    assert_eq!(show(&["--actor", "sho"]), Vec::<String>::new());
    assert_eq!(
        show(&["--name", "api/tokn", "--operation", "put"]),
        Vec::<String>::new()
    );

    // Every form of a time, on both sides.
    for before in [
        "1h",
        "2020-01-01",
        "2020-01-01T00:00:00Z",
        "2020-01-01 00:00:00",
    ] {
        assert_eq!(show(&["--since", before]), all, "{before}");
        assert_eq!(show(&["--until", before]), Vec::<String>::new(), "{before}");
    }
    for after in ["2199-01-01", "2199-01-01T00:00:00Z"] {
        assert_eq!(show(&["--since", after]), Vec::<String>::new(), "{after}");
        assert_eq!(show(&["--until", after]), all, "{after}");
    }
    for wrong in [
        "yesterday",
        "",
        "2026-13-01",
        "-1h",
        "99999999999999999999y",
    ] {
        let since = format!("--since={wrong}");
        let refused = named(&project, &["audit", "show", LOG, &since])
            .ends(2)
            .stderr();
        assert!(refused.contains("such as 2026-01-31"), "{refused}");
        // What was typed may have been meant for another option.
        assert!(wrong.is_empty() || !refused.contains(wrong), "{refused}");
    }
}

#[test]
fn a_forged_line_neither_steers_the_terminal_nor_ends_the_command() {
    let line = |time: &str, name: &str, seq: u32| {
        format!(
            "{{\"actor\":{{}},\"api\":{{\"operation\":\"fetch\"}},\"resources\":[{{\"name\":\"{name}\"}}],\
             \"status\":\"Success\",\"time\":{time},\"unmapped\":{{\"seq\":{seq},\"mac\":\"{}\"}}}}\n",
            "0".repeat(64)
        )
    };
    let room = Room::new().file(
        LOG,
        [
            line("1", r"a\u001b[31m\r\n2026-01-01T00:00:00.000Z  forged", 1),
            line("18446744073709551615", "late", 2),
            line("253402300800000", "year/10000", 3),
            line("1", "plain", 4),
            // Two readers of JSON could take different members: it is none of ours.
            line("1,\"time\":2", "twice", 5),
        ]
        .concat(),
    );
    let ran = room.run(&["audit", "show", LOG]).ends(0);
    let shown = ran.stdout();
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(!shown.contains(['\u{1b}', '\r']), "{shown}");
    assert!(shown.ends_with("plain\n"), "{shown}");
    says(&ran, "1 line is no event");
    let json = room
        .run(&["audit", "show", LOG, "--format", "json"])
        .ends(0);
    assert_eq!(json.stdout().lines().count(), 4);
    let until = ["audit", "show", LOG, "--until", "2020-01-01"];
    assert_eq!(room.run(&until).ends(0).stdout().lines().count(), 2);
}

#[test]
fn a_command_whose_events_can_not_be_recorded_shows_no_value() {
    for more in ["", "fail_closed = true\n"] {
        let project = audited(more);
        set(&project, TOKEN);
        fs::rename(project.room.path(LOG), project.room.path("away")).unwrap();
        fs::create_dir(project.room.path(LOG)).unwrap();
        let ran = named(&project, &["get", "api/token"]);
        assert_eq!(
            (ran.code(), ran.stdout().as_str()),
            (2, ""),
            "{}",
            ran.stderr()
        );
        says(&ran, "can't be recorded in the audit log");
    }
}

#[test]
fn a_log_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = audited("");
    set(&project, TOKEN);
    let log = project.room.path(LOG);
    let mode = |mode| fs::set_permissions(&log, fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let get = || {
        let arguments = ["--manifest", "strongroom.toml", "get", "api/token"];
        let mut command = project.room.command(&arguments);
        Ran(command
            .env("STRONGROOM_ENV", "production")
            .output()
            .unwrap())
    };
    mode(0o666);
    let before = project.read(LOG);
    let ran = get().ends(1);
    assert_eq!(ran.stdout(), "");
    says(&ran, "can be written by anyone");
    assert_eq!(project.read(LOG), before);
    mode(0o600);
    assert_eq!(get().ends(0).stdout(), TOKEN);
}
