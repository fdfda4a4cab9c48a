//! Quotes and escapes: how a value is written, and how it is read back.

use zeroize::Zeroizing;

/// What an escape inside double quotes stands for.
pub(super) fn escaped(byte: u8) -> Option<u8> {
    match byte {
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'\\' | b'"' | b'$' => Some(byte),
        _ => None,
    }
}

pub(super) fn unescape(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next().and_then(escaped)),
            byte => out.push(byte),
        }
    }
    out
}

/// Writes a value so that this grammar reads it back, and so that other tools agree where they can.
pub(in super::super) fn quote(value: &str) -> Zeroizing<Vec<u8>> {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    let double = |byte: u8| byte == b'\'' || byte.is_ascii_control();
    // Each byte becomes two at most, and two quotes stand around them.
    let mut out = Zeroizing::new(Vec::with_capacity(
        value.len().saturating_mul(2).saturating_add(2),
    ));
    if value.bytes().all(bare) {
        out.extend_from_slice(value.as_bytes());
    } else if value.bytes().any(double) {
        out.push(b'"');
        for byte in value.bytes() {
            match byte {
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                b'\\' | b'"' | b'$' => out.extend_from_slice(&[b'\\', byte]),
                byte => out.push(byte),
            }
        }
        out.push(b'"');
    } else {
        out.push(b'\'');
        out.extend_from_slice(value.as_bytes());
        out.push(b'\'');
    }
    out
}
