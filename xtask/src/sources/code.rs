//! Rules for Rust code: the invariants of ARCHITECTURE.md that can be read off it.

use super::{Finding, SourceFile, line_of};
use crate::rust_code::without_tests;

const BACKENDS: &str = "crates/strongroom/src/backends";
const LIBRARY_ROOT: &str = "crates/strongroom/src/lib.rs";

/// Nothing outside the room of the backends names one of them.
pub(super) fn backends_unnamed(files: &[SourceFile]) -> Vec<Finding> {
    let room = format!("{BACKENDS}.rs");
    let modules: Vec<&str> = files
        .iter()
        .filter(|file| file.path == room)
        .flat_map(|file| file.code.lines())
        .filter_map(|line| line.trim().strip_suffix(';')?.split_once("mod "))
        .map(|(_, module)| module)
        .collect();
    let outside = |file: &&SourceFile| !file.path.starts_with(BACKENDS);
    let mut findings = Vec::new();
    for file in files.iter().filter(outside) {
        // The root of the library hands out what is public, and uses none of it.
        if file.path == LIBRARY_ROOT {
            continue;
        }
        for (at, path) in file.code.match_indices("backends::") {
            // As far as the path or the list of a `use` goes.
            let behind = file
                .code
                .get(at.saturating_add(path.len())..)
                .unwrap_or_default();
            let names = behind
                .split([';', '(', ')', '='])
                .next()
                .unwrap_or_default();
            for module in words(names).filter(|word| modules.contains(word)) {
                let message = format!("names the backend `{module}` outside {BACKENDS}");
                findings.push(Finding::new(file, line_of(&file.code, at), message));
            }
        }
    }
    findings
}

/// No backend knows a layer.
pub(super) fn layers_unnamed(files: &[SourceFile]) -> Vec<Finding> {
    each(
        files,
        |file| file.path.starts_with(BACKENDS),
        |code| find(code, "layers"),
        "names a layer in the room of the backends",
    )
}

/// Only `Env::process` reads the environment.
pub(super) fn environment_read_once(files: &[SourceFile]) -> Vec<Finding> {
    let elsewhere = |file: &SourceFile| {
        file.path.starts_with("crates/") && file.path != "crates/strongroom/src/env.rs"
    };
    let reads = |code: &str| find(code, "env::var");
    each(
        files,
        elsewhere,
        reads,
        "reads the environment; ask an `Env` instead",
    )
}

/// Nothing changes the environment, tests included: it belongs to every thread.
pub(super) fn environment_unchanged(files: &[SourceFile]) -> Vec<Finding> {
    let changes = |code: &str| {
        let all = ["set_var", "remove_var"].map(|word| find(code, word));
        all.into_iter().flatten().collect()
    };
    each(
        files,
        |_| true,
        changes,
        "changes the environment; build an `Env` instead",
    )
}

/// The one module that may hold `unsafe`, with the files of its folder.
const UNSAFE_ROOM: &str = "crates/strongroom/src/locked";

/// There is no `unsafe` outside the module for locked memory, not even where the lint is not inherited.
pub(super) fn no_unsafe(files: &[SourceFile]) -> Vec<Finding> {
    let uses = |code: &str| {
        let is_word = |at: &usize| {
            words(code.get(*at..).unwrap_or_default()).next() == Some("unsafe")
                && !code
                    .get(..*at)
                    .is_some_and(|before| before.ends_with(is_word_part))
        };
        find(code, "unsafe").into_iter().filter(is_word).collect()
    };
    let outside = |file: &SourceFile| {
        let inside = file.path.strip_prefix(UNSAFE_ROOM);
        !inside.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    each(files, outside, uses, "uses `unsafe`")
}

/// Values are compared by `verify`, in constant time, never by an operator.
pub(super) fn no_comparison_of_exposed(files: &[SourceFile]) -> Vec<Finding> {
    let program = |file: &SourceFile| {
        ["crates/", "examples/"]
            .iter()
            .any(|dir| file.path.starts_with(dir))
            && !file.path.contains("/tests/")
            && !file.path.ends_with("/tests.rs")
    };
    let compares = |code: &str| {
        let code = without_tests(code);
        find(code, "expose_")
            .into_iter()
            .filter(|at| is_compared(code, *at))
            .collect()
    };
    each(
        files,
        program,
        compares,
        "compares an exposed value; use `verify`",
    )
}

/// Reports whether the call of an exposing method that begins at `at` stands beside a comparison.
fn is_compared(code: &str, at: usize) -> bool {
    let (before, behind) = (
        code.get(..at).unwrap_or_default(),
        code.get(at..).unwrap_or_default(),
    );
    let Some((_, behind)) = behind.split_once("()") else {
        return false;
    };
    let behind = behind.trim_start_matches(['?', ' ', '\n']);
    if ["==", "!=", ".eq(", ".ne(", ".cmp("]
        .iter()
        .any(|operator| behind.starts_with(operator))
    {
        return true;
    }
    // What goes on, `.len()` for example, is no longer the value.
    let receiver = |c: char| is_word_part(c) || ".:&*()?[]".contains(c);
    let compared = before.trim_end_matches(receiver).trim_end();
    !behind.starts_with('.') && (compared.ends_with("==") || compared.ends_with("!="))
}

fn each(
    files: &[SourceFile],
    applies: impl Fn(&SourceFile) -> bool,
    find: impl Fn(&str) -> Vec<usize>,
    message: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| applies(file)) {
        for at in find(&file.code) {
            findings.push(Finding::new(file, line_of(&file.code, at), message));
        }
    }
    findings
}

