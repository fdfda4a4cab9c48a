//! That the tables say what the reader does: each key is read, with the types, words, ranges and defaults
//! that stand there, and with no others.

use super::keys::{Form, Key, PROFILE};
use super::*;
use crate::env::Env;
use crate::manifest::{Choice, Manifest};

/// The keys of all tables with the tables that they stand in; the names of secrets and providers are ours.
fn leaves(
    keys: &'static [Key],
    path: &[&'static str],
    found: &mut Vec<(Vec<&'static str>, &'static Key)>,
) {
    for key in keys {
        let mut inner = path.to_vec();
        inner.push(key.name);
        match key.form {
            Form::Table(keys) => leaves(keys, &inner, found),
            Form::NameOrTable(keys) => {
                found.push((path.to_vec(), key));
                leaves(keys, &inner, found);
            }
            Form::Secrets { keys, .. } => {
                inner.push("one");
                leaves(keys, &inner, found);
            }
            _ => found.push((path.to_vec(), key)),
        }
    }
}

fn all() -> Vec<(Vec<&'static str>, &'static Key)> {
    let mut found = Vec::new();
    leaves(PROFILE, &[], &mut found);
    found
}

/// What must stand beside a key for the manifest to be whole.
fn beside(path: &[&str], key: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    match (path, key) {
        (["cache"], "ttl") => vec![("cache", "max_stale", "\"30days\"")],
        (["cache"], "max_stale") => vec![("cache", "ttl", "\"1s\"")],
        (["snapshot"], _) => vec![
            ("snapshot", "path", "\"a/b\""),
            ("snapshot", "key_file", "\"c/d\""),
            ("cache", "ttl", "\"1s\""),
        ],
        (["audit"], "key_secret") => vec![("audit", "path", "\"a\"")],
        (["audit"], _) => vec![("audit", "path", "\"a\""), ("audit", "key_file", "\"b\"")],
        (["secrets", "one", "source"], key) => {
            let mut beside = vec![("secrets.one", "kind", "\"key\"")];
            match key {
                "field" | "lease" => beside.push(("secrets.one.source", "id", "\"x\"")),
                "provider" => beside.push(("providers", "text", "\"file:/run/secrets\"")),
                _ => {}
            }
            beside
        }
        (["secrets", "one"], _) => vec![("secrets.one", "kind", "\"key\"")],
        _ => Vec::new(),
    }
}

fn text(path: &[&str], key: &str, value: Option<&str>) -> String {
    let table = path.join(".");
    let mut lines: Vec<(String, String)> = beside(path, key)
        .into_iter()
        .filter(|(at, beside, _)| (*at, *beside) != (table.as_str(), key))
        .map(|(at, beside, value)| (at.to_owned(), format!("{beside} = {value}")))
        .collect();
    if let Some(value) = value {
        lines.push((table, format!("{key} = {value}")));
    }
    lines.sort();
    let mut text = String::from("[default]\n");
    let mut section = String::new();
    for (at, line) in lines {
        if at != section {
            text.push_str(&format!("[default.{at}]\n"));
            section = at;
        }
        text.push_str(&format!("{line}\n"));
    }
    text
}

fn read(text: &str) -> Result<Manifest> {
    let env = Env::empty().with_var("STRONGROOM_ENV", "development");
    Manifest::load(&Choice::Text(text.to_owned()), &env, ("development", false))
}

/// What the tables say that is read, and that is refused.
fn samples(form: &Form) -> (Vec<String>, Vec<String>) {
    let quoted = |text: &str| format!("\"{text}\"");
    let shown = |time| quoted(&humantime::format_duration(time).to_string());
    let second = std::time::Duration::from_secs(1);
    match form {
        Form::Text => (vec![quoted("text")], vec!["5".to_owned()]),
        Form::Texts => (
            vec!["[\"vault\"]".to_owned()],
            vec![quoted("vault"), "[5]".to_owned()],
        ),
        Form::Flag => (
            vec!["true".to_owned(), "false".to_owned()],
            vec!["5".to_owned(), quoted("yes")],
        ),
        Form::Name => (vec![quoted("a/b#c")], vec![quoted("../a"), "5".to_owned()]),
        Form::Address => (
            vec![quoted("file:/run/secrets")],
            vec![quoted("no address")],
        ),
        Form::Word(words) => (
            words().into_iter().map(quoted).collect(),
            vec![quoted("no-such-word"), "5".to_owned()],
        ),
        Form::Whole(bounds) => {
            let mut refused = vec![
                quoted("many"),
                (i128::from(*bounds.start()) - 1).to_string(),
            ];
            if *bounds.end() < i64::MAX as u64 {
                refused.push((bounds.end() + 1).to_string());
            }
            (
                vec![bounds.start().to_string(), bounds.end().to_string()],
                refused,
            )
        }
        Form::Time(bounds) => {
            let mut read = vec![shown(*bounds.start())];
            let mut refused = vec![quoted("soon"), "5".to_owned()];
            match bounds.end().checked_add(second) {
                Some(longer) => {
                    read.push(shown(*bounds.end()));
                    refused.push(shown(longer));
                }
                None => read.push(quoted("90days")),
            }
            if let Some(shorter) = bounds.start().checked_sub(second) {
                refused.push(shown(shorter));
            }
            (read, refused)
        }
        Form::NameOrTable(_) => (vec![quoted("a/b")], vec!["5".to_owned()]),
        Form::Addresses { .. } => (
            vec!["{ one = \"file:/run/secrets\" }".to_owned()],
            vec!["5".to_owned(), "{ one = 5 }".to_owned()],
        ),
        Form::Table(_) | Form::Secrets { .. } => unreachable!("no leaf"),
    }
}

#[test]
fn each_key_is_read_as_its_table_says() {
    for (path, key) in all() {
        let (accepted, refused) = samples(&key.form);
        for value in accepted {
            let text = text(&path, key.name, Some(&value));
            let manifest = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let mut full = path.join(".");
            if !full.is_empty() {
                full.push('.');
            }
            full.push_str(key.name);
            let noted = |key: &str| key == full || key.starts_with(&format!("{full}."));
            assert!(
                manifest.settings.iter().any(|setting| noted(&setting.key)),
                "nobody reads `{full}`"
            );
        }
        for value in refused {
            let text = text(&path, key.name, Some(&value));
            assert!(read(&text).is_err(), "{text}");
        }
    }
}

#[test]
fn what_stands_for_a_key_that_is_not_there_is_what_the_reader_takes() {
    let shown = |text: &str| {
        let manifest = read(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let Manifest {
            layers,
            cache,
            snapshot,
            audit,
            secrets,
            ..
        } = manifest;
        format!("{layers:?} {cache:?} {snapshot:?} {audit:?} {secrets:?}")
    };
    let mut compared = 0;
    for (path, key) in all() {
        let Some(default) = key.default else { continue };
        let without = text(&path, key.name, None);
        let with = text(&path, key.name, Some(default));
        assert_eq!(shown(&with), shown(&without), "{with}");
        compared += 1;
    }
    assert!(compared > 10);
}

#[test]
fn the_schema_has_exactly_the_keys_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(&manifest_schema()).unwrap();
    let profile = &schema["$defs"]["profile"];
    for (path, key) in all() {
        let mut level = profile;
        for step in &path {
            level = match *step {
                "one" => &level["additionalProperties"],
                "source" => &level["properties"]["source"]["anyOf"][1],
                step => &level["properties"][step],
            };
        }
        assert!(
            level["properties"][key.name]["description"].is_string(),
            "{path:?} {key:?}"
        );
        assert_eq!(level["additionalProperties"], false, "{path:?}");
        let default = key.default.map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(
            level["properties"][key.name].get("default"),
            default.as_ref()
        );
    }
    let names = profile["properties"].as_object().unwrap().keys();
    for name in names {
        let text = format!("[default]\n{name} = 5\n");
        let error = read(&text).unwrap_err().to_string();
        assert!(!error.contains("unknown key"), "{error}");
    }
}
