//! Kubernetes Secrets: `data` in base64 and `stringData`, in one or several YAML documents.

use base64ct::{Base64, Encoding as _};
use strongroom::{Error, ErrorKind, Result, Secret, documents};
use zeroize::Zeroizing;

use super::{Found, Item, bytes, check_keys, check_not_encrypted, joined, malformed, place};

pub(super) fn read(text: &[u8], origin: &str) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut secrets = 0_usize;
    for document in split(text) {
        let entries = documents::yaml(&document, origin)?;
        check_not_encrypted(&entries, origin)?;
        let has = |key: &str, word: &[u8]| {
            let mut entries = entries.iter();
            entries.any(|entry| entry.way == [key] && entry.value.verify(word))
        };
        if !has("kind", b"Secret") {
            continue;
        }
        secrets = secrets.saturating_add(1);
        let of = |section: &'static str| {
            let entries = entries.iter();
            entries.filter_map(move |entry| match entry.way.as_slice() {
                [first, key] if first == section => Some((key, entry)),
                _ => None,
            })
        };
        // `stringData` wins over `data`, as in the cluster.
        for (key, entry) in of("data") {
            let decoded = decode(entry).ok_or_else(|| {
                let place = place(origin, None, key);
                malformed(&place, "the value below `data` is not base64")
            })?;
            if !of("stringData").any(|(other, _)| other == key) {
                found.push(Found {
                    key: key.clone(),
                    value: decoded,
                });
            }
        }
        for (key, entry) in of("stringData") {
            if !entry.is_string {
                let place = place(origin, None, key);
                return Err(malformed(
                    &place,
                    "the value below `stringData` is not a string",
                ));
            }
            found.push(Found {
                key: key.clone(),
                value: entry.value.clone(),
            });
        }
    }
    if secrets == 0 {
        let what = "there is no document of `kind: Secret`";
        return Err(Error::new(ErrorKind::Malformed, format!("{origin}: {what}")).with_help(
            "a List is read as `kubectl get secret NAME -o yaml` writes one; plain YAML is --from yaml",
        ));
    }
    check_keys(&found, origin)?;
    Ok(found)
}

fn decode(entry: &documents::Entry) -> Option<Secret> {
    // EXPOSES: to its decoding; both buffers are wiped
    let text = entry.value.expose_bytes();
    let text: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    let mut out = Zeroizing::new(vec![0; text.len()]);
    let length = Base64::decode(text.as_slice(), &mut out).ok()?.len();
    out.truncate(length);
    entry.is_string.then(|| Secret::from_utf8_or_bytes(out))
}

/// Splits a stream into its documents. Each keeps the lines before it, empty, so that errors name the
/// line of the file; one that is empty is left out.
fn split(text: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let is_marker = |line: &[u8]| {
        line.strip_prefix(b"---")
            .is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
    };
    let is_empty = |line: &[u8]| {
        let line = line.trim_ascii();
        line.is_empty() || line.starts_with(b"#") || line == b"---"
    };
    let mut documents = Vec::new();
    let mut document = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(1)));
    let (mut filled, mut lines) = (false, 0_usize);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if is_marker(line) {
            let mut next = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(1)));
            next.resize(lines, b'\n');
            let ended = std::mem::replace(&mut document, next);
            documents.extend(std::mem::take(&mut filled).then_some(ended));
        }
        filled |= !is_empty(line);
        document.extend_from_slice(line);
        lines = lines.saturating_add(1);
    }
    if filled {
        documents.push(document);
    }
    documents
}

pub(super) fn write(items: &[Item<'_>], title: &str) -> Result<Zeroizing<Vec<u8>>> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if title.len() > 253
        || !title.chars().all(plain)
        || !title.starts_with(ends)
        || !title.ends_with(ends)
    {
        let message = "the name of a Kubernetes Secret is of a-z 0-9 - and .";
        return Err(Error::new(ErrorKind::Config, message)
            .with_help("give it another by --secret-name, for example app-secrets"));
    }
    let head = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"{title}\"\ntype: Opaque\ndata:"
    );
    let mut pieces = vec![bytes(head.as_bytes())];
    let mut keys = std::collections::BTreeMap::new();
    for item in items {
        let key = key(item.name.as_str());
        if let Some(other) = keys.insert(key.clone(), item.name) {
            let message = format!("it would become the key `{key}`, and so would `{other}`");
            return Err(Error::new(ErrorKind::Config, message)
                .with_name(item.name)
                .with_help("export them apart, by name or by --prefix"));
        }
        pieces.push(bytes(format!("\n  \"{key}\": \"").as_bytes()));
        // EXPOSES: to the text that is exported, which is wiped
        let encoded = Base64::encode_string(item.value.expose_bytes());
        pieces.push(encoded.into_bytes().into());
        pieces.push(bytes(b"\""));
    }
    pieces.push(bytes(if items.is_empty() { b" {}\n" } else { b"\n" }));
    Ok(joined(&pieces))
}

/// The key of a name, which the plain-file backend finds again where the Secret is mounted.
pub(crate) fn key(name: &str) -> String {
    name.replace(['/', '#'], ".")
}
