//! What the fuzz targets of plain files run.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "to panic is what these functions are for"
)]

use zeroize::Zeroizing;

use super::super::dotenv::Dotenv;
use super::Format;
use super::content::Content;
use crate::backends::files::fault::Fault;
use crate::backends::files::json::{self, Tree};
use crate::fuzzing::never_quotes;
use crate::secret::Secret;

/// A dotenv document: it keeps its bytes, and a variable that is set reads back and changes no other.
pub fn dotenv(data: &[u8]) {
    let parse = |text: &[u8]| Dotenv::parse(Zeroizing::new(text.to_vec()));
    let dotenv = match parse(data) {
        Ok(dotenv) => dotenv,
        Err(fault) => return unquoted(data, fault),
    };
    assert_eq!(dotenv.text(), data);
    let keys: Vec<String> = dotenv.keys().map(str::to_owned).collect();
    let value = |dotenv: &Dotenv, key: &str| dotenv.value(key).map(|value| value.to_vec());
    let values: Vec<_> = keys.iter().map(|key| value(&dotenv, key)).collect();
    let Some((first, Some(text))) = keys.first().zip(values.last()) else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        panic!("a value of a text is no text");
    };
    let (Ok(mut set), Ok(mut removed)) = (parse(data), parse(data)) else {
        panic!("one text is parsed in two ways");
    };
    if set.set(first, text).is_ok() {
        assert_eq!(
            set.value(first).as_deref().map(Vec::as_slice),
            Some(text.as_bytes())
        );
        for (key, was) in keys.iter().zip(&values).skip(1) {
            assert_eq!(&value(&set, key), was);
        }
    }
    if removed.remove(first).is_ok() {
        assert!(!removed.has(first));
        for (key, was) in keys.iter().zip(&values).skip(1) {
            assert_eq!(&value(&removed, key), was);
        }
    }
}

/// A JSON document: a field that is set reads back, and the others keep their text.
pub fn json(data: &[u8]) {
    let tree = match Tree::parse(Zeroizing::new(data.to_vec())) {
        Ok(tree) => tree,
        Err(fault) => return unquoted(data, fault),
    };
    let leaves = tree.leaves();
    let new = Secret::from_text("a\"\\\u{1}\n\u{e9}");
    let Ok(Some(text)) = json::with_field(Some(&tree), "fuzzed", Some(&new)) else {
        panic!("a field can't be set");
    };
    let Ok(changed) = Tree::parse(text) else {
        panic!("what was written can't be read");
    };
    let value = |tree: &Tree, key: &str| tree.value(&[key]).ok().map(|value| value.to_vec());
    assert_eq!(
        value(&changed, "fuzzed").as_deref(),
        Some(new.expose_bytes())
    );
    for leaf in leaves.iter().filter(|leaf| *leaf != "fuzzed") {
        assert_eq!(value(&changed, leaf), value(&tree, leaf));
    }
}

/// A TOML document.
pub fn toml(data: &[u8]) {
    document(Format::Toml, data);
}

/// A YAML document.
#[cfg(feature = "yaml")]
pub fn yaml(data: &[u8]) {
    document(Format::Yaml, data);
}

fn document(format: Format, data: &[u8]) {
    match Content::parse(format, Zeroizing::new(data.to_vec())) {
        Ok(Content::Tree(tree)) => {
            for leaf in tree.leaves() {
                let way: Vec<_> = leaf.split('/').collect();
                let _ = tree.value(&way);
            }
        }
        Ok(Content::Dotenv(_)) => {}
        Err(fault) => unquoted(data, fault),
    }
}

/// A key that is there twice is named; nothing else is.
fn unquoted(data: &[u8], fault: Fault) {
    if !fault.what.contains("is there twice") {
        let error = fault.in_file("x".as_ref());
        never_quotes(data, &format!("{error:?} {error}"));
    }
}
