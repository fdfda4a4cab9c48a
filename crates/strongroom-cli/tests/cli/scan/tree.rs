//! Files: which are looked at, and what is said of those that are not.

use std::os::unix::fs::symlink;

use base64ct::{Base64, Encoding as _};

use super::{declared, found, json, literal, silent};
use crate::harness::{Room, TOKEN};

#[test]
fn a_declared_value_is_found_in_each_form_with_its_name_and_place() {
    let base64 = Base64::encode_string(format!("x{TOKEN}y").as_bytes());
    let hex = base16ct::lower::encode_string(TOKEN.as_bytes());
    let mut binary = vec![0, 1, 2];
    binary.extend(TOKEN.as_bytes());
    let room = declared()
        .file("a.txt", format!("one\ntwo {TOKEN}\n"))
        .file("b/c.yaml", format!("data:\n  token: {base64}\n"))
        .file("d.bin", binary)
        .file("e.txt", &hex)
        .file("f.txt", format!("{}\n  {}", &TOKEN[..10], &TOKEN[10..]));
    let json = json(&room, &[], 1);
    let places: Vec<_> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            assert_eq!(found["rule"], "known-value");
            assert_eq!(found["secret"], "api/token");
            assert_eq!(found["commit"], serde_json::Value::Null);
            (
                found["path"].as_str().unwrap(),
                found["line"].as_u64().unwrap(),
                found["form"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("a.txt", 2, "raw"),
            ("b/c.yaml", 2, "base64"),
            ("d.bin", 1, "raw"),
            ("e.txt", 1, "hex"),
            ("f.txt", 1, "raw"),
        ]
    );
    assert_eq!(json["searched"], 1);
    let text = room.run(&["scan"]).ends(1);
    silent(&text);
    assert!(text.stdout().contains("a.txt\n  2:5 "), "{}", text.stdout());
}

#[test]
fn a_value_in_the_name_of_a_file_is_found_and_not_shown() {
    let name = format!("logs/{TOKEN}.txt");
    let room = declared()
        .file(&name, "x")
        .file(&format!("{}.md", literal()), "y");
    assert_eq!(
        found(&json(&room, &[], 1)),
        [("known-value".to_owned(), "logs/[REDACTED].txt".to_owned())]
    );
    silent(&room.run(&["scan"]).ends(1));
}

#[test]
fn what_can_not_be_read_is_no_clean_scan() {
    let room = declared()
        .without("API_TOKEN")
        .var("STRONGROOM_PROVIDER", "file:nowhere/at/all");
    let ran = room.run(&["scan"]);
    assert!(![0, 1].contains(&ran.code()), "{}", ran.stderr());
    json(&room, &["--no-known"], 0);
    // An absent value is nothing to search for, and said.
    let room = declared().without("API_TOKEN");
    let answer = json(&room, &[], 0);
    assert_eq!(answer["unsearched"][0]["name"], "api/token");
    assert_eq!(answer["searched"], 0);
}

#[test]
fn without_a_declaration_no_provider_is_needed() {
    let room = Room::new().file("a.rs", "fn main() {}");
    let answer = json(&room, &[], 0);
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["looked_at"]["files"], 2);
}

#[test]
fn a_comment_with_a_reason_allows_a_literal_and_never_a_known_value() {
    let token = literal();
    let room = declared()
        .file(
            "a.rs",
            format!("// {token} strongroom:allow(github-token) revoked in May\n"),
        )
        .file(
            "b.rs",
            format!("// {token} strongroom:allow(github-token)\n"),
        )
        .file(
            "c.rs",
            format!("// {TOKEN} strongroom:allow(known-value) we know\n"),
        );
    let answer = json(&room, &[], 1);
    let expected = [("github-token", "b.rs"), ("known-value", "c.rs")];
    assert_eq!(
        found(&answer),
        expected.map(|(rule, path)| (rule.to_owned(), path.to_owned()))
    );
    assert_eq!(answer["allowed"], 1);
}

#[test]
fn ignored_files_are_left_out_unless_git_tracks_them_or_an_image_holds_them() {
    let token = literal();
    let room = Room::new()
        .var("GIT_CONFIG_NOSYSTEM", "1")
        .file(".gitignore", "out/\n.env\n*.log\n")
        .file("out/a.txt", &token)
        .file("b.log", &token)
        .file("tracked.log", &token)
        .file(".env", format!("API_TOKEN={TOKEN}"));
    room.shell("git init -q . && git add -f tracked.log")
        .ends(0);
    let rules = |arguments: &[&str]| found(&json(&room, arguments, 1));
    let pair = |rule: &str, path: &str| (rule.to_owned(), path.to_owned());
    assert_eq!(rules(&[]), [pair("github-token", "tracked.log")]);
    assert_eq!(json(&room, &[], 1)["ignored"], 3);
    assert_eq!(
        rules(&["--no-ignore"]),
        [
            pair("github-token", "b.log"),
            pair("github-token", "out/a.txt"),
            pair("github-token", "tracked.log")
        ]
    );
    let room = room.file("Dockerfile", "FROM scratch\nCOPY . .\n");
    assert_eq!(
        found(&json(&room, &[], 1)),
        [
            pair("secret-file-in-image", ".env"),
            pair("github-token", "tracked.log")
        ]
    );
    let room = room.file(".dockerignore", "**/.env\n");
    assert_eq!(
        found(&json(&room, &[], 1)),
        [pair("github-token", "tracked.log")]
    );
    room.shell("git add -f .env").ends(0);
    assert_eq!(
        found(&json(&room, &[], 1)),
        [
            pair("secret-file", ".env"),
            pair("github-token", "tracked.log")
        ]
    );
}