fn find(code: &str, what: &str) -> Vec<usize> {
    code.match_indices(what).map(|(at, _)| at).collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word_part(c))
        .filter(|word| !word.is_empty())
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const A: &str = "crates/strongroom/src/a.rs";

    #[test]
    fn backends_are_named_in_their_room_only() {
        let room = (
            "crates/strongroom/src/backends.rs",
            "mod aws;\npub(crate) mod memory;\n",
        );
        let inside = (
            "crates/strongroom/src/backends/aws.rs",
            "use crate::backends::memory;",
        );
        let check = |code| found(backends_unnamed, &[room, inside, (A, code)]);
        let place = [format!("{A}:2")];
        assert_eq!(check("\nuse crate::backends::aws::Aws;"), place);
        assert_eq!(check("\nuse crate::backends::{Backend, memory};"), place);
        assert!(check("use crate::backends::{ALL, Backend}; fn aws() {}").is_empty());
        assert!(check("// crate::backends::aws").is_empty());
    }

    #[test]
    fn layers_are_not_named_among_the_backends() {
        let backend = "crates/strongroom/src/backends/aws.rs";
        let code = "\nuse crate::{error, layers};";
        assert_eq!(
            found(layers_unnamed, &[(backend, code)]),
            [format!("{backend}:2")]
        );
        assert!(found(layers_unnamed, &[(A, code)]).is_empty());
        assert!(found(layers_unnamed, &[(backend, "// layers")]).is_empty());
    }

    #[test]
    fn only_env_reads_the_environment() {
        let read = "\nlet x = std::env::var_os(\"X\");";
        assert_eq!(
            found(environment_read_once, &[(A, read)]),
            [format!("{A}:2")]
        );
        assert!(
            found(
                environment_read_once,
                &[("crates/strongroom/src/env.rs", read)]
            )
            .is_empty()
        );
        assert!(found(environment_read_once, &[(A, "// std::env::var")]).is_empty());
        assert!(found(environment_read_once, &[(A, "self.env.var(name)")]).is_empty());
    }

    #[test]
    fn nothing_changes_the_environment() {
        for code in ["std::env::set_var(a, b)", "env::remove_var(a)"] {
            assert_eq!(
                found(environment_unchanged, &[("a/tests/b.rs", code)]).len(),
                1,
                "{code}"
            );
        }
        assert!(found(environment_unchanged, &[(A, "// never set_var")]).is_empty());
    }

    #[test]
    fn unsafe_is_found_as_a_word() {
        assert_eq!(
            found(no_unsafe, &[(A, "\n\nunsafe { x() }")]),
            [format!("{A}:3")]
        );
        assert!(found(no_unsafe, &[(A, "forbid(unsafe_code); not_unsafe();")]).is_empty());
        assert!(found(no_unsafe, &[("a.md", "unsafe")]).is_empty());
    }

    #[test]
    fn unsafe_has_one_room() {
        let check = |file: &str| {
            let path = format!("crates/strongroom/src/{file}");
            found(no_unsafe, &[(&path, "unsafe { x() }")])
        };
        for inside in ["locked.rs", "locked/map.rs"] {
            assert!(check(inside).is_empty());
        }
        for outside in ["locked_too.rs", "secret/locked.rs", "lockeds/a.rs"] {
            assert_eq!(check(outside).len(), 1);
        }
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
        ] {
            assert_eq!(
                found(no_comparison_of_exposed, &[(A, code)]).len(),
                1,
                "{code}"
            );
        }
    }

    #[test]
    fn what_is_no_comparison_of_a_value_is_left_alone() {
        for code in [
            "a.expose_bytes().len() == 3",
            "3 == a.expose_bytes().len()",
            "a.expose_bytes().ct_eq(b)",
            "write(a.expose_bytes())",
            "let b = a.expose_str()?; x == y",
            "// a.expose_bytes() == b",
            "#[cfg(test)]\nmod tests {\n a.expose_bytes() == b }",
        ] {
            assert!(
                found(no_comparison_of_exposed, &[(A, code)]).is_empty(),
                "{code}"
            );
        }
        let test = "crates/strongroom/tests/it/main.rs";
        assert!(found(no_comparison_of_exposed, &[(test, "a.expose_bytes() == b")]).is_empty());
    }
}
