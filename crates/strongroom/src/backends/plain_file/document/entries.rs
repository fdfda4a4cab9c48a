//! Documents for tools that take their values elsewhere, and what such documents are written of.

use zeroize::Zeroizing;

use super::super::dotenv::{self, Dotenv};
use super::MAX_DOCUMENT_BYTES;
use crate::backends::files::failure::too_large;
use crate::backends::files::fault::Fault;
use crate::backends::files::json::{self, Tree};
use crate::error::Result;
use crate::secret::Secret;

/// One value of a document.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// The keys that lead to it, from the top.
    pub way: Vec<String>,
    /// The value: a string decoded, anything else as the text it is written in.
    pub value: Secret,
    /// Whether it is written as a string. What is not is a number, a truth value, `null` or an array.
    pub is_string: bool,
    /// Its line, from 1; `None` where only the key is known.
    pub line: Option<usize>,
}

/// Reads a dotenv document by the grammar of `docs/dotenv.md`, in the order of its lines. `origin` is
/// what messages call it.
///
/// # Errors
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) with line and column, never with the text.
pub fn dotenv(text: Zeroizing<Vec<u8>>, origin: &str) -> Result<Vec<Entry>> {
    check_size(&text, origin)?;
    let parsed = Dotenv::parse(text).map_err(|fault| fault.in_document(origin))?;
    let entry = |(key, line, value)| Entry {
        way: vec![key],
        value: Secret::from_utf8_or_bytes(value),
        is_string: true,
        line: Some(line),
    };
    Ok(parsed.into_values().map(entry).collect())
}

/// Reads every value of a JSON document that is no object, in order. `origin` is what messages call it.
///
/// # Errors
/// As [`dotenv`]; among them a key that is there twice.
pub fn json(text: Zeroizing<Vec<u8>>, origin: &str) -> Result<Vec<Entry>> {
    check_size(&text, origin)?;
    let tree = Tree::parse(text).map_err(|fault| fault.in_document(origin))?;
    entries(&tree, origin, true)
}

/// Reads every value of a YAML document that is no mapping, in order, as [`json`] does. Plain scalars
/// keep the text they are written in.
///
/// # Errors
/// As [`json`]; among them aliases, and a second document.
#[cfg(feature = "yaml")]
pub fn yaml(text: &[u8], origin: &str) -> Result<Vec<Entry>> {
    check_size(text, origin)?;
    let tree = super::yaml::parse(text).map_err(|fault| fault.in_document(origin))?;
    entries(&tree, origin, false)
}

/// Writes a value as a dotenv document holds it, in the quotes that it needs.
pub fn dotenv_value(value: &str) -> Zeroizing<Vec<u8>> {
    dotenv::quote(value)
}

/// Writes a text as a JSON string.
pub fn json_string(text: &str) -> Zeroizing<Vec<u8>> {
    // A byte becomes six at most, and two quotes stand around them.
    let room = text.len().saturating_mul(6).saturating_add(2);
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    json::encode(text, &mut out);
    out
}

fn entries(tree: &Tree, origin: &str, has_lines: bool) -> Result<Vec<Entry>> {
    let entry = |leaf: json::Leaf<'_>| -> std::result::Result<_, Fault> {
        Ok(Entry {
            way: leaf.way.iter().map(|key| (*key).to_owned()).collect(),
            value: Secret::from_utf8_or_bytes(tree.decoded(leaf.node)?),
            is_string: tree.is_string(leaf.node),
            line: has_lines.then_some(leaf.line),
        })
    };
    let found = tree.walk().into_iter().map(entry);
    let found: std::result::Result<Vec<_>, _> = found.collect();
    found.map_err(|fault| fault.in_document(origin))
}

fn check_size(text: &[u8], origin: &str) -> Result<()> {
    match text.len() > MAX_DOCUMENT_BYTES {
        true => Err(too_large(&origin, MAX_DOCUMENT_BYTES)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    fn shown(entries: &[Entry]) -> Vec<(String, String, bool, Option<usize>)> {
        let show = |entry: &Entry| {
            let value = entry.value.expose_str().unwrap().to_owned();
            (entry.way.join("/"), value, entry.is_string, entry.line)
        };
        entries.iter().map(show).collect()
    }

    #[test]
    fn entries_come_in_order_with_their_lines() {
        let found = dotenv(bytes("# c\nB='x y'\n\nexport A=\"1\\n2\"\n"), "x").unwrap();
        let expected = [
            ("B".to_owned(), "x y".to_owned(), true, Some(2)),
            ("A".to_owned(), "1\n2".to_owned(), true, Some(4)),
        ];
        assert_eq!(shown(&found), expected);
        let found = json(
            bytes("{\n\"b\": {\"x\": \"\\u00e9\",\n\"y\": 1.10},\n\"a\": null}"),
            "x",
        );
        let expected = [
            ("b/x".to_owned(), "é".to_owned(), true, Some(2)),
            ("b/y".to_owned(), "1.10".to_owned(), false, Some(3)),
            ("a".to_owned(), "null".to_owned(), false, Some(4)),
        ];
        assert_eq!(shown(&found.unwrap()), expected);
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn yaml_has_no_lines_but_the_same_entries() {
        let found = yaml(b"b:\n  x: 0123\n  y: 5\n", "x").unwrap();
        let expected = [
            ("b/x".to_owned(), "0123".to_owned(), true, None),
            ("b/y".to_owned(), "5".to_owned(), false, None),
        ];
        assert_eq!(shown(&found), expected);
    }
}
