//! A JSON document as ranges of its one wiped buffer: values are decoded where they are asked for.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::fault::{self, Fault};
use crate::secret::Secret;

/// How deep objects and arrays may be nested.
pub(in crate::backends) const MAX_DEPTH: usize = 32;

/// A checked document.
pub(in crate::backends) struct Tree {
    text: Zeroizing<Vec<u8>>,
    root: Node,
}

/// One value of the document.
pub(in crate::backends) struct Node {
    at: Range<usize>,
    /// The members of an object.
    members: Option<Vec<(String, Node)>>,
}

/// A value that is no object, and where it stands.
pub(in crate::backends) struct Leaf<'a> {
    pub(in crate::backends) way: Vec<&'a str>,
    pub(in crate::backends) node: &'a Node,
    /// From 1.
    pub(in crate::backends) line: usize,
}

impl Tree {
    /// Checks the whole document: its syntax, its depth, and that no object has one key twice.
    pub(in crate::backends) fn parse(text: Zeroizing<Vec<u8>>) -> Result<Self, Fault> {
        let json = std::str::from_utf8(&text)
            .map_err(|error| Fault::at(&text, error.valid_up_to(), "this is not UTF-8 text"))?;
        // RFC 8259 lets a parser ignore the mark that some editors begin a file with.
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let raw: &RawValue = serde_json::from_str(json).map_err(|error| Fault {
            what: match error.classify() {
                serde_json::error::Category::Eof => "the document ends too early".to_owned(),
                _ => "this is not JSON".to_owned(),
            },
            line: error.line(),
            column: Some(error.column()),
        })?;
        let root = node(&text, raw.get(), 0)?;
        if root.members.is_none() {
            return Err(Fault::at(&text, 0, "the document is not an object"));
        }
        Ok(Self { text, root })
    }

    /// Finds the value at the end of a way of keys.
    pub(in crate::backends) fn find(&self, way: &[&str]) -> Option<&Node> {
        way.iter().try_fold(&self.root, |node, key| {
            let mut members = node.members.iter().flatten();
            members.find(|(name, _)| name == key).map(|(_, node)| node)
        })
    }

    /// Returns the value there: a string decoded, anything else as the text it is written in.
    pub(in crate::backends) fn value(&self, way: &[&str]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        match self.find(way) {
            Some(node) => self.decoded(node),
            None => Ok(Zeroizing::default()),
        }
    }

    /// Returns a value: a string decoded, anything else as the text it is written in.
    pub(in crate::backends) fn decoded(&self, node: &Node) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let text = self.text.get(node.at.clone()).unwrap_or_default();
        match text
            .strip_prefix(b"\"")
            .and_then(|text| text.strip_suffix(b"\""))
        {
            Some(inner) => decode(inner).ok_or_else(|| {
                let what = "an escape in this string is no character";
                Fault::at(&self.text, node.at.start, what)
            }),
            None => Ok(Zeroizing::new(text.to_vec())),
        }
    }

    /// Returns the text that stands there, as it is written.
    #[cfg(any(feature = "exec", feature = "vault"))]
    pub(in crate::backends) fn raw(&self, way: &[&str]) -> Option<&[u8]> {
        self.text.get(self.find(way)?.at.clone())
    }

    /// Lists the keys of the object there.
    #[cfg(any(feature = "aws", feature = "exec", feature = "vault"))]
    pub(in crate::backends) fn keys(&self, way: &[&str]) -> Vec<&str> {
        let members = self.find(way).and_then(|node| node.members.as_ref());
        members
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect()
    }

    /// Reports whether a value is written as a string.
    pub(in crate::backends) fn is_string(&self, node: &Node) -> bool {
        self.text.get(node.at.start) == Some(&b'"')
    }

    /// Finds every value that is not an object, in order.
    pub(in crate::backends) fn walk(&self) -> Vec<Leaf<'_>> {
        fn walk<'a>(node: &'a Node, way: &mut Vec<&'a str>, found: &mut Vec<Leaf<'a>>) {
            for (key, node) in node.members.iter().flatten() {
                way.push(key);
                match node.members {
                    Some(_) => walk(node, way, found),
                    None => found.push(Leaf {
                        way: way.clone(),
                        node,
                        line: 0,
                    }),
                }
                way.pop();
            }
        }
        let mut found = Vec::new();
        walk(&self.root, &mut Vec::new(), &mut found);
        // Lines are counted in one pass: the values stand in order.
        let (mut at, mut line) = (0, 1_usize);
        for leaf in &mut found {
            let start = leaf.node.at.start;
            let between = self.text.get(at..start).unwrap_or_default();
            line = line.saturating_add(fault::line(between).saturating_sub(1));
            (leaf.line, at) = (line, start);
        }
        found
    }

    /// Lists the ways to every value that is not an object, joined by `/`.
    pub(in crate::backends) fn leaves(&self) -> Vec<String> {
        fn walk(node: &Node, way: &str, leaves: &mut Vec<String>) {
            for (key, node) in node.members.iter().flatten() {
                let way = if way.is_empty() {
                    key.clone()
                } else {
                    format!("{way}/{key}")
                };
                match node.members {
                    Some(_) => walk(node, &way, leaves),
                    None => leaves.push(way),
                }
            }
        }
        let mut leaves = Vec::new();
        walk(&self.root, "", &mut leaves);
        leaves
    }
}

