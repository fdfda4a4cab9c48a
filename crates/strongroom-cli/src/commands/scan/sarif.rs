//! The findings as SARIF 2.1.0, for services that show them beside the code.

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::finding::{Finding, Place};
use super::{known, rules};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// What a path in a URI keeps.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_')
    .remove(b'~');

/// Returns the document. It holds no value, nor anything that is computed from one: findings are told
/// apart by rule, path and how many of the same were before.
pub(super) fn document(findings: &[Finding]) -> Value {
    let ids: BTreeSet<_> = findings.iter().map(|finding| finding.rule).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    let mut counts: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
    let results = findings.iter().map(|finding| {
        let what = message(finding);
        let count = counts
            .entry((finding.rule, &finding.path, what.clone()))
            .or_default();
        *count = count.saturating_add(1);
        let fingerprint = format!("{}:{}:{count}", finding.rule, uri(&finding.path));
        let place = finding.line > 0;
        let region =
            place.then(|| json!({ "startLine": finding.line, "startColumn": finding.column }));
        let (history, commit) = match &finding.place {
            Place::Tree => (false, None),
            Place::History(commit) => (true, commit.as_deref()),
        };
        without_nulls(json!({
            "ruleId": finding.rule,
            "ruleIndex": ids.iter().position(|id| *id == finding.rule),
            "level": "error",
            "message": { "text": what },
            "locations": [{ "physicalLocation": without_nulls(json!({
                "artifactLocation": artifact(finding),
                "region": region,
            })) }],
            "partialFingerprints": { "strongroom/v1": fingerprint },
            "properties": history.then(|| json!({ "history": true, "commit": commit })),
        }))
    });
    let results: Vec<_> = results.collect();
    let rules = ids.iter().map(|id| {
        let (title, help) = rules::describe(id).unwrap_or_default();
        json!({
            "id": id,
            "shortDescription": { "text": title },
            "help": { "text": help },
            "defaultConfiguration": { "level": "error" },
        })
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "strongroom",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "ROOT": { "description": { "text": "The folder that was scanned from." } } },
            "results": results,
        }],
    })
}

/// Leaves members out that have no value: SARIF knows no null.
fn without_nulls(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// Says in a sentence what was found.
pub(super) fn message(finding: &Finding) -> String {
    let (title, _) = rules::describe(finding.rule).unwrap_or_default();
    match (&finding.secret, finding.form) {
        (Some(secret), Some(form)) => {
            format!("the value of {secret}, {}", known::phrase(form))
        }
        _ => title.to_owned(),
    }
}

fn artifact(finding: &Finding) -> Value {
    let uri = uri(&finding.path);
    match finding.path.starts_with('/') {
        true => json!({ "uri": format!("file://{uri}") }),
        false => json!({ "uri": uri, "uriBaseId": "ROOT" }),
    }
}

fn uri(path: &str) -> String {
    utf8_percent_encode(path, IN_PATH).to_string()
}
