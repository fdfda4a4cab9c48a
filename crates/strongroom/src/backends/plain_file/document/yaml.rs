//! YAML 1.2, written again as JSON, so that one tree serves every format.
//!
//! Plain scalars keep the text they are written in, so that `0123` and `1.10` stay what they are.
//! Aliases, further documents and tags other than `!!str` are refused.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use zeroize::Zeroizing;

use crate::backends::files::fault::Fault;
use crate::backends::files::json::{MAX_DEPTH, Tree, encode};

pub(super) fn parse(text: &[u8]) -> Result<Tree, Fault> {
    let yaml = std::str::from_utf8(text)
        .map_err(|error| Fault::at(text, error.valid_up_to(), "this is not UTF-8 text"))?;
    let mut json = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(2)));
    let mut transcoder = Transcoder {
        events: Parser::new_from_str(yaml),
        out: &mut json,
    };
    transcoder.document()?;
    Tree::parse(json)
}

struct Transcoder<'a, 'o> {
    events: Parser<'a, StrInput<'a>>,
    out: &'o mut Vec<u8>,
}

impl<'a> Transcoder<'a, '_> {
    fn document(&mut self) -> Result<(), Fault> {
        let mut documents = 0_usize;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if documents > 0 => {
                    return Err(fault(span, "only one document is allowed in the file"));
                }
                Event::DocumentStart(..) => documents = 1,
                Event::StreamEnd if documents == 0 => {
                    return Err(fault(span, "the file is empty"));
                }
                Event::StreamEnd => return Ok(()),
                event => self.value(event, span, 0)?,
            }
        }
    }

    /// The next event, anchors left out: without aliases they mean nothing.
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        loop {
            match self.events.next() {
                Some(Ok((Event::Anchor(..), _))) => {}
                Some(Ok(found)) => return Ok(found),
                // The parser's own words can quote the text.
                Some(Err(error)) => {
                    let (line, column) = (error.marker().line(), error.marker().col());
                    return Err(Fault {
                        what: "this is not YAML".to_owned(),
                        line,
                        column: Some(column.saturating_add(1)),
                    });
                }
                None => return Err(Fault::in_line(1, "the document ends too early")),
            }
        }
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(fault(
                span,
                &format!("this is nested more than {MAX_DEPTH} deep"),
            ));
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let tagged = check_tag(tag.as_deref(), span)?;
                if style == ScalarStyle::Plain && !tagged {
                    plain(&text, self.out);
                } else {
                    encode(&text, self.out);
                }
                Ok(())
            }
            Event::SequenceStart(_, _, tag) => {
                check_tag(tag.as_deref(), span)?;
                self.sequence(depth)
            }
            Event::MappingStart(_, _, tag) => {
                check_tag(tag.as_deref(), span)?;
                self.mapping(depth)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => Err(fault(
                span,
                "aliases are not supported: write the value itself",
            )),
            _ => Err(fault(span, "a value is missing")),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<(), Fault> {
        self.out.push(b'[');
        let mut first = true;
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                self.out.push(b']');
                return Ok(());
            }
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            self.value(event, span, depth.saturating_add(1))?;
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<(), Fault> {
        self.out.push(b'{');
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    self.out.push(b'}');
                    return Ok(());
                }
                Event::Scalar(key, _, _, tag) => {
                    check_tag(tag.as_deref(), span)?;
                    key
                }
                _ => return Err(fault(span, "a key must be a text")),
            };
            if !lines.is_empty() {
                self.out.push(b',');
            }
            encode(&key, self.out);
            self.out.push(b':');
            let line = span.start.line();
            if let Some(first) = lines.insert(key.clone().into_owned(), line) {
                let what = format!(
                    "the key `{}` is there twice, first in line {first}",
                    key.escape_debug()
                );
                return Err(Fault::in_line(line, what));
            }
            let (event, span) = self.next()?;
            self.value(event, span, depth.saturating_add(1))?;
        }
    }
}

/// Reports whether the tag makes a plain scalar a text.
fn check_tag(tag: Option<&Tag>, span: Span) -> Result<bool, Fault> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.handle() == "tag:yaml.org,2002:" && tag.suffix() == "str" => Ok(true),
        Some(tag) if tag.handle().is_empty() && tag.suffix() == "!" => Ok(true),
        Some(_) => Err(fault(span, "tags other than `!!str` are not supported")),
    }
}

