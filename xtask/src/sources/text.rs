//! Rules for every text file.

use super::{Finding, SourceFile};

const LONGEST_FILE: usize = 450;
/// The one registry, as lock files name it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The lock files are committed: without them CI would test other crates than we did.
pub(super) fn lock_files(files: &[SourceFile]) -> Vec<Finding> {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    files
        .iter()
        // A manifest with a workspace of its own has a lock file of its own.
        .filter(|file| file.path.ends_with("Cargo.toml"))
        .filter(|file| file.text.lines().any(|line| line.trim() == "[workspace]"))
        .filter(|file| !has(&file.path.replace("Cargo.toml", "Cargo.lock")))
        .map(|file| Finding::new(file, 0, "its Cargo.lock is not committed"))
        .collect()
}

/// No file points cargo to a registry other than crates.io.
pub(super) fn registries(files: &[SourceFile]) -> Vec<Finding> {
    let foreign = |line: &str| match line.trim().strip_prefix("source = \"") {
        Some(source) => source.strip_suffix('"') != Some(CRATES_IO),
        None => ["[source.", "[registries", "replace-with", "sparse+"]
            .iter()
            .any(|setting| line.trim().starts_with(setting)),
    };
    let cargos_own = |file: &SourceFile| {
        ["Cargo.lock", "Cargo.toml", ".cargo/config.toml"]
            .iter()
            .any(|name| file.path.ends_with(name))
    };
    lines(
        files,
        cargos_own,
        foreign,
        "names a registry other than crates.io",
    )
}

/// No path of somebody's machine.
pub(super) fn machine_paths(files: &[SourceFile]) -> Vec<Finding> {
    const PATHS: [&str; 4] = ["/root/", "/work/", "/Users/", "/home/"];
    // A path begins where no other path goes on: `crates/work/` is none of a machine's.
    let begins = |line: &str, at: usize| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~/}".contains(c))
    };
    let machine = |line: &str| {
        PATHS
            .iter()
            .any(|path| line.match_indices(path).any(|(at, _)| begins(line, at)))
    };
    let all_but_this = |file: &SourceFile| file.path != "xtask/src/sources/text.rs";
    lines(
        files,
        all_but_this,
        machine,
        "names a directory of somebody's machine",
    )
}

/// Long files have more than one subject. Only a warning, since a table may be long.
pub(super) fn long_files(files: &[SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(file, lines)| {
            Finding::warning(
                file,
                format!("{lines} lines; split it at its second subject"),
            )
        })
        .collect()
}

/// Links between the documents lead somewhere.
pub(super) fn links(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            let targets = line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next());
            for target in targets.filter(|target| !leads_somewhere(files, &file.path, target)) {
                let message = format!("the link to {target} leads nowhere");
                findings.push(Finding::new(file, number, message));
            }
        }
    }
    findings
}

fn leads_somewhere(files: &[SourceFile], from: &str, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains("://") {
        return true;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let (path, below) = (parts.join("/"), format!("{}/", parts.join("/")));
    files
        .iter()
        .any(|file| file.path == path || file.path.starts_with(&below))
}

fn lines(
    files: &[SourceFile],
    applies: impl Fn(&SourceFile) -> bool,
    is_wrong: impl Fn(&str) -> bool,
    message: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| applies(file)) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if is_wrong(line) {
                findings.push(Finding::new(file, number, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn each_workspace_has_its_lock_file() {
        let manifest = ("benches/Cargo.toml", "[workspace]\n");
        let member = ("crates/a/Cargo.toml", "[package]\n");
        assert_eq!(
            found(lock_files, &[manifest, member]),
            ["benches/Cargo.toml:0"]
        );
        assert!(found(lock_files, &[manifest, member, ("benches/Cargo.lock", "")]).is_empty());
    }

    #[test]
    fn crates_come_from_crates_io() {
        let ours = format!("[[package]]\nsource = \"{CRATES_IO}\"\n");
        assert!(found(registries, &[("Cargo.lock", &ours)]).is_empty());
        let theirs = "[[package]]\nsource = \"git+https://git.example/x\"\n";
        assert_eq!(
            found(registries, &[("Cargo.lock", theirs)]),
            ["Cargo.lock:2"]
        );
        let config = "[source.crates-io]\nreplace-with = \"m\"\n";
        let places = [".cargo/config.toml:1", ".cargo/config.toml:2"];
        assert_eq!(found(registries, &[(".cargo/config.toml", config)]), places);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for line in [
            "see /home/ada/x",
            "\"/root/.cargo\"",
            "(/Users/ada/x)",
            "/work/x",
        ] {
            assert_eq!(
                found(machine_paths, &[("a.md", line)]),
                ["a.md:1"],
                "{line}"
            );
        }
        for line in ["crates/work/x", "~/root/x", "/run/secrets", "$HOME/home/x/"] {
            assert!(found(machine_paths, &[("a.md", line)]).is_empty(), "{line}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let check = |text| found(links, &[("docs/a.md", text), ("src/b.rs", "")]);
        for text in [
            "[b](../src/b.rs)",
            "[s](../src/)",
            "[a](a.md#top)",
            "[h](#here)",
            "[w](https://w.example)",
        ] {
            assert!(check(text).is_empty(), "{text}");
        }
        for text in [
            "[b](src/b.rs)",
            "[b](../src/c.rs)",
            "[a](a.md) and [s](../sr)",
        ] {
            assert_eq!(check(text), ["docs/a.md:1"], "{text}");
        }
    }

    #[test]
    fn long_files_are_warned_of() {
        let long = "\n".repeat(LONGEST_FILE + 1);
        assert_eq!(
            found(long_files, &[("a.rs", &long), ("b.md", &long)]),
            ["a.rs:0"]
        );
        assert!(found(long_files, &[("a.rs", "\n")]).is_empty());
        assert!(!long_files(&[SourceFile::new("a.rs", long)])[0].fatal);
    }
}
