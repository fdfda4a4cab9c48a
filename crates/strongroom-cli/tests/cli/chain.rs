//! A chain as operators see it: which provider answers, and what a program inherits.

use crate::harness::{Room, TOKEN};

const MANIFEST: &str = r#"
[default]
provider = "chain:overlay,base"

[default.providers]
overlay = "file:.env"
base = "env:?prefix=APP_"

[default.secrets]
"api/token" = { kind = "token" }
"api/url" = { kind = "opaque" }
"api/other" = { kind = "opaque", required = false }
"#;

fn chain() -> Room {
    Room::new()
        .file("strongroom.toml", MANIFEST)
        .file(".env", "API_URL=https://overlay.example\n")
        .var("APP_API_TOKEN", TOKEN)
        .var("APP_API_URL", "https://base.example")
}

#[test]
fn inspect_and_validate_show_the_member_that_answers() {
    let room = chain();
    let shown = room.run(&["inspect"]).ends(0).stdout();
    for line in [
        "─ 1. overlay file:.env\n",
        "─ 2. base env:?prefix=APP_\n",
        "\napi/token (from env:?prefix=APP_)",
        "\napi/url (from file:.env)",
        "\napi/other  ",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let json = room.run(&["validate", "--format", "json"]).ends(0).stdout();
    for part in [
        r#""provider":"env:?prefix=APP_""#,
        r#""provider":"file:.env""#,
        r#""provider":"chain:overlay,base""#,
    ] {
        assert!(json.contains(part), "{json}");
    }
    let value = room.run(&["get", "api/url"]).ends(0).stdout();
    assert_eq!(value, "https://overlay.example");
}

#[test]
fn production_refuses_a_weaker_member() {
    let manifest = MANIFEST.replace("env:?prefix=APP_", "sealed:none.sealed");
    let room = chain()
        .file("strongroom.toml", &manifest)
        .without("STRONGROOM_ENV")
        .var("STRONGROOM_ENV", "production");
    let told = room.run(&["validate"]).ends(1).stderr();
    assert!(told.contains("[weaker-chain]"), "{told}");
    // The program runs elsewhere than the service, so a manifest that it found doesn't decide.
    let dangerous = manifest.replace(
        "[default]\n",
        "[default]\ndanger_allow_weaker_chain = true\n",
    );
    let room = room.file("strongroom.toml", dangerous);
    let told = room.run(&["validate"]).ends(1).stderr();
    assert!(told.contains("[weaker-chain]"), "{told}");
    let named = room.run(&["validate", "--manifest", "strongroom.toml"]);
    assert!(
        !named
            .stderr()
            .contains("refused in production [weaker-chain]")
    );
}

#[cfg(unix)]
#[test]
fn a_program_inherits_no_credential_of_a_member_that_answered_nothing() {
    let manifest = MANIFEST.replace("env:?prefix=APP_", "vault+http://127.0.0.1:1/kv");
    let room = chain()
        .file("strongroom.toml", manifest)
        .file(
            ".env",
            format!("API_URL=x\nAPI_TOKEN={TOKEN}\nAPI_OTHER=y\n"),
        )
        .var("VAULT_TOKEN", "canary-token");
    let ran = room
        .run(&["run", "--manifest", "strongroom.toml", "--", "env"])
        .ends(0);
    let variables = ran.stdout();
    assert!(variables.contains(TOKEN), "{variables}");
    assert!(!variables.contains("canary-token"), "{variables}");
}