/// A plain scalar: a literal where JSON has the same, otherwise a text.
fn plain(text: &str, out: &mut Vec<u8>) {
    let literal = matches!(text, "true" | "false" | "null")
        || serde_json::from_str::<serde_json::Number>(text).is_ok();
    match text {
        "" | "~" => out.extend_from_slice(b"null"),
        text if literal => out.extend_from_slice(text.as_bytes()),
        text => encode(text, out),
    }
}

fn fault(span: Span, what: &str) -> Fault {
    Fault {
        what: what.to_owned(),
        line: span.start.line(),
        column: Some(span.start.col().saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CANARY: &str = "canary-1d0f";

    #[test]
    fn values_come_as_they_are_written() {
        let text = "flat: pa$word\nn: 1.10\noctal: 0123\nday: 2024-05-01\nt: true\nempty:\n\
                    text: !!str 12\ndatabase:\n  password: \"a\\u00e9\\n\"\n  list: [1, x, {y: 2}]\n\
                    block: |\n  one\n  two\n";
        let tree = parse(text.as_bytes()).unwrap();
        for (way, expected) in [
            (&["flat"][..], "pa$word"),
            (&["n"], "1.10"),
            (&["octal"], "0123"),
            (&["day"], "2024-05-01"),
            (&["t"], "true"),
            (&["empty"], "null"),
            (&["text"], "12"),
            (&["database", "password"], "aé\n"),
            (&["database", "list"], "[1,\"x\",{\"y\":2}]"),
            (&["block"], "one\ntwo\n"),
        ] {
            let value = tree.value(way).unwrap();
            assert_eq!(String::from_utf8_lossy(&value), expected);
        }
    }

    #[test]
    fn a_key_twice_is_named() {
        let fault = parse(b"a: 1\nb: 2\na: 3\n").err().unwrap();
        assert_eq!(fault.line, 3);
        assert!(
            fault.what.contains("`a`") && fault.what.contains("line 1"),
            "{}",
            fault.what
        );
    }

    #[test]
    fn what_is_malformed_or_unsupported_is_placed_and_never_quoted() {
        for text in [
            format!("a: '{CANARY}\n"),
            format!("a: \"{CANARY}\\q\"\n"),
            format!("a: [{CANARY}\n"),
            format!("a: {CANARY}\n b: {CANARY}\n"),
            CANARY.to_owned(),
            format!("a: &x {CANARY}\nb: *x\n"),
            format!("a: *{CANARY}\n"),
            format!("a: !!binary {CANARY}\n"),
            format!("a: !{CANARY} x\n"),
            format!("? [{CANARY}]\n: 1\n"),
            format!("a: {CANARY}\n---\nb: 1\n"),
            format!("%FOO {CANARY}\n%YAML {CANARY}\n---\na: 1\n"),
            String::new(),
        ] {
            let fault = parse(text.as_bytes()).err().expect(&text);
            let shown = format!("{:?}", fault.in_file("x.yaml".as_ref()));
            assert!(shown.contains("x.yaml, line "), "{shown}");
            assert!(!shown.contains(CANARY), "{shown}");
        }
    }

    // Anything quadratic takes minutes here, and the runner's limit ends it.
    #[test]
    fn many_keys_are_parsed_in_linear_time() {
        let text: String = (0..100_000).map(|n| format!("k{n}: {n}\n")).collect();
        let tree = parse(text.as_bytes()).unwrap();
        assert_eq!(tree.value(&["k99999"]).unwrap().as_slice(), b"99999");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("a: {}1{}", "[".repeat(depth), "]".repeat(depth));
        // The document itself is the first level.
        assert!(parse(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        let fault = parse(nested(MAX_DEPTH).as_bytes()).err().unwrap();
        assert!(fault.what.contains("32 deep"), "{}", fault.what);
        assert!(
            parse(format!("a: {}1{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes())
                .is_err()
        );
        assert!(parse(format!("a: {}", "- ".repeat(10_000)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, text in "[\\[\\]{}:'\"a|>&*!%#.0-9,\\n -]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
