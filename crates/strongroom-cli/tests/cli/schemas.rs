//! What commands print with `--format json`, judged by the schema that `strongroom schema output` prints.
//!
//! The harness judges every such run of every test. The published schema allows further properties, so that
//! adding one breaks nobody; here each property must be described.

use std::cell::RefCell;
use std::process::Command;
use std::sync::OnceLock;

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

use crate::harness::{Room, TOKEN};
use crate::project::{FILE, PASSPHRASE, Project};

/// The schema of what commands print, as it is published.
fn published() -> &'static Value {
    static PUBLISHED: OnceLock<Value> = OnceLock::new();
    PUBLISHED.get_or_init(|| of(&["output"]))
}

fn of(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    let output = command.arg("schema").args(arguments).env_clear().output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

/// Allows only the properties that are described.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            for value in fields.values_mut() {
                *value = closed(value.take());
            }
            if fields.contains_key("properties") && fields.contains_key("type") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = closed(item.take());
            }
        }
        _ => {}
    }
    schema
}

/// A schema that documents are judged by.
struct Judge(Compiler);

impl Judge {
    fn new(schema: Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource("schema.json", schema).unwrap();
        Self(compiler)
    }

    /// What is published, with the described properties only.
    fn strict() -> Self {
        Self::new(closed(published().clone()))
    }

    /// Says what is wrong with a document by the definition at `pointer`.
    fn judge(&mut self, pointer: &str, document: &Value) -> Result<(), String> {
        let mut schemas = Schemas::new();
        let location = format!("schema.json#{pointer}");
        let index = self.0.compile(&location, &mut schemas).unwrap();
        let judged = schemas.validate(document, index);
        judged.map_err(|error| format!("{error:#}"))
    }
}

thread_local! {
    /// Made once: it takes longer than the command.
    static STRICT: RefCell<Judge> = RefCell::new(Judge::strict());
}

fn defined() -> impl Iterator<Item = &'static str> {
    let forms = published()["anyOf"].as_array().unwrap().iter();
    forms.map(|form| {
        form["$ref"]
            .as_str()
            .unwrap()
            .trim_start_matches("#/$defs/")
    })
}

/// Demands that each document on standard output is what the schema says of the command.
#[track_caller]
pub(crate) fn check(arguments: &[&str], stdout: &[u8]) {
    let ours = arguments.iter().take_while(|argument| **argument != "--");
    let ours: Vec<&str> = ours.copied().collect();
    if !ours.windows(2).any(|pair| pair == ["--format", "json"]) && !ours.contains(&"--format=json")
    {
        return;
    }
    for line in String::from_utf8_lossy(stdout).lines() {
        // What `run` started prints what it likes.
        if line.starts_with("{\"schema\"") {
            check_document(&ours, line);
        }
    }
}

#[track_caller]
fn check_document(arguments: &[&str], line: &str) {
    let document: Value = serde_json::from_str(line).unwrap();
    let command = arguments.iter().map(|argument| match *argument {
        "check" => "validate",
        argument => argument,
    });
    let mut command = command.filter(|argument| defined().any(|name| name == *argument));
    let command = match (command.next(), document.get("error")) {
        // What was seen or done until then stands beside the error.
        (Some(command), Some(_)) if document.as_object().unwrap().len() > 2 => command,
        (_, Some(error)) if error.is_object() => "failure",
        (Some(command), _) => command,
        (None, _) => panic!("no command prints {line}"),
    };
    let pointer = format!("/$defs/{command}");
    let judged = STRICT.with_borrow_mut(|strict| strict.judge(&pointer, &document));
    if let Err(error) = judged {
        panic!("{arguments:?} wrote what schemas/{command}.json doesn't say\n{line}\n{error}");
    }
}

