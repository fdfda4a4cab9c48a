//! What a sealed file withstands: edits, many writers, kills, a full disk.

mod child;
mod full_disk;
#[cfg(target_os = "linux")]
mod kills;
mod mutated;
mod mutator;
mod writers;

use std::fs;
use std::path::PathBuf;

use strongroom::provider::{Expect, Stage};
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{Secret, SecretName};
use tempfile::TempDir;

const NAME: SecretName = SecretName::from_static("database/password");

/// A sealed file in a directory of its own, and its key file in another.
struct Room {
    dir: TempDir,
    file: SealedFile,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sealed")).unwrap();
        let key = SlotKey::generate().unwrap();
        let path = dir.path().join("sealed/secrets.sealed");
        let id = FileId::random().unwrap();
        let file = SealedFile::create(&path, id, &NewSlot::new("test", key.clone())).unwrap();
        let text = key.to_text(id).unwrap();
        fs::write(dir.path().join("key"), text.expose_bytes()).unwrap();
        Self { dir, file }
    }

    fn path(&self) -> PathBuf {
        self.file.path()
    }

    fn key_path(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    fn put(&self, value: &str) {
        let value = Secret::from_text(value);
        self.file.put(&NAME, &value, &Expect::Any).unwrap();
    }

    /// Opens the file anew, and returns the value in it.
    fn value(&self) -> String {
        let key = fs::read(self.key_path()).unwrap();
        let key = SlotKey::from_text(&Secret::from_bytes(key)).unwrap();
        let file = SealedFile::open(self.path(), key).unwrap();
        let value = file.get(&NAME, &Stage::Current).unwrap();
        value.expose_str().unwrap().to_owned()
    }

    /// What is left in the directory besides the file and its lock. Fails where any file holds one
    /// of the values in clear.
    fn leftovers(&self, values: &[&str]) -> Vec<PathBuf> {
        let mut leftovers = Vec::new();
        for entry in fs::read_dir(self.dir.path().join("sealed")).unwrap() {
            let path = entry.unwrap().path();
            let content = fs::read(&path).unwrap();
            for value in values {
                let mut windows = content.windows(value.len());
                let clear = windows.any(|window| window == value.as_bytes());
                assert!(!clear, "{} holds a value in clear", path.display());
            }
            let name = path.file_name().unwrap();
            if name != "secrets.sealed" && name != ".strongroom.lock" {
                leftovers.push(path);
            }
        }
        leftovers
    }
}
