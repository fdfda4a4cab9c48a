//! Tokens: random texts.

use super::{Findings, predictable, rule};
use crate::declared::Declared;

/// The least number of characters: 32 hexadecimal digits hold 128 bits.
const LEAST: usize = 32;

/// How many characters must be left when every pattern is counted for what describes it: 20
/// hexadecimal digits hold 80 bits.
pub(super) const UNPREDICTABLE: usize = 20;

/// A random token of decimal digits has this many different ones in all but 1 of 10^7 cases.
const LEAST_DISTINCT: usize = 6;

pub(super) fn check(
    declared: &Declared,
    value: &[u8],
    is_placeholder: bool,
    found: &mut Findings<'_>,
) {
    let least = declared.min_length.unwrap_or(0).max(LEAST);
    let is_short = predictable::characters(value) < least;
    if is_short {
        found.too_short("the token", least, "characters");
    }
    if is_placeholder {
        return;
    }
    if let Some(pattern) = predictable::find(value, UNPREDICTABLE) {
        found.pattern("the token", pattern);
    } else if !is_short && predictable::distinct(value) < LEAST_DISTINCT {
        let message = format!("the token has fewer than {LEAST_DISTINCT} different characters");
        let help = "store a random one: `strongroom generate` makes it";
        found.violation(rule::FEW_CHARACTERS, message, help);
    }
}
