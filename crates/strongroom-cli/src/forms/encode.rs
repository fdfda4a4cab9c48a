//! The forms in which one value leaks, as byte patterns.

use base64ct::{Base64Unpadded, Encoding as _};
use zeroize::Zeroizing;

use super::Form;

mod json;
mod percent;
mod shell;

/// One form of one value. Line breaks are in none: text may have one at every place.
pub(super) struct Pattern {
    pub(super) secret: u32,
    pub(super) form: Form,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The characters before it that hold bits of the value beside bits of what precedes it.
    pub(super) lead: Zeroizing<Vec<u8>>,
    /// The same for the character after it.
    pub(super) tail: Zeroizing<Vec<u8>>,
}

/// The alphabet of base64; 62 and 63 are `+` and `/`, or `-` and `_`.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Collects the patterns of one value, each once.
struct Patterns {
    secret: u32,
    // Large enough for every form, so that no outgrown copy stays behind.
    scratch: Zeroizing<Vec<u8>>,
    all: Vec<Pattern>,
}

impl Patterns {
    fn add(&mut self, form: Form, write: impl FnOnce(&mut Vec<u8>)) {
        self.add_between(form, &[], &[], write);
    }

    fn add_between(
        &mut self,
        form: Form,
        lead: &[u8],
        tail: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.scratch.clear();
        write(&mut self.scratch);
        let known = |pattern: &Pattern| {
            *pattern.bytes == *self.scratch && *pattern.lead == lead && *pattern.tail == tail
        };
        if !self.scratch.is_empty() && !self.all.iter().any(known) {
            let copy = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
            self.all.push(Pattern {
                secret: self.secret,
                form,
                bytes: copy(&self.scratch),
                lead: copy(lead),
                tail: copy(tail),
            });
        }
    }
}

/// Returns every form of a value that has no line ends around it.
pub(super) fn patterns(secret: u32, value: &[u8]) -> Vec<Pattern> {
    let mut patterns = Patterns {
        secret,
        scratch: Zeroizing::new(Vec::with_capacity(value.len().saturating_mul(16))),
        all: Vec::new(),
    };
    let joined = without_line_ends(value);
    patterns.add(Form::Raw, |out| out.extend_from_slice(&joined));
    shell::add(&mut patterns, &joined);
    json::add(&mut patterns, &joined);
    for value in line_ends(value) {
        hex(&mut patterns, &value);
        base64(&mut patterns, &value);
        percent::add(&mut patterns, &value);
        json::add_escaped_whole(&mut patterns, &value);
    }
    patterns.all
}

/// Returns a value whose line ends are left to the breaks that text may have anywhere.
pub(super) fn without_line_ends(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut joined = Zeroizing::new(Vec::with_capacity(value.len()));
    let kept = value.iter().filter(|byte| !matches!(byte, b'\n' | b'\r'));
    joined.extend(kept);
    joined
}

/// Returns the value as it is, with LF and with CRLF at the ends of its lines: an encoding holds them
/// as it holds any byte.
fn line_ends(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = vec![Zeroizing::new(value.to_vec())];
    for end in [b"\n".as_slice(), b"\r\n"] {
        let room = value.len().saturating_mul(2);
        let mut variant = Zeroizing::new(Vec::with_capacity(room));
        let mut bytes = value.iter().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\r' if bytes.peek() == Some(&&b'\n') => {}
                b'\n' => variant.extend_from_slice(end),
                byte => variant.push(*byte),
            }
        }
        if !all.contains(&variant) {
            all.push(variant);
        }
    }
    all
}

fn hex(patterns: &mut Patterns, value: &[u8]) {
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        patterns.add(Form::Hex, |out| {
            for byte in value {
                push_hex(out, digits, *byte);
            }
        });
    }
}

fn push_hex(out: &mut Vec<u8>, digits: &[u8; 16], byte: u8) {
    for half in [byte >> 4, byte & 15] {
        out.extend(digits.get(usize::from(half)));
    }
}