/// Writes the document again with one field set to a text, or taken out (`None`). The other fields
/// keep the text of their values. `None` comes back when nothing is left.
pub(in crate::backends) fn with_field(
    tree: Option<&Tree>,
    field: &str,
    value: Option<&Secret>,
) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    // EXPOSES: to the new text of its document, which is wiped
    let value = value.map(Secret::expose_str).transpose().map_err(|_| {
        let what = "a JSON field holds text only: declare an `encoding` for the secret";
        Fault::in_line(1, what)
    })?;
    let members = || {
        tree.and_then(|tree| tree.root.members.as_ref())
            .into_iter()
            .flatten()
    };
    let raw = |node: &Node| tree.and_then(|tree| tree.text.get(node.at.clone()));
    // No more than this is written, so the buffer never grows and leaves nothing behind.
    let old = tree.map_or(0, |tree| tree.text.len().saturating_mul(6));
    let new = value.map_or(0, str::len).saturating_mul(6);
    let room = old
        .saturating_add(new)
        .saturating_add(field.len())
        .saturating_add(64);
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    let mut pending = value;
    let mut separator = "{\n  ";
    let mut write = |key: &str, write_value: &mut dyn FnMut(&mut Vec<u8>)| {
        out.extend_from_slice(separator.as_bytes());
        encode(key, &mut out);
        out.extend_from_slice(b": ");
        write_value(&mut out);
        separator = ",\n  ";
    };
    for (key, node) in members() {
        match (key == field, pending) {
            (false, _) => write(key, &mut |out| {
                out.extend_from_slice(raw(node).unwrap_or_default())
            }),
            (true, Some(value)) => {
                write(key, &mut |out| encode(value, out));
                pending = None;
            }
            (true, None) => {}
        }
    }
    if let Some(value) = pending {
        write(field, &mut |out| encode(value, out));
    }
    if out.is_empty() {
        return Ok(None);
    }
    out.extend_from_slice(b"\n}\n");
    Ok(Some(out))
}

