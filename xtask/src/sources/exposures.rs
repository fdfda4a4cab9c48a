//! Where bytes of a secret leave their wrapping, a guard rail can be switched off, or the compiler's
//! checks are: each place, with the reason that stands beside it.
//!
//! A reason is a comment that begins with the word of its kind, at the end of the line or above the
//! statement: `// EXPOSES: the backend's answer is written in its own form`.

use std::fmt;

use super::{Finding, SourceFile, line_of};
use crate::rust_code::without_tests;

/// What kind of place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unsafe,
    Danger,
    Exposure,
}

const KINDS: [Kind; 3] = [Kind::Unsafe, Kind::Danger, Kind::Exposure];

impl Kind {
    /// The word that its reason begins with.
    fn word(self) -> &'static str {
        match self {
            Self::Unsafe => "SAFETY:",
            Self::Danger => "DANGER:",
            Self::Exposure => "EXPOSES:",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Unsafe => "`unsafe`",
            Self::Danger => "switches that give up a protection",
            Self::Exposure => "exposures of secret bytes",
        }
    }

    /// Reports whether a line is such a place: by its code, where texts are blanks, and its text.
    fn is_at(self, code: &str, text: &str) -> bool {
        match self {
            Self::Unsafe => has_word(code, |word| word == "unsafe"),
            // A key of the manifest stands in a text.
            Self::Danger => {
                text.contains("\"danger_") || has_word(code, |word| word == "dangerous")
            }
            // Declaring such a method, or importing it, exposes nothing yet.
            Self::Exposure => {
                let declares = code.contains("fn ") || code.trim_start().starts_with("use ");
                !declares && has_word(code, exposes)
            }
        }
    }
}

fn exposes(word: &str) -> bool {
    word.starts_with("expose_") || word == "to_secret_string"
}

/// One place, and the reason beside it.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    file: &'a SourceFile,
    line: usize,
    kind: Kind,
    reason: Option<String>,
}

/// Every such place has a reason beside it.
pub(super) fn reasons(files: &[SourceFile]) -> Vec<Finding> {
    places(files)
        .filter(|place| place.reason.is_none())
        .map(|place| {
            let (what, word) = (place.kind.title(), place.kind.word());
            let message = format!("is one of the {what}, without a reason: `// {word} …`");
            Finding::new(place.file, place.line, message)
        })
        .collect()
}

/// All places in order of their kinds, as text for people.
pub(super) fn list(files: &[SourceFile]) -> String {
    let places: Vec<_> = places(files).collect();
    let mut shown = String::new();
    for kind in KINDS {
        let of_kind: Vec<_> = places.iter().filter(|place| place.kind == kind).collect();
        shown.push_str(&format!("{}: {}\n", kind.title(), of_kind.len()));
        for place in of_kind {
            shown.push_str(&format!("  {place}\n"));
        }
    }
    shown
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.as_deref().unwrap_or("NO REASON");
        write!(f, "{}:{}: {reason}", self.file.path, self.line)
    }
}

fn places(files: &[SourceFile]) -> impl Iterator<Item = Place<'_>> {
    files
        .iter()
        .filter(|file| is_shipped(file))
        .flat_map(|file| {
            let code: Vec<_> = without_tests(&file.code).lines().collect();
            let text: Vec<_> = file.text.lines().take(code.len()).collect();
            let lines = code.iter().zip(&text).enumerate();
            let found = lines.flat_map(|(at, (code, text))| {
                let here = KINDS.into_iter().filter(|kind| kind.is_at(code, text));
                here.map(move |kind| (at, kind)).collect::<Vec<_>>()
            });
            let place = |(at, kind): (usize, Kind)| Place {
                file,
                line: line_of(&file.text, offset(&file.text, at)),
                kind,
                reason: reason(&text, at, kind.word()),
            };
            found.map(place).collect::<Vec<_>>()
        })
}

fn offset(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line).map(str::len).sum()
}

/// Reports whether a file is in what users get. The conformance suite and the
/// fuzz targets expose values of their own only.
fn is_shipped(file: &SourceFile) -> bool {
    let is_source = file.path.starts_with("crates/") && file.path.contains("/src/");
    let is_test = [
        "/tests/",
        "/tests.rs",
        "/src/conformance",
        "/conformance_tests",
        "/fuzzing.rs",
    ];
    is_source && file.path.ends_with(".rs") && !is_test.iter().any(|part| file.path.contains(part))
}