/// Adds base64 in both alphabets, with zero, one or two bytes of something else in the value's first
/// group of three.
fn base64(patterns: &mut Patterns, value: &[u8]) {
    for before in 0..3_usize {
        let room = before.saturating_add(value.len());
        let mut shifted = Zeroizing::new(Vec::with_capacity(room));
        shifted.resize(before, 0);
        shifted.extend_from_slice(value);
        let text = Zeroizing::new(Base64Unpadded::encode_string(&shifted));
        let text = text.as_bytes();
        // How many characters have no bit of the value, or only some; how many bits of the value the
        // last of these has; and the same behind.
        let (skipped, lead_bits) = match before {
            0 => (0, 0),
            1 => (2, 4),
            _ => (3, 2),
        };
        let whole = room.saturating_mul(8) / 6;
        let Some(core) = text.get(skipped..whole) else {
            continue;
        };
        let sextet = |at: Option<usize>| {
            let character = at.and_then(|at| text.get(at));
            let known = |character| ALPHABET.iter().position(|known| known == character);
            character.and_then(known).unwrap_or(0)
        };
        let lead: Zeroizing<Vec<usize>> = Zeroizing::new(match lead_bits {
            0 => Vec::new(),
            bits => {
                let value_bits = sextet(skipped.checked_sub(1));
                let others = 0..(64_usize >> bits);
                others.map(|other| value_bits | other << bits).collect()
            }
        });
        let tail: Zeroizing<Vec<usize>> = Zeroizing::new(match whole < text.len() {
            false => Vec::new(),
            true => {
                let unknown = match room % 3 {
                    1 => 4,
                    _ => 2,
                };
                let value_bits = sextet(Some(whole));
                (0..(1_usize << unknown))
                    .map(|other| value_bits | other)
                    .collect()
            }
        });
        base64_alphabets(patterns, core, &lead, &tail);
    }
}

/// Adds one alignment: in each alphabet, and as escaped where it has `+` or `/`.
fn base64_alphabets(patterns: &mut Patterns, core: &[u8], lead: &[usize], tail: &[usize]) {
    let standard = |sextets: &[usize]| characters(sextets, false);
    let url = |sextets: &[usize]| characters(sextets, true);
    let (lead_standard, tail_standard) = (standard(lead), standard(tail));
    if !core.iter().any(|byte| matches!(byte, b'+' | b'/')) {
        let both = |mut one: Zeroizing<Vec<u8>>, other: &[u8]| {
            let mut both = Zeroizing::new([one.as_slice(), other].concat());
            one.clear();
            both.sort_unstable();
            both.dedup();
            both
        };
        let lead = both(lead_standard, &url(lead));
        let tail = both(tail_standard, &url(tail));
        patterns.add_between(Form::Base64, &lead, &tail, |out| {
            out.extend_from_slice(core)
        });
        return;
    }
    let mut add = |form, lead: &[u8], tail: &[u8], plus: &[u8], slash: &[u8]| {
        patterns.add_between(form, lead, tail, |out| {
            for byte in core {
                match byte {
                    b'+' => out.extend_from_slice(plus),
                    b'/' => out.extend_from_slice(slash),
                    byte => out.push(*byte),
                }
            }
        });
    };
    add(Form::Base64Url, &url(lead), &url(tail), b"-", b"_");
    for (plus, slash) in [
        ("+", "/"),
        ("+", "\\/"),
        ("%2B", "%2F"),
        ("%2b", "%2f"),
        ("%2B", "/"),
        ("%2b", "/"),
        ("\\u002B", "/"),
        ("\\u002b", "/"),
    ] {
        let (plus, slash) = (plus.as_bytes(), slash.as_bytes());
        add(Form::Base64, &lead_standard, &tail_standard, plus, slash);
    }
}

fn characters(sextets: &[usize], url: bool) -> Zeroizing<Vec<u8>> {
    let character = |sextet: &usize| match ALPHABET.get(*sextet) {
        Some(b'+') if url => Some(b'-'),
        Some(b'/') if url => Some(b'_'),
        other => other.copied(),
    };
    Zeroizing::new(sextets.iter().filter_map(character).collect())
}
