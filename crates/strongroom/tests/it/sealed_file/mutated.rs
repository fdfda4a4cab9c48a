//! Sealed files that anybody may have put there: refused with an error, whatever they say.

use strongroom::ErrorKind;
use strongroom::sealed_file::{SealedFile, SlotKey};

use super::mutator::{self, FIXTURES};

/// How many inputs each run of the tests tries; `cargo xtask mutate` tries 10 million.
const INPUTS: u64 = 50_000;

#[test]
fn mutated_files_are_refused() {
    let report = mutator::run(0..INPUTS);
    eprintln!("{report}");
    assert_eq!(report.inputs, INPUTS);
    // The mutator reaches each of the layers that refuse.
    for kind in [
        ErrorKind::Malformed,
        ErrorKind::Denied,
        ErrorKind::Integrity,
        ErrorKind::Unsupported,
    ] {
        let refused = report.refused.get(&kind.to_string()).copied();
        assert!(refused.unwrap_or(0) > INPUTS / 1_000, "{kind}: {refused:?}");
    }
}

#[test]
fn the_fixtures_themselves_open() {
    for fixture in FIXTURES {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.sealed");
        std::fs::write(&path, fixture).unwrap();
        SealedFile::open(&path, mutator::key()).unwrap();
    }
}

/// The key that is given has no cost: what refuses can't be a derivation that was tried.
#[test]
fn costs_out_of_bounds_are_refused_whatever_the_key() {
    let fixture = FIXTURES.iter().find(|text| text.contains(" passphrase "));
    let fixture = fixture.unwrap();
    let passphrase = || SlotKey::passphrase(strongroom::Secret::from_text("any")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.sealed");
    for cost in [
        "1048576 2 1",
        "4294967295 4294967295 4294967295",
        "19456 9 1",
        "19456 2 5",
        "0 0 0",
    ] {
        let edited = fixture.replacen(" passphrase 19456 2 1 ", &format!(" passphrase {cost} "), 1);
        assert_ne!(edited, *fixture);
        std::fs::write(&path, edited).unwrap();
        for key in [mutator::key(), passphrase()] {
            let error = SealedFile::open(&path, key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{cost}");
            assert!(error.to_string().contains("out of bounds"), "{error}");
        }
    }
}