/// Finds the reason of a line: in the line itself, else in the comment above its statement.
fn reason(lines: &[&str], at: usize, word: &str) -> Option<String> {
    let marker = format!("// {word}");
    let behind = |line: &str| {
        line.split_once(&marker)
            .map(|(_, reason)| reason.trim().to_owned())
    };
    if let Some(reason) = lines.get(at).and_then(|line| behind(line)) {
        return Some(reason).filter(|reason| !reason.is_empty());
    }
    let above = lines.get(..at)?;
    for (at, line) in above.iter().enumerate().rev() {
        let line = line.trim();
        if let Some(first) = behind(line) {
            // The comment may go on, down to the code.
            let rest = above.get(at.saturating_add(1)..).unwrap_or_default();
            let rest = rest.iter().map_while(|line| line.trim().strip_prefix("//"));
            let whole = rest.fold(first, |whole, more| format!("{whole} {}", more.trim()));
            return Some(whole).filter(|reason| !reason.is_empty());
        }
        let is_comment = line.starts_with("//");
        // Where the statement before ends, that of this line begins.
        if line.is_empty() || (!is_comment && line.ends_with([';', '}'])) {
            return None;
        }
    }
    None
}

fn has_word(code: &str, is_it: impl Fn(&str) -> bool) -> bool {
    let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.any(is_it)
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const A: &str = "crates/strongroom/src/a.rs";

    #[track_caller]
    fn lines(code: &str) -> Vec<String> {
        found(reasons, &[(A, code)])
    }

    #[test]
    fn a_place_without_a_reason_is_found() {
        for code in [
            "\nlet a = b.expose_bytes();",
            "\nlet a = b.map(Secret::expose_str);",
            "\nlet a = b\n    .to_secret_string();",
            "\nunsafe { a() }",
            "\nmatch a {\n    A => \"danger_allow_a\",\n}",
            "\nlet a = b.dangerous();",
            "// SAFETY: the reason of another kind\nlet a = b.expose_bytes();",
            "// EXPOSES:\nlet a = b.expose_bytes();",
            "// EXPOSES: the one before\nlet a = b;\nlet a = b.expose_bytes();",
            "// EXPOSES: far away\n\nlet a = b.expose_bytes();",
            "a.expose_bytes() /* EXPOSES: another form */",
        ] {
            assert_eq!(lines(code).len(), 1, "{code}");
        }
        assert_eq!(lines("\n\nlet a = b.expose_bytes();"), [format!("{A}:3")]);
    }

    #[test]
    fn a_reason_stands_in_the_line_or_above_the_statement() {
        for code in [
            "let a = b.expose_bytes(); // EXPOSES: here",
            "// EXPOSES: above\nlet a = b.expose_bytes();",
            "// EXPOSES: above,\n// in two lines\nlet a = b\n    .c()\n    .expose_str();",
            "// SAFETY: it is fine\nunsafe { a() }",
            "match a {\n    // DANGER: of use in a laboratory\n    A => \"danger_allow_a\",\n}",
        ] {
            assert_eq!(lines(code), [""; 0], "{code}");
        }
    }

    #[test]
    fn declarations_tests_and_comments_are_no_places() {
        for code in [
            "pub fn expose_bytes(&self) -> &[u8] {",
            "use secrecy::{ExposeSecret};",
            "// b.expose_bytes()",
            "#![forbid(unsafe_code)]",
            "#[cfg(test)]\nmod tests {\n a.expose_bytes(); }",
        ] {
            assert_eq!(lines(code), [""; 0], "{code}");
        }
        for path in [
            "crates/a/tests/it.rs",
            "crates/a/src/tests.rs",
            "xtask/src/a.rs",
        ] {
            assert!(found(reasons, &[(path, "a.expose_bytes()")]).is_empty());
        }
    }

    #[test]
    fn the_list_has_each_place_with_its_reason() {
        let code = "// EXPOSES: to the hook,\n// which asked for it\nfeed(a.expose_bytes());\n";
        let files = [SourceFile::new(A, code)];
        let shown = list(&files);
        let place = format!("  {A}:3: to the hook, which asked for it\n");
        assert!(shown.contains(&place), "{shown}");
        assert!(shown.starts_with("`unsafe`: 0\n"), "{shown}");
    }
}
