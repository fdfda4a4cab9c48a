//! What makes a text predictable: repetition, sequences, common words and dates.
//!
//! Shannon entropy is no rule here: it gives `abcdefghijklmnop` a perfect score. Instead the text
//! is cut into pieces, and a piece that follows a pattern counts for the few characters it takes to
//! describe it.

use super::passwords;

/// What most of a predictable text consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// One character, or one short piece, again and again.
    Repetition,
    /// Letters or digits in order, or neighbours on a keyboard.
    Sequence,
    /// Words that people choose, and dates.
    Words,
}

/// Finds the pattern that leaves fewer than `needed` characters of `text` unpredictable.
///
/// The time taken is linear in the length of `text`.
pub(super) fn find(text: &[u8], needed: usize) -> Option<Pattern> {
    if repeats_itself(text) {
        return Some(Pattern::Repetition);
    }
    let weighed = weigh(text, needed);
    let [repeated, in_order, words] = weighed.covered;
    let covered = repeated.saturating_add(in_order).saturating_add(words);
    // A short text without patterns is short, not predictable.
    if weighed.characters >= needed || covered.saturating_mul(3) < text.len() {
        return None;
    }
    Some(if repeated >= in_order.max(words) {
        Pattern::Repetition
    } else if in_order >= words {
        Pattern::Sequence
    } else {
        Pattern::Words
    })
}

/// Reports whether `text` is one piece written at least twice, the last time perhaps cut short.
pub(super) fn repeats_itself(text: &[u8]) -> bool {
    // The failure function of Knuth, Morris and Pratt: `border[i]` is the length of the longest
    // proper prefix of `text[..=i]` that is also its suffix. The rest is the shortest period.
    let mut border: Vec<usize> = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        let mut length = border.last().copied().unwrap_or(0);
        while length > 0 && text.get(length) != Some(byte) {
            let shorter = length.checked_sub(1).and_then(|last| border.get(last));
            length = shorter.copied().unwrap_or(0);
        }
        let extends = at > 0 && text.get(length) == Some(byte);
        border.push(length.saturating_add(usize::from(extends)));
    }
    let longest = border.last().copied().unwrap_or(0);
    let period = text.len().saturating_sub(longest);
    text.len() > 1 && period <= text.len() / 2
}

/// Counts how often each byte stands in `text`.
pub(super) fn counts(text: &[u8]) -> [usize; 256] {
    let mut counts = [0_usize; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    counts
}

/// Counts the different bytes of `text`.
pub(super) fn distinct(text: &[u8]) -> usize {
    let counts = counts(text);
    counts.iter().filter(|count| **count > 0).count()
}

/// Counts the characters of `text`, which should be UTF-8.
pub(super) fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| begins_character(**byte)).count()
}

fn begins_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[derive(Default)]
struct Weighed {
    /// How many characters are left when every pattern is counted for what describes it.
    characters: usize,
    /// How many bytes each [`Pattern`] covers.
    covered: [usize; 3],
}

struct Piece {
    pattern: Pattern,
    length: usize,
    /// The length of the unit that a repetition repeats; 0 for the other patterns.
    unit: usize,
}

/// Cuts `text` into pieces from left to right, and stops as soon as `enough` characters are found.
fn weigh(text: &[u8], enough: usize) -> Weighed {
    let mut weighed = Weighed::default();
    let mut at: usize = 0;
    while let Some(first) = text.get(at)
        && weighed.characters < enough
    {
        let rest = text.get(at..).unwrap_or_default();
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let Some(piece) = longest_piece(rest, before.copied()) else {
            let character = usize::from(begins_character(*first));
            weighed.characters = weighed.characters.saturating_add(character);
            at = at.saturating_add(1);
            continue;
        };
        let described_by = match piece.pattern {
            // The unit is shorter than the piece, so this ends.
            Pattern::Repetition => {
                let unit = rest.get(..piece.unit).unwrap_or_default();
                weigh(unit, enough).characters.saturating_add(1)
            }
            Pattern::Sequence | Pattern::Words => 2,
        };
        weighed.characters = weighed.characters.saturating_add(described_by);
        if let Some(covered) = weighed.covered.get_mut(piece.pattern as usize) {
            *covered = covered.saturating_add(piece.length);
        }
        at = at.saturating_add(piece.length);
    }
    weighed
}

