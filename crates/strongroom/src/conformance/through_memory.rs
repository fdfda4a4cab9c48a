//! What the suites of memory, and of what stands around it, have in common.

use super::Harness;
use crate::error::Result;
use crate::name::SecretName;
use crate::provider::SecretProvider;
use crate::secret::Secret;

/// The one case that memory is no subject of.
pub(crate) const READ_ONLY: &str = "a read-only backend refuses writes as Unsupported";

/// Writes a document as the JSON text of one entry.
pub(crate) async fn write_json(
    provider: &dyn SecretProvider,
    path: &SecretName,
    keys: &[(&str, &str)],
) -> Result<()> {
    let keys = keys
        .iter()
        .map(|(key, value)| (*key, serde_json::Value::from(*value)));
    let document: serde_json::Value = keys.collect();
    let document = Secret::from_text(document.to_string());
    super::fill(provider, &[(path.clone(), document)]).await
}

/// Demands of whatever stands around memory what memory itself keeps.
pub(crate) async fn assert_keeps_what_memory_keeps(harness: &dyn Harness) {
    let outcome = super::run(harness).await;
    assert!(outcome.is_conforming(), "{outcome}");
    let skipped: Vec<_> = outcome.skipped.iter().map(|(case, _)| *case).collect();
    assert_eq!(skipped, [READ_ONLY]);
}
