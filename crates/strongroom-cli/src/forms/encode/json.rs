//! Values inside JSON text, and inside JSON text that is a string of JSON text.

use zeroize::Zeroizing;

use super::{Patterns, push_hex};
use crate::forms::Form;

/// What an encoder escapes beside what JSON demands.
#[derive(Clone, Copy)]
struct Style {
    slash: bool,
    ascii_only: bool,
    /// Characters that would mean something in HTML.
    html: &'static str,
    digits: &'static [u8; 16],
}

const DIGITS: [&[u8; 16]; 2] = [b"0123456789abcdef", b"0123456789ABCDEF"];

/// Adds what the common encoders write, and the same inside another string.
pub(super) fn add(patterns: &mut Patterns, value: &[u8]) {
    let Ok(text) = std::str::from_utf8(value) else {
        return;
    };
    for html in ["", "<>&", "<>&'\"", "<>&'\"+`"] {
        for (slash, ascii_only) in [(false, false), (true, false), (false, true), (true, true)] {
            for digits in DIGITS {
                let style = Style {
                    slash,
                    ascii_only,
                    html,
                    digits,
                };
                add_once_and_twice(patterns, |out| escape(out, text, style));
            }
        }
    }
}

/// Adds the value with every character as `\u00XX`, once and inside another string.
pub(super) fn add_escaped_whole(patterns: &mut Patterns, value: &[u8]) {
    let Ok(text) = std::str::from_utf8(value) else {
        return;
    };
    for digits in DIGITS {
        add_once_and_twice(patterns, |out| {
            for character in text.chars() {
                push_unicode(out, character, digits);
            }
        });
    }
}

fn add_once_and_twice(patterns: &mut Patterns, write: impl Fn(&mut Vec<u8>)) {
    let mut once = Zeroizing::new(Vec::with_capacity(patterns.scratch.capacity()));
    write(&mut once);
    patterns.add(Form::Json, |out| out.extend_from_slice(&once));
    for slash in ["/", "\\/"] {
        patterns.add(Form::Json, |out| {
            for byte in once.iter() {
                match byte {
                    b'"' => out.extend_from_slice(b"\\\""),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b'/' => out.extend_from_slice(slash.as_bytes()),
                    byte => out.push(*byte),
                }
            }
        });
    }
}

fn escape(out: &mut Vec<u8>, text: &str, style: Style) {
    for character in text.chars() {
        let short = match character {
            '/' if style.slash => Some('/'),
            '\u{8}' => Some('b'),
            '\t' => Some('t'),
            '\u{c}' => Some('f'),
            '\\' => Some('\\'),
            '"' if !style.html.contains('"') => Some('"'),
            _ => None,
        };
        let is_escaped = character.is_ascii_control()
            || style.html.contains(character)
            || (style.ascii_only && !character.is_ascii());
        match short {
            Some(short) => out.extend([b'\\', short as u8]),
            None if is_escaped => push_unicode(out, character, style.digits),
            None => {
                let mut utf8 = Zeroizing::new([0; 4]);
                out.extend_from_slice(character.encode_utf8(&mut *utf8).as_bytes());
            }
        }
    }
}

fn push_unicode(out: &mut Vec<u8>, character: char, digits: &[u8; 16]) {
    let mut utf16 = [0; 2];
    for unit in character.encode_utf16(&mut utf16) {
        out.extend_from_slice(b"\\u");
        for byte in unit.to_be_bytes() {
            push_hex(out, digits, byte);
        }
    }
}
