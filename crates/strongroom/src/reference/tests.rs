use figment::Figment;
use figment::providers::Serialized;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const CANARY: &str = "Canary-7f3a9d-canary";

#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Config {
    host: String,
    password: SecretRef,
    token: Option<LiveRef>,
}

/// Extracts a configuration through figment, and returns everything that its error can print.
#[track_caller]
fn refusal(password: serde_json::Value) -> String {
    let config = json!({ "host": "db", "password": password });
    let figment = Figment::from(Serialized::defaults(config));
    let error = figment.extract::<Config>().unwrap_err();
    let each: Vec<_> = error.clone().into_iter().collect();
    format!("{error} {error:?} {error:#?} {each:?}")
}

#[test]
fn a_reference_is_read_through_figment() {
    let config =
        json!({ "host": "db", "password": "secret:database#password", "token": "secret:a/b" });
    let config: Config = Figment::from(Serialized::defaults(config))
        .extract()
        .unwrap();
    assert_eq!(config.password.name().as_str(), "database#password");
    assert_eq!(config.token.as_ref().unwrap().name().as_str(), "a/b");
    assert_eq!(format!("{:?}", config.password), "secret:database#password");
    let absent = json!({ "host": "db", "password": "secret:x" });
    let config: Config = Figment::from(Serialized::defaults(absent))
        .extract()
        .unwrap();
    assert!(config.token.is_none());
}

#[test]
fn whatever_stands_in_the_place_of_a_reference_is_never_repeated() {
    let number = 730_095_581_u64;
    for password in [
        json!(CANARY),
        json!(format!("secret:{CANARY}//")),
        json!(format!("secret: {CANARY}")),
        json!(format!("SECRET:{CANARY}")),
        json!(number),
        json!(-730_095_581_i64),
        json!(730_095_581.5),
        json!(true),
        json!('c'),
        json!([CANARY]),
        json!({ CANARY: CANARY }),
        json!({ "value": CANARY }),
        json!({ "value": number }),
        json!(null),
    ] {
        let said = refusal(password.clone());
        assert!(!said.contains(CANARY), "{password}: {said}");
        assert!(!said.contains("730095581"), "{password}: {said}");
        assert!(
            said.contains("secret:database/password"),
            "{password}: {said}"
        );
        assert!(said.contains("password"), "{password}: {said}");
    }
}

#[test]
fn other_formats_repeat_nothing_either() {
    for text in [
        format!("\"{CANARY}\""),
        format!("{{\"{CANARY}\": 1}}"),
        format!("[\"{CANARY}\"]"),
        "730095581".to_owned(),
    ] {
        let error = serde_json::from_str::<SecretRef>(&text).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(
            !said.contains(CANARY) && !said.contains("730095581"),
            "{said}"
        );
    }
    let error = text_of(&format!("{CANARY}/"));
    assert!(!error.contains(CANARY), "{error}");
}

fn text_of(text: &str) -> String {
    let error = text.parse::<LiveRef>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    format!("{error} {error:?} {:?}", error.help())
}

proptest! {
    #[test]
    fn what_is_no_reference_is_never_repeated(text in "(secret:)?\\PC{0,40}") {
        match text.parse::<SecretRef>() {
            Ok(reference) => prop_assert_eq!(reference.to_string(), text),
            Err(error) => {
                let without = "".parse::<SecretRef>().unwrap_err();
                prop_assert_eq!(format!("{error:?}"), format!("{without:?}"));
            }
        }
    }
}

#[test]
fn every_reference_of_a_configuration_is_declared() {
    let config = json!({
        "greeting": "secret",
        "database": { "password": "secret:database/password" },
        "partners": [{ "token": "secret:partner/token" }, { "token": null }],
    });
    let declared = SecretRef::declare_all(&config).unwrap();
    let told: Vec<_> = declared
        .iter()
        .map(|declared| {
            (
                declared.name.as_str(),
                declared.needed_by.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("database/password", "database.password"),
            ("partner/token", "partners.0.token")
        ]
    );
    let wrong = json!({ "a": { "b": format!("secret:{CANARY} x") } });
    let error = SecretRef::declare_all(&wrong).unwrap_err();
    let said = format!("{error:?}");
    assert!(said.contains("a.b") && !said.contains(CANARY), "{said}");
}