fn node(document: &[u8], text: &str, depth: usize) -> Result<Node, Fault> {
    // Every piece that is parsed again is a slice of the document.
    let start = (text.as_ptr() as usize).saturating_sub(document.as_ptr() as usize);
    let at = start..start.saturating_add(text.len());
    let fault = |what: &str| Fault::at(document, start, what);
    let members = match text.as_bytes().first() {
        Some(b'{' | b'[') if depth >= MAX_DEPTH => {
            return Err(fault(&format!("this is nested more than {MAX_DEPTH} deep")));
        }
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)
                .map_err(|_| fault("a key in this object is not text"))?;
            let mut starts: HashMap<&str, usize> = HashMap::new();
            let line = |start: usize| fault::line(document.get(..start).unwrap_or_default());
            let mut nodes = Vec::with_capacity(members.len());
            for (key, raw) in &members {
                let node = node(document, raw.get(), depth.saturating_add(1))?;
                // Lines are counted for a fault alone: counting them takes as long as the document.
                if let Some(first) = starts.insert(key, node.at.start) {
                    let what = format!(
                        "the key `{}` is there twice, first in line {}",
                        key.escape_debug(),
                        line(first)
                    );
                    return Err(Fault::in_line(line(node.at.start), what));
                }
                nodes.push((key.clone(), node));
            }
            Some(nodes)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|_| fault("this array can't be read"))?;
            for item in items {
                node(document, item.get(), depth.saturating_add(1))?;
            }
            None
        }
        _ => None,
    };
    Ok(Node { at, members })
}

/// The members of one object, in order, each with the text of its value.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Decodes what stands between the quotes of a string whose syntax was checked.
///
/// Not by serde_json, which decodes escapes in a buffer that it does not wipe.
fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // An escape is never shorter than its character.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        let plain = match escape {
            b'"' | b'\\' | b'/' => *escape,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let first = hex(&mut rest)?;
                let code = match first {
                    0xd800..=0xdbff => {
                        rest = rest.strip_prefix(b"\\u")?;
                        let low = hex(&mut rest)?
                            .checked_sub(0xdc00)
                            .filter(|low| *low < 0x400)?;
                        let high = first.checked_sub(0xd800)?.checked_mul(0x400)?;
                        high.checked_add(low)?.checked_add(0x1_0000)?
                    }
                    code => code,
                };
                let mut utf8 = [0; 4];
                let character = char::from_u32(code)?;
                out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                continue;
            }
            _ => return None,
        };
        out.push(plain);
    }
    Some(out)
}

/// Takes four hexadecimal digits.
fn hex(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    digits.iter().try_fold(0_u32, |code, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        code.checked_mul(16)?.checked_add(digit)
    })
}

