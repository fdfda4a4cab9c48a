//! The JSON Schema of the manifest, for editors.

use std::time::Duration;

use humantime::format_duration;
use serde_json::{Map, Value, json};

use super::DEPLOYMENTS;
use super::keys::{Form, Key, PROFILE};
use crate::name::MAX_NAME_BYTES;
use crate::rails::Rail;

/// As JSON Schema's dialect ECMA-262 writes what a secret's name may be.
const NAME: &str = "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*(#[A-Za-z0-9_-][A-Za-z0-9._-]*)?$";

/// Lengths of time such as `90days` or `1h 30m`.
const TIME: &str = "^(0|\\s*([0-9]+(\\.[0-9]+)?\\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\\s*)+)$";

/// Returns the JSON Schema (2020-12) of `strongroom.toml`, as indented text.
///
/// It describes the file as it is written by hand, with its keys, types, words, ranges, defaults and what
/// each is for. The reader is made of the same tables. Two things it leaves to the reader: what only the
/// merged profiles show, such as a required secret without a `kind` in any of them, and how long a length
/// of time may be, which its description says. The reader also takes a number or a flag in quotes, as
/// variables bring it; the schema doesn't.
///
/// ```
/// let schema = strongroom::manifest_schema();
/// assert!(schema.contains("\"rotate_after\""));
/// ```
#[must_use]
pub fn manifest_schema() -> String {
    let profile = json!({ "$ref": "#/$defs/profile" });
    let named = DEPLOYMENTS
        .iter()
        .map(|name| ((*name).to_owned(), profile.clone()));
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "strongroom.toml",
        "description": "Profiles of what a service needs: its secrets, where they are, and what they must satisfy. What a deployment's profile says stands above [default].",
        "type": "object",
        "properties": named.collect::<Map<_, _>>(),
        "additionalProperties": profile,
        "propertyNames": { "pattern": "^[a-z0-9_-]+$", "not": { "const": "global" } },
        "$defs": {
            "profile": profile_schema(),
            "name": {
                "type": "string",
                "pattern": NAME,
                "maxLength": MAX_NAME_BYTES,
            },
            "address": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9+.-]*:",
                "examples": ["vault://vault.example.com:8200/secret", "sealed:.strongroom/secrets.sealed", "file:/run/secrets"],
            },
        },
    });
    format!("{schema:#}")
}

fn profile_schema() -> Value {
    let mut schema = table(PROFILE);
    let overrides = Rail::ALL.iter().map(|rail| {
        let about = format!(
            "Switches the guard rail `{}` off, which is then a warning. No variable can set it.",
            rail.rule()
        );
        let flag = json!({ "type": "boolean", "default": false, "description": about });
        (rail.override_key().to_owned(), flag)
    });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.extend(overrides);
    }
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties = keys.iter().map(|key| (key.name.to_owned(), property(key)));
    json!({
        "type": "object",
        "properties": properties.collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut schema = form(&key.form);
    if let Some(fields) = schema.as_object_mut() {
        let about = match &key.form {
            Form::Time(bounds) if *bounds.end() < Duration::MAX => {
                let (least, most) = (
                    format_duration(*bounds.start()),
                    format_duration(*bounds.end()),
                );
                format!("{} From {least} to {most}.", key.about)
            }
            _ => key.about.to_owned(),
        };
        fields.insert("description".to_owned(), about.into());
        let default = key.default.and_then(|text| serde_json::from_str(text).ok());
        if let Some(default) = default {
            fields.insert("default".to_owned(), default);
        }
    }
    schema
}

fn form(form: &Form) -> Value {
    let name = json!({ "$ref": "#/$defs/name" });
    let address = json!({ "$ref": "#/$defs/address" });
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Name => name,
        Form::Address => address,
        Form::Word(words) => json!({ "type": "string", "enum": words() }),
        Form::Whole(bounds) => {
            json!({ "type": "integer", "minimum": bounds.start(), "maximum": bounds.end() })
        }
        Form::Time(_) => {
            json!({ "type": "string", "pattern": TIME, "examples": ["90days", "12h", "1h 30m"] })
        }
        Form::Table(keys) => table(keys),
        Form::NameOrTable(keys) => json!({ "anyOf": [name, table(keys)] }),
        Form::Addresses { most } => json!({
            "type": "object",
            "additionalProperties": address,
            "maxProperties": most,
        }),
        Form::Secrets { most, keys } => json!({
            "type": "object",
            "propertyNames": name,
            "additionalProperties": table(keys),
            "maxProperties": most,
        }),
    }
}
