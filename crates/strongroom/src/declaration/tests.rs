use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::declared::{DeclaredSource, Encoding, Kind};
use crate::name::SecretName;

const CANARY: &str = "Canary-7f3a9d-canary";

fn full() -> Vec<Declared> {
    vec![
        Declared::new(SecretName::from_static("a/key"), Kind::Key)
            .with_description("signs sessions")
            .with_variable("A_KEY")
            .with_encoding(Encoding::Base64Url)
            .with_min_length(32)
            .with_length(64)
            .with_rotate_after(Duration::from_secs(90 * 86_400))
            .with_source(DeclaredSource::of_id("rds!x", Some("f".to_owned())).with_provider("p"))
            .with_needed_by("App.inner.key"),
        Declared::new(SecretName::from_static("b#c"), Kind::Opaque).optional(),
    ]
}

/// Says what is wrong with a text, and checks that nothing of it is repeated.
#[track_caller]
fn refusal(text: &str) -> String {
    let error = parse("app.json", text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let said = format!("{error:?}");
    assert!(!said.contains(CANARY), "{said}");
    error.to_string()
}

#[test]
fn what_is_written_is_read_back() {
    let back = parse("app.json", &to_json(&full())).unwrap();
    assert_eq!(format!("{back:?}"), format!("{:?}", full()));
}

#[test]
fn what_a_configuration_refers_to_is_read_back() {
    let config = serde_json::json!({
        "hosts": [{ "url": "secret:host/url" }],
        "db": { "pool-url": "secret:db/url" },
    });
    let declared = crate::SecretRef::declare_all(&config).unwrap();
    let fields: Vec<_> = declared
        .iter()
        .map(|declared| declared.needed_by.as_deref())
        .collect();
    assert_eq!(fields, [Some("db.pool-url"), Some("hosts.0.url")]);
    let back = parse("app.json", &to_json(&declared)).unwrap();
    assert_eq!(format!("{back:?}"), format!("{declared:?}"));
}

#[test]
fn a_default_is_never_written() {
    let declared = Declared::new(SecretName::from_static("a"), Kind::Opaque)
        .with_default(crate::Secret::from_text(CANARY));
    assert!(!to_json(&[declared]).contains(CANARY));
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_never_repeated() {
    let secret = |rest: &str| {
        format!(
            "{{\"version\": 1, \"secrets\": [\n{{\"name\": \"a\", \"kind\": \"token\", \"required\": true{rest}}}]}}"
        )
    };
    for (text, message) in [
        (format!("{{\"{CANARY}"), "line 1, column 22: not valid JSON"),
        (CANARY.to_owned(), "line 1, column 1: not valid JSON"),
        (String::new(), "line 1, column 0: not valid JSON"),
        (
            format!("\"{CANARY}\""),
            "line 1, column 22: not what belongs here",
        ),
        (
            format!("{{\"{CANARY}\": 1}}"),
            "a key is missing that a declaration must have",
        ),
        (
            format!("{{\"version\": \"{CANARY}\"}}"),
            "not what belongs here",
        ),
        (
            format!("{{\"version\": 2, \"secrets\": [], \"{CANARY}\": 1}}"),
            "line 1, column 13: it is a declaration of another version than 1",
        ),
        ("{\"version\": 1}".to_owned(), "a key is missing"),
        (
            format!("{{\"version\": 1, \"secrets\": [], \"{CANARY}\": 1}}"),
            "a key that a declaration doesn't have",
        ),
        (
            secret(&format!(",\n \"{CANARY}\": 1")),
            "line 3, column 23: a key that a declaration doesn't have",
        ),
        (
            secret(&format!(", \"default\": \"{CANARY}\"")),
            "a key that a declaration doesn't have",
        ),
        (secret(", \"name\": \"b\""), "a key stands here twice"),
        (
            secret(&format!(", \"encoding\": \"{CANARY}\"")),
            "not an encoding",
        ),
        (
            secret(&format!(", \"rotate_after\": \"{CANARY}\"")),
            "not a length of time",
        ),
        (
            secret(&format!(", \"min_length\": \"{CANARY}\"")),
            "not what belongs here",
        ),
        (secret(", \"min_length\": -1"), "not what belongs here"),
        (
            secret(&format!(", \"needed_by\": \"{CANARY}=\"")),
            "not the path of a type's field",
        ),
        (
            secret(&format!(", \"source\": {{\"{CANARY}\": 1}}")),
            "a key that a declaration doesn't have",
        ),
        (
            secret("").replace("\"a\"", &format!("\"{CANARY}//\"")),
            "not a secret's name",
        ),
        (
            secret("").replace("\"token\"", &format!("\"{CANARY}\"")),
            "not a kind of secret",
        ),
        (secret("") + CANARY, "not valid JSON"),
    ] {
        let said = refusal(&text);
        assert!(
            said.starts_with("app.json, line ") && said.contains(message),
            "{text}: {said}"
        );
    }
}

#[test]
fn the_size_is_bounded() {
    let said = read("-", std::io::repeat(b' ')).unwrap_err().to_string();
    assert_eq!(said, "-: it is larger than 1 MiB");
    let said = read("-", &[0xff, 0xfe][..]).unwrap_err().to_string();
    assert!(said.contains("not UTF-8"), "{said}");
    let of_size = |bytes: usize| {
        let json = to_json(&full());
        let blanks = " ".repeat(bytes - json.len());
        json + &blanks
    };
    assert!(read("-", of_size(MAX_BYTES).as_bytes()).is_ok());
    assert!(parse("-", &of_size(MAX_BYTES)).is_ok());
    assert!(refusal(&of_size(MAX_BYTES + 1)).contains("larger than 1 MiB"));
    let many = |count| to_json(&vec![full().remove(1); count]);
    assert_eq!(parse("-", &many(1024)).unwrap().len(), 1024);
    assert!(refusal(&many(1025)).contains("more than 1024"));
}

proptest! {
    #[test]
    fn no_text_panics_or_is_repeated(text in "\\PC{0,60}", at in 0_usize..400) {
        let mut json = to_json(&full());
        let at = at.min(json.len());
        json.insert_str(at, &format!("{text}{CANARY}"));
        if let Err(error) = parse("f", &json) {
            let said = format!("{:?}", error);
            prop_assert!(!said.contains(CANARY));
        }
    }
}
