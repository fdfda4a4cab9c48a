//! Comparisons of secret bytes: by `verify` or `ct_eq`, in constant time, never by an operator.
//!
//! These are rules about text, not about types: what goes through a parameter or a field of another name
//! is not followed. They see what is written by habit.

use super::code::{each, find, is_program, is_word_part};
use super::{Finding, SourceFile};
use crate::rust_code::without_tests;

/// What stops at the first difference, as a method of one side.
const METHODS: &[&str] = &["eq", "ne", "cmp", "partial_cmp", "starts_with", "contains"];

/// The same, with both sides as arguments.
const MACROS: &[&str] = &[
    "assert_eq!",
    "assert_ne!",
    "debug_assert_eq!",
    "debug_assert_ne!",
];

/// What follows a value and leaves it what it is.
const PASSING: &[&str] = &[
    "as_bytes",
    "as_deref",
    "as_ref",
    "as_slice",
    "as_str",
    "clone",
    "expect",
    "into_bytes",
    "iter",
    "map_err",
    "ok",
    "to_owned",
    "to_string",
    "to_vec",
    "trim",
    "trim_end",
    "unwrap",
    "unwrap_or_default",
];

/// What stands around a value and leaves it what it is.
const WRAPPERS: &[&str] = &["from", "from_utf8", "new", "Ok", "Some"];

/// No exposed value is compared, neither where it is exposed nor by the name that it is bound to.
pub(super) fn of_exposed(files: &[SourceFile]) -> Vec<Finding> {
    let compares = |code: &str| {
        let code = without_tests(code);
        let exposures = find(code, "expose_").into_iter();
        exposures.flat_map(|at| compared_uses(code, at)).collect()
    };
    let message = "compares an exposed value; use `verify`";
    each(files, is_program, compares, message)
}

/// No authenticator is compared by an operator: who may try often would find it byte by byte.
pub(super) fn of_seals(files: &[SourceFile]) -> Vec<Finding> {
    let compared = |names: &'static [&str]| {
        move |code: &str| -> Vec<usize> {
            let code = without_tests(code);
            let uses = names.iter().flat_map(|name| uses(code, name, 0));
            uses.filter(|(at, end)| is_compared(code, *at, *end))
                .map(|(at, _)| at)
                .collect()
        }
    };
    let message = "compares an authenticator; use `ct_eq` or `verify_slice`";
    let names = compared(&["mac", "commitment", "seal", "fingerprint"]);
    let mut findings = each(files, is_program, names, message);
    // Elsewhere tags are those of certificates and documents.
    let rooms = ["sealed_file", "snapshot", "audit", "auth", "secret"];
    let holds_tags = |file: &SourceFile| {
        let inside = file
            .path
            .split(['/', '.'])
            .any(|part| rooms.contains(&part));
        inside && is_program(file)
    };
    findings.extend(each(files, holds_tags, compared(&["tag"]), message));
    findings
}

/// Returns where the value is compared that the call at `at` exposes.
fn compared_uses(code: &str, at: usize) -> Vec<usize> {
    let Some(open) = code
        .get(at..)
        .and_then(|rest| rest.find(|c| !is_word_part(c)))
    else {
        return Vec::new();
    };
    let end = at.saturating_add(open).saturating_add("()".len());
    if code.get(..end).is_none_or(|call| !call.ends_with("()")) {
        return Vec::new();
    }
    if is_compared(code, at, end) {
        return vec![at];
    }
    let Some(name) = bound_name(code, at, end) else {
        return Vec::new();
    };
    let block = end_of_block(code, end);
    let uses = uses(code.get(..block).unwrap_or(code), name, end);
    uses.filter(|(at, end)| is_compared(code, *at, *end))
        .map(|(at, _)| at)
        .collect()
}

/// Reports whether what stands from `at` to `end` is a side of a comparison.
fn is_compared(code: &str, at: usize, end: usize) -> bool {
    let (before, behind) = (
        code.get(..at).unwrap_or_default(),
        code.get(end..).unwrap_or_default(),
    );
    let behind = behind_the_value(behind);
    if let Some(rest) = behind.strip_prefix('.') {
        // What goes on otherwise, `.len()` for example, is no longer the value.
        return METHODS.iter().any(|name| is_call(rest, name));
    }
    if behind.starts_with("==") || behind.starts_with("!=") {
        return true;
    }
    let receiver = |c: char| is_word_part(c) || ".:&*()?[]".contains(c);
    let other = before.trim_end_matches(receiver).trim_end();
    other.ends_with("==") || other.ends_with("!=") || is_compared_argument(before)
}

