//! `cargo xtask package`: what would be published is the same bytes wherever it is packaged, and
//! holds nothing that is not meant to be in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::{cargo, output, program, run as run_command};
use crate::workspace::{Workspace, root};

/// The crates that are published.
const CRATES: [&str; 3] = ["strongroom-derive", "strongroom", "strongroom-cli"];

/// What a package may hold besides Rust sources and the cases of the tests.
const SINGLE: &[&str] = &[
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "README.md",
    // The vectors are part of the format's specification, and their keys protect nothing.
    "tests/vectors/sealed-file.json",
    "tests/it/sealed_file/fixtures/empty.sealed",
    "tests/it/sealed_file/fixtures/entries.sealed",
    "tests/it/sealed_file/fixtures/key.txt",
    "tests/it/sealed_file/fixtures/slots.sealed",
    "src/commands/init/strongroom.toml",
];

/// Packages the last commit twice and compares; with `verify` it also builds what was packaged.
pub(crate) fn run(verify: bool) -> Result<String> {
    let dir = Workspace::load()?.target_dir.join("package-check");
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(|error| cannot("empty", &dir, &error))?;
    }
    fs::create_dir_all(&dir).map_err(|error| cannot("make", &dir, &error))?;
    // In directories of names of two lengths, with files of other modes and other times.
    let one = packaged(&dir.join("one"), "022")?;
    let other = packaged(&dir.join("another-directory"), "077")?;
    for name in CRATES {
        let (one, other) = (archive(&one, name)?, archive(&other, name)?);
        if one != other {
            return Err(format!("two packages of {name} from one commit differ"));
        }
    }
    let mut count = 0_usize;
    for name in CRATES {
        let args = [
            "package",
            "--list",
            "--locked",
            "--offline",
            "--package",
            name,
        ];
        let mut command = cargo(&args);
        command.current_dir(dir.join("one"));
        let list = output(command)?;
        if let Some(stray) = list.lines().find(|path| !belongs(path)) {
            return Err(format!("the package of {name} would hold {stray}"));
        }
        count = count.saturating_add(list.lines().count());
    }
    if verify {
        // Cargo builds each package from what is in it.
        package(&dir.join("one"), &dir.join("verified"), &["--locked"])?;
    }
    let uncommitted = !output(program("git", &["status", "--porcelain"]))?.is_empty();
    let remark = if uncommitted {
        ", without what is not committed"
    } else {
        ""
    };
    Ok(format!("{count} files, twice the same bytes{remark}"))
}

/// Clones the last commit under a umask, and packages it. Returns where the packages are.
fn packaged(dir: &Path, umask: &str) -> Result<PathBuf> {
    let mut clone = Command::new("sh");
    // The files are of 2022 or of 2077.
    let script = "umask \"$1\" && git clone --quiet \"$2\" \"$3\" && \
                  find \"$3\" -name .git -prune -o -type f -exec touch -t 20${1#0}01010000 {} +";
    clone.args(["-c", script, "sh", umask]).args([root(), dir]);
    run_command(clone)?;
    let target = dir.with_extension("target");
    package(dir, &target, &["--locked", "--offline", "--no-verify"])?;
    Ok(target.join("package"))
}

fn package(dir: &Path, target: &Path, options: &[&str]) -> Result<()> {
    let mut command = cargo(&["package", "--quiet"]);
    command.args(options).current_dir(dir);
    command.args(CRATES.iter().flat_map(|name| ["--package", *name]));
    command.arg("--target-dir").arg(target);
    run_command(command)
}

fn archive(dir: &Path, name: &str) -> Result<Vec<u8>> {
    let path = dir.join(format!("{name}-{}.crate", env!("CARGO_PKG_VERSION")));
    fs::read(&path).map_err(|error| cannot("read", &path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("can't {what} {}: {error}", path.display())
}

/// Reports whether a file is meant to be in a package.
fn belongs(path: &str) -> bool {
    let is_source = |dir: &str| path.starts_with(dir) && path.ends_with(".rs");
    SINGLE.contains(&path)
        || ["src/", "tests/", "examples/"].into_iter().any(is_source)
        || (path.starts_with("src/schemas/") && path.ends_with(".json"))
        // The style of the page that `inspect --html` writes.
        || path == "src/commands/inspect/page.css"
        // The cases of the command line are files and folders of any name.
        || path.starts_with("tests/cmd/")
        // What the compiler says of each misuse of the derive.
        || (path.starts_with("tests/misuse/") && path.ends_with(".stderr"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_meant_for_a_package_is_found() {
        for path in [
            "src/a.rs",
            "tests/it/b.rs",
            "Cargo.lock",
            "src/schemas/get.json",
            "tests/cmd/tour.in/x",
        ] {
            assert!(belongs(path), "{path}");
        }
        for path in [
            "build.rs",
            "target/debug/strongroom",
            "fuzz/corpus/name/1",
            "src/secrets.sealed",
            "src/app.key",
            "src/other.json",
            "tests/it/extra.pem",
            ".env",
            "Cargo.toml.bak",
        ] {
            assert!(!belongs(path), "{path}");
        }
    }
}
