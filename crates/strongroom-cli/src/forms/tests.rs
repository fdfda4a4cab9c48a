#![allow(
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail as tests do"
)]

use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding as _};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn forms(values: &[&[u8]]) -> KnownForms {
    let named = |(number, value): (usize, &&[u8])| {
        let name = SecretName::parse(format!("s{number}")).unwrap();
        (name, Secret::from_bytes(value.to_vec()))
    };
    let values: Vec<_> = values.iter().enumerate().map(named).collect();
    KnownForms::new(values.iter().map(|(name, secret)| (name, secret))).0
}

/// Returns name, offset and length of what is found in a text in these pieces.
fn found(forms: &KnownForms, pieces: &[&[u8]]) -> Vec<(String, usize, usize)> {
    let mut search = forms.search();
    let mut all = Vec::new();
    for piece in pieces {
        search.read(piece);
        all.extend(search.take_found());
    }
    search.end();
    all.extend(search.take_found());
    all.sort_by_key(|found| found.offset);
    all.iter()
        .map(|found| {
            let (offset, length) = (found.offset as usize, found.length as usize);
            (found.name.to_string(), offset, length)
        })
        .collect()
}

fn whole(forms: &KnownForms, text: &[u8]) -> Vec<(String, usize, usize)> {
    found(forms, &[text])
}

