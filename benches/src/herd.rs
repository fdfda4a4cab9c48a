//! How often a backend is asked when many ask at once for what is not held yet.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use strongroom::{Env, Memory, Operation, SecretsFactory};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::Section;
use crate::peers::{NAME, VALUE, aws_caching};

const READERS: usize = 64;
const LATENCY: Duration = Duration::from_millis(5);

pub fn section() -> Section {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let ours = runtime.block_on(ours())?;
    let theirs = runtime.block_on(theirs())?;
    Ok(format!(
        "\
## A herd before a cold name

{READERS} tasks on two threads ask at one time for a name that nobody asked for before. The source answers after \
{} ms. secret-vault is asked for nothing by its readers, and is not here.

| | calls of the source |
|---|---|
| `strongroom` | {ours} |
| `aws_secretsmanager_caching` | {theirs} |",
        LATENCY.as_millis()
    ))
}

async fn ours() -> Result<usize, Box<dyn Error>> {
    let memory = Memory::new().with(NAME, VALUE);
    let builder = SecretsFactory::builder()
        .env(Env::empty().with_var("STRONGROOM_ENV", "development"))
        .provider(memory.clone());
    let secrets = builder.detect().await?;
    memory.latency(LATENCY);
    let before = memory.calls(Operation::Fetch);
    at_once(|| {
        let secrets = secrets.clone();
        async move {
            secrets
                .get(NAME)
                .await
                .is_ok_and(|secret| secret.verify(VALUE))
        }
    })
    .await?;
    Ok(memory.calls(Operation::Fetch) - before)
}

async fn theirs() -> Result<usize, Box<dyn Error>> {
    let (client, calls) = aws_caching(LATENCY)?;
    let client = Arc::new(client);
    at_once(|| {
        let client = Arc::clone(&client);
        async move {
            let secret = client.get_secret_value(NAME, None, None, false).await;
            secret.is_ok_and(|secret| secret.secret_string.as_deref() == Some(VALUE))
        }
    })
    .await?;
    Ok(calls.load(Ordering::Relaxed))
}

/// Runs so many tasks from one moment on. Each says whether it found what it should.
async fn at_once<F>(task: impl Fn() -> F) -> Result<(), Box<dyn Error>>
where
    F: Future<Output = bool> + Send + 'static,
{
    let begin = Arc::new(Barrier::new(READERS));
    let mut tasks = JoinSet::new();
    for _ in 0..READERS {
        let (begin, task) = (Arc::clone(&begin), task());
        tasks.spawn(async move {
            begin.wait().await;
            task.await
        });
    }
    match tasks.join_all().await.into_iter().all(|found| found) {
        true => Ok(()),
        false => Err("a reader found something else".into()),
    }
}
