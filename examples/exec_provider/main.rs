//! A provider as a program of its own: one JSON file of versions, with stages, which `config` in its
//! address names.
//!
//! ```text
//! cargo build --example exec_provider
//! strongroom --provider "exec:$PWD/target/debug/examples/exec_provider?config=/srv/store.json" list
//! ```
//!
//! It encrypts nothing: it shows the protocol, which docs/write-a-backend.md specifies, with all of its
//! operations. One request comes on standard input, one answer goes to standard output.
//! `tests/it/exec_provider.rs` runs the conformance suite on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The protocol's word for what went wrong.
type Answer = Result<Value, &'static str>;

#[derive(Default, Serialize, Deserialize)]
struct Store {
    writes: u64,
    secrets: BTreeMap<String, Secret>,
}

#[derive(Default, Serialize, Deserialize)]
struct Secret {
    /// The oldest first.
    versions: Vec<Version>,
    current: Option<String>,
    previous: Option<String>,
    pending: Option<String>,
    /// When the previous one ends.
    until: Option<u64>,
    is_deleted: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Version {
    version: String,
    created: u64,
    /// `text` or `base64`, and the value.
    form: String,
    value: String,
}

fn main() -> io::Result<()> {
    let request = io::read_to_string(io::stdin())?;
    if request.is_empty() {
        eprintln!("nothing was asked; strongroom starts this program for an address exec:/…");
        return Ok(());
    }
    let request: Value = serde_json::from_str(&request)?;
    let mut answer = match run(&request)? {
        Ok(answer) => answer,
        Err(word) => json!({ "error": word }),
    };
    set(&mut answer, "protocol", 1.into());
    serde_json::to_writer(io::stdout(), &answer)?;
    Ok(())
}

fn run(request: &Value) -> io::Result<Answer> {
    let operation = word(request, "operation");
    if operation == "describe" {
        let all = "fetch put delete list health versions restore promote discard";
        let operations: Vec<_> = all.split(' ').collect();
        return Ok(Ok(json!({
            "name": "example", "version": env!("CARGO_PKG_VERSION"), "operations": operations,
        })));
    }
    let path = word(request, "config");
    // One call at a time.
    let lock = File::create(format!("{path}.lock"))?;
    lock.lock()?;
    let mut store: Store = match File::open(path) {
        Ok(file) => serde_json::from_reader(file)?,
        Err(_) => Store::default(),
    };
    let answer = match operation {
        "fetch" => fetch(&store, request),
        "list" => Ok(list(&store, request)),
        "health" => Ok(json!({})),
        "versions" => versions(&store, request),
        "put" => put(&mut store, request),
        _ => change(&mut store, operation, request),
    };
    if answer.is_ok() && !["fetch", "list", "health", "versions"].contains(&operation) {
        // Replaced as a whole: we may be ended at any moment.
        let new = format!("{path}.new");
        serde_json::to_writer(File::create(&new)?, &store)?;
        std::fs::rename(new, path)?;
    }
    Ok(answer)
}

fn set(answer: &mut Value, key: &str, value: Value) {
    if let Some(fields) = answer.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn fetch(store: &Store, request: &Value) -> Answer {
    let one = |wanted: &Value| {
        let mut answer = match find(store, wanted) {
            Err(word) => json!({ "error": word }),
            Ok((found, _)) if wanted["known"] == found.version.as_str() => {
                json!({ "unchanged": true })
            }
            Ok((found, until)) => {
                let mut answer =
                    json!({ "version": found.version, "created": moment(found.created) });
                set(&mut answer, &found.form, found.value.as_str().into());
                if let Some(until) = until {
                    set(&mut answer, "expires", moment(until).into());
                }
                answer
            }
        };
        set(&mut answer, "request", wanted["request"].clone());
        answer
    };
    let wanted = request["wanted"].as_array().ok_or("malformed")?;
    let answers: Vec<_> = wanted.iter().map(one).collect();
    Ok(json!({ "answers": answers }))
}

/// The version that is wanted, and when it ends.
fn find<'a>(store: &'a Store, wanted: &Value) -> Result<(&'a Version, Option<u64>), &'static str> {
    let secret = there(store, wanted)?;
    let (version, until) = match word(wanted, "stage") {
        "previous" if secret.until.is_some_and(|until| until < now()) => (None, None),
        "previous" => (secret.previous.as_deref(), secret.until),
        "pending" => (secret.pending.as_deref(), None),
        "exact" => (wanted["version"].as_str(), None),
        _ => (secret.current.as_deref(), None),
    };
    let found = secret
        .versions
        .iter()
        .find(|found| Some(found.version.as_str()) == version);
    found.map(|found| (found, until)).ok_or("absent")
}

fn list(store: &Store, request: &Value) -> Value {
    let held = store.secrets.iter().filter(|(_, secret)| secret.is_there());
    let names = held.map(|(name, _)| name);
    let names: Vec<_> = names
        .filter(|name| name.starts_with(word(request, "prefix")))
        .collect();
    json!({ "names": names })
}

fn versions(store: &Store, request: &Value) -> Answer {
    let newest_first = there(store, request)?.versions.iter().rev();
    let versions = newest_first.map(
        |one| json!({ "version": one.version, "created": moment(one.created), "readable": true }),
    );
    Ok(json!({ "versions": versions.collect::<Vec<_>>() }))
}

fn put(store: &mut Store, request: &Value) -> Answer {
    check_expected(store, request)?;
    store.writes = store.writes.saturating_add(1);
    let form = if request["text"].is_string() {
        "text"
    } else {
        "base64"
    };
    let new = Version {
        version: format!("v{}", store.writes),
        created: now(),
        form: form.to_owned(),
        value: word(request, form).to_owned(),
    };
    let secret = store.secrets.entry(key(request)).or_default();
    let version = new.version.clone();
    secret.versions.push(new);
    if secret.is_deleted {
        (secret.is_deleted, secret.current, secret.previous) = (false, None, None);
    }
    if word(request, "stage") == "pending" {
        secret.pending = Some(version.clone());
    } else {
        secret.make_current(version.clone());
        secret.until = request["overlap"]
            .as_u64()
            .map(|seconds| now().saturating_add(seconds));
    }
    Ok(json!({ "version": version }))
}

/// `delete`, `restore`, `promote` and `discard`.
fn change(store: &mut Store, operation: &str, request: &Value) -> Answer {
    if operation == "delete" {
        if there(store, request).is_err() && request["expect"] != "version" {
            return Err("absent");
        }
        check_expected(store, request)?;
    }
    let version = request["version"].as_str();
    let secret = store.secrets.get_mut(&key(request)).ok_or("absent")?;
    match operation {
        "delete" => secret.is_deleted = true,
        "restore" if secret.is_deleted => secret.is_deleted = false,
        "promote" => {
            let known = |one: &Version| Some(one.version.as_str()) == version;
            let found = secret
                .versions
                .iter()
                .find(|one| known(one))
                .ok_or("absent")?;
            let promoted = found.version.clone();
            secret.pending.take_if(|pending| *pending == promoted);
            secret.make_current(promoted);
        }
        "discard" if secret.pending.as_deref() == version => {
            secret
                .versions
                .retain(|one| Some(one.version.as_str()) != version);
            secret.pending = None;
        }
        "discard" => return Err("conflict"),
        "restore" => return Err("absent"),
        _ => return Err("unsupported"),
    }
    Ok(json!({}))
}

impl Secret {
    /// Reports whether it has a value in force.
    fn is_there(&self) -> bool {
        !self.is_deleted && self.current.is_some()
    }

    fn make_current(&mut self, version: String) {
        if self.current.as_ref() != Some(&version) {
            self.previous = self.current.replace(version);
            self.until = None;
        }
    }
}

fn there<'a>(store: &'a Store, request: &Value) -> Result<&'a Secret, &'static str> {
    let secret = store.secrets.get(&key(request));
    secret.filter(|secret| !secret.is_deleted).ok_or("absent")
}

fn check_expected(store: &Store, request: &Value) -> Result<(), &'static str> {
    let secret = there(store, request)
        .ok()
        .filter(|secret| secret.is_there());
    let current = secret.and_then(|secret| secret.current.as_deref());
    let holds = match word(request, "expect") {
        "absent" => current.is_none(),
        "version" => current.is_some() && current == request["version"].as_str(),
        _ => true,
    };
    holds.then_some(()).ok_or("conflict")
}

/// Where a secret is kept: under its own name, or the identifier that a manifest gives it here.
fn key(request: &Value) -> String {
    let name = request["id"].as_str().unwrap_or(word(request, "name"));
    match request["field"].as_str() {
        Some(field) => format!("{name}#{field}"),
        None => name.to_owned(),
    }
}

fn word<'a>(request: &'a Value, key: &str) -> &'a str {
    request[key].as_str().unwrap_or_default()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn moment(seconds: u64) -> String {
    let moment = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    humantime::format_rfc3339_seconds(moment.unwrap_or(SystemTime::UNIX_EPOCH)).to_string()
}
