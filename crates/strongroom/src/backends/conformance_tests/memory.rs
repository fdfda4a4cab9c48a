use std::time::Duration;

use super::*;
use crate::backends::Memory;
use crate::conformance::through_memory::{READ_ONLY, write_json};

struct ByAddress;

#[async_trait]
impl Harness for ByAddress {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let provider = open("memory:", Env::empty(), held).await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
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

/// Every call waits first, so that calls overlap and can be dropped in their middle.
struct Slow;

#[async_trait]
impl Harness for Slow {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let memory = Memory::new();
        conformance::fill(&memory, held).await?;
        memory.latency(Duration::from_millis(2));
        Ok(Arc::new(memory))
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms_on_several_threads() {
    conforms(&ByAddress, &[READ_ONLY]).await;
}

#[tokio::test(start_paused = true)]
async fn slow_memory_conforms() {
    conforms(&Slow, &[READ_ONLY]).await;
}