fn longest_piece(rest: &[u8], before: Option<u8>) -> Option<Piece> {
    let other = |pattern| {
        move |length| Piece {
            pattern,
            length,
            unit: 0,
        }
    };
    // Of equal lengths the last one counts: what is both a word and a walk is a walk.
    let pieces = [
        passwords::word_at(rest).map(other(Pattern::Words)),
        date(rest, before).map(other(Pattern::Words)),
        keyboard_walk(rest).map(other(Pattern::Sequence)),
        in_order(rest).map(other(Pattern::Sequence)),
        repetition(rest),
    ];
    pieces
        .into_iter()
        .flatten()
        .max_by_key(|piece| piece.length)
}

/// A unit of at most this many bytes can be found repeated inside a text.
const LONGEST_UNIT: usize = 16;

fn repetition(rest: &[u8]) -> Option<Piece> {
    let lengths = (1..=LONGEST_UNIT).filter_map(|unit| {
        let again = rest.get(unit..)?;
        let repeated = again.iter().zip(rest).take_while(|(a, b)| a == b).count();
        // Two equal neighbours, or one pair twice, happen by chance.
        let is_pattern = repeated >= unit && repeated >= if unit == 1 { 3 } else { 4 };
        is_pattern.then_some(Piece {
            pattern: Pattern::Repetition,
            length: unit.saturating_add(repeated),
            unit,
        })
    });
    // Of equal lengths the first, which has the shortest unit.
    lengths.reduce(|best, next| {
        if next.length > best.length {
            next
        } else {
            best
        }
    })
}

/// Characters in order: at least four with one step of at most two (`abcd`, `9753`), or at least
/// six that climb or fall by one or stay (`aabbcc`).
fn in_order(rest: &[u8]) -> Option<usize> {
    let steps = || {
        let pairs = rest.iter().zip(rest.iter().skip(1));
        pairs.map(|(a, b)| i16::from(*b).saturating_sub(i16::from(*a)))
    };
    let first = steps().next()?;
    let even = steps().take_while(|step| *step == first).count();
    let climbing = steps().take_while(|step| matches!(step, 0 | 1)).count();
    let falling = steps().take_while(|step| matches!(step, 0 | -1)).count();
    let even = (matches!(first, -2 | -1 | 1 | 2) && even >= 3).then_some(even);
    let uneven = Some(climbing.max(falling)).filter(|steps| *steps >= 5);
    even.max(uneven).map(|steps| steps.saturating_add(1))
}

/// Neighbours on keyboards and keypads, and the digits in their usual orders.
const WALKS: &[&str] = &[
    "1234567890123",
    "0123456789abcdef",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiop",
    "azertyuiop",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "a1b2c3d4e5f6g7h8i9j0",
    "1a2b3c4d5e6f7g8h9i0j",
    "741852963",
    "147258369",
    "!@#$%^&*()_+",
];

fn keyboard_walk(rest: &[u8]) -> Option<usize> {
    let first = rest.first()?;
    let keys = WALKS.iter().flat_map(|walk| {
        let keys = walk.as_bytes().iter().enumerate();
        keys.filter(|(_, key)| first.eq_ignore_ascii_case(key))
            .map(|(at, _)| walk.as_bytes().split_at(at))
    });
    let same = |(written, key): &(&u8, &u8)| written.eq_ignore_ascii_case(key);
    let walked = keys.map(|(before, from_here)| {
        let onwards = rest.iter().zip(from_here).take_while(same).count();
        let after_first = rest.iter().skip(1);
        let backwards = after_first
            .zip(before.iter().rev())
            .take_while(same)
            .count();
        onwards.max(backwards.saturating_add(1))
    });
    walked.max().filter(|length| *length >= 4)
}

