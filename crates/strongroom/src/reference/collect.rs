//! Every reference of a configuration, found through its `Serialize`.

use serde::Serialize;
use serde_json::Value;

use super::{SCHEME, SecretRef};
use crate::declared::{Declared, Kind};
use crate::error::{Error, ErrorKind, Result};

pub(super) fn declared(config: &impl Serialize) -> Result<Vec<Declared>> {
    let tree = serde_json::to_value(config).map_err(|_| {
        let message = "the configuration can't be serialised, so its references are not found";
        Error::new(ErrorKind::Malformed, message)
            .with_help("its maps need keys of text; or declare each reference by itself")
    })?;
    let mut declared = Vec::new();
    collect(&tree, &mut Vec::new(), &mut declared)?;
    Ok(declared)
}

/// Goes through a tree whose depth is that of a type, which was just serialised in the same way.
fn collect(tree: &Value, path: &mut Vec<String>, declared: &mut Vec<Declared>) -> Result<()> {
    match tree {
        Value::String(text) if text.starts_with(SCHEME) => {
            let place = path.join(".");
            let reference: SecretRef = text.parse().map_err(|error: Error| {
                let wrong = Error::new(ErrorKind::Malformed, format!("{place}: {error}"));
                wrong.with_help(error.help().unwrap_or_default())
            })?;
            declared.push(reference.declare(Kind::Opaque).with_needed_by(place));
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push(at.to_string());
                collect(item, path, declared)?;
                path.pop();
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                path.push(key.clone());
                collect(field, path, declared)?;
                path.pop();
            }
        }
        _ => {}
    }
    Ok(())
}
