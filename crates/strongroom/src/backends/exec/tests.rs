//! Programs of every kind of misbehaviour, written as shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BACKEND;
use crate::backends::Connect;
use crate::env::{Deployment, Env};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Put, Reply, Request, SecretProvider, Target};
use crate::rails::GuardRails;
use crate::secret::Secret;

mod answers;
mod examination;
mod page;
mod processes;
mod programs;
mod surroundings;

const A: SecretName = SecretName::from_static("alpha/one");
const CANARY: &str = "canary-4c1b77e0";

/// Reads its request, introduces itself, and hands out one value. The operation is in `$operation` then.
const GOOD: &str = r#"#!/bin/sh
request=$(cat)
operation=${request#*'"operation":"'}
operation=${operation%%'"'*}
case $operation in
describe)
    echo '{"protocol":1,"name":"script","version":"1.0","operations":["fetch","put","delete","list"]}'
    exit ;;
esac
"#;

const ANSWER: &str = r#"echo '{"protocol":1,"answers":[{"request":1,"text":"value of a"}]}'
"#;

/// A folder of our own with a program in it.
struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new(body: &str) -> Self {
        let fixture = Self {
            // Whatever umask the tests run under.
            dir: tempfile::tempdir().unwrap(),
        };
        fixture.install(&format!("{GOOD}{body}"));
        fixture
    }

    fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("program")
    }

    /// Puts another program into its place, as an upgrade does it.
    fn install(&self, script: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, script).unwrap();
        mode(&new, 0o755);
        fs::rename(new, self.path()).unwrap();
    }

    fn address(&self, query: &str) -> String {
        format!("exec:{}{query}", self.path().display())
    }

    async fn open(&self, query: &str) -> Arc<dyn SecretProvider> {
        open(&self.address(query)).await.unwrap()
    }

    /// Waits for a file that the program writes.
    async fn read(&self, name: &str) -> String {
        loop {
            match fs::read_to_string(self.dir.path().join(name)) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn connect(address: &str) -> Connect {
    let rails = GuardRails::new(Deployment::Production, []);
    Connect::new(address.parse().unwrap(), Env::empty(), rails)
}

async fn open(address: &str) -> Result<Arc<dyn SecretProvider>> {
    BACKEND.open(connect(address)).await
}

async fn read(provider: &dyn SecretProvider) -> Result<Secret> {
    let mut answers = provider.fetch(&[A.into()]).await;
    assert_eq!(answers.len(), 1);
    match answers.remove(0)? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => panic!("unchanged"),
    }
}

/// Demands the kind of an error that says nothing that must stay secret.
#[track_caller]
fn refused<T>(outcome: Result<T>, kind: ErrorKind) -> String {
    let error = outcome.err().expect("it succeeded");
    let shown = format!("{error} {error:?}");
    assert_eq!(error.kind(), kind, "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");
    shown
}

async fn put(provider: &dyn SecretProvider, value: Secret) -> Result<Option<crate::Version>> {
    provider.put(&Put::new(Target::new(A), value)).await
}
