//! The file backends tell when something changed, and then the new value is there to be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom::provider::{Expect, Put, Reply, Request, Target};
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{
    Connect, Deployment, Env, ErrorKind, GuardRails, Secret, SecretName, SecretProvider,
    SecretsFactory,
};
use tempfile::TempDir;

const TOKEN: SecretName = SecretName::from_static("api/token");
const PASSWORD: SecretName = SecretName::from_static("database/password");

type Provider = Arc<dyn SecretProvider>;

async fn open_with(address: &str, env: Env) -> Provider {
    let url: strongroom::ProviderUrl = address.parse().unwrap();
    let mut rows = SecretsFactory::backends().iter();
    let row = rows.find(|row| row.scheme() == url.base_scheme()).unwrap();
    let rails = GuardRails::new(Deployment::Development, []);
    row.open(Connect::new(url, env, rails)).await.unwrap()
}

async fn open(address: &str) -> Provider {
    open_with(address, Env::empty()).await
}

async fn read(provider: &Provider, name: &SecretName) -> String {
    let mut replies = provider.fetch(&[Request::from(name.clone())]).await;
    match replies.pop().unwrap().unwrap() {
        Reply::Value(secret) => secret.expose_str().unwrap().to_owned(),
        Reply::Unchanged => panic!("unchanged without a known version"),
    }
}

async fn changed(provider: &Provider) {
    let changed = tokio::time::timeout(Duration::from_secs(20), provider.changed());
    changed.await.expect("nothing was told").unwrap();
}

/// Changes are told until a value is read.
async fn comes(provider: &Provider, name: &SecretName, value: &str) {
    while read(provider, name).await != value {
        changed(provider).await;
    }
}

/// Puts a file in place as deployments do it: under another name, then renamed.
fn replace(path: &Path, content: &str) {
    let temporary = path.with_extension("new");
    fs::write(&temporary, content).unwrap();
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(temporary, path).unwrap();
}