/// Strips what leaves the value what it is.
fn behind_the_value(behind: &str) -> &str {
    let mut rest = behind.trim_start_matches(|c: char| c == '?' || c.is_whitespace());
    while let Some(call) = rest.strip_prefix('.') {
        let Some(name) = PASSING.iter().find(|name| is_call(call, name)) else {
            break;
        };
        let Some(arguments) = call.get(name.len()..) else {
            break;
        };
        let length = parenthesised(arguments);
        let next = arguments.get(length..).unwrap_or_default();
        rest = next.trim_start_matches(|c: char| c == '?' || c.is_whitespace());
    }
    rest
}

/// Reports whether the innermost call around the end of `before` compares its arguments.
fn is_compared_argument(before: &str) -> bool {
    let Some(called) = around(before) else {
        return false;
    };
    let is_method = |name: &&str| {
        let receiver = called.strip_suffix(*name);
        receiver.is_some_and(|receiver| receiver.ends_with(['.', ':']))
    };
    METHODS.iter().any(is_method) || MACROS.iter().any(|name| called.ends_with(name))
}

/// Returns the code before the parenthesis that is open at the end.
fn around(before: &str) -> Option<&str> {
    let mut closed = 0_usize;
    for (at, c) in before.char_indices().rev() {
        match c {
            ')' => closed = closed.saturating_add(1),
            '(' if closed == 0 => return before.get(..at),
            '(' => closed = closed.saturating_sub(1),
            ';' | '{' | '}' => return None,
            _ => {}
        }
    }
    None
}

/// Returns the name that a `let` binds the value to which the call from `at` to `end` exposes.
fn bound_name(code: &str, at: usize, end: usize) -> Option<&str> {
    let before = code.get(..at)?;
    let start = before
        .rfind([';', '{', '}'])
        .map_or(0, |at| at.saturating_add(1));
    let statement = before.get(start..)?.trim_start();
    let statement = statement.strip_prefix("if ").unwrap_or(statement);
    let (pattern, initializer) = statement.strip_prefix("let ")?.split_once('=')?;
    let is_value = match around(initializer) {
        None => true,
        Some(called) => WRAPPERS.iter().any(|wrapper| {
            let rest = called.strip_suffix(wrapper);
            rest.is_some_and(|rest| !rest.ends_with(is_word_part) && around(rest).is_none())
        }),
    };
    let goes_on = behind_the_value(code.get(end..)?);
    if !is_value || goes_on.starts_with('.') {
        return None;
    }
    let pattern = pattern.split(':').next()?;
    let mut names = pattern
        .split(|c| !is_word_part(c))
        .filter(|word| !["", "mut", "ref", "Ok", "Some"].contains(word));
    names.next()
}

/// Returns where each use of this name begins and ends, from `from` on. A call's arguments are part of it.
fn uses<'code>(
    code: &'code str,
    name: &str,
    from: usize,
) -> impl Iterator<Item = (usize, usize)> + use<'code> {
    let length = name.len();
    let is_use = move |at: &usize| {
        let before = code.get(..*at).unwrap_or_default();
        let behind = code.get(at.saturating_add(length)..).unwrap_or_default();
        *at >= from && !before.ends_with(is_word_part) && !behind.starts_with(is_word_part)
    };
    find(code, name).into_iter().filter(is_use).map(move |at| {
        let end = at.saturating_add(length);
        let arguments = parenthesised(code.get(end..).unwrap_or_default());
        (at, end.saturating_add(arguments))
    })
}

