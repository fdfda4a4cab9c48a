//! What the factory puts around a provider that is reached over a network, and around no other.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use strongroom::{
    Backend, Connection, Env, ErrorKind, Fault, Memory, Operation, SecretName, SecretProvider,
    SecretsFactory,
};
use tokio::time::Instant;

/// Declares a backend on one memory. Tests may share a process, so each has its own.
macro_rules! backend_on {
    ($memory:ident, $row:ident) => {
        static $memory: LazyLock<Memory> = LazyLock::new(|| Memory::new().with("a", "value"));
        const $row: Backend = Backend::new("store", "a store", |_| {
            Box::pin(async { Ok(Arc::new($memory.clone()) as Arc<dyn SecretProvider>) })
        });
    };
}

async fn connect(backend: Backend, manifest: &str, vars: &[(&str, &str)]) -> Connection {
    let env = Env::empty()
        .with_var("STRONGROOM_PROVIDER", "store://host/")
        .with_working_dir("/nonexistent");
    let env = vars
        .iter()
        .fold(env, |env, (name, value)| env.with_var(name, value));
    let builder = SecretsFactory::builder().env(env).manifest_text(manifest);
    builder.backend(backend).connect().await.unwrap()
}

/// Returns how many attempts a read has that always fails, and how long they take.
async fn attempts(connection: &Connection, memory: &Memory) -> (usize, Duration) {
    memory.fail("a", ErrorKind::Transient);
    let begun = Instant::now();
    let before = memory.calls(Operation::Fetch);
    let error = connection
        .read(&SecretName::from_static("a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    (memory.calls(Operation::Fetch) - before, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_remote_backend_is_tried_again_and_a_local_one_is_not() {
    backend_on!(MEMORY, STORE);
    let connection = connect(STORE.remote(), "", &[]).await;
    assert_eq!(attempts(&connection, &MEMORY).await.0, 4);
    let connection = connect(STORE, "", &[]).await;
    assert_eq!(attempts(&connection, &MEMORY).await.0, 1);
}

#[tokio::test(start_paused = true)]
async fn the_manifest_and_its_overrides_decide() {
    let manifest = "[default.retry]\nattempts = 6\n[default.limit]\nper_second = 1";
    backend_on!(MEMORY, STORE);
    let connection = connect(STORE.remote(), manifest, &[]).await;
    let (made, taken) = attempts(&connection, &MEMORY).await;
    assert_eq!((made, taken.as_secs()), (6, 5));

    let vars = [
        ("STRONGROOM_CFG_RETRY__ATTEMPTS", "2"),
        ("STRONGROOM_CFG_LIMIT__PER_SECOND", "50"),
    ];
    let connection = connect(STORE.remote(), manifest, &vars).await;
    let (made, taken) = attempts(&connection, &MEMORY).await;
    assert_eq!((made, taken.as_secs()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_bounds_a_backend_that_hangs() {
    backend_on!(MEMORY, STORE);
    let connection = connect(STORE.remote(), "[default.retry]\ndeadline = \"4s\"", &[]).await;
    MEMORY.fail_next(Operation::Fetch, Fault::Hang);
    let begun = Instant::now();
    let error = connection
        .read(&SecretName::from_static("a"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no answer within 4s"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_concurrency_is_bounded() {
    backend_on!(MEMORY, STORE);
    let connection = connect(STORE.remote(), "[default.limit]\nconcurrency = 2", &[]).await;
    MEMORY.latency(Duration::from_secs(1));
    let mut reading = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let connection = connection.clone();
        reading.spawn(async move { connection.read(&SecretName::from_static("a")).await });
    }
    for read in reading.join_all().await {
        read.unwrap();
    }
    assert_eq!(MEMORY.most_concurrent(), 2);
}