/// One generation of a Kubernetes mount, swapped in as the kubelet does it.
fn swap(root: &Path, generation: u32) {
    let name = format!("..gen_{generation}");
    fs::create_dir(root.join(&name)).unwrap();
    for key in ["api.token", "database.password"] {
        fs::write(root.join(&name).join(key), generation.to_string()).unwrap();
    }
    let old = fs::read_link(root.join("..data")).ok();
    symlink(&name, root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    match old {
        Some(old) => fs::remove_dir_all(root.join(old)).unwrap(),
        None => {
            for key in ["api.token", "database.password"] {
                symlink(Path::new("..data").join(key), root.join(key)).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_swaps_of_a_kubernetes_mount() {
    let dir = tempfile::tempdir().unwrap();
    swap(dir.path(), 0);
    let provider = open(&format!("file:{}", dir.path().display())).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (provider, done) = (Arc::clone(&provider), Arc::clone(&done));
        tokio::spawn(async move {
            let mut reads = 0_u32;
            while !done.load(Ordering::Acquire) {
                let wanted = [TOKEN, PASSWORD].map(Request::from);
                for reply in provider.fetch(&wanted).await {
                    reply.expect("a read failed during a swap");
                }
                reads += 1;
            }
            reads
        })
    };
    for generation in 1..=20 {
        swap(dir.path(), generation);
        changed(&provider).await;
        let value = generation.to_string();
        assert_eq!(read(&provider, &TOKEN).await, value);
        assert_eq!(read(&provider, &PASSWORD).await, value);
    }
    done.store(true, Ordering::Release);
    assert!(reader.await.unwrap() > 0);
}

#[tokio::test]
async fn a_document_that_is_replaced_or_written_in_place() {
    for (name, before, after) in [
        ("app.env", "API_TOKEN=one", "API_TOKEN=two"),
        (
            "app.json",
            r#"{"api": {"token": "one"}}"#,
            r#"{"api": {"token": "two"}}"#,
        ),
        ("app.toml", "api.token = \"one\"", "api.token = \"two\""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        replace(&path, before);
        let provider = open(&format!("file:{}", path.display())).await;
        assert_eq!(read(&provider, &TOKEN).await, "one");
        replace(&path, after);
        changed(&provider).await;
        assert_eq!(read(&provider, &TOKEN).await, "two", "{name}");
        fs::write(&path, before).unwrap();
        comes(&provider, &TOKEN, "one").await;
        fs::remove_file(&path).unwrap();
        replace(&path, after);
        comes(&provider, &TOKEN, "two").await;
    }
}

#[tokio::test]
async fn a_change_before_the_first_wait_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("api.token"), "one").unwrap();
    let provider = open(&format!("file:{}", dir.path().display())).await;
    assert_eq!(read(&provider, &TOKEN).await, "one");
    replace(&dir.path().join("api.token"), "two");
    changed(&provider).await;
    assert_eq!(read(&provider, &TOKEN).await, "two");
}

/// A sealed file, its key, and the address of both.
fn sealed(dir: &TempDir) -> (SealedFile, String) {
    let (key, id) = (SlotKey::generate().unwrap(), FileId::random().unwrap());
    let (path, key_path) = (dir.path().join("s.sealed"), dir.path().join("key"));
    replace(&key_path, key.to_text(id).unwrap().expose_str().unwrap());
    let file = SealedFile::create(&path, id, &NewSlot::new("test", key)).unwrap();
    let address = format!("sealed:{}?key_file={}", path.display(), key_path.display());
    (file, address)
}

#[tokio::test]
async fn a_sealed_file_that_another_handle_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (file, address) = sealed(&dir);
    let put = |value: &str| {
        let value = Secret::from_text(value);
        file.put(&TOKEN, &value, &Expect::Any).unwrap();
    };
    put("zero");
    let env = Env::empty().with_var("XDG_STATE_HOME", dir.path().join("state"));
    let provider = open_with(&address, env).await;
    assert_eq!(read(&provider, &TOKEN).await, "zero");
    for value in ["one", "two", "three"] {
        put(value);
        changed(&provider).await;
        assert_eq!(read(&provider, &TOKEN).await, value);
    }
    // Our own writes may be told as well.
    let own = Put::new(Target::new(TOKEN), Secret::from_text("four"));
    provider.put(&own).await.unwrap();
    put("five");
    comes(&provider, &TOKEN, "five").await;
}

#[tokio::test]
async fn a_file_that_a_variable_names() {
    let (dir, mounts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    swap(mounts.path(), 0);
    symlink(mounts.path().join("api.token"), dir.path().join("token")).unwrap();
    let env = Env::empty()
        .with_var("APP_API_TOKEN_FILE", dir.path().join("token"))
        .with_var("APP_DATABASE_PASSWORD", "in the variable");
    let provider = open_with("env:?prefix=APP_", env).await;
    // A variable never changes.
    assert_eq!(read(&provider, &PASSWORD).await, "in the variable");
    let wait = tokio::time::timeout(Duration::from_millis(100), provider.changed());
    assert!(wait.await.is_err());
    let waiting = {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { changed(&provider).await })
    };
    // What is read while somebody waits is watched from then on.
    assert_eq!(read(&provider, &TOKEN).await, "0");
    swap(mounts.path(), 1);
    waiting.await.unwrap();
    assert_eq!(read(&provider, &TOKEN).await, "1");
    replace(&dir.path().join("token"), "2");
    changed(&provider).await;
    assert_eq!(read(&provider, &TOKEN).await, "2");
}

#[tokio::test]
async fn after_close_waiting_is_over() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("app.env"), "A=1").unwrap();
    let path = dir.path().display().to_string();
    let (_, sealed) = sealed(&dir);
    let state = dir.path().join("state");
    for address in [
        format!("file:{path}"),
        format!("file:{path}/app.env"),
        sealed,
        "env:".into(),
    ] {
        let env = Env::empty().with_var("XDG_STATE_HOME", &state);
        let provider = open_with(&address, env).await;
        let waiting = {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move { provider.changed().await })
        };
        tokio::task::yield_now().await;
        provider.close().await.unwrap();
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{address}");
        let error = provider.changed().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{address}");
    }
}
