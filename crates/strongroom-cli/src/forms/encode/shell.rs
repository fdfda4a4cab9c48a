//! Values inside shell commands.

use super::Patterns;
use crate::forms::Form;

/// Adds the ways to quote a value that has something to quote.
pub(super) fn add(patterns: &mut Patterns, value: &[u8]) {
    for apostrophe in [b"'\\''".as_slice(), b"'\"'\"'"] {
        patterns.add(Form::Shell, |out| {
            for byte in value {
                match byte {
                    b'\'' => out.extend_from_slice(apostrophe),
                    byte => out.push(*byte),
                }
            }
        });
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    let escaped: [&dyn Fn(u8) -> bool; 3] = [
        // In double quotes.
        &|byte| b"$`\"\\".contains(&byte),
        // In $'…'.
        &|byte| b"'\\".contains(&byte),
        // By backslashes alone.
        &|byte| byte.is_ascii() && !is_plain(byte),
    ];
    for is_escaped in escaped {
        patterns.add(Form::Shell, |out| {
            for byte in value {
                if is_escaped(*byte) {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
        });
    }
}
