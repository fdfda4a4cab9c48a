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

/// One room draws from the system's random source, which fails in the tests of what draws from it.
pub(super) fn random_in_one_room(files: &[SourceFile]) -> Vec<Finding> {
    let elsewhere =
        |file: &SourceFile| is_program(file) && file.path != "crates/strongroom/src/random.rs";
    let draws = |code: &str| {
        let code = without_tests(code);
        let sources = ["getrandom", "OsRng", "SysRng", "thread_rng", "SystemRandom"];
        sources
            .iter()
            .flat_map(|source| find(code, source))
            .collect()
    };
    each(
        files,
        elsewhere,
        draws,
        "names a source of randomness; draw from `crate::random`",
    )
}

/// The one crate of ours that runs while a user compiles.
const DERIVE: &str = "crates/strongroom-derive/";

/// No program of ours runs while a user compiles, but for the derive.
pub(super) fn no_build_scripts(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.starts_with("crates/")) {
        if file.path.ends_with("/build.rs") {
            findings.push(Finding::new(file, 0, "is a build script"));
        }
        if !file.path.ends_with("/Cargo.toml") {
            continue;
        }
        for (at, line) in (1..).zip(file.text.lines()) {
            let key = line.split('=').next().unwrap_or_default().trim();
            let section = line.trim();
            let is_macro =
                ["proc-macro", "proc_macro"].contains(&key) && !file.path.starts_with(DERIVE);
            let builds = is_macro
                || ["build", "links"].contains(&key)
                || section.ends_with("build-dependencies]");
            if builds {
                let message = "compiles a program of ours that runs while a user compiles";
                findings.push(Finding::new(file, at, message));
            }
        }
    }
    findings
}

/// The derive makes code of code: it looks at nothing else of the machine that compiles.
pub(super) fn derive_is_pure(files: &[SourceFile]) -> Vec<Finding> {
    let reaches = |code: &str| -> Vec<usize> {
        let outside = [
            "std::env",
            "std::fs",
            "std::io",
            "std::net",
            "std::path",
            "std::process",
            "env!",
            "include_str!",
            "include_bytes!",
            "include!",
            "tracked_path",
            "tracked_env",
        ];
        let found = outside.iter().flat_map(|word| find(code, word));
        found.collect()
    };
    let elsewhere =
        |file: &SourceFile| file.path.starts_with(DERIVE) && file.path.contains("/src/");
    each(
        files,
        elsewhere,
        reaches,
        "reaches beyond the code that it is given, while a user compiles",
    )
}

pub(super) fn is_program(file: &SourceFile) -> bool {
    let is_in = |dir: &&str| file.path.starts_with(*dir);
    ["crates/", "examples/"].iter().any(is_in)
        && !file.path.contains("/tests/")
        && !file.path.ends_with("/tests.rs")
        && !file.path.ends_with("/fuzzing.rs")
}

pub(super) fn each(
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

pub(super) fn find(code: &str, what: &str) -> Vec<usize> {
    code.match_indices(what).map(|(at, _)| at).collect()
}

pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word_part(c))
        .filter(|word| !word.is_empty())
}

pub(super) fn is_word_part(c: char) -> bool {
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
    fn one_room_draws_random_bytes() {
        let draw = "\ngetrandom::fill(&mut bytes)?;";
        assert_eq!(found(random_in_one_room, &[(A, draw)]), [format!("{A}:2")]);
        let room = "crates/strongroom/src/random.rs";
        assert!(found(random_in_one_room, &[(room, draw)]).is_empty());
        let test = "#[cfg(test)]\nmod tests {\n getrandom::u32() }";
        assert!(found(random_in_one_room, &[(A, test)]).is_empty());
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
    fn a_derive_that_reaches_out_is_found() {
        let check = |path: &str, text: &str| found(derive_is_pure, &[(path, text)]);
        for text in ["std::fs::read(x)", "use std::env;", "include_str!(a)"] {
            assert_eq!(
                check("crates/strongroom-derive/src/a.rs", text).len(),
                1,
                "{text}"
            );
            assert!(
                check("crates/strongroom/src/a.rs", text).is_empty(),
                "{text}"
            );
        }
        assert!(check("crates/strongroom-derive/src/a.rs", "std::time::Duration").is_empty());
    }

    #[test]
    fn build_scripts_are_found() {
        let manifest = "crates/a/Cargo.toml";
        for text in [
            "build = \"make.rs\"",
            "links = \"z\"",
            "[build-dependencies]",
            "[target.'cfg(unix)'.build-dependencies]",
            "proc-macro = true",
        ] {
            assert_eq!(
                found(no_build_scripts, &[(manifest, text)]).len(),
                1,
                "{text}"
            );
        }
        let derive = ("crates/strongroom-derive/Cargo.toml", "proc-macro = true");
        assert!(found(no_build_scripts, &[derive]).is_empty());
        let found_script = found(no_build_scripts, &[("crates/a/build.rs", "fn main() {}")]);
        assert_eq!(found_script, ["crates/a/build.rs:0"]);
        assert!(found(no_build_scripts, &[(manifest, "name = \"build\"")]).is_empty());
    }
}
