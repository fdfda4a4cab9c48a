//! What is committed for the fuzz targets runs on every toolchain.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn replay(folder: &str, least: usize) {
    for (name, run) in TARGETS {
        let files = entries(&fuzz().join(folder).join(name));
        assert!(files.len() >= least, "{folder}/{name} has {}", files.len());
        for file in files {
            let data = fs::read(&file).unwrap();
            if let Err(panic) = std::panic::catch_unwind(|| run(&data)) {
                eprintln!("it was {}", file.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn every_seed_is_withstood() {
    replay("corpus", 5);
}

#[test]
fn every_former_crash_is_withstood() {
    replay("regressions", 0);
}

// The targets of a feature are not among ours without it.
#[cfg(all(feature = "aws", feature = "exec", feature = "vault", feature = "yaml"))]
#[test]
fn every_target_has_a_program_and_no_folder_is_of_none() {
    use std::collections::BTreeSet;

    let named: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stems = |folder: &str| -> BTreeSet<String> {
        let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        entries(&fuzz().join(folder)).iter().map(stem).collect()
    };
    assert_eq!(stems("fuzz_targets"), named);
    assert_eq!(stems("corpus"), named);
    assert!(stems("regressions").is_subset(&named));
    let cargo = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in named {
        let call = format!("strongroom::fuzzing::{name}(data)");
        let program = fuzz().join(format!("fuzz_targets/{name}.rs"));
        assert!(
            fs::read_to_string(program).unwrap().contains(&call),
            "{name}"
        );
        assert!(
            cargo.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name}"
        );
    }
}

#[test]
fn a_quoted_word_is_found() {
    let word = "a-canary0123456789abcdef-z";
    never_quotes(word.as_bytes(), "line 1: this is not TOML");
    let quoted = || never_quotes(word.as_bytes(), "can't read canary0123456789abcdef");
    assert!(std::panic::catch_unwind(quoted).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_withstood(data: Vec<u8>) {
        for (_, run) in TARGETS {
            run(&data);
        }
    }
}
