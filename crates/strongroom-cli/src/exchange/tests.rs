use proptest::prelude::*;
use strongroom::{Declared, ErrorKind, Kind};

use super::names::Mapping;
use super::*;

const CANARY: &str = "canary-7be2";

const FORMATS: [(To, From); 4] = [
    (To::Dotenv, From::Dotenv),
    (To::Json, From::Json),
    (To::Kubernetes, From::Kubernetes),
    (To::Docker, From::Docker),
];

fn bytes_of(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn names() -> impl Strategy<Value = Vec<SecretName>> {
    // None collides with another as a variable: each has a number of its own.
    prop::collection::vec(
        "[a-z][a-z0-9._-]{0,6}(/[a-z0-9]{1,4}){0,2}(#[a-z]{1,4})?",
        1..5,
    )
    .prop_map(|texts| {
        let name = |(text, at): (String, usize)| format!("s{at}-{text}").parse().unwrap();
        texts.into_iter().zip(0..).map(name).collect()
    })
}

fn items<'a>(names: &'a [SecretName], values: &[Vec<u8>]) -> Vec<Item<'a>> {
    let item = |(name, value): (&'a SecretName, &Vec<u8>)| Item {
        name,
        variable: name.to_variable(),
        value: Secret::from_utf8_or_bytes(value.clone()),
    };
    names.iter().zip(values).map(item).collect()
}

/// Whether a format says that it can carry this value.
fn carries(to: To, value: &[u8]) -> bool {
    let text = std::str::from_utf8(value);
    match to {
        To::Kubernetes => true,
        To::Json => text.is_ok(),
        To::Docker => text.is_ok_and(|text| !text.contains(['\n', '\r', '\0'])),
        _ => text.is_ok_and(|text| !text.contains('\0')),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_under_its_name(
        names in names(),
        values in prop::collection::vec(
            prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                "[ -~\\n\\r\\t'\"$\\\\#=ä]{0,20}".prop_map(String::into_bytes),
                any::<Vec<u8>>(),
            ],
            5,
        ),
    ) {
        let declared: Vec<_> = names.iter().map(|name| Declared::new(name.clone(), Kind::Opaque)).collect();
        for (to, from) in FORMATS {
            let items = items(&names, &values);
            let written = to.write(&items, "secrets");
            if !items.iter().all(|item| carries(to, item.value.expose_bytes())) {
                prop_assert_eq!(written.unwrap_err().kind(), ErrorKind::Malformed);
                continue;
            }
            let found = from.read(written.unwrap(), "x", &Env::empty()).unwrap();
            prop_assert_eq!(found.len(), items.len());
            let mapping = Mapping {
                declared: declared.iter().collect(),
                given: Vec::new(),
                strip: "",
                variables: from.has_variables(),
            };
            for (found, item) in found.iter().zip(&items) {
                prop_assert_eq!(&mapping.name(&found.key).unwrap(), item.name);
                prop_assert_eq!(found.value.expose_bytes(), item.value.expose_bytes());
            }
        }
    }

    #[test]
    fn no_bytes_panic_and_no_error_quotes_them(
        bytes in any::<Vec<u8>>(),
        text in "([{}\\[\\]\",:=#'\\\\ \\na-c-]|kind: Secret\\n|data:\\n|---\\n|canary-7be2){0,40}",
    ) {
        let env = Env::empty().with_var("SECRETS_MASTER_KEY", "0f".repeat(16) + &"a7".repeat(16));
        for from in From::value_variants() {
            let _ = from.read(Zeroizing::new(bytes.clone()), "x", &env);
            if let Err(error) = from.read(bytes_of(&text), "x", &env) {
                let shown = format!("{error:?} {error} {:?}", error.help());
                // A key is shown where it looks like one; nothing else is.
                let outside_quotes: String = shown.split('`').step_by(2).collect();
                prop_assert!(!outside_quotes.contains(CANARY), "{}", shown);
            }
        }
    }
}

#[test]
fn string_data_wins_over_data_and_documents_keep_their_lines() {
    let text = "kind: Secret\ndata:\n  a: b2xk\nstringData:\n  a: new\n---\n# nothing\n---\nkind: Secret\ndata:\n  b: '!'\n";
    let error = From::Kubernetes
        .read(bytes_of(text), "x", &Env::empty())
        .unwrap_err();
    assert!(error.to_string().contains("key `b`"), "{error}");
    let fine = text.replace("'!'", "Yg==");
    let found = From::Kubernetes
        .read(bytes_of(&fine), "x", &Env::empty())
        .unwrap();
    let value = |at: usize| found[at].value.expose_str().unwrap();
    assert_eq!((found.len(), value(0), value(1)), (2, "new", "b"));
    let broken = text.replace("'!'", "'never closed");
    let error = From::Kubernetes
        .read(bytes_of(&broken), "x", &Env::empty())
        .unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn a_file_tells_its_format() {
    for (file, format) in [
        (".env", Some(From::Dotenv)),
        (".env.local", Some(From::Dotenv)),
        ("a/app.env", Some(From::Dotenv)),
        ("a.json", Some(From::Json)),
        ("a.yml", Some(From::Yaml)),
        ("a", None),
        ("a.txt", None),
    ] {
        assert_eq!(From::of(Path::new(file)), format, "{file}");
    }
}

#[test]
fn one_key_for_two_values_is_refused() {
    for (from, text) in [
        (From::Json, "{\"a\": {\"b\": \"x\"}, \"a/b\": \"y\"}"),
        (From::Docker, "A=1\nA=2\n"),
        (
            From::Kubernetes,
            "kind: Secret\nstringData:\n  a: x\n---\nkind: Secret\nstringData:\n  a: y\n",
        ),
    ] {
        let error = from.read(bytes_of(text), "x", &Env::empty()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{from:?}");
    }
}