/// A year, or a date of eight digits with or without separators, that stands alone among digits.
fn date(rest: &[u8], before: Option<u8>) -> Option<usize> {
    if before.is_some_and(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let stands_alone = |length: usize| {
        let after = rest.get(length);
        let alone = !after.is_some_and(|byte| byte.is_ascii_digit());
        alone.then_some(length)
    };
    let number = |from: usize, to: usize| {
        let digits = rest.get(from..to)?;
        digits.iter().try_fold(0_u16, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| digit.saturating_sub(b'0'))?;
            number.checked_mul(10)?.checked_add(digit.into())
        })
    };
    let year = |from: usize, to: usize| number(from, to).filter(|y| (1900..2100).contains(y));
    let month = |from: usize, to: usize| number(from, to).filter(|m| (1..=12).contains(m));
    let day = |from: usize, to: usize| number(from, to).filter(|d| (1..=31).contains(d));
    let separated = |a: usize, b: usize| {
        let at = |at| rest.get(at).filter(|byte| b"-/._ ".contains(byte));
        at(a).is_some() && at(a) == at(b)
    };
    if separated(4, 7) && year(0, 4).and(month(5, 7)).and(day(8, 10)).is_some() {
        return stands_alone(10);
    }
    if separated(2, 5) && day(0, 2).and(day(3, 5)).and(year(6, 10)).is_some() {
        return stands_alone(10);
    }
    let year_first = year(0, 4).and(month(4, 6)).and(day(6, 8));
    let year_last = day(0, 2).and(day(2, 4)).and(year(4, 8));
    if year_first.or(year_last).is_some() {
        return stands_alone(8);
    }
    year(0, 4).and_then(|_| stands_alone(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_shannon_entropy_misses() {
        for (text, pattern) in [
            (
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                Pattern::Repetition,
            ),
            (
                "abcabcabcabcabcabcabcabcabcabcabcabcab",
                Pattern::Repetition,
            ),
            ("k7Gx2Qk7Gx2Qk7Gx2Qk7Gx2Qk7Gx2Qk7Gx2Q-", Pattern::Repetition),
            ("f3A9x1Zq8LmW5tRbf3A9x1Zq8LmW5tRb", Pattern::Repetition),
            ("abcdefghijklmnopqrstuvwxyz0123456789", Pattern::Sequence),
            ("zyxwvutsrqponmlkjihgfedcba9876543210", Pattern::Sequence),
            ("aabbccddeeffgghhiijjkkllmmnnooppqq", Pattern::Sequence),
            ("poiuytrewqlkjhgfdsamnbvcxz0987654321", Pattern::Sequence),
            ("1qaz2wsx3edc4rfvQAZWSXEDCRFV1q2w3e4r", Pattern::Sequence),
            ("ACEGIKMOQSUWY13579bdfhjlnprtvxz2468", Pattern::Sequence),
            ("my-super-secret-token-for-production", Pattern::Words),
            ("Password-2024-Admin-1999-12-31-Secret", Pattern::Words),
            ("p4ssw0rd-s3cr3t-4dm1n-m0nk3y-dr4g0n!", Pattern::Words),
        ] {
            assert_eq!(find(text.as_bytes(), 20), Some(pattern), "{text}");
        }
    }

    #[test]
    fn leaves_random_text_alone() {
        for text in [
            "ghp_9fK2mQ7xL4vB8nT1wR6yZ3cJ5hD0gS2pVaEu",
            "sk_live_51HqLyjWDarjtT1zdp7dcXk9",
            "3f2b8c1e-9d47-4a6b-8e25-7c1f0a9b6d34",
            "9c1185a5c5e9fc54612808977ee8f548",
            "48151623427093856194730285610937",
            "xoxb-2385710946-9571038264-Kq7ZtLw2Rm9XcVb4Ns8Hd3Jf",
        ] {
            assert_eq!(find(text.as_bytes(), 20), None, "{text}");
        }
    }

    #[test]
    fn a_date_stands_alone_among_digits() {
        for (text, length) in [
            ("2024", Some(4)),
            ("2024-02-29x", Some(10)),
            ("31.12.1999", Some(10)),
            ("20240229", Some(8)),
            ("31121999", Some(8)),
            ("20245", None),
            ("2124", None),
        ] {
            assert_eq!(date(text.as_bytes(), None), length, "{text}");
        }
        assert_eq!(date(b"2024", Some(b'7')), None);
    }

    #[test]
    fn finds_the_shortest_period() {
        for (text, repeats) in [
            ("", false),
            ("a", false),
            ("aa", true),
            ("abab", true),
            ("ababa", true),
            ("abcab", false),
            ("aabaab", true),
            ("aabaaab", false),
        ] {
            assert_eq!(repeats_itself(text.as_bytes()), repeats, "{text}");
        }
    }
}
