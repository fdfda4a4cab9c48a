//! What a value of any kind must not look like: empty, over-long, quoted, with blanks around it.

use super::{Findings, rule};
use crate::declared::{Declared, Encoding, Kind};
use crate::secret::MAX_VALUE_BYTES;

/// The most bytes of a token: what a server accepts in a header.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Returns the most bytes that a value of `kind` may have.
pub(crate) fn most_bytes(kind: Kind) -> usize {
    match kind {
        Kind::Token | Kind::Jwt => MAX_TOKEN_BYTES,
        _ => MAX_VALUE_BYTES,
    }
}

/// Checks the form, and returns the value as its kind judges it; `None` if there is nothing left
/// to judge.
pub(super) fn check<'v>(
    declared: &Declared,
    value: &'v [u8],
    found: &mut Findings<'_>,
) -> Option<&'v [u8]> {
    let text = std::str::from_utf8(value).ok();
    if value.is_empty() || text.is_some_and(|text| text.trim_matches(is_blank).is_empty()) {
        let message = if value.is_empty() {
            "the value is empty"
        } else {
            "the value is nothing but blanks"
        };
        found.violation(
            rule::EMPTY,
            message,
            "store a value, or declare the secret optional",
        );
        return None;
    }
    let most = most_bytes(declared.kind);
    if value.len() > most {
        let message = format!("the value has more than {} KiB", most / 1024);
        let help = "store the secret alone, not a file or a document around it";
        found.violation(rule::TOO_LONG, message, help);
        return None;
    }
    match (declared.kind, text) {
        (Kind::Key | Kind::Opaque, _) if declared.encoding != Encoding::Text => Some(value),
        (Kind::Key, _) if !value.iter().all(is_text_byte) => Some(value),
        (Kind::Opaque, None) => Some(value),
        (kind, None) => {
            let message = format!("a {kind} is text, and the value is not UTF-8");
            let help = "store it as text, or declare its `encoding` or another `kind`";
            found.violation(rule::NOT_TEXT, message, help);
            None
        }
        // Line breaks, blanks and quotes around these are part of their syntax.
        (Kind::Pem | Kind::Json, Some(_)) => Some(value),
        (kind, Some(text)) => {
            let bare = check_ends(text, found);
            if kind != Kind::Opaque && bare.contains(char::is_control) {
                let message =
                    "the value has a line break, a tab or another control character in it";
                let help = "store the value alone, on one line, without escapes or colour codes";
                found.violation(rule::CONTROL_CHARACTER, message, help);
            }
            Some(bare.as_bytes())
        }
    }
}

/// Reports what surrounds the value, and returns it bare.
fn check_ends<'v>(text: &'v str, found: &mut Findings<'_>) -> &'v str {
    let line = text.trim_end_matches(['\r', '\n']);
    if line.len() < text.len() {
        let message = "the value ends in a line break";
        let help = "write it without one: `printf %s`, not `echo`; `kubectl create secret \
                    --from-file` and editors keep it";
        found.violation(rule::TRAILING_NEWLINE, message, help);
    }
    let bare = line.trim_matches(is_blank);
    if bare.len() < line.len() {
        let message = "the value has blanks before or after it";
        let help = "take them away, invisible ones (a byte order mark, for example) included";
        found.violation(rule::SURROUNDING_BLANKS, message, help);
    }
    let unquoted = ["\"\"", "''", "``", "“”", "‘’"].iter().find_map(|quotes| {
        let mut quotes = quotes.chars();
        let inner = bare.strip_prefix(quotes.next()?)?;
        inner.strip_suffix(quotes.next()?)
    });
    if let Some(unquoted) = unquoted {
        let message = "the value is in quotes, and they are part of it";
        let help = "take them away; `docker --env-file` and mounted files keep quotes";
        found.violation(rule::SURROUNDING_QUOTES, message, help);
        return unquoted;
    }
    bare
}

/// Blanks, and characters that show as nothing.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
}

fn is_text_byte(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')
}
