//! A chain keeps the contract of a provider, whichever member holds what.

use super::*;
use crate::conformance::through_memory::{assert_keeps_what_memory_keeps, write_json};

/// A chain that is opened with every second document in each of two memories.
struct Split;

#[async_trait]
impl Harness for Split {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let two = two(Memory::new(), Memory::new(), &[]);
        let mut documents: Vec<&str> = Vec::new();
        for (name, value) in held {
            let known = documents.iter().position(|path| *path == name.path());
            let at = known.unwrap_or(documents.len());
            if known.is_none() {
                documents.push(name.path());
            }
            let memory = [&two.base, &two.overlay][at % 2];
            conformance::fill(memory, &[(name.clone(), value.clone())]).await?;
        }
        for memory in [&two.base, &two.overlay] {
            memory.latency(Duration::from_millis(2));
        }
        Ok(Arc::new(two.chain))
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
async fn a_chain_keeps_the_contract() {
    assert_keeps_what_memory_keeps(&Split).await;
}
