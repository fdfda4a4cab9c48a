//! The suite for backends, under a prefix of its own for each store.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use strongroom::conformance::{self, Harness};
use strongroom::{Result, Secret, SecretName, SecretProvider};

use super::account::{Account, SECRET_KEY};

struct Prefixes(Account);

#[async_trait]
impl Harness for Prefixes {
    async fn open(&self, held: &[(SecretName, Secret)]) -> Result<Arc<dyn SecretProvider>> {
        let account = self.0.another();
        let provider = super::open(&account.address(), account.env()).await?;
        conformance::fill(&*provider, held).await?;
        Ok(provider)
    }

    async fn write_document(
        &self,
        provider: &dyn SecretProvider,
        path: &SecretName,
        keys: &[(&str, &str)],
    ) -> Result<()> {
        let address = provider.describe().address;
        let prefix = address.strip_prefix("aws://eu-west-1/").unwrap();
        let id = format!("{prefix}/{path}");
        let document: Value = keys
            .iter()
            .map(|(key, value)| (*key, json!(value)))
            .collect();
        let there = provider.list(path.as_str()).await?.contains(path);
        let document = document.to_string();
        match there {
            true => {
                let body = json!({ "SecretId": id, "SecretString": document });
                self.0.admin("PutSecretValue", body).await
            }
            false => {
                let body = json!({ "Name": id, "SecretString": document });
                self.0.admin("CreateSecret", body).await
            }
        };
        Ok(())
    }

    fn credentials(&self) -> Vec<String> {
        vec![SECRET_KEY.to_owned()]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_manager_conforms() {
    let Some(account) = Account::new() else {
        return;
    };
    let outcome = conformance::run(&Prefixes(account)).await;
    assert!(outcome.is_conforming(), "{outcome}");
    let skipped: Vec<_> = outcome.skipped.iter().map(|(case, _)| *case).collect();
    assert_eq!(
        skipped,
        [
            "a read-only backend refuses writes as Unsupported",
            "an overlap is kept or refused"
        ],
        "{outcome}"
    );
}