#[test]
fn every_command_prints_what_its_schema_says() {
    let project = Project::new();
    let room = &project.room;
    let mut seen = Vec::new();
    let mut run = |arguments: &[&'static str], input: &str, code: i32| {
        let arguments = [&["--format", "json"], arguments].concat();
        let ran = room.run_with(&arguments, input.as_bytes()).ends(code);
        assert!(
            ran.stdout().starts_with("{\"schema\":1,"),
            "{arguments:?}: {}",
            ran.stdout()
        );
        if let Some(command) = arguments
            .iter()
            .find(|word| defined().any(|name| name == **word))
        {
            seen.push(*command);
        }
        ran
    };
    run(
        &["init", "--deployment", "development", "--no-recovery"],
        "",
        0,
    );
    run(&["init"], "", 7);
    project.write(
        "strongroom.toml",
        "[default.secrets]\n\
         \"api/token\" = { kind = \"token\", description = \"d\", rotate_after = \"90days\" }\n\
         \"new/token\" = { kind = \"token\" }\n\
         [default.audit]\npath = \"audit.jsonl\"\nkey_file = \"audit.key\"\nservice = \"shop\"\n",
    );
    let key = project.private("audit.key", &"0123456789abcdef".repeat(4));
    std::fs::rename(key, room.path("audit.key")).unwrap();
    run(&["validate"], "", 1);
    run(&["trust", "--list"], "", 0);
    run(&["trust"], "", 0);
    run(&["set", "api/token", "--if-absent"], TOKEN, 0);
    run(&["set", "api/token", "--if-absent"], TOKEN, 7);
    run(&["get", "api/token"], "", 0);
    run(&["get", "no/such"], "", 3);
    run(&["get", "../x"], "", 2);
    run(&["no-such-command"], "", 2);
    run(&["list"], "", 0);
    run(&["generate", "--all-missing"], "", 0);
    run(&["generate", "api/token"], "", 7);
    run(&["inspect"], "", 0);
    run(&["inspect", "--offline"], "", 0);
    run(&["inspect", "--provider", "sealed:none"], "", 3);
    run(&["validate"], "", 0);
    run(&["doctor"], "", 0);
    run(&["rotate", "api/token", "--dry-run"], "", 0);
    run(&["rotate", "api/token"], "", 0);
    run(&["rotate", "api/token", "--exec", "false"], "", 1);
    run(&["rotate", "api/token", "--abort"], "", 2);
    run(&["key", "list"], "", 0);
    run(&["key", "add", "ci", "--key-file", "ci.key"], "", 0);
    run(&["key", "remove", "ci"], "", 0);
    run(&["key", "rotate"], "", 0);
    run(&["key", "remove", "nobody"], "", 3);
    let file = project.read(FILE);
    for side in ["base", "ours", "theirs"] {
        project.write(side, &file);
    }
    run(&["git-textconv", "base"], "", 0);
    run(&["git-merge", "base", "ours", "theirs"], "", 0);
    run(&["audit", "verify", "--manifest", "strongroom.toml"], "", 0);
    run(&["audit", "show", "--manifest", "strongroom.toml"], "", 0);
    run(&["run", "--", "no-such-program"], "", 127);
    run(&["watch", "no/such"], "", 2);
    run(&["scan", "."], "", 0);
    project.write(
        "leak.txt",
        &project.run(&["get", "api/token"]).ends(0).stdout(),
    );
    run(&["scan", "."], "", 1);
    std::fs::remove_file(room.path("leak.txt")).unwrap();
    let sealed = "sealed:.strongroom/secrets.sealed";
    std::fs::create_dir(room.path("plain")).unwrap();
    run(&["diff", sealed, "file:plain"], "", 1);
    run(&["copy", sealed, "file:plain", "--dry-run"], "", 0);
    run(&["copy", sealed, "file:plain"], "", 0);
    run(&["diff", sealed, "file:plain"], "", 0);
    run(&["export", "api/token", "--output", "out.env"], "", 0);
    run(
        &[
            "import",
            "out.env",
            "--dry-run",
            "--map",
            "API_TOKEN=api/token",
        ],
        "",
        0,
    );
    run(&["conformance", "file:new/{store}"], "", 2);
    run(&["rm", "api/token"], "", 0);
    run(&["trust", "--revoke"], "", 0);
    for command in defined().filter(|command| *command != "failure") {
        assert!(seen.contains(&command), "nothing was run of `{command}`");
    }
}