/// Returns where the block ends that is open at `from`.
fn end_of_block(code: &str, from: usize) -> usize {
    let mut open = 0_usize;
    for (at, c) in code.get(from..).unwrap_or_default().char_indices() {
        match c {
            '{' => open = open.saturating_add(1),
            '}' if open == 0 => return from.saturating_add(at),
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

/// Returns how long the parenthesis is that `code` begins with, if it does.
fn parenthesised(code: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' => open = open.saturating_add(1),
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            return if c == ')' { at.saturating_add(1) } else { 0 };
        }
    }
    0
}

fn is_call(code: &str, name: &str) -> bool {
    code.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with('('))
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const A: &str = "crates/strongroom/src/a.rs";

    #[track_caller]
    fn is_found(code: &str) {
        assert_eq!(found(of_exposed, &[(A, code)]).len(), 1, "{code}");
    }

    #[track_caller]
    fn is_left_alone(code: &str) {
        assert!(found(of_exposed, &[(A, code)]).is_empty(), "{code}");
    }

    #[test]
    fn comparisons_of_exposed_values_are_found() {
        for code in [
            "a.expose_bytes() == b",
            "a.expose_str()? != b",
            "b == a.expose_bytes()",
            "b.as_slice() == &*self.0.expose_secret()",
            "a.expose_bytes()\n    .eq(b)",
            "a\n    .expose_bytes()\n    == b",
            "a.expose_str()?.as_bytes() == b",
            "a.expose_bytes().cmp(b)",
            "a.expose_str()?.starts_with(b)",
            "a.expose_str()?.trim().contains(b)",
            "b.starts_with(a.expose_bytes())",
            "x(1).contains(&a.expose_str()?)",
            "assert_eq!(b, a.expose_bytes())",
            "assert_ne!(a.expose_bytes(), f(b))",
        ] {
            is_found(code);
        }
    }

    #[test]
    fn comparisons_of_what_an_exposed_value_is_bound_to_are_found() {
        for code in [
            "fn f() { let b = a.expose_bytes(); b == c }",
            "fn f() { let b = a.expose_str()?; if x { c != b } }",
            "fn f() { let mut b: &[u8] = a.expose_bytes(); g(); b.eq(c) }",
            "fn f() { let Ok(b) = a.expose_str() else { return }; b.starts_with(c) }",
            "fn f() { if let Some(b) = a.expose_str().ok() { b == c } }",
            "fn f() { let b = Zeroizing::new(a.expose_bytes().to_vec()); *b == c }",
            "fn f() { let Ok(b) = std::str::from_utf8(a.expose_bytes()) else { x }; b == c }",
            "fn f() { let b = |a: &Secret| a.expose_bytes(); b(x) == c }",
            "fn f() { let b = a.expose_bytes(); c.contains(&b) }",
            "fn f() { let b = a.expose_bytes(); assert_eq!(c, b) }",
        ] {
            is_found(code);
        }
    }

    #[test]
    fn what_is_no_comparison_of_a_value_is_left_alone() {
        for code in [
            "a.expose_bytes().len() == 3",
            "3 == a.expose_bytes().len()",
            "assert_eq!(a.expose_bytes().len(), 3)",
            "a.expose_bytes().ct_eq(b)",
            "write(a.expose_bytes())",
            "x == 1 && b.verify(a.expose_bytes())",
            "let b = a.expose_str()?; x == y",
            "let b = a.expose_bytes(); b.len() == 3",
            "let b = f(a.expose_bytes()); b == c",
            "let b = a.expose_bytes().len(); b == c",
            "fn f() { let b = a.expose_bytes(); } fn g() { b == c }",
            "let b = a.expose_bytes(); bb == c",
            "// a.expose_bytes() == b",
            "#[cfg(test)]\nmod tests {\n a.expose_bytes() == b }",
        ] {
            is_left_alone(code);
        }
        let test = "crates/strongroom/tests/it/main.rs";
        assert!(found(of_exposed, &[(test, "a.expose_bytes() == b")]).is_empty());
    }

    #[test]
    fn comparisons_of_authenticators_are_found() {
        for code in [
            "mac == found",
            "*seal != seen.seal",
            "x == self.commitment",
            "a.fingerprint() == b",
        ] {
            assert!(!found(of_seals, &[(A, code)]).is_empty(), "{code}");
        }
        let room = "crates/strongroom/src/backends/sealed_file/format.rs";
        assert_eq!(
            found(of_seals, &[(room, "\ntag == b")]),
            [format!("{room}:2")]
        );
    }

    #[test]
    fn what_is_no_comparison_of_an_authenticator_is_left_alone() {
        for code in [
            "mac.verify_slice(&self.seal)",
            "commitment.ct_eq(&self.commitment).to_bool()",
            "seal.len() == 32",
            "tag == SEQUENCE",
            "sealed == seals",
        ] {
            assert!(found(of_seals, &[(A, code)]).is_empty(), "{code}");
        }
    }
}
