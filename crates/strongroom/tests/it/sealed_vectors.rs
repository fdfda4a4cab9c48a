//! The vectors of the sealed file: read through the public API, and made again by a second writer.

use std::path::PathBuf;

use base64ct::Encoding as _;
use strongroom::provider::Stage;
use strongroom::sealed_file::{Outline, SealedFile, SlotKey};
use strongroom::{Error, ErrorKind, Secret, SecretName};

mod vectors;
mod writer;

use vectors::Vector;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealed-file.json")
}

fn committed() -> Vec<Vector> {
    let text = std::fs::read_to_string(path()).unwrap();
    serde_json::from_str(&text).unwrap()
}

impl Vector {
    fn slot_key(&self) -> SlotKey {
        match (&self.key, &self.passphrase) {
            (Some(key), None) => SlotKey::from_text(&Secret::from_text(key.as_str())),
            (None, Some(text)) => SlotKey::passphrase(Secret::from_text(text.as_str())),
            _ => panic!("{}: not one of key and passphrase", self.what),
        }
        .unwrap()
    }

    /// Reads the name, or tells which layer refused.
    fn outcome(&self) -> Result<Secret, (&'static str, Error)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vector.sealed");
        std::fs::write(&path, &self.file).unwrap();
        let file = SealedFile::open(&path, self.slot_key()).map_err(|error| {
            let parsed = Outline::read(self.file.as_str()).is_ok();
            let layer = match error.kind() {
                _ if error.to_string().contains("the seal is broken") => "seal",
                _ if !parsed => "parse",
                ErrorKind::Denied | ErrorKind::Unsupported => "slot",
                _ if error.to_string().contains("the slot") => "unwrap",
                _ => "unknown",
            };
            (layer, error)
        })?;
        let name = SecretName::parse(&self.read).unwrap();
        file.get(&name, &Stage::Current)
            .map_err(|error| ("entry", error))
    }
}

#[test]
fn each_vector_is_read_or_refused_by_its_layer() {
    let vectors = committed();
    for vector in &vectors {
        match (vector.outcome(), &vector.refused_by) {
            (Ok(secret), None) => {
                let value = vector.value.as_ref().unwrap();
                let value = base64ct::Base64Unpadded::decode_vec(value).unwrap();
                assert_eq!(secret.expose_bytes(), value, "{}", vector.what);
            }
            (Err((layer, error)), Some(wanted)) => {
                assert_eq!(layer, wanted, "{}: {error:?}", vector.what);
                let kind = vector.kind.as_deref();
                assert_eq!(
                    Some(error.kind().as_str()),
                    kind,
                    "{}: {error:?}",
                    vector.what
                );
            }
            (Ok(_), Some(layer)) => panic!("{}: not refused by {layer}", vector.what),
            (Err((layer, error)), None) => panic!("{}: refused by {layer}: {error:?}", vector.what),
        }
    }
    let count = |layer: Option<&str>| {
        let of = |vector: &&Vector| vector.refused_by.as_deref() == layer;
        vectors.iter().filter(of).count()
    };
    assert!(count(None) >= 10);
    for layer in ["parse", "slot", "unwrap", "seal", "entry"] {
        assert!(count(Some(layer)) >= 5, "{layer}");
    }
    assert!(vectors.len() - count(None) >= 60);
}

#[test]
fn the_second_writer_makes_the_same_vectors() {
    let made = vectors::all();
    let committed = committed();
    for (made, committed) in made.iter().zip(&committed) {
        assert_eq!(made, committed);
    }
    assert_eq!(made.len(), committed.len());
}

/// `cargo test -p strongroom --features conformance --test it -- --ignored write_the_vectors`
#[test]
#[ignore = "writes the vectors; for a change of the format"]
fn write_the_vectors() {
    let text = serde_json::to_string_pretty(&vectors::all()).unwrap();
    std::fs::write(path(), text + "\n").unwrap();
}
