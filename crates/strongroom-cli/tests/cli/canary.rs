//! No command shows a value: not in a report, an error, a log, or a file it leaves behind.

use base64ct::{Base64, Base64Url, Encoding as _};

use crate::harness::{Ran, Room};

pub(crate) const CANARY: &str = "canary-Zq81-vK3x";

/// Demands that the canary, in any usual spelling, is not in what was printed.
fn clean(arguments: &[&str], ran: &Ran, stdout_too: bool) {
    let stdout = if stdout_too {
        ran.stdout()
    } else {
        String::new()
    };
    for shown in [stdout, ran.stderr()] {
        for spelling in spellings() {
            assert!(
                !shown.to_lowercase().contains(&spelling.to_lowercase()),
                "{arguments:?} shows {spelling:?}: {shown}"
            );
        }
    }
}

fn spellings() -> [String; 5] {
    [
        CANARY.to_owned(),
        // Without the last characters, whose spelling depends on what follows.
        Base64::encode_string(CANARY.as_bytes())[..20].to_owned(),
        Base64Url::encode_string(CANARY.as_bytes())[..20].to_owned(),
        base16ct::lower::encode_string(CANARY.as_bytes()),
        CANARY
            .bytes()
            .map(|byte| byte.to_string())
            .collect::<Vec<_>>()
            .join(", "),
    ]
}

pub(crate) const MANIFEST: &str = r#"
[default.secrets]
"weak/token" = { kind = "token" }
"weak/password" = { kind = "password" }
"weak/key" = { kind = "key" }
"weak/url" = { kind = "url" }
"weak/pem" = { kind = "pem" }
"weak/jwt" = { kind = "jwt" }
"weak/json" = { kind = "json" }
"weak/hex" = { kind = "key", encoding = "hex" }
"with/default" = { kind = "password", default = "canary-Zq81-vK3x" }
"#;

/// The weak secrets that the manifest declares.
pub(crate) const KINDS: [&str; 8] = [
    "token", "password", "key", "url", "pem", "jwt", "json", "hex",
];

/// Every command, most of which fail against weak values.
const COMMANDS: &[&[&str]] = &[
    &["inspect"],
    &["inspect", "--offline"],
    &["inspect", "--html", "-"],
    &["doctor", "--fix"],
    &["validate"],
    &["list"],
    &["rm", "weak/none"],
    &["generate", "weak/none"],
    &["generate", "--all-missing"],
    &["set", "weak/token"],
    &["set", "weak/json"],
    &["set", "weak/hex"],
    &["set", "weak/token", CANARY],
    &["set", "weak/token", "--value", CANARY],
    &["run", "--", "true"],
    &["run", "--", CANARY_PATH],
    &["init"],
    &["init", "--git"],
    &["key", "list"],
    &["key", "add", "new", "--passphrase-fd", "0"],
    &["key", "add", "new", CANARY],
    &["key", "rotate"],
    &["key", "remove", "first"],
    &["git-textconv", ".strongroom/secrets.sealed"],
    &["scan"],
    &["scan", "--no-known", "--sarif", "-"],
    &["completions", "bash"],
    &["--help"],
];

/// A program that is not there; its name is shown, so it is no canary.
const CANARY_PATH: &str = "./no-such-program";

pub(crate) fn walk(room: &Room, provider: &str) {
    for command in COMMANDS {
        for format in ["text", "json"] {
            let head = ["--provider", provider, "--format", format];
            let arguments = [&head, *command].concat();
            let ran = room.run_with(&arguments, CANARY.as_bytes());
            clean(&arguments, &ran, true);
        }
    }
    for name in [
        "weak/token",
        "weak/hex",
        "doc#key",
        "doc#none",
        "with/default",
    ] {
        let arguments = ["get", name, "--provider", provider];
        clean(&arguments, &room.run(&arguments), false);
    }
    let left = std::fs::read_dir(room.path("tmp")).unwrap().count();
    assert_eq!(left, 1, "only the file that keeps the directory");
}

#[test]
fn no_command_shows_a_value_of_a_notebook() {
    let mut room = Room::with_notebook()
        .var("STRONGROOM_LOG", "trace")
        .file("strongroom.toml", MANIFEST);
    let hex = base16ct::lower::encode_string(CANARY.as_bytes());
    let line = |kind: &str| format!("weak/{kind} 1 {hex}\n");
    let kinds = [
        "token", "password", "key", "url", "pem", "jwt", "json", "hex",
    ];
    room = room.file("notes", kinds.map(line).concat());
    walk(&room, "notebook:notes");
}

