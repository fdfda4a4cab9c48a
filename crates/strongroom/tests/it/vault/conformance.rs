//! The suite for backends, on a mount of its own for each store.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use strongroom::conformance::{self, Harness};
use strongroom::{Error, ErrorKind, Result, Secret, SecretName, SecretProvider};

use super::admin::Admin;
use super::open;

struct Mounts {
    admin: Admin,
    version: &'static str,
    namespace: Option<String>,
}

impl Mounts {
    /// The mount that a provider was opened on, as its address says.
    fn mount_of(provider: &dyn SecretProvider) -> String {
        let url: strongroom::ProviderUrl = provider.describe().address.parse().unwrap();
        url.query("mount").unwrap().to_owned()
    }
}

#[async_trait]
impl Harness for Mounts {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let several = held
            .iter()
            .filter(|(name, _)| name.field().is_some())
            .count()
            > 1;
        if self.version == "1" && several {
            let message = "a field beside others needs version 2 of the engine";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mount = self.admin.mount_kv(self.version).await;
        let mut address = self.admin.url(&format!("/{mount}/app"));
        if let Some(namespace) = &self.namespace {
            address = format!("{address}?namespace={namespace}");
        }
        let provider = open(&address, self.admin.env()).await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
    }

    async fn write_document(
        &self,
        provider: &dyn SecretProvider,
        path: &SecretName,
        keys: &[(&str, &str)],
    ) -> Result<()> {
        let mount = Self::mount_of(provider);
        let data: Value = keys
            .iter()
            .map(|(key, value)| (*key, json!(value)))
            .collect();
        let (path, body) = match self.version {
            "1" => (format!("{mount}/app/{path}"), data),
            _ => (format!("{mount}/data/app/{path}"), json!({ "data": data })),
        };
        self.admin.call("POST", &path, body).await;
        Ok(())
    }

    fn holds_bytes(&self) -> bool {
        false
    }
}

/// Runs the suite, and demands that exactly these cases don't apply.
async fn conforms(version: &'static str, within: bool, skipped: &[&str]) {
    let Some(mut admin) = Admin::shared() else {
        return;
    };
    let mut namespace = None;
    if within {
        let made = admin.make_namespace().await;
        admin = admin.within(&made);
        namespace = Some(made);
    }
    let outcome = conformance::run(&Mounts {
        admin,
        version,
        namespace,
    })
    .await;
    assert!(outcome.is_conforming(), "{outcome}");
    let found: Vec<_> = outcome.skipped.iter().map(|(case, _)| *case).collect();
    assert_eq!(found, skipped, "{outcome}");
}

/// Without versions there is nothing to compare with.
const V1_SKIPS: [&str; 15] = [
    "Unchanged answers only a request that knows the current version",
    "a name with a field is a secret of its own",
    "a read-only backend refuses writes as Unsupported",
    "a write that expects nothing creates only",
    "a write that expects a version replaces only that one",
    "of several writers that expect nothing, one creates",
    "of several writers that expect one version, one replaces it",
    "a deletion that expects another state is a Conflict",
    "each write gives another version, whatever the value",
    "the previous value is the former one",
    "the history begins with the current version, and can be read",
    "a pending value waits until it is promoted",
    "a pending value can be discarded",
    "an overlap is kept or refused",
    "a deleted secret is restored whole",
];

const V2_SKIPS: [&str; 4] = [
    "a read-only backend refuses writes as Unsupported",
    "a pending value waits until it is promoted",
    "a pending value can be discarded",
    "an overlap is kept or refused",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_2_conforms() {
    conforms("2", false, &V2_SKIPS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_2_in_a_namespace_conforms() {
    conforms("2", true, &V2_SKIPS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_1_conforms() {
    conforms("1", false, &V1_SKIPS).await;
}
