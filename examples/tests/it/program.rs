//! Runs an example in a directory and an environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Prepares an example with an empty environment.
pub(crate) fn example(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(executable(name));
    command.env_clear().env("HOME", dir).current_dir(dir);
    command
}

/// Runs it to its end, and returns what it printed; standard error follows standard output.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let printed = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    (status.success(), printed.concat())
}

/// Cargo builds the examples of a package with its tests, and puts them beside the tests' directory.
pub(crate) fn executable(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(Path::parent).unwrap();
    let path = target
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{name} is not built: cargo build --examples -p strongroom-examples"
    );
    path
}
