//! A chain keeps the contract of a provider, whichever member holds what.

use super::*;

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
        let keys = keys
            .iter()
            .map(|(key, value)| (*key, serde_json::Value::from(*value)));
        let document: serde_json::Value = keys.collect();
        let document = Secret::from_text(document.to_string());
        conformance::fill(provider, &[(path.clone(), document)]).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_keeps_the_contract() {
    let outcome = conformance::run(&Split).await;
    assert!(outcome.is_conforming(), "{outcome}");
    let skipped: Vec<_> = outcome.skipped.iter().map(|(case, _)| *case).collect();
    // As memory itself.
    assert_eq!(
        skipped,
        ["a read-only backend refuses writes as Unsupported"]
    );
}
