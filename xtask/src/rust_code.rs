//! Rust source reduced to its code, so that a check finds no word of a comment or of a text.

/// Returns the code with blanks for every comment and for what is inside quotes.
///
/// Lines stay where they are.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let (length, is_code) = match blanked(rest, after_word) {
            Some(length) => (length, false),
            None => (first.len_utf8(), true),
        };
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        if is_code {
            code.push_str(piece);
        } else {
            code.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        after_word = is_code && (first.is_alphanumeric() || first == '_');
        rest = behind;
    }
    code
}

/// Returns the code before the tests that a file ends with.
pub(crate) fn without_tests(code: &str) -> &str {
    let is_tests = |at: &usize| {
        let behind = code.get(*at..).unwrap_or_default();
        let item = behind.trim_start_matches(TESTS).trim_start();
        let header = item.lines().next().unwrap_or_default();
        header.starts_with("mod ") && header.contains('{')
    };
    let start = code.match_indices(TESTS).map(|(at, _)| at).find(is_tests);
    start.and_then(|at| code.get(..at)).unwrap_or(code)
}

const TESTS: &str = "#[cfg(test)]";

/// Returns how long the comment or quoted text is that `rest` begins with, if it does.
fn blanked(rest: &str, after_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if !after_word {
        // `r"…"`, `r#"…"#` and their byte and C kin; `r#type` is a name and stays.
        let prefix = ["br", "cr", "r"]
            .iter()
            .find(|prefix| rest.starts_with(**prefix));
        if let Some(behind) = prefix.and_then(|prefix| rest.strip_prefix(prefix)) {
            let text = behind.trim_start_matches('#');
            if text.starts_with('"') {
                let hashes = behind.len().saturating_sub(text.len());
                let end = format!("\"{}", "#".repeat(hashes));
                let opening = rest.len().saturating_sub(text.len()).saturating_add(1);
                return Some(until(rest, opening, &end));
            }
        }
    }
    if rest.starts_with('"') {
        return Some(quoted(rest, '"'));
    }
    // A quote and one character and a quote; anything else behind a quote is a lifetime.
    let mut behind = rest.strip_prefix('\'')?.chars();
    match (behind.next()?, behind.next()?) {
        ('\\', _) => Some(quoted(rest, '\'')),
        (c, '\'') => Some(c.len_utf8().saturating_add(2)),
        _ => None,
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at.saturating_add(1),
            _ => {}
        }
    }
    rest.len()
}

fn until(rest: &str, from: usize, end: &str) -> usize {
    let behind = rest.get(from..).unwrap_or_default();
    behind.find(end).map_or(rest.len(), |at| {
        from.saturating_add(at).saturating_add(end.len())
    })
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(here) = rest.get(at..) {
        let Some(next) = here.find(['/', '*']) else {
            break;
        };
        at = at.saturating_add(next);
        let here = rest.get(at..).unwrap_or_default();
        let step = if here.starts_with("/*") {
            depth = depth.saturating_add(1);
            2
        } else if here.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            1
        };
        at = at.saturating_add(step);
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, code: &str) {
        let found = code_only(source);
        assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), code);
        assert_eq!(found.lines().count(), source.lines().count());
    }

    #[test]
    fn comments_are_not_code() {
        check("a // unsafe\nb", "a b");
        check("/// unsafe\n//! unsafe\nc", "c");
        check("a /* x /* unsafe */ y\n*/ b", "a b");
        check("a / b * c", "a / b * c");
    }

    #[test]
    fn texts_are_not_code() {
        check(r#"f("unsafe \" unsafe", b"unsafe") + 1"#, "f( , b ) + 1");
        check(r##"f(r#"un"safe"#, r"\", br"x") + 1"##, "f( , , ) + 1");
        check(r"f('a', '\'', '\u{41}', '\\') + 1", "f( , , , ) + 1");
        check("a // \"\nunsafe", "a unsafe");
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        check(
            "fn f<'a>(x: &'a str, r#type: u8)",
            "fn f<'a>(x: &'a str, r#type: u8)",
        );
        check("var\"text\"", "var");
    }

    #[test]
    fn unfinished_texts_end_with_the_file() {
        check("a \"b", "a");
        check("a r#\"b", "a");
        check("a /* b", "a");
        check("a '", "a '");
    }

    #[test]
    fn the_tests_of_a_file_can_be_cut_off() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\nb\n}"), "a\n");
        let inside = "a\n#[cfg(test)]\nuse b;\nc";
        assert_eq!(without_tests(inside), inside);
        let elsewhere = "a\n#[cfg(test)]\nmod tests;\nc";
        assert_eq!(without_tests(elsewhere), elsewhere);
    }
}