/// Appends a text as a JSON string.
pub(in crate::backends) fn encode(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(base16ct::lower::encode_string(&[byte]).as_bytes());
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    const CANARY: &str = "canary-93ad";

    fn parse(text: &str) -> Result<Tree, Fault> {
        Tree::parse(Zeroizing::new(text.as_bytes().to_vec()))
    }

    fn value(tree: &Tree, way: &[&str]) -> String {
        String::from_utf8(tree.value(way).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn values_come_as_their_exact_text() {
        let tree = parse(
            "\u{feff} {\"n\": 1.10, \"big\": 123456789012345678901234567890, \"e\": -1E+5,\n\
             \"t\": true, \"z\": null, \"o\": {\"a\": [1, \"x\"]}, \"s\": \"a\\\"\\u00e9\\ud83d\\ude00/\\/\",\n\
             \"ä\\n\": \"k\"}",
        )
        .unwrap();
        for (way, expected) in [
            (&["n"][..], "1.10"),
            (&["big"], "123456789012345678901234567890"),
            (&["e"], "-1E+5"),
            (&["t"], "true"),
            (&["z"], "null"),
            (&["o"], "{\"a\": [1, \"x\"]}"),
            (&["o", "a"], "[1, \"x\"]"),
            (&["s"], "a\"é😀//"),
            (&["ä\n"], "k"),
        ] {
            assert_eq!(value(&tree, way), expected);
        }
        assert!(tree.find(&["o", "b"]).is_none());
        assert!(tree.find(&["n", "a"]).is_none());
    }

    #[test]
    fn a_key_twice_is_an_error_at_any_depth() {
        let fault = parse("{\"a\": 1,\n\"b\": 2,\n\"a\": 3}").err().unwrap();
        assert_eq!(fault.line, 3);
        assert!(
            fault.what.contains("`a`") && fault.what.contains("line 1"),
            "{}",
            fault.what
        );
        let nested = "{\"x\": [{\"k\": {\"d\": 1,\n \"\\u0064\": 2}}]}";
        let fault = parse(nested).err().unwrap();
        assert!(fault.what.contains("`d`") && fault.line == 2);
    }

    #[test]
    fn what_is_malformed_is_placed_and_never_quoted() {
        for text in [
            format!("{{\"a\": \"{CANARY}\n\"}}"),
            format!("{{\"a\": \"{CANARY}\" \"b\"}}"),
            format!("{{\"a\": {CANARY}}}"),
            format!("{{\"a\": \"{CANARY}\\x\"}}"),
            format!("\"{CANARY}\""),
            format!("{{\"a\": \"{CANARY}"),
            format!("{{\"a\": \"{CANARY}\", {CANARY}"),
            format!("{{}} {CANARY}"),
            String::new(),
        ] {
            let fault = parse(&text).err().expect(&text);
            let error = fault.in_file("x.json".as_ref());
            assert_eq!(error.kind(), ErrorKind::Malformed);
            let shown = format!("{error:?}");
            assert!(
                shown.contains("x.json, line 1") || shown.contains("line 2"),
                "{shown}"
            );
            assert!(!shown.contains(CANARY), "{shown}");
        }
    }

    #[test]
    fn lone_surrogates_are_refused_where_they_are_read() {
        for bad in ["\\ud800", "\\ud800x", "\\ud800\\u0041", "\\udc00"] {
            let tree = parse(&format!("{{\"a\": \"{bad}\"}}")).unwrap();
            assert!(tree.value(&["a"]).is_err(), "{bad}");
        }
    }

    // Anything quadratic takes minutes here, and the runner's limit ends it.
    #[test]
    fn many_keys_are_parsed_in_linear_time() {
        let keys = |first: usize| (first..100_000).map(|n| format!("\"k{n}\": {n}"));
        let joined = |keys: Vec<String>| format!("{{\n{}\n}}", keys.join(",\n"));
        let tree = parse(&joined(keys(0).collect())).unwrap();
        assert_eq!(value(&tree, &["k99999"]), "99999");
        let twice = keys(0).chain(["\"k7\": 7".to_owned()]).collect();
        let fault = parse(&joined(twice)).err().unwrap();
        assert_eq!(fault.line, 100_002);
        assert!(fault.what.contains("first in line 9"), "{}", fault.what);
    }

    #[test]
    fn depth_is_bounded() {
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH - 1)).is_ok());
        let fault = parse(&nested(MAX_DEPTH)).err().unwrap();
        assert!(fault.what.contains("32 deep"), "{}", fault.what);
        assert!(parse(&nested(500_000)).is_err());
    }

    #[test]
    fn one_field_is_set_and_taken_out() {
        let tree = parse("{\"user\":\"u\", \"n\": 1.10, \"password\": \"old\"}").unwrap();
        let new = Secret::from_text("a\"\\\u{1}\n");
        let text = with_field(Some(&tree), "password", Some(&new))
            .unwrap()
            .unwrap();
        let tree = Tree::parse(text).unwrap();
        assert_eq!(value(&tree, &["password"]), "a\"\\\u{1}\n");
        assert_eq!(value(&tree, &["n"]), "1.10");
        let text = with_field(Some(&tree), "n", None).unwrap().unwrap();
        assert!(Tree::parse(text).unwrap().find(&["n"]).is_none());
        let one = parse("{\"a\": 1}").unwrap();
        assert!(with_field(Some(&one), "a", None).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_text_survives(key in ".{0,20}", text in any::<String>()) {
            let secret = Secret::from_text(text.clone());
            let document = with_field(None, &key, Some(&secret)).unwrap().unwrap();
            let tree = Tree::parse(document.clone()).unwrap();
            prop_assert_eq!(value(&tree, &[&key]), text.clone());
            // An independent reader agrees.
            let other: serde_json::Value = serde_json::from_slice(&document).unwrap();
            prop_assert_eq!(other.get(&key).and_then(|v| v.as_str()), Some(text.as_str()));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>, text in "[{}\\[\\]\",:\\\\u0-9a-f ]{0,60}") {
            let _ = Tree::parse(Zeroizing::new(bytes));
            let _ = parse(&text).map(|tree| tree.leaves());
        }
    }
}
