//! Values inside URLs and forms.

use super::{Patterns, push_hex};
use crate::forms::Form;

/// What encoders leave alone beside letters and digits, and what a space becomes.
const STYLES: &[(&str, &str)] = &[
    // RFC 3986, and most libraries.
    ("-_.~", "%20"),
    ("-_.~", "+"),
    // JavaScript's encodeURIComponent and encodeURI.
    ("-_.!~*'()", "%20"),
    ("-_.!~*'();,/?:@&=+$#", "%20"),
    // Forms, as browsers and Java send them, and as PHP does.
    ("*-._", "+"),
    ("-_.", "+"),
    ("-_.", "%20"),
    // Paths.
    ("-_.~/", "%20"),
    ("", "%20"),
    // The path, the query and the user information of browsers' URLs.
    ("!$%&'()*+,-./:;=@[\\]^_|~", "%20"),
    ("!$%&'()*+,-./:;=?@[\\]^_`{|}~", "%20"),
    ("!$%&()*+,-./:;=?@[\\]^_`{|}~", "%20"),
    ("!$%&'()*+,-._~", "%20"),
];

/// Adds each style, and every byte encoded, with both cases of the digits.
pub(super) fn add(patterns: &mut Patterns, value: &[u8]) {
    for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
        let mut encode = |is_alone: &dyn Fn(u8) -> bool, space: &str| {
            patterns.add(Form::Percent, |out| {
                for byte in value {
                    match *byte {
                        b' ' if space == "+" => out.push(b'+'),
                        byte if is_alone(byte) => out.push(byte),
                        byte => {
                            out.push(b'%');
                            push_hex(out, digits, byte);
                        }
                    }
                }
            });
        };
        for (alone, space) in STYLES {
            let is_alone =
                |byte: u8| byte.is_ascii_alphanumeric() || alone.as_bytes().contains(&byte);
            encode(&is_alone, space);
        }
        encode(&|_| false, "%20");
    }
}
