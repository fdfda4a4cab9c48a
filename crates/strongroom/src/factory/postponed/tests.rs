use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::*;
use crate::conformance::through_memory::{assert_keeps_what_memory_keeps, write_json};
use crate::conformance::{self, Harness};
use crate::secret::Secret;
use crate::{ErrorKind, Memory, Operation};

/// Opens memory in a second, after as many failures.
fn postponed(failures: usize) -> (Arc<Postponed>, Memory, Arc<AtomicUsize>) {
    let memory = Memory::new().with("x/one", "value");
    let tries = Arc::new(AtomicUsize::new(0));
    let (opened, counted) = (memory.clone(), Arc::clone(&tries));
    let open = move || -> Opening {
        let (opened, counted) = (opened.clone(), Arc::clone(&counted));
        Box::pin(async move {
            let earlier = counted.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_secs(1)).await;
            if earlier < failures {
                let message = format!("failure {earlier}");
                return Err(Error::new(ErrorKind::Transient, message));
            }
            Ok(Arc::new(opened) as Arc<dyn SecretProvider>)
        })
    };
    let description = Description::new("late", "late:", true);
    (Arc::new(Postponed::new(description, open)), memory, tries)
}

fn requests() -> [Request; 2] {
    ["x/one", "x/two"].map(|name| Request::new(Target::new(name.parse().unwrap())))
}

#[tokio::test(start_paused = true)]
async fn calls_at_one_time_are_one_opening_and_a_later_one_tries_again() {
    let (late, memory, tries) = postponed(2);
    for round in 0..2 {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let late = Arc::clone(&late);
            calls.spawn(async move { late.fetch(&requests()).await });
        }
        for answers in calls.join_all().await {
            assert_eq!(answers.len(), 2);
            for (answer, name) in answers.into_iter().zip(["x/one", "x/two"]) {
                let error = answer.unwrap_err();
                let name = format!("secret `{name}`: failure {round}");
                assert_eq!(error.to_string(), name);
                assert!(error.is_retryable() && error.had_no_effect());
            }
        }
        assert_eq!(tries.load(Ordering::SeqCst), round + 1);
    }
    assert_eq!(late.describe().address, "late:");
    let answers = late.fetch(&requests()).await;
    assert!(matches!(&answers[0], Ok(Reply::Value(value)) if value.verify("value")));
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::Absent);
    assert_eq!(late.describe().address, "memory:");
    late.health().await.unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    assert_eq!(memory.calls(Operation::Fetch), 1);
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_keeps_nobody_from_opening() {
    let (late, _, tries) = postponed(0);
    let first = timeout(Duration::from_millis(10), late.health()).await;
    assert!(first.is_err());
    late.health().await.unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn closing_and_waiting_for_notices_open_nothing() {
    let (late, _, tries) = postponed(0);
    late.close().await.unwrap();
    let answers = late.fetch(&requests()).await;
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(tries.load(Ordering::SeqCst), 0);

    let (late, memory, tries) = postponed(0);
    let waiting = tokio::spawn({
        let late = Arc::clone(&late);
        async move { late.changed().await }
    });
    sleep(Duration::from_secs(60)).await;
    assert_eq!(tries.load(Ordering::SeqCst), 0);
    late.health().await.unwrap();
    tokio::task::yield_now().await;
    memory.set("x/one", Secret::from_text("another"));
    waiting.await.unwrap().unwrap();
    late.close().await.unwrap();
    assert_eq!(memory.calls(Operation::Close), 1);
}
struct Late;

#[async_trait]
impl Harness for Late {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let memory = Memory::new();
        conformance::fill(&memory, held).await?;
        memory.latency(Duration::from_millis(2));
        let open = move || -> Opening {
            let memory = memory.clone();
            Box::pin(async move { Ok(Arc::new(memory) as Arc<dyn SecretProvider>) })
        };
        let description = Description::new("memory", "memory:", true);
        Ok(Arc::new(Postponed::new(description, open)))
    }

    async fn write_document(
        &self,
        provider: &dyn SecretProvider,
        path: &SecretName,
        keys: &[(&str, &str)],
    ) -> Result<()> {
        write_json(provider, path, keys).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_postponed_provider_keeps_the_contract() {
    assert_keeps_what_memory_keeps(&Late).await;
}
