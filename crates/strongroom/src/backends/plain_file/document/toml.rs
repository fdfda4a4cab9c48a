//! TOML, written again as JSON, so that one tree serves every format.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::backends::files::fault::Fault;
use crate::backends::files::json::{MAX_DEPTH, Tree, encode};

pub(super) fn parse(text: &[u8]) -> Result<Tree, Fault> {
    let toml = std::str::from_utf8(text)
        .map_err(|error| Fault::at(text, error.valid_up_to(), "this is not UTF-8 text"))?;
    let table = DeTable::parse(toml).map_err(|error| fault(toml, &error))?;
    let mut json = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(2)));
    write_table(table.get_ref(), &mut json, toml, 0)?;
    Tree::parse(json)
}

/// Says where it is wrong. The parser's own words quote the text.
fn fault(toml: &str, error: &toml::de::Error) -> Fault {
    let span = error.span().unwrap_or_default();
    let bare = |key: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        !key.is_empty() && key.bytes().all(plain)
    };
    let what = match error.message() {
        // The span of this one error is the key's.
        "duplicate key" => match toml.get(span.clone()).filter(bare) {
            Some(key) => format!("the key `{key}` is there twice"),
            None => "a key is there twice".to_owned(),
        },
        _ => "this is not TOML".to_owned(),
    };
    Fault::at(toml.as_bytes(), span.start, what)
}

fn write_table(
    table: &DeTable<'_>,
    out: &mut Vec<u8>,
    toml: &str,
    depth: usize,
) -> Result<(), Fault> {
    out.push(b'{');
    for (at, (key, value)) in table.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode(key.get_ref(), out);
        out.push(b':');
        write_value(value, out, toml, depth.saturating_add(1))?;
    }
    out.push(b'}');
    Ok(())
}

fn write_value(
    value: &Spanned<DeValue<'_>>,
    out: &mut Vec<u8>,
    toml: &str,
    depth: usize,
) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        let what = format!("this is nested more than {MAX_DEPTH} deep");
        return Err(Fault::at(toml.as_bytes(), value.span().start, what));
    }
    let written = toml.get(value.span()).unwrap_or_default();
    match value.get_ref() {
        DeValue::String(text) => encode(text, out),
        DeValue::Boolean(_) => out.extend_from_slice(written.as_bytes()),
        DeValue::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(item, out, toml, depth.saturating_add(1))?;
            }
            out.push(b']');
        }
        DeValue::Table(table) => write_table(table, out, toml, depth)?,
        // JSON has no `inf`, no `0xff` and no dates: what is no number there stays as it is written.
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
            match serde_json::from_str::<serde_json::Number>(written) {
                Ok(_) => out.extend_from_slice(written.as_bytes()),
                Err(_) => encode(written, out),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CANARY: &str = "canary-77be";

    #[test]
    fn values_come_as_they_are_written() {
        let text = "flat = 'pa$word'\nn = 1.10\nhex = 0xFF\nday = 2024-05-01\nt = true\n\
                    [database]\npassword = \"a\\u00e9\\n\"\nlist = [1, 'x', {y = 2}]\n\
                    [a.'b c']\nd = '''\nx\n'''\n";
        let tree = parse(text.as_bytes()).unwrap();
        for (way, expected) in [
            (&["flat"][..], "pa$word"),
            (&["n"], "1.10"),
            (&["hex"], "0xFF"),
            (&["day"], "2024-05-01"),
            (&["t"], "true"),
            (&["database", "password"], "aé\n"),
            (&["database", "list"], "[1,\"x\",{\"y\":2}]"),
            (&["a", "b c", "d"], "x\n"),
        ] {
            assert_eq!(tree.value(way).unwrap().as_slice(), expected.as_bytes());
        }
    }

    #[test]
    fn a_key_twice_is_named() {
        let fault = parse(b"a = 1\nb = 2\na = 3\n").err().unwrap();
        assert_eq!((fault.line, fault.column), (3, Some(1)));
        assert!(fault.what.contains("`a`"), "{}", fault.what);
        assert!(parse(b"[t]\nx = 1\n[t]\ny = 2\n").is_err());
    }

    #[test]
    fn what_is_malformed_is_placed_and_never_quoted() {
        for text in [
            format!("a = {CANARY}\n"),
            format!("a = '{CANARY}\n"),
            format!("a = \"{CANARY}\\q\"\n"),
            format!("{CANARY} {CANARY}\n"),
            format!("a = '{CANARY}' {CANARY}\n"),
            format!("[{CANARY}\n"),
            format!("a = [1, {CANARY}"),
            format!("a = '''{CANARY}"),
            format!("a = {{ b = '{CANARY}', {CANARY} }}"),
            format!("'{CANARY}!' = 1\n'{CANARY}!' = 2\n"),
        ] {
            let fault = parse(text.as_bytes()).err().expect(&text);
            let shown = format!("{:?}", fault.in_file("x.toml".as_ref()));
            assert!(shown.contains("x.toml, line "), "{shown}");
            assert!(!shown.contains(CANARY), "{shown}");
        }
    }

    // Anything quadratic takes minutes here, and the runner's limit ends it.
    #[test]
    fn many_keys_are_parsed_in_linear_time() {
        let text: String = (0..100_000).map(|n| format!("k{n} = {n}\n")).collect();
        let tree = parse(text.as_bytes()).unwrap();
        assert_eq!(tree.value(&["k99999"]).unwrap().as_slice(), b"99999");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("a = {}1{}", "[".repeat(depth), "]".repeat(depth));
        // The document itself is the first level.
        assert!(parse(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
        let fault = parse(nested(MAX_DEPTH).as_bytes()).err().unwrap();
        assert!(fault.what.contains("32 deep"), "{}", fault.what);
        assert!(
            parse(format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes())
                .is_err()
        );
        assert!(parse(format!("{}a = 1", "a.".repeat(1_000_000)).as_bytes()).is_err());
        assert!(parse(format!("[{}a]\nx = 1", "a.".repeat(1_000_000)).as_bytes()).is_err());
        assert!(parse(format!("x = {{ {}a = 1 }}", "a.".repeat(1_000_000)).as_bytes()).is_err());
        assert!(parse(format!("{}a = 1", "'a'.".repeat(1_000_000)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, text in "[\\[\\]{}='\"a.0-9,\\n \\\\]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(text.as_bytes());
        }
    }
}
