//! `validate --declared`: from standard input, and of files that are none.

use crate::harness::{Room, TOKEN};

const CANARY: &str = "cnry7Qx-T2mLp9ZrWv8Yd3KfB6hJs_N0uE";

fn room() -> Room {
    Room::new()
        .var("STRONGROOM_PROVIDER", "file:secrets")
        .file("secrets/api/token", TOKEN)
}

fn declaration(name: &str) -> String {
    format!(
        r#"{{"version":1,"secrets":[{{"name":"{name}","kind":"token","required":true,"needed_by":"App.it"}}]}}"#
    )
}

#[test]
fn standard_input_is_checked_without_a_manifest() {
    let validate = ["validate", "--declared", "-"];
    let ran = room().run_with(&validate, declaration("api/token").as_bytes());
    let said = ran.ends(0).stderr();
    assert!(said.contains("ok: 1 declared secret passes"), "{said}");
    let ran = room().run_with(&validate, declaration("api/other").as_bytes());
    let said = ran.ends(1).stderr();
    assert!(
        said.contains("api/other") && said.contains("needed by `App.it`"),
        "{said}"
    );
}

#[test]
fn what_is_no_declaration_is_refused_with_its_place_and_never_repeated() {
    let large = format!("{}{}", declaration("api/token"), " ".repeat(1024 * 1024));
    for (input, place) in [
        (
            format!("API_TOKEN={CANARY}\n"),
            "line 1, column 1: not valid JSON",
        ),
        (
            format!("{{\n  \"{CANARY}\": \"{CANARY}\",\n  \"version\": 1, \"secrets\": []\n}}"),
            "line 2, column 38: a key that a declaration doesn't have",
        ),
        (
            declaration(&format!("{CANARY}//")),
            "line 1, column 70: not a secret's name",
        ),
        (large, "it is larger than 1 MiB"),
    ] {
        let room = room().file("app.json", &input);
        for file in ["-", "app.json"] {
            let arguments = ["validate", "--declared", file];
            for format in ["text", "json"] {
                let arguments = [&arguments[..], &["--format", format]].concat();
                let ran = room.run_with(&arguments, input.as_bytes()).ends(2);
                let said = ran.stdout() + &ran.stderr();
                assert!(said.contains(place), "{place}: {said}");
                assert!(!said.contains(&CANARY[..10]), "{said}");
            }
        }
    }
}

#[test]
fn what_is_not_text_or_not_a_file_is_refused() {
    let binary = [CANARY.as_bytes(), &[0xff, 0xfe]].concat();
    let room = room().file("app.json", &binary);
    let ran = room.run(&["validate", "--declared", "app.json"]).ends(2);
    assert!(!ran.stderr().contains(CANARY), "{}", ran.stderr());
    assert!(ran.stderr().contains("not UTF-8"), "{}", ran.stderr());
    let said = room
        .run(&["validate", "--declared", "secrets"])
        .ends(2)
        .stderr();
    assert!(said.contains("can't read secrets"), "{said}");
}
