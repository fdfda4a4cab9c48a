//! Passwords: texts that a person may have chosen.

use super::{Findings, passwords, predictable, rule};
use crate::declared::Declared;

/// The least number of characters, by NIST SP 800-63B-4 for a password that is the only factor.
pub(crate) const LEAST: usize = 15;

/// How many characters must be left when every pattern is counted for what describes it.
const UNPREDICTABLE: usize = 10;

/// The least number of different characters.
const LEAST_DISTINCT: usize = 5;

pub(super) fn check(
    declared: &Declared,
    value: &[u8],
    is_placeholder: bool,
    found: &mut Findings<'_>,
) {
    let least = declared.min_length.unwrap_or(0).max(LEAST);
    judge("the password", value, least, is_placeholder, found);
}

/// Judges the password that is a part of a URL.
pub(super) fn check_in_url(password: &[u8], is_placeholder: bool, found: &mut Findings<'_>) {
    judge("the URL's password", password, LEAST, is_placeholder, found);
}

fn judge(
    what: &str,
    password: &[u8],
    least: usize,
    is_placeholder: bool,
    found: &mut Findings<'_>,
) {
    let is_short = predictable::characters(password) < least;
    if is_short {
        found.too_short(what, least, "characters");
    }
    if is_placeholder {
        return;
    }
    let help = "store a random one: `strongroom generate` makes it";
    if passwords::is_common(password) {
        let message = format!("{what} is a common or default one, or close to one");
        found.violation(rule::COMMON_PASSWORD, message, help);
    } else if let Some(pattern) = predictable::find(password, UNPREDICTABLE) {
        found.pattern(what, pattern);
    } else if !is_short && predictable::distinct(password) < LEAST_DISTINCT {
        let message = format!("{what} has fewer than {LEAST_DISTINCT} different characters");
        found.violation(rule::FEW_CHARACTERS, message, help);
    } else if !is_short {
        #[cfg(feature = "zxcvbn")]
        if std::str::from_utf8(password).is_ok_and(is_guessable) {
            let message = format!("{what} can be guessed: its zxcvbn score is below 3");
            found.violation(rule::GUESSABLE_PASSWORD, message, help);
        }
    }
}

/// Asks zxcvbn, whose time grows with the square of the length or worse: 100 characters go in.
#[cfg(feature = "zxcvbn")]
fn is_guessable(password: &str) -> bool {
    let end = password.char_indices().nth(100).map(|(at, _)| at);
    let start = end.and_then(|end| password.get(..end)).unwrap_or(password);
    zxcvbn::zxcvbn(start, &[]).score() < zxcvbn::Score::Three
}

#[cfg(all(test, feature = "zxcvbn"))]
mod tests {
    use crate::declared::Kind;
    use crate::{Declared, Secret, SecretName, policy};

    #[test]
    fn asks_zxcvbn_about_what_the_tables_do_not_know() {
        let declared = Declared::new(SecretName::from_static("a"), Kind::Password);
        for (password, expected) in [
            ("elizabethtaylor", &["guessable-password"][..]),
            ("christopherrobin", &["guessable-password"]),
            ("brisk-otter-velvet-canyon", &[]),
        ] {
            let findings = policy::check_one(&declared, &Secret::from_text(password));
            let rules: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
            assert_eq!(rules, expected, "{password}");
        }
    }
}