#[test]
fn bytes_that_are_no_text_stand_in_base64() {
    let room = Room::with_notebook();
    room.run_with(&["set", "raw/bytes"], b"\xff\xfe").ends(0);
    let shown = room
        .run(&["get", "raw/bytes", "--format", "json"])
        .ends(0)
        .stdout();
    assert!(shown.contains("\"value_base64\":\"//4=\""), "{shown}");
}

#[test]
fn what_the_schema_does_not_say_is_found() {
    let right = json!({ "schema": 1, "name": "a/b", "deleted": true });
    let strict = |document: &Value| Judge::strict().judge("/$defs/rm", document);
    strict(&right).unwrap();
    // As users of the published schema: a further property is none of their business.
    let mut further = right.clone();
    further["further"] = json!(1);
    Judge::new(published().clone())
        .judge("/$defs/rm", &further)
        .unwrap();
    strict(&further).unwrap_err();
    for (field, wrong) in [
        ("schema", json!(2)),
        ("name", json!("../a")),
        ("deleted", json!("yes")),
    ] {
        let mut document = right.clone();
        document[field] = wrong;
        strict(&document).unwrap_err();
        document.as_object_mut().unwrap().remove(field);
        strict(&document).unwrap_err();
    }
}

#[test]
fn the_schema_of_the_manifest_takes_what_we_write_and_refuses_slips() {
    let mut manifest = Judge::new(of(&[]));
    let read = |text: &str| -> Value {
        let table: toml::Table = text.parse().unwrap();
        serde_json::to_value(table).unwrap()
    };
    let template = include_str!("../../src/commands/init/strongroom.toml");
    for text in [
        template,
        include_str!("../cmd/audit.in/strongroom.toml"),
        include_str!("../cmd/tour.in/strongroom.toml"),
    ] {
        manifest.judge("", &read(text)).unwrap();
    }
    let whole = "
        [default]
        provider = \"chain:a,b\"
        allow_providers = [\"vault\"]
        danger_allow_plain_files = true
        providers.a = \"file:/run/secrets\"
        policy.rotate_after = \"1h 30m\"
        cache.ttl = \"1.5h\"
        retry.attempts = 10
        [default.secrets]
        \"a/b#c\" = { kind = \"key\", encoding = \"base64url\", source = { provider = \"a\", id = \"x\", field = \"f\", lease = true } }
        d = { required = false, source = \"other/name\", default = \"x\" }
        [ci.secrets.d]
        env = \"D\"
    ";
    manifest.judge("", &read(whole)).unwrap();
    for wrong in [
        "[global]",
        "[Production]",
        "[default]\nprovder = \"vault:\"",
        "[default.secrets.a]\nkind = \"tocken\"",
        "[default.secrets.\"../a\"]\nkind = \"token\"",
        "[default.cache]\nttl = \"soon\"",
        "[default.cache]\nttl = 5",
        "[default.retry]\nattempts = 0",
        "[default.retry]\nattempts = 11",
        "[default]\ndanger_allow_plain_files = \"yes\"",
        "[default.secrets.a.source]\nnmae = \"b\"",
        "provider = \"vault:\"",
    ] {
        manifest.judge("", &read(wrong)).expect_err(wrong);
    }
}

#[test]
fn a_passphrase_is_asked_for_by_no_schema() {
    // Neither prints a value that is there, nor needs a provider.
    let project = Project::new();
    let room = project
        .room
        .var("STRONGROOM_PASSPHRASE_FILE", "none")
        .var("STRONGROOM_KEY", PASSPHRASE);
    for arguments in [
        &["schema"][..],
        &["schema", "output"],
        &["man"],
        &["completions", "bash"],
    ] {
        let ran = room.run(arguments).ends(0);
        assert!(!ran.stdout().contains(PASSPHRASE) && ran.stderr().is_empty());
    }
}

#[test]
fn the_manual_is_written_whole() {
    let room = Room::new();
    room.run(&["man", "--dir", "pages/man1"]).ends(0);
    for page in ["strongroom.1", "strongroom-get.1", "strongroom-scan.1"] {
        let page = std::fs::read_to_string(room.path("pages/man1").join(page)).unwrap();
        assert!(page.contains(".TH") && page.contains(".SH NAME"), "{page}");
    }
}