#[test]
fn what_is_not_looked_at_is_said() {
    let room = Room::new()
        .file("big.bin", vec![b'a'; (1 << 20) + 1])
        .file("a.txt", "x");
    symlink("/etc/hostname", room.path("link")).unwrap();
    symlink("/", room.path("root")).unwrap();
    room.shell("mkfifo pipe .gitignore b.pem").ends(0);
    let answer = json(&room, &["--max-size", "1"], 0);
    let skipped: Vec<_> = answer["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skipped| {
            (
                skipped["path"].as_str().unwrap(),
                skipped["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        skipped,
        [
            ("big.bin", "too-large"),
            ("link", "link"),
            ("root", "link"),
            (".gitignore", "special"),
            ("b.pem", "special"),
            ("pipe", "special"),
        ]
    );
    let said = room.run(&["scan", "--max-size", "1"]).ends(0).stderr();
    assert!(
        said.contains("1 file too large (--max-size): big.bin"),
        "{said}"
    );
}

#[test]
fn a_path_that_is_not_there_is_a_wrong_command_line() {
    let ran = Room::new().run(&["scan", "nowhere"]).ends(2);
    assert!(ran.stderr().contains("can't scan"), "{}", ran.stderr());
    Room::new().run(&["scan", "--history"]).ends(2);
}

#[test]
fn a_baseline_silences_what_it_knows_and_tells_what_is_gone() {
    let token = literal();
    let room = declared()
        .file("a.rs", format!("x = {token}"))
        .file("b.rs", format!("y = {token}"));
    let write = [
        "--baseline",
        "known.json",
        "--write-baseline",
        "--reason",
        "keys of a demonstration",
    ];
    json(&room, &write, 0);
    let text = std::fs::read_to_string(room.path("known.json")).unwrap();
    assert!(!text.contains(&token[8..20]), "{text}");
    let baseline = ["--baseline", "known.json"];
    assert_eq!(json(&room, &baseline, 0)["in_baseline"], 2);
    // Another secret in the same place is new; one that is gone is said.
    let room = room
        .file("a.rs", format!("x = {}", token.replace("kQ7", "rT5")))
        .file("b.rs", "");
    let answer = json(&room, &baseline, 1);
    assert_eq!(
        found(&answer),
        [("github-token".to_owned(), "a.rs".to_owned())]
    );
    assert_eq!(answer["gone"].as_array().unwrap().len(), 2);
    // What another scan would have looked at is not gone.
    assert_eq!(
        json(&room, &["b.rs", "--baseline", "known.json"], 0)["gone"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    json(&room, &write, 0);
    let rewritten = std::fs::read_to_string(room.path("known.json")).unwrap();
    assert_eq!(rewritten.matches("\"tag\"").count(), 1);
    assert_eq!(
        text.lines().nth(2),
        rewritten.lines().nth(2),
        "the key stays"
    );
}

#[test]
fn a_baseline_that_is_none_is_refused_without_quoting_it() {
    for text in [
        "",
        "{}",
        "[\"canary-Zq81\"]",
        "{\"schema\":1,\"key\":\"canary-Zq81\",\"findings\":[]}",
    ] {
        let room = Room::new().file("known.json", text);
        let ran = room.run(&["scan", "--baseline", "known.json"]).ends(2);
        assert!(
            ran.stderr().contains("is no baseline") && !ran.stderr().contains("canary"),
            "{}",
            ran.stderr()
        );
    }
    Room::new()
        .run(&["scan", "--baseline", "known.json"])
        .ends(2);
}

#[test]
fn ten_thousand_files_are_all_looked_at() {
    let room = Room::new();
    for folder in 0..100 {
        std::fs::create_dir(room.path(&folder.to_string())).unwrap();
        for file in 0..100 {
            std::fs::write(
                room.path(&format!("{folder}/{file}.txt")),
                format!("{file}\n"),
            )
            .unwrap();
        }
    }
    let room = room.file("73/42.txt", literal());
    let answer = json(&room, &[], 1);
    assert_eq!(
        found(&answer),
        [("github-token".to_owned(), "73/42.txt".to_owned())]
    );
    assert_eq!(answer["looked_at"]["files"], 10_001);
}
