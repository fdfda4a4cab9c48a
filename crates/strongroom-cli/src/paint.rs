//! Text with a style: what is shown on a terminal, of which nothing that it says steers the terminal.

use std::fmt;

use clap::builder::styling::{AnsiColor, Effects, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::report::{Screen, printable};

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const STRONG: Style = Style::new().effects(Effects::BOLD);
pub(crate) const FAINT: Style = Style::new().effects(Effects::DIMMED);

/// A piece of one line, in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    text: String,
    style: Style,
}

impl Span {
    pub(crate) fn new(style: Style, text: &str) -> Self {
        let text = printable(text).replace('\n', "\u{fffd}");
        Self { text, style }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns how many columns of a terminal it takes.
    pub(crate) fn width(&self) -> usize {
        self.text.width()
    }

    /// Returns it with blanks up to this width.
    pub(crate) fn padded(&self, width: usize) -> String {
        let blanks = width.saturating_sub(self.width());
        format!("{self}{}", " ".repeat(blanks))
    }

    /// Cuts it to this width, with `…` in the place of what is left out.
    pub(crate) fn cut(&self, width: usize, ellipsis: &str) -> Self {
        if self.width() <= width {
            return self.clone();
        }
        let (begin, _) = split(&self.text, width.saturating_sub(ellipsis.width()));
        self.with(format!("{begin}{ellipsis}"))
    }

    /// Breaks it into lines of this width, where there is a blank or another mark to break at.
    pub(crate) fn wrapped(&self, width: usize) -> Vec<Self> {
        let mut lines = Vec::new();
        let mut rest = self.text.as_str();
        while rest.width() > width {
            let (line, more) = broken(rest, width);
            lines.push(self.with(line.to_owned()));
            rest = more;
        }
        if !rest.is_empty() || lines.is_empty() {
            lines.push(self.with(rest.to_owned()));
        }
        lines
    }

    fn with(&self, text: String) -> Self {
        Self {
            text,
            style: self.style,
        }
    }
}

impl From<&str> for Span {
    fn from(text: &str) -> Self {
        Self::new(PLAIN, text)
    }
}

impl From<String> for Span {
    fn from(text: String) -> Self {
        Self::new(PLAIN, &text)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, style } = self;
        write!(f, "{style}{text}{style:#}")
    }
}

/// Splits a text that is wider than so many columns where it reads best.
fn broken(text: &str, width: usize) -> (&str, &str) {
    let (fits, _) = split(text, width);
    // A blank right behind what fits is none that has to be on the line.
    let blank = text.get(..fits.len().saturating_add(1)).unwrap_or(fits);
    if let Some(at) = blank.rfind(' ').filter(|at| *at > 0) {
        let (line, rest) = text.split_at(at);
        return (line.trim_end(), rest.trim_start());
    }
    let marks = |c: char| matches!(c, '/' | '.' | ',' | '-' | '_' | ':' | '&' | '?');
    let at = fits.rfind(marks).map(|at| at.saturating_add(1));
    // A break near the beginning leaves a ragged cell for nothing.
    let at = at.filter(|at| at.saturating_mul(2) > fits.len());
    text.split_at(at.unwrap_or(fits.len()))
}

/// Splits a text behind what fits into so many columns; at least one character, with what combines with it.
fn split(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0_usize;
    let end = text.char_indices().find_map(|(at, c)| {
        used = used.saturating_add(c.width().unwrap_or(0));
        (used > width && at > 0).then_some(at)
    });
    let end = end.unwrap_or(text.len());
    text.split_at(end)
}

/// The marks of a terminal, which are ASCII where its locale has nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) ok: &'static str,
    pub(crate) bad: &'static str,
    pub(crate) warning: &'static str,
    pub(crate) none: &'static str,
    pub(crate) to: &'static str,
    pub(crate) ellipsis: &'static str,
    pub(crate) branch: &'static str,
    pub(crate) last_branch: &'static str,
    pub(crate) stem: &'static str,
}

impl Marks {
    pub(crate) fn of(screen: &Screen) -> Self {
        match screen.is_unicode() {
            true => Self {
                ok: "✓",
                bad: "✗",
                warning: "!",
                none: "·",
                to: "→",
                ellipsis: "…",
                branch: "├─ ",
                last_branch: "└─ ",
                stem: "│  ",
            },
            false => Self {
                ok: "+",
                bad: "x",
                warning: "!",
                none: "-",
                to: "->",
                ellipsis: "...",
                branch: "|- ",
                last_branch: "`- ",
                stem: "|  ",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, width: usize) -> Vec<String> {
        let lines = Span::from(text).wrapped(width);
        lines.iter().map(|line| line.text().to_owned()).collect()
    }

    #[test]
    fn a_width_is_that_of_a_terminal() {
        for (text, width) in [
            ("abc", 3),
            ("日本", 4),
            ("e\u{301}", 1),
            ("a\u{1b}b", 3),
            ("", 0),
        ] {
            assert_eq!(Span::from(text).width(), width, "{text:?}");
        }
        assert_eq!(Span::from("日本").padded(6), "日本  ");
    }

    #[test]
    fn lines_break_at_blanks_then_at_marks_then_anywhere() {
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("one two three", 8), ["one two", "three"]);
        assert_eq!(
            lines("a/long/path/name", 8),
            ["a/long/", "path/", "name"].map(str::to_owned)
        );
        assert_eq!(lines("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(lines("日本語", 3), ["日", "本", "語"]);
        assert_eq!(
            lines("e\u{301}e\u{301}e\u{301}", 2),
            ["e\u{301}e\u{301}", "e\u{301}"]
        );
        assert_eq!(lines("日", 1), ["日"]);
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(Span::from("abcdef").cut(4, "…").text(), "abc…");
        assert_eq!(Span::from("abcd").cut(4, "…").text(), "abcd");
        assert_eq!(Span::from("日本語").cut(4, "…").text(), "日…");
    }

    #[test]
    fn nothing_that_it_says_steers_the_terminal() {
        let span = Span::new(BAD, "a\u{1b}[2J\u{202e}\nb");
        assert_eq!(span.text(), "a\u{fffd}[2J\u{fffd}\u{fffd}b");
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_every_line_fits(text in "[a-z /日\u{301}]{0,60}", width in 2_usize..20) {
            let wrapped = Span::from(text.as_str()).wrapped(width);
            for line in &wrapped {
                proptest::prop_assert!(line.width() <= width);
            }
            let without = |text: &str| text.replace(' ', "");
            let whole: String = wrapped.iter().map(Span::text).collect();
            proptest::prop_assert_eq!(without(&whole), without(&text));
        }
    }
}
