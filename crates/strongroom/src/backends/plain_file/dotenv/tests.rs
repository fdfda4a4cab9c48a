use super::*;
use proptest::prelude::*;

const CANARY: &str = "canary-b22e";

fn parse(text: &str) -> Result<Dotenv, Fault> {
    Dotenv::parse(Zeroizing::new(text.as_bytes().to_vec()))
}

fn value(dotenv: &Dotenv, key: &str) -> String {
    String::from_utf8(dotenv.value(key).unwrap().to_vec()).unwrap()
}

/// The examples of docs/dotenv.md.
#[test]
fn reads() {
    for (text, expected) in [
        ("A=b", "b"),
        ("A=pa$word", "pa$word"),
        ("A=${B}", "${B}"),
        ("export A=b\n", "b"),
        ("  A = b  \n", "b"),
        ("A=", ""),
        ("A=\r\n", ""),
        ("A=''", ""),
        ("A=a b c", "a b c"),
        ("A=b # c", "b"),
        ("A=b#c", "b#c"),
        ("A=#b", "#b"),
        ("A= # c", ""),
        ("A='b # c' # d", "b # c"),
        ("A='b\\n'", "b\\n"),
        ("A=\"b\\n\\r\\t\\\\\\\"\\$\"", "b\n\r\t\\\"$"),
        ("A=\"b\nc\"\nB=d", "b\nc"),
        ("A='b\r\nc'\r\n", "b\r\nc"),
        ("A=it's", "it's"),
        ("A=b\\n", "b\\n"),
        ("\u{feff}A=b", "b"),
        ("# c\n\n\t\nA=b", "b"),
        ("A=ä😀", "ä😀"),
    ] {
        assert_eq!(value(&parse(text).unwrap(), "A"), expected, "{text:?}");
    }
    assert_eq!(value(&parse("export=x").unwrap(), "export"), "x");
    assert_eq!(value(&parse("export =x").unwrap(), "export"), "x");
}

#[test]
fn refuses_with_the_line_and_without_the_text() {
    for (text, line) in [
        (format!("A=b\n{CANARY}"), 2),
        (format!("A=b\n\n{CANARY}=x"), 3),
        (format!("A='{CANARY}\nB=c\n"), 1),
        (format!("B=1\nA=\"{CANARY}\n\n"), 2),
        (format!("A=\"{CANARY}\\q\""), 1),
        (format!("A='{CANARY}'x"), 1),
        (format!("A='{CANARY}'#x"), 1),
        (format!("A={CANARY}\rB=c"), 1),
        (format!("export A\nB={CANARY}"), 1),
        (format!("1A={CANARY}"), 1),
        (format!("={CANARY}"), 1),
        (format!("A={CANARY}\0"), 1),
        (format!("A={CANARY}\nB=c\nA={CANARY}"), 3),
    ] {
        let fault = parse(&text).err().expect(&text);
        assert_eq!(fault.line, line, "{text:?}");
        let shown = format!("{:?}", fault.in_file(".env".as_ref()));
        assert!(!shown.contains(CANARY), "{shown}");
    }
    let fault = parse("A=1\n#\nA=2").err().unwrap();
    assert!(
        fault.what.contains("`A`") && fault.what.contains("line 1"),
        "{}",
        fault.what
    );
    assert!(
        Dotenv::parse(Zeroizing::new(b"A=b\nB=\xff".to_vec()))
            .err()
            .unwrap()
            .line
            == 2
    );
}

#[test]
fn changes_one_variable_and_nothing_else() {
    let text = "\u{feff}# top\r\nexport A = 'old' # why\r\n\r\nB=\"x\ny\"\r\nC= # none\r\nD=d";
    let mut dotenv = parse(text).unwrap();
    dotenv.set("A", "new value").unwrap();
    dotenv.set("C", "c").unwrap();
    dotenv.set("E", "e'$").unwrap();
    dotenv.remove("B").unwrap();
    assert_eq!(
        String::from_utf8_lossy(dotenv.text()),
        "\u{feff}# top\r\nexport A = 'new value' # why\r\n\r\nC=c # none\r\nD=d\r\nE=\"e'\\$\"\r\n"
    );
}

#[test]
fn refuses_to_write_what_it_could_not_read() {
    let mut dotenv = parse("").unwrap();
    assert!(dotenv.set("1A", "x").is_err());
    assert!(dotenv.set("A B", "x").is_err());
    assert!(dotenv.set("A", "x\0").is_err());
    dotenv.set("A", "").unwrap();
    assert_eq!(dotenv.text(), b"A=\n");
}

fn documents() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[ \t]{0,3}",
        "[ \t]{0,2}#[^\r\n\\x00]{0,10}",
        "(export )?[A-Z_][A-Z0-9_]{0,2}=[a-z$# \"']{0,8}",
        "[A-Z]{1,3} ?= ?'[^'\\x00]{0,8}'( # x)?",
        "[A-Z]{1,3}=\"([^\"\\\\\\x00]|\\\\[nrt\"\\\\$]){0,8}\"",
    ];
    let ended = (line, prop_oneof![Just("\n"), Just("\r\n")]);
    (prop::collection::vec(ended, 0..8), any::<bool>()).prop_map(|(lines, bom)| {
        let mut text = String::from(if bom { "\u{feff}" } else { "" });
        lines
            .iter()
            .for_each(|(line, end)| text.extend([line.as_str(), end]));
        text
    })
}

proptest! {
    #[test]
    fn keeps_every_byte(text in documents()) {
        if let Ok(dotenv) = parse(&text) {
            prop_assert_eq!(dotenv.text(), text.as_bytes());
        }
    }

    #[test]
    fn what_is_put_is_read_and_the_rest_stays(text in documents(), new in any::<String>()) {
        prop_assume!(!new.contains('\0'));
        let Ok(before) = parse(&text) else { return Ok(()) };
        let keys: Vec<_> = before.keys().map(str::to_owned).collect();
        for key in keys.iter().map(String::as_str).chain(["NEW_KEY"]) {
            let mut dotenv = parse(&text).unwrap();
            dotenv.set(key, &new).unwrap();
            prop_assert_eq!(value(&dotenv, key), new.as_str());
            for other in keys.iter().filter(|other| *other != key) {
                prop_assert_eq!(value(&dotenv, other), value(&before, other));
            }
            let mut without = parse(&text).unwrap();
            without.remove(key).unwrap();
            prop_assert!(!without.has(key));
            prop_assert_eq!(without.keys().count(), keys.iter().filter(|k| *k != key).count());
        }
    }

    #[test]
    fn never_panics(bytes: Vec<u8>, text in "[A-B=\"'#\\\\ \r\n$xport]{0,40}") {
        let _ = Dotenv::parse(Zeroizing::new(bytes));
        if let Ok(dotenv) = parse(&text) {
            prop_assert_eq!(dotenv.text(), text.as_bytes());
            for key in dotenv.keys() {
                prop_assert!(dotenv.value(key).is_some());
            }
        }
    }
}
