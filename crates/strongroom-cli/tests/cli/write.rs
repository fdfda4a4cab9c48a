//! `set`, `rm` and `generate`: what is written, and what is refused.

use crate::harness::{Room, TOKEN};

const MANIFEST: &str = r#"
[default.secrets]
"api/token" = { kind = "token" }
"api/url" = { kind = "url" }
"binary/key" = { kind = "key", encoding = "hex" }
"#;

#[test]
fn set_keeps_every_byte_but_one_final_newline() {
    let room = Room::with_notebook();
    for (input, value) in [
        (&b"one line"[..], &b"one line"[..]),
        (b"one line\n", b"one line"),
        (b"dos\r\n", b"dos"),
        (b"\n two \n\n", b"\n two \n"),
        (b"\xff\x00\xfe", b"\xff\x00\xfe"),
    ] {
        room.run_with(&["set", "a"], input).ends(0);
        assert_eq!(room.run(&["get", "a"]).ends(0).0.stdout, value);
    }
    let json = room.run(&["get", "a", "--format", "json"]).ends(0).stdout();
    assert!(json.contains(r#""value_base64":"/wD+""#), "{json}");
}

#[test]
fn set_refuses_too_much_and_nothing() {
    let room = Room::with_notebook();
    room.run_with(&["set", "a"], &[b'x'; 64 * 1024]).ends(0);
    let ran = room.run_with(&["set", "a"], &[b'y'; 64 * 1024 + 1]).ends(2);
    assert!(ran.stderr().contains("65536 bytes"), "{}", ran.stderr());
    room.run_with(&["set", "a"], b"").ends(2);
    assert!(room.run(&["get", "a"]).stdout().starts_with('x'));
}

#[test]
fn a_value_on_the_command_line_is_refused_and_not_repeated() {
    let room = Room::with_notebook();
    let canary = "cAnAry-7f3a91";
    let pair = format!("a={canary}");
    let option = format!("--value={canary}");
    let short = format!("-v{canary}");
    for arguments in [
        &["set", "a", canary][..],
        &["set", "a", canary, canary],
        &["set", "a", "--", canary],
        &["set", "a", &option],
        &["set", "a", "--value", canary],
        &["set", "a", &short],
        &["set", &pair],
        &["set", "a", "--format", canary],
        &["set", "a", "--if-absent", canary],
        &["generate", "a", canary],
        &["get", "a", canary],
        &["rm", "a", canary],
        &[canary],
        &[
            "--provider",
            &format!("vault://user:{canary}@host/"),
            "get",
            "a",
        ],
        &[
            "--provider",
            &format!("notebook:x?token={canary}"),
            "get",
            "a",
        ],
        &["--provider", &format!("notebook:x?{canary}=1"), "get", "a"],
    ] {
        let ran = room.run_with(arguments, b"value").ends(2);
        let said = ran.stdout() + &ran.stderr();
        assert!(!said.contains("7f3a91"), "{arguments:?}: {said}");
        assert!(said.starts_with("error: "), "{said}");
    }
    let ran = room.run(&["set", "a", canary]);
    assert!(ran.stderr().contains("process lists"), "{}", ran.stderr());
    assert!(
        ran.stderr().contains("help: pipe it in"),
        "{}",
        ran.stderr()
    );
    room.run(&["get", "a"]).ends(3);
}

#[test]
fn a_declared_secret_must_pass_the_policy() {
    let room = Room::with_notebook().file("strongroom.toml", MANIFEST);
    let ran = room.run_with(&["set", "api/token"], b"changeme").ends(1);
    assert!(
        ran.stderr().contains("nothing was written"),
        "{}",
        ran.stderr()
    );
    assert!(!ran.stderr().contains("changeme"), "{}", ran.stderr());
    room.run(&["get", "api/token"]).ends(3);
    room.run_with(&["set", "api/token"], TOKEN.as_bytes())
        .ends(0);
    // Of what is not declared nothing is known; it may be mistyped.
    let ran = room.run_with(&["set", "api/tokn"], b"changeme").ends(0);
    for said in ["[undeclared]", "did you mean `api/token`?"] {
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
    }
}

#[test]
fn a_condition_that_is_not_met_is_a_conflict() {
    let room = Room::with_notebook();
    let set = |more: &[&str]| room.run_with(&[&["set", "a"], more].concat(), b"value");
    set(&["--if-version", "1"]).ends(7);
    assert_eq!(set(&["--if-absent"]).ends(0).stderr(), "set a, version 1\n");
    set(&["--if-absent"]).ends(7);
    set(&["--if-version", "2"]).ends(7);
    let ran = set(&["--if-version", "1", "--format", "json"]).ends(0);
    assert_eq!(
        ran.stdout(),
        "{\"schema\":1,\"name\":\"a\",\"version\":\"2\"}\n"
    );
    room.run(&["rm", "a", "--if-version", "1"]).ends(7);
    assert_eq!(
        room.run(&["rm", "a", "--if-version", "2"]).ends(0).stderr(),
        "deleted a\n"
    );
    room.run(&["rm", "a"]).ends(3);
    set(&[]).ends(0);
    let json = room.run(&["rm", "a", "--format", "json"]).ends(0).stdout();
    assert_eq!(json, "{\"schema\":1,\"name\":\"a\",\"deleted\":true}\n");
}

#[test]
fn generate_creates_by_kind_and_shows_nothing() {
    let room = Room::with_notebook().file("strongroom.toml", MANIFEST);
    let ran = room.run(&["generate", "api/token"]).ends(0);
    let first = room.run(&["get", "api/token"]).ends(0).stdout();
    assert!(first.len() >= 32 && !ran.stderr().contains(&first));
    assert_eq!(ran.stdout(), "");

    let ran = room.run(&["generate", "api/token"]).ends(7);
    assert!(ran.stderr().contains("--force"), "{}", ran.stderr());
    assert_eq!(room.run(&["get", "api/token"]).stdout(), first);
    room.run(&["generate", "api/token", "--force"]).ends(0);
    assert_ne!(room.run(&["get", "api/token"]).stdout(), first);

    let ran = room.run(&["generate", "api/tokn"]).ends(2);
    assert!(
        ran.stderr().contains("did you mean `api/token`?"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn generate_fills_what_is_missing_and_says_what_it_can_not() {
    let room = Room::with_notebook().file("strongroom.toml", MANIFEST);
    room.run_with(&["set", "api/token"], TOKEN.as_bytes())
        .ends(0);
    let ran = room.run(&["generate", "--all-missing"]).ends(1);
    assert!(
        ran.stderr().contains("generated binary/key, version 1"),
        "{}",
        ran.stderr()
    );
    assert!(
        ran.stderr().contains("strongroom set api/url"),
        "{}",
        ran.stderr()
    );
    assert_eq!(room.run(&["get", "api/token"]).stdout(), TOKEN);
    let json = room
        .run(&["generate", "--all-missing", "--format", "json"])
        .ends(1)
        .stdout();
    assert_eq!(
        json,
        "{\"schema\":1,\"generated\":[],\"still_missing\":[\"api/url\"]}\n"
    );
    room.run_with(
        &["set", "api/url"],
        b"postgres://app:kR9-vLq2xT7mZw4@db.internal/app",
    )
    .ends(0);
    room.run(&["generate", "--all-missing"]).ends(0);
}

#[test]
fn generate_says_what_it_wrote_before_a_write_failed() {
    // Encoded, the second is larger than a value may be.
    let manifest = r#"
[default.secrets]
"a" = { kind = "token" }
"b" = { kind = "key", encoding = "hex", length = 40000 }
"c" = { kind = "token" }
"#;
    let room = Room::with_notebook().file("strongroom.toml", manifest);
    let ran = room.run(&["generate", "--all-missing", "--format", "json"]);
    let json = ran.ends(1).stdout();
    assert!(json.contains(r#""error":{"kind":"malformed""#), "{json}");
    let generated = r#""generated":[{"name":"a","version":"1"}]"#;
    assert!(json.contains(generated), "{json}");
    room.run(&["get", "a"]).ends(0);
    room.run(&["get", "c"]).ends(3);
}

#[test]
fn generate_replaces_what_only_the_manifest_gives() {
    let manifest = r#"
[default.secrets]
"a" = { kind = "token", default = "only-for-development" }
"b" = { kind = "url", default = "http://localhost/" }
"#;
    let room = Room::with_notebook().file("strongroom.toml", manifest);
    let ran = room.run(&["generate", "--all-missing"]).ends(0);
    assert_eq!(ran.stderr(), "generated a, version 1\n");
    assert_ne!(
        room.run(&["get", "a"]).ends(0).stdout(),
        "only-for-development"
    );
    // A boot in production refuses the default, so what can't be generated is missing there.
    let room = room.without("STRONGROOM_ENV");
    let room = room.var("STRONGROOM_ENV", "production");
    let ran = room.run(&["generate", "--all-missing", "--format", "json"]);
    let json = ran.ends(1).stdout();
    assert!(json.contains(r#""still_missing":["b"]"#), "{json}");
}

#[test]
fn an_absent_name_suggests_the_declared_one() {
    let room = Room::with_notebook().file("strongroom.toml", MANIFEST);
    let ran = room.run(&["get", "api/toekn"]).ends(3);
    assert!(
        ran.stderr().contains("did you mean `api/token`?"),
        "{}",
        ran.stderr()
    );
    let ran = room.run(&["get", "something/else"]).ends(3);
    assert!(!ran.stderr().contains("did you mean"), "{}", ran.stderr());
}
