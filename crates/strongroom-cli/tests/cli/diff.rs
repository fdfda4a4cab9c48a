//! `diff`: what differs is named, and no value is.

use serde_json::{Value, json};

use crate::canary::CANARY;
use crate::harness::{Room, TOKEN};

const MANIFEST: &str = "\
[default.providers]
blue = \"file:blue\"
green = \"file:green\"
[default.secrets.\"signing/key\"]
kind = \"key\"
encoding = \"hex\"
[production]
provider = \"file:blue\"
[staging]
provider = \"file:green\"
";

fn room() -> Room {
    Room::new()
        .file("strongroom.toml", MANIFEST)
        .dir_of_mode("blue", 0o700)
        .dir_of_mode("green", 0o700)
}

fn diff(room: &Room, a: &str, b: &str, code: i32) -> Value {
    let ran = room.run(&["diff", a, b, "--format", "json"]).ends(code);
    serde_json::from_str(&ran.stdout()).unwrap()
}

#[test]
fn each_difference_is_named_and_no_value_or_hash_is() {
    let room = room()
        .file("blue/equal", TOKEN)
        .file("green/equal", TOKEN)
        .file("blue/changed", CANARY)
        .file("green/changed", "canary-Zq81-vK3y")
        .file("blue/gone", "canary-of-a")
        .file("green/new", "canary-of-b")
        .file("green/copied", CANARY);
    let found = diff(&room, "blue", "green", 1);
    assert_eq!(
        found,
        json!({
            "schema": 1, "a": "file:blue", "b": "file:green", "same": false, "equal": 1,
            "only_in_a": ["gone"], "only_in_b": ["copied", "new"], "differing": ["changed"],
            "reused": [{"a": "changed", "b": "copied"}], "unread": [], "unlisted": []
        })
    );
    // Two runs say the same, and nothing in them stands for a value.
    assert_eq!(found, diff(&room, "file:blue", "file:green", 1));
    let shown = room.run(&["diff", "blue", "green"]).ends(1);
    let shown = shown.stdout() + &shown.stderr();
    assert!(!shown.to_lowercase().contains("canary"), "{shown}");
}

#[test]
fn the_same_ends_with_0_and_the_prefix_narrows() {
    let room = room()
        .file("blue/a/x", TOKEN)
        .file("green/a/x", TOKEN)
        .file("blue/b", CANARY);
    let ran = room
        .run(&["diff", "blue", "green", "--prefix", "a/"])
        .ends(0);
    assert_eq!(ran.stdout(), "");
    assert!(ran.stderr().contains("the same: 1"), "{}", ran.stderr());
    room.run(&["diff", "blue", "green"]).ends(1);
}

#[test]
fn values_are_compared_decoded() {
    let hex = "00ff10".to_owned() + &"ab".repeat(29);
    let room = room()
        .file("blue/signing/key", &hex)
        .file("green/signing/key", hex.to_uppercase());
    assert_eq!(diff(&room, "blue", "green", 0)["equal"], 1);
    // What is not declared is compared as it is.
    let room = room.file("strongroom.toml", MANIFEST.replace("signing/key", "other"));
    assert_eq!(
        diff(&room, "blue", "green", 1)["differing"],
        json!(["signing/key"])
    );
}

#[test]
fn production_values_in_staging_are_called_out_under_any_name() {
    let room = room()
        .file("blue/api/token", TOKEN)
        .file("green/api/token", TOKEN)
        .file("green/other", TOKEN)
        .file("blue/short", "7-bytes")
        .file("green/brief", "7-bytes");
    let reused = |found: &Value| found["reused"].clone();
    let found = diff(&room, "profile:production", "profile:staging", 1);
    let both = json!([{"a": "api/token", "b": "api/token"}, {"a": "api/token", "b": "other"}]);
    assert_eq!(reused(&found), both);
    assert_eq!(found["equal"], 1);
    // From the other side, too.
    let found = diff(&room, "profile:staging", "profile:production", 1);
    assert_eq!(reused(&found).as_array().unwrap().len(), 2);
    // Between two that are no production, an equal pair is what is meant.
    let found = diff(&room, "blue", "green", 1);
    assert_eq!(reused(&found), json!([{"a": "api/token", "b": "other"}]));
}

#[test]
fn the_variable_for_the_provider_does_not_make_every_profile_the_same() {
    let room = room()
        .file("blue/a", TOKEN)
        .var("STRONGROOM_PROVIDER", "file:blue");
    let found = diff(&room, "profile:production", "profile:staging", 1);
    assert_eq!(found["b"], "file:green");
}

#[test]
fn what_can_not_be_read_decides_the_code() {
    let room = Room::with_notebook()
        .file(
            "strongroom.toml",
            "[default.secrets]\n\"fault/denied\" = { kind = \"opaque\" }\n",
        )
        .dir_of_mode("empty", 0o700);
    let ran = room.run(&["diff", "notebook:notes", "file:empty", "--format", "json"]);
    let ran = ran.ends(4);
    let found: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(found["unread"][0]["name"], "fault/denied");
    assert_eq!(found["unread"][0]["side"], "a");
    assert_eq!(found["unread"][0]["kind"], "denied");
}

#[test]
fn sides_that_mean_nothing_are_refused_without_repeating_them() {
    let room = room();
    for (a, b, said) in [
        ("canary-Zq81-vK3x", "green", "no provider of this name"),
        ("bleu", "green", "did you mean `blue`"),
        (":canary-Zq81-vK3x", "green", "A can't be used"),
        ("blue", "profile:stagin", "did you mean `staging`"),
        ("blue", "file:blue", "the same place"),
    ] {
        let ran = room.run(&["diff", a, b]).ends(2);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
        assert!(!ran.stderr().contains("canary"), "{}", ran.stderr());
    }
    let ran = room
        .run(&["diff", "blue", "green", "--provider", "file:blue"])
        .ends(2);
    assert!(
        ran.stderr().contains("names its two providers"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn a_secret_with_a_provider_of_its_own_is_not_compared() {
    let manifest = format!(
        "{MANIFEST}[default.secrets.\"elsewhere\"]\nkind = \"opaque\"\nsource = {{ provider = \"green\" }}\n"
    );
    let room = room()
        .file("strongroom.toml", manifest)
        .file("blue/elsewhere", CANARY)
        .file("green/elsewhere", TOKEN);
    let found = diff(&room, "blue", "green", 0);
    assert_eq!(found["equal"], 0);
}

#[test]
fn a_variable_by_which_a_dotenv_file_lists_a_name_is_no_secret_of_its_own() {
    let room = room()
        .file("blue/api/token", TOKEN)
        .file("x.env", format!("API_TOKEN={TOKEN}\n"));
    assert_eq!(diff(&room, "blue", "file:x.env", 0)["equal"], 1);
    assert_eq!(diff(&room, "file:x.env", "blue", 0)["equal"], 1);
    let room = room.file("x.env", "API_TOKEN=another-value\n");
    assert_eq!(
        diff(&room, "blue", "file:x.env", 1)["differing"],
        json!(["api/token"])
    );
}

#[test]
fn a_beginning_that_nothing_has_is_a_mistake() {
    let room = room().file("blue/a", TOKEN).file("green/a", TOKEN);
    room.run(&["diff", "blue", "green", "--prefix", "typo"])
        .ends(3);
    room.run(&["copy", "blue", "green", "--prefix", "typo"])
        .ends(3);
}

#[test]
fn a_side_that_can_not_be_listed_is_said() {
    let room = room().file("blue/a", TOKEN);
    let program = format!(
        "#!/bin/sh
case $(cat) in
*'\"operation\":\"describe\"'*)
    echo '{{\"protocol\":1,\"name\":\"script\",\"version\":\"1.0\",\"operations\":[\"fetch\"]}}' ;;
*) echo '{{\"protocol\":1,\"answers\":[{{\"request\":1,\"text\":\"{TOKEN}\"}}]}}' ;;
esac
"
    );
    let room = room.file("program", program);
    let path = room.path("program").canonicalize().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    let program = format!("exec:{}?timeout=1m", path.display());
    assert_eq!(diff(&room, "blue", &program, 1)["unlisted"], json!(["b"]));
    // Nobody knows what it holds: nothing copied is not everything copied.
    let bare = Room::new().dir_of_mode("b", 0o700);
    let ran = bare.run(&["copy", &program, "file:b"]).ends(2);
    assert!(ran.stderr().contains("can't be listed"), "{}", ran.stderr());
}
