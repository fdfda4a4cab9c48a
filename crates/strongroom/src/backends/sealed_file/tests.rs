//! What every edit of a file leads to, and what several writers do to each other.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::entries::Entry;
use super::format::Document;
use super::unlocked::Unlocked;
use super::*;
use crate::env::{Deployment, Env};
use crate::name::SecretName;
use crate::provider::{Expect, Stage};
use crate::rails::GuardRails;
use crate::secret::{Secret, Version};

mod access;
mod edits;
mod merging;
mod randomless;
mod rollback;

const A: SecretName = SecretName::from_static("database/password");
const B: SecretName = SecretName::from_static("session/signing-key");
const PASSPHRASE: &str = "seven lamps over the old harbour";

/// A directory with a file of one raw-key slot.
struct Room {
    dir: tempfile::TempDir,
    key: SlotKey,
    file: SealedFile,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SlotKey::generate().unwrap();
        let slot = NewSlot::new("test", key.clone());
        let id = FileId::random().unwrap();
        let file = SealedFile::create(dir.path().join("s.sealed"), id, &slot).unwrap();
        Self { dir, key, file }
    }

    fn path(&self) -> PathBuf {
        self.file.path()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn put(&self, name: &SecretName, value: &str) -> Version {
        let value = Secret::from_text(value);
        self.file.put(name, &value, &Expect::Any).unwrap()
    }

    fn get(&self, name: &SecretName) -> Result<Secret> {
        self.file.get(name, &Stage::Current)
    }

    fn write_private(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn passphrase(text: &str) -> SlotKey {
    SlotKey::passphrase(Secret::from_text(text)).unwrap()
}

/// A passphrase slot as cheap as the bounds allow.
fn cheap(label: &str, text: &str) -> NewSlot {
    NewSlot::new(label, passphrase(text)).with_cost(Argon2Cost::new(19 * 1024, 2, 1).unwrap())
}

/// Parses, opens a slot and checks the seal, as every reading does before it decrypts a value.
fn unlock(bytes: impl Into<Vec<u8>>, key: &SlotKey) -> Result<Unlocked> {
    Unlocked::open(Document::parse(bytes.into())?, key)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.kind(),
    }
}
