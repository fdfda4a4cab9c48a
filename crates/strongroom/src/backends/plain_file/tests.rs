//! The backend as its users meet it: through `Connect` and the provider trait.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::declared::{Declared, Kind};
use crate::env::{Deployment, Env};
use crate::provider_url::ProviderUrl;
use crate::rails::{GuardRails, Rail};
use crate::secret::{MAX_VALUE_BYTES, Secret};

mod directory;
mod document;
mod hostile;
mod rails;

const CANARY: &str = "canary-c0ffee-4e1d";

type Provider = Arc<dyn SecretProvider>;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a file as an operator should: for its owner only.
fn write(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// By the system's own tool: not every system's library can.
fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

fn connect(path: &Path) -> Connect {
    let url = ProviderUrl::new("file", path.to_str().unwrap());
    let rails = GuardRails::new(Deployment::Development, []);
    Connect::new(url, Env::empty(), rails)
}

async fn try_open(connect: Connect) -> Result<Provider> {
    BACKEND.open(connect).await
}

async fn open_at(path: &Path) -> Provider {
    try_open(connect(path)).await.unwrap()
}

fn name(name: &str) -> SecretName {
    name.parse().unwrap()
}

fn target(text: &str) -> Target {
    Target::new(name(text))
}

async fn fetch(provider: &Provider, text: &str) -> Result<Secret> {
    let mut replies = provider.fetch(&[Request::from(name(text))]).await;
    assert_eq!(replies.len(), 1);
    match replies.pop().unwrap()? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => panic!("unchanged without a known version"),
    }
}

async fn text(provider: &Provider, name: &str) -> String {
    let secret = fetch(provider, name).await.unwrap();
    secret.expose_str().unwrap().to_owned()
}

async fn refused(provider: &Provider, name: &str) -> Error {
    let error = fetch(provider, name).await.unwrap_err();
    assert_eq!(error.name().unwrap().as_str(), name);
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    error
}

async fn put(provider: &Provider, name: &str, value: &str) -> Result<Version> {
    let put = Put::new(target(name), Secret::from_text(value));
    provider.put(&put).await.map(Option::unwrap)
}

async fn list(provider: &Provider) -> Vec<String> {
    let names = provider.list("").await.unwrap();
    names.iter().map(ToString::to_string).collect()
}

fn declare(names: &[&str]) -> Vec<Declared> {
    let declare = |text: &&str| Declared::new(name(text), Kind::Opaque);
    names.iter().map(declare).collect()
}

/// Increments a counter by compare-and-set, starting again on conflict.
async fn increment(provider: &Provider, name: &str) {
    loop {
        let secret = fetch(provider, name).await.unwrap();
        let count: u32 = secret.expose_str().unwrap().parse().unwrap();
        let next = count.checked_add(1).unwrap();
        let version = secret.metadata().version().unwrap().clone();
        let put = Put::new(target(name), Secret::from_text(next.to_string()))
            .with_expect(Expect::Version(version));
        match provider.put(&put).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
    }
}

/// Two writers, each with a provider of its own, as two processes would have.
async fn two_writers_lose_nothing(path: &Path) {
    let first = open_at(path).await;
    put(&first, "counter", "0").await.unwrap();
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let path = path.to_owned();
            tokio::spawn(async move {
                let provider = open_at(&path).await;
                for _ in 0..40 {
                    increment(&provider, "counter").await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(text(&first, "counter").await, "80");
}

#[tokio::test]
async fn a_path_that_is_not_there_is_an_error_of_configuration() {
    let dir = dir();
    for missing in ["nothing", "nothing.env", ".env", "a/b.json"] {
        let path = dir.path().join(missing);
        let error = try_open(connect(&path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    let path = write(dir.path(), "secrets.ini", "");
    let error = try_open(connect(&path)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.help().unwrap().contains("format=dotenv"));
}

#[tokio::test]
async fn addresses() {
    let dir = dir();
    write(dir.path(), "secrets.ini", "TOKEN=abc");
    write(dir.path(), "token", "flat");
    let at = |url: &str| {
        let rails = GuardRails::new(Deployment::Development, []);
        let env = Env::empty().with_working_dir(dir.path());
        try_open(Connect::new(url.parse().unwrap(), env, rails))
    };
    let provider = at("file:secrets.ini?format=dotenv").await.unwrap();
    assert_eq!(text(&provider, "token").await, "abc");
    assert_eq!(
        provider.describe().address,
        "file:secrets.ini?format=dotenv"
    );
    let provider = at("file:.").await.unwrap();
    assert_eq!(text(&provider, "token").await, "flat");
    let provider = at(&format!("file://{}", dir.path().display()))
        .await
        .unwrap();
    assert_eq!(text(&provider, "token").await, "flat");
    for wrong in [
        "file:",
        "file://run/secrets",
        "file:.?format=json",
        "file:.?format=ini",
        "file:secrets.ini?format=directory",
    ] {
        assert_eq!(
            at(wrong).await.unwrap_err().kind(),
            ErrorKind::Config,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn after_close_everything_answers_closed() {
    let dir = dir();
    write(dir.path(), "token", "abc");
    let provider = open_at(dir.path()).await;
    provider.close().await.unwrap();
    provider.close().await.unwrap();
    assert_eq!(refused(&provider, "token").await.kind(), ErrorKind::Closed);
    for error in [
        put(&provider, "token", "x").await.unwrap_err(),
        provider
            .delete(&target("token"), &Expect::Any)
            .await
            .unwrap_err(),
        provider.list("").await.unwrap_err(),
        provider.health().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn without_a_runtime_it_is_an_error() {
    let dir = dir();
    let opening = BACKEND.open(connect(dir.path()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(opening).poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn other_stages_are_unsupported() {
    let dir = dir();
    write(dir.path(), "token", "abc");
    write(dir.path(), "secrets.json", "{\"token\": 1}");
    for path in [dir.path().to_owned(), dir.path().join("secrets.json")] {
        let provider = open_at(&path).await;
        let request = Request::from(name("token")).with_stage(Stage::Previous);
        let error = provider.fetch(&[request]).await.pop().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let put = Put::new(target("token"), Secret::from_text("x")).with_stage(Stage::Pending);
        let error = provider.put(&put).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
