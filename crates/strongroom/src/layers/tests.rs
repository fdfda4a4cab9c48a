use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::*;
use crate::backends::{Fault, Memory, Operation};
use crate::conformance::through_memory::{assert_keeps_what_memory_keeps, write_json};
use crate::conformance::{self, Harness};
use crate::error::{ErrorKind, Result};
use crate::name::SecretName;
use crate::secret::Secret;

struct Wrapped;

#[async_trait]
impl Harness for Wrapped {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let memory = Memory::new();
        conformance::fill(&memory, held).await?;
        memory.latency(Duration::from_millis(2));
        Ok(wrap(
            Arc::new(memory),
            Some(&Settings::default()),
            &Arc::new(Audit::traced()),
        ))
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
async fn a_wrapped_provider_keeps_the_contract() {
    assert_keeps_what_memory_keeps(&Wrapped).await;
}

#[tokio::test(start_paused = true)]
async fn every_attempt_passes_the_limit() {
    let memory = Memory::new();
    for _ in 0..3 {
        memory.fail_next(Operation::List, Fault::Fail(ErrorKind::Transient));
    }
    let mut settings = Settings::default();
    settings.limit.per_second = const { std::num::NonZeroU32::new(1).unwrap() };
    let provider = wrap(
        Arc::new(memory.clone()),
        Some(&settings),
        &Arc::new(Audit::traced()),
    );
    let begun = Instant::now();
    provider.list("").await.unwrap();
    assert_eq!(memory.calls(Operation::List), 4);
    // The pauses alone are 0.7 s at most.
    assert_eq!(begun.elapsed().as_secs(), 3);
}