#[test]
fn no_command_shows_what_a_malformed_manifest_holds() {
    for manifest in [
        "[default.secrets]\n\"a\" = { kind = \"token\", default = \"CANARY }",
        "[default.secrets]\n\"a\" = { kind = \"token\", default = [\"CANARY\"] }",
        "[default.secrets]\n\"a\" = { kind = \"CANARY\" }",
        "[default.secrets]\n\"a\" = { kind = \"token\", min_length = \"CANARY\" }",
        "[default]\nprovider = \"vault://user:CANARY@host/\"",
        "[default]\nprovider = CANARY",
        "[default]\nprovider = \"CANARY\"",
        "CANARY",
        "[default.secrets]\n\"a\" = \"CANARY\"",
        "[default.secrets.a]\nkind = \"token\"\ndefault = \"\"\"CANARY",
    ] {
        let room = Room::with_notebook()
            .var("STRONGROOM_LOG", "trace")
            .file("strongroom.toml", manifest.replace("CANARY", CANARY));
        for command in COMMANDS {
            let ran = room.run_with(command, CANARY.as_bytes());
            clean(command, &ran, true);
        }
    }
}

#[test]
fn no_command_shows_the_value_of_a_variable() {
    for variable in [
        "STRONGROOM_PROVIDER",
        "STRONGROOM_ENV",
        "STRONGROOM_LOG",
        "STRONGROOM_KEY",
        "STRONGROOM_TOKEN",
        "STRONGROOM_CFG_POLICY__MIN_LENGTH",
        "VAULT_TOKEN",
        "VAULT_ADDR",
        "VAULT_SKIP_VERIFY",
    ] {
        let room = Room::new()
            .file("strongroom.toml", MANIFEST)
            .var(variable, CANARY);
        for command in COMMANDS {
            let ran = room.run_with(command, CANARY.as_bytes());
            clean(command, &ran, true);
        }
    }
}

#[test]
fn no_command_shows_a_value_of_plain_files() {
    let mut room = Room::new()
        .var("STRONGROOM_LOG", "trace")
        .file("strongroom.toml", MANIFEST);
    for kind in KINDS {
        room = room.file(&format!("secrets/weak/{kind}"), CANARY);
    }
    room = room.file("secrets/doc.json", format!(r#"{{"key": "{CANARY}", "#));
    assert_eq!(
        room.run(&["get", "weak/token", "--provider", "file:secrets"])
            .stdout(),
        CANARY
    );
    walk(&room, "file:secrets");
}

#[test]
fn no_command_shows_what_a_document_holds() {
    let documents = [
        ("good.env", "WEAK_TOKEN=CANARY\nWEAK_HEX='CANARY'\n"),
        ("bad.env", "WEAK_TOKEN='CANARY\n"),
        ("worse.env", "CANARY\nWEAK TOKEN=CANARY"),
        (
            "good.json",
            r#"{"weak/token": "CANARY", "doc": {"key": "CANARY"}}"#,
        ),
        ("bad.json", r#"{"weak/token": "CANARY"#),
        ("worse.json", r#"{"weak/token": CANARY}"#),
        (
            "good.toml",
            "\"weak/token\" = \"CANARY\"\n[doc]\nkey = \"CANARY\"",
        ),
        ("bad.toml", "\"weak/token\" = \"CANARY"),
        ("worse.toml", "\"weak/token\" = CANARY"),
        ("good.yaml", "weak/token: CANARY\ndoc:\n  key: CANARY\n"),
        ("bad.yaml", "weak/token: \"CANARY\n  - CANARY"),
        ("worse.yaml", "weak/token: *CANARY\n? [CANARY"),
    ];
    for (file, document) in documents {
        let room = Room::new()
            .var("STRONGROOM_LOG", "trace")
            .file("strongroom.toml", MANIFEST)
            .file(file, document.replace("CANARY", CANARY));
        walk(&room, &format!("file:{file}"));
    }
}

#[cfg(unix)]
#[test]
fn no_command_shows_a_value_of_a_sealed_file() {
    let project = crate::project::Project::new();
    project.run(&["init"]).ends(0);
    for kind in KINDS {
        project.set(&format!("weak/{kind}"), CANARY);
    }
    project.set("doc", &format!(r#"{{"key": "{CANARY}", "#));
    let get = project.run(&["get", "weak/token"]);
    assert_eq!(get.ends(0).stdout(), CANARY);
    let room = project.room.var("STRONGROOM_LOG", "trace");
    let room = room
        .var("STRONGROOM_ENV", "development")
        .file("strongroom.toml", MANIFEST);
    walk(&room, "sealed:.strongroom/secrets.sealed");
    let sealed = std::fs::read_to_string(room.path(".strongroom/secrets.sealed")).unwrap();
    for spelling in spellings() {
        assert!(!sealed.contains(&spelling), "the file holds {spelling:?}");
    }
}
