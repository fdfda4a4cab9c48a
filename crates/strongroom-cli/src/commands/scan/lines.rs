//! Lines of a text, and the allowances that stand on them.

/// What allows a finding on its own line: `strongroom:allow(RULE) REASON`.
const ALLOWANCE: &str = "strongroom:allow(";

/// The lines of a text. Each is looked at once, however much is found on it.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    /// Where they begin.
    starts: Vec<usize>,
    /// The offset that was asked for last, and its column.
    last: (usize, usize),
    /// Where the line begins whose allowances were read last, and the rules that they name.
    allowed: Option<(usize, Vec<String>)>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        let breaks = text.iter().zip(1_usize..);
        let breaks = breaks.filter(|(byte, _)| **byte == b'\n');
        Self {
            text,
            starts: std::iter::once(0).chain(breaks.map(|(_, at)| at)).collect(),
            last: (0, 1),
            allowed: None,
        }
    }

    /// Finds the line and the column of an offset, both from 1. A column counts characters.
    pub(super) fn position(&mut self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let (line, start) = self.line_of(offset);
        // It goes on from what was asked last: a long line is counted once.
        let (from, column) = match self.last {
            (at, column) if (start..=offset).contains(&at) => (at, column),
            _ => (start, 1),
        };
        let passed = self.text.get(from..offset).unwrap_or_default();
        // All but the bytes that continue a character.
        let characters = passed.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        self.last = (offset, column.saturating_add(characters));
        (line, self.last.1)
    }

    /// Returns where the line begins that an offset is in.
    pub(super) fn start_of(&self, offset: usize) -> usize {
        self.line_of(offset).1
    }

    /// Returns the line that an offset is in.
    pub(super) fn line_at(&self, offset: usize) -> &'a [u8] {
        let (line, start) = self.line_of(offset);
        let next = self.starts.get(line).map(|next| next.saturating_sub(1));
        let end = next.unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default()
    }

    /// Reports whether the line of an offset allows what this rule finds on it.
    pub(super) fn allows(&mut self, offset: usize, rule: &str) -> bool {
        let start = self.start_of(offset);
        let line = self.line_at(offset);
        let allowed = match self.allowed.take() {
            Some((at, rules)) if at == start => rules,
            _ => allowances(line),
        };
        let is_allowed = allowed.iter().any(|allowed| allowed == rule);
        self.allowed = Some((start, allowed));
        is_allowed
    }

    /// The number of the line that an offset is in, from 1, and where it begins.
    fn line_of(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1));
        (line, start.copied().unwrap_or_default())
    }
}

/// Returns the rules that a line allows. An allowance without a reason is none.
fn allowances(line: &[u8]) -> Vec<String> {
    let line = String::from_utf8_lossy(line);
    let each = line.split(ALLOWANCE).skip(1);
    let each = each.filter_map(|rest| rest.split_once(')'));
    // The end of the comment is no reason.
    let is_reason = |reason: &str| reason.chars().filter(|c| c.is_alphabetic()).count() >= 3;
    each.filter(|(_, reason)| is_reason(reason))
        .map(|(rule, _)| rule.to_owned())
        .collect()
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
            let mut lines = Lines::of(line.as_bytes());
            assert_eq!(lines.allows(0, "jwt"), expected, "{line}");
            assert_eq!(lines.allows(1, "jwt"), expected, "{line}");
        }
    }

    #[test]
    fn finds_the_line_of_an_offset() {
        let text = b"one\ntwo\nthree";
        let lines = Lines::of(text);
        for (offset, line) in [
            (0, "one"),
            (3, "one"),
            (4, "two"),
            (12, "three"),
            (99, "three"),
        ] {
            assert_eq!(lines.line_at(offset), line.as_bytes(), "{offset}");
        }
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let text = "ab\ncäd\n".as_bytes();
        let mut lines = Lines::of(text);
        // In order, and back.
        for _ in 0..2 {
            assert_eq!(lines.position(0), (1, 1));
            assert_eq!(lines.position(3), (2, 1));
            assert_eq!(lines.position(6), (2, 3));
            assert_eq!(lines.position(7), (2, 4));
            assert_eq!(lines.position(99), (3, 1));
        }
    }
}
