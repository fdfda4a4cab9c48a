//! JSON documents: parsed without being kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::{Findings, placeholders, rule};
use crate::declared::Kind;

pub(super) fn check(value: &[u8], found: &mut Findings<'_>) {
    match serde_json::from_slice::<Content>(value) {
        Err(error) => {
            if placeholders::is_placeholder(value, Kind::Json) {
                found.placeholder("the value");
            }
            // The error's own text quotes what it read.
            let what = match error.classify() {
                Category::Eof => "the JSON is cut off",
                _ => "the value is not JSON",
            };
            let message = format!("{what}: line {}, column {}", error.line(), error.column());
            let help = "store the document as its issuer gave it out";
            found.violation(rule::JSON_MALFORMED, message, help);
        }
        Ok(Content { empty: true, .. }) => {
            let message = "the JSON document is empty";
            found.violation(
                rule::JSON_EMPTY,
                message,
                "store the document with its content",
            );
        }
        Ok(Content {
            placeholder: true, ..
        }) => found.placeholder("a text in the JSON document"),
        Ok(_) => {}
    }
}

/// What a JSON value holds. Its texts are looked at while they are parsed, and not kept.
#[derive(Default)]
struct Content {
    empty: bool,
    placeholder: bool,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        let empty = true;
        Ok(Content {
            empty,
            ..Content::default()
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Content, E> {
        Ok(Content::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        let placeholder = placeholders::is_unmistakable(text);
        let empty = text.is_empty();
        Ok(Content { empty, placeholder })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut all = Content {
            empty: true,
            ..Content::default()
        };
        while let Some(item) = items.next_element::<Content>()? {
            all.empty = false;
            all.placeholder |= item.placeholder;
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut all = Content {
            empty: true,
            ..Content::default()
        };
        while let Some((_, item)) = entries.next_entry::<IgnoredAny, Content>()? {
            all.empty = false;
            all.placeholder |= item.placeholder;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::SecretName;

    fn findings(json: &str) -> Vec<String> {
        let name = SecretName::from_static("json");
        let mut found = Findings::new(&name);
        check(json.as_bytes(), &mut found);
        let shown = |finding: &crate::Finding| format!("{}: {}", finding.rule, finding.message);
        found.list.iter().map(shown).collect()
    }

    #[test]
    fn judges() {
        for json in [
            r#"{"type":"service_account","user":"test","a":[1,-2,1.5e9,true,null,"x"]}"#,
            "17",
            "\"text\"",
            " {\"a\": {}}\n",
        ] {
            assert_eq!(findings(json), [""; 0], "{json}");
        }
        for json in ["{}", "[]", "null", "\"\"", " { } "] {
            assert_eq!(
                findings(json),
                ["json-empty: the JSON document is empty"],
                "{json}"
            );
        }
        assert_eq!(
            findings("{\"a\": 1,\n\"b\"; 2}"),
            ["json-malformed: the value is not JSON: line 2, column 4"]
        );
        assert_eq!(
            findings("{\"a\": "),
            ["json-malformed: the JSON is cut off: line 1, column 6"]
        );
        assert_eq!(findings(&"[".repeat(60_000)).len(), 1);
        assert_eq!(
            findings(r#"{"host":"db","login":[{"password":"CHANGE_ME"}]}"#),
            [
                "placeholder: a text in the JSON document is a placeholder or a published example, not a secret"
            ]
        );
    }
}