fn percent(value: &[u8], alone: &str, upper: bool, plus: bool) -> Vec<u8> {
    let mut out = String::new();
    for byte in value {
        match byte {
            b' ' if plus => out.push('+'),
            byte if alone != "none"
                && (byte.is_ascii_alphanumeric() || alone.as_bytes().contains(byte)) =>
            {
                out.push(*byte as char);
            }
            byte if upper => out.push_str(&format!("%{byte:02X}")),
            byte => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out.into_bytes()
}

/// Writes a value in one of many forms, between other bytes where that changes the form. Returns what
/// must be found in it.
fn write(
    form: usize,
    value: &[u8],
    before: &[u8],
    after: &[u8],
) -> Option<(Vec<u8>, usize, usize)> {
    let text = std::str::from_utf8(value);
    let json = |value: &str| {
        let quoted = serde_json::to_string(value).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let unicode = |upper: bool| {
        let units = text.ok()?.encode_utf16().map(|unit| match upper {
            true => format!("\\u{unit:04X}"),
            false => format!("\\u{unit:04x}"),
        });
        Some(units.collect::<String>())
    };
    let base64 = |encode: fn(&[u8]) -> String| {
        let encoded = encode(&[before, value, after].concat());
        let start = before.len() * 8 / 6;
        let mut end = ((before.len() + value.len()) * 8).div_ceil(6);
        if after.is_empty() && !(before.len() + value.len()).is_multiple_of(3) {
            end = encoded.len();
        }
        (encoded.into_bytes(), start, end)
    };
    let plain = |encoded: Vec<u8>| {
        let length = encoded.len();
        Some((encoded, 0, length))
    };
    match form {
        0 => plain(value.to_vec()),
        1 => Some(base64(Base64::encode_string)),
        2 => Some(base64(Base64Unpadded::encode_string)),
        3 => Some(base64(Base64Url::encode_string)),
        4 => Some(base64(Base64UrlUnpadded::encode_string)),
        5 => plain(
            value
                .iter()
                .flat_map(|byte| format!("{byte:02x}").into_bytes())
                .collect(),
        ),
        6 => plain(
            value
                .iter()
                .flat_map(|byte| format!("{byte:02X}").into_bytes())
                .collect(),
        ),
        7 => plain(percent(value, "-_.~", true, false)),
        8 => plain(percent(value, "-_.~", false, false)),
        9 => plain(percent(value, "*-._", true, true)),
        10 => plain(percent(value, "-_.!~*'()", true, false)),
        11 => plain(percent(value, "-_.~/", false, false)),
        12 => plain(percent(value, "none", true, false)),
        13 => plain(json(text.ok()?).into_bytes()),
        14 => plain(json(&json(text.ok()?)).into_bytes()),
        15 => plain(json(text.ok()?).replace('/', "\\/").into_bytes()),
        16 => plain(unicode(false)?.into_bytes()),
        17 => plain(unicode(true)?.into_bytes()),
        18 => plain(json(&unicode(false)?).into_bytes()),
        19 => plain(text.ok()?.replace('\'', "'\\''").into_bytes()),
        20 => plain(
            json(text.ok()?)
                .replace('<', "\\u003c")
                .replace('>', "\\u003e")
                .replace('&', "\\u0026")
                .into_bytes(),
        ),
        _ => None,
    }
}
const FORMS: usize = 21;

const BREAKS: [&str; 8] = [
    "\n", "\r\n", "\n  ", "\r\n\t", "\\n", "\\r\\n", "\\\\n", "\\\n    ",
];

/// Breaks a text after every so many bytes; returns where a place of it then is.
fn wrap(text: &[u8], column: usize, with: &str) -> (Vec<u8>, impl Fn(usize) -> usize) {
    let mut out = Vec::new();
    for (number, line) in text.chunks(column).enumerate() {
        if number > 0 {
            out.extend_from_slice(with.as_bytes());
        }
        out.extend_from_slice(line);
    }
    let length = with.len();
    (out, move |at| at + at / column * length)
}

fn pieces<'a>(text: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut all) = (text, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        all.push(piece);
        rest = after;
    }
    all
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 10..60),
        "[A-Za-z0-9_-]{8,40}".prop_map(String::into_bytes),
        "[ -~]{12,60}".prop_map(String::into_bytes),
        "[a-zäöü€😀/<>&'\"\\\\ ]{12,40}".prop_map(String::into_bytes),
        "([ -~]{10,30}\n){2,5}[a-z]{5}".prop_map(String::into_bytes),
    ]
    .prop_filter("it is searched", |value| {
        let value = encode::without_line_ends(trim_line_ends(value));
        value.len() >= SHORTEST_VALUE && seeds::has_seed(&value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_form_is_found_however_it_is_broken_and_read(
        value in value(),
        others in vec(value(), 0..3),
        (before, after) in (vec(any::<u8>(), 0..5), vec(any::<u8>(), 0..5)),
        around in "[.,:;|]{0,90}",
        column in prop_oneof![Just(usize::MAX), 1..20_usize, Just(64), Just(76)],
        with in 0..BREAKS.len(),
        sizes in vec(1..40_usize, 1..6),
    ) {
        let mut values: Vec<&[u8]> = vec![&value];
        values.extend(others.iter().map(Vec::as_slice));
        let forms = forms(&values);
        let trimmed = trim_line_ends(&value);
        for form in 0..FORMS {
            let Some((text, start, end)) = write(form, trimmed, &before, &after) else {
                continue;
            };
            let (text, place) = match column {
                usize::MAX => wrap(&text, text.len().max(1), ""),
                column => wrap(&text, column, BREAKS[with]),
            };
            let (start, end) = (around.len() + place(start), around.len() + place(end - 1) + 1);
            let text = [around.as_bytes(), &text, around.as_bytes()].concat();
            let found = found(&forms, &pieces(&text, &sizes));
            let is_covered = found.iter().any(|(_, offset, length)| *offset <= start && offset + length >= end);
            prop_assert!(is_covered, "form {form}: {start}..{end} of {:?}: {found:?}", String::from_utf8_lossy(&text));
            prop_assert_eq!(&found, &whole(&forms, &text), "in pieces and whole");
        }
    }

    #[test]
    fn nothing_else_is_found(
        value in "[A-Za-z0-9_]{10,40}",
        text in vec(any::<u8>(), 0..300),
        (form, cut, column) in (0..FORMS, 0..1000_usize, 1..9_usize),
    ) {
        let forms = forms(&[value.as_bytes()]);
        prop_assert_eq!(whole(&forms, &text), []);
        // A form that lacks a byte of its middle is none, nor is one with a blank or an empty break in it.
        let (written, start, end) = write(form, value.as_bytes(), b"", b"").unwrap();
        let at = start + 2 + cut % (end - start - 6);
        let lacking = [&written[..at], &written[at + 1..]].concat();
        let is_other = |text: &[u8]| (0..FORMS).all(|form| {
            let (form, ..) = write(form, value.as_bytes(), b"", b"").unwrap();
            !text.windows(form.len()).any(|window| window == form)
        });
        if is_other(&lacking) {
            prop_assert_eq!(whole(&forms, &lacking), []);
        }
        let (spaced, _) = wrap(&written, column, " ");
        prop_assert_eq!(whole(&forms, &spaced), []);
    }
}

#[test]
fn of_two_values_one_of_which_begins_the_other_the_longest_is_found() {
    let forms = forms(&[b"abcdefgh", b"abcdefghijkl", b"ghijklmnop"]);
    let all = whole(&forms, b"-abcdefgh-abcdefghijkl-abcdefghijklmnop");
    let expected = [("s0", 1, 8), ("s1", 10, 12), ("s1", 23, 12), ("s2", 29, 10)];
    assert_eq!(
        all,
        expected.map(|(name, at, length)| (name.to_owned(), at, length))
    );
}

#[test]
fn adjacent_values_are_found_each() {
    let forms = forms(&[b"value-one", b"value-two"]);
    let all = whole(&forms, b"value-onevalue-twovalue-one");
    assert_eq!(
        all.iter().map(|found| found.1).collect::<Vec<_>>(),
        [0, 9, 18]
    );
}

#[test]
fn what_is_too_short_is_named() {
    let name = SecretName::from_static("a/b");
    for (value, said) in [
        ("", "no value"),
        ("12345", "fewer than 6"),
        ("n\\n\\n\\rn\\n", "too few characters"),
    ] {
        let secret = Secret::from_text(value);
        let (forms, warnings) = KnownForms::new([(&name, &secret)]);
        assert!(forms.is_empty());
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].name, Some(name.clone()));
        assert!(
            warnings[0].message.contains(said),
            "{}",
            warnings[0].message
        );
        if !value.is_empty() {
            assert!(!format!("{warnings:?}").contains(value));
        }
    }
}

#[test]
fn no_value_has_no_form() {
    let forms = forms(&[]);
    assert_eq!(whole(&forms, b"anything at all, \0\0\0\0\0\0\0\0\0\0"), []);
}

#[test]
fn a_long_value_of_one_byte_is_found_in_a_long_run_of_it() {
    let value = vec![b'x'; 8192];
    let text = vec![b'x'; 10_000];
    let forms = forms(&[&value]);
    let pieces: Vec<_> = text.chunks(1000).collect();
    let all = found(&forms, &pieces);
    assert_eq!((all[0].1, all[0].2), (0, value.len()));
    assert_eq!(all.last().map(|last| last.1 + last.2), Some(text.len()));
}
