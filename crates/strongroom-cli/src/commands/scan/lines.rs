//! Lines of a text, and the allowances that stand on them.

/// What allows a finding on its own line: `strongroom:allow(RULE) REASON`.
const ALLOWANCE: &str = "strongroom:allow(";

/// Returns the line that an offset is in.
pub(super) fn line_at(text: &[u8], offset: usize) -> &[u8] {
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, b""));
    let start = before.iter().rposition(|byte| *byte == b'\n');
    let start = start.map_or(0, |at| at.saturating_add(1));
    let rest = after.iter().position(|byte| *byte == b'\n');
    let end = offset.saturating_add(rest.unwrap_or(after.len()));
    text.get(start..end).unwrap_or_default()
}

/// Reports whether a line allows what this rule finds on it. An allowance without a reason is none.
pub(super) fn allows(line: &[u8], rule: &str) -> bool {
    let line = String::from_utf8_lossy(line);
    line.split(ALLOWANCE).skip(1).any(|rest| {
        let reason = rest
            .strip_prefix(rule)
            .and_then(|rest| rest.strip_prefix(')'));
        // The end of the comment is no reason.
        reason.is_some_and(|reason| reason.chars().filter(|c| c.is_alphabetic()).count() >= 3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_names_the_rule_and_a_reason() {
        for (line, expected) in [
            (
                "x // strongroom:allow(jwt) signed by the key of a test",
                true,
            ),
            ("/* strongroom:allow(jwt) of a test */ x", true),
            ("x // strongroom:allow(jwt)", false),
            ("x /* strongroom:allow(jwt) */", false),
            ("x // strongroom:allow(jw) of a test", false),
            (
                "x // strongroom:allow(npm-token) no strongroom:allow(jwt) of a test",
                true,
            ),
            ("x // allow(jwt) of a test", false),
        ] {
            assert_eq!(allows(line.as_bytes(), "jwt"), expected, "{line}");
        }
    }

    #[test]
    fn finds_the_line_of_an_offset() {
        let text = b"one\ntwo\nthree";
        for (offset, line) in [
            (0, "one"),
            (3, "one"),
            (4, "two"),
            (12, "three"),
            (13, "three"),
            (99, ""),
        ] {
            assert_eq!(line_at(text, offset), line.as_bytes(), "{offset}");
        }
    }
}
