//! The libraries that hold secrets beside ours. Each reads from memory, so that what is measured is what
//! it does itself.

use std::collections::HashMap;
use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_secretsmanager_caching::SecretsManagerCachingClient;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use secret_vault::{
    Secret, SecretMetadata, SecretName, SecretVaultBuilder, SecretVaultEncryption,
    SecretVaultHashMapSnapshot, SecretVaultHashMapSnapshotBuilder, SecretVaultRef,
    SecretVaultResult, SecretVaultViewer, SecretsSource,
};

pub use crate::live::{NAME, VALUE};

/// AWS's own caching client, on a stand-in for Secrets Manager, and a count of the calls it makes.
pub fn aws_caching(
    latency: Duration,
) -> Result<(SecretsManagerCachingClient, Arc<AtomicUsize>), Box<dyn Error>> {
    let calls = Arc::new(AtomicUsize::new(0));
    let connector = SharedHttpConnector::new(SecretsManager {
        latency,
        calls: Arc::clone(&calls),
    });
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new(
            "bench",
            "of a stand-in",
            None,
            None,
            "bench",
        ))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let (most, ttl) = (NonZeroUsize::MAX, Duration::from_secs(300));
    let client = SecretsManagerCachingClient::new(client, most, ttl, false)?;
    Ok((client, calls))
}

#[derive(Debug)]
struct SecretsManager {
    latency: Duration,
    calls: Arc<AtomicUsize>,
}

impl HttpConnector for SecretsManager {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let latency = self.latency;
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(latency).await;
            let body = format!(
                r#"{{"ARN":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{NAME}-a1B2c3",
                "Name":"{NAME}","VersionId":"2c1f0c3e-6c3f-4c55-8e0e-5b1a6a1f0f00",
                "SecretString":"{VALUE}","VersionStages":["AWSCURRENT"],"CreatedDate":1.7e9}}"#
            );
            let ok = 200_u16.try_into().map_err(|_| no_status())?;
            Ok(HttpResponse::new(ok, SdkBody::from(body)))
        })
    }
}

fn no_status() -> aws_smithy_runtime_api::client::result::ConnectorError {
    aws_smithy_runtime_api::client::result::ConnectorError::user("no status".into())
}

/// What secret-vault holds, as its three kinds of readers find it.
pub async fn secret_vault<E: SecretVaultEncryption + Send + Sync>(
    encryption: E,
) -> Result<(SecretVaultViewer<E>, SecretVaultHashMapSnapshot), Box<dyn Error>> {
    let name = SecretVaultRef::new(vault_name()).with_allow_in_snapshots(true);
    let vault = SecretVaultBuilder::with_source(Fixed)
        .with_encryption(encryption)
        .with_secret_refs(vec![&name])
        .build()?;
    vault.refresh().await?;
    let snapshot = vault
        .snapshot(SecretVaultHashMapSnapshotBuilder::new())
        .await?;
    Ok((vault.viewer(), snapshot))
}

pub fn vault_name() -> SecretName {
    SecretName::new(NAME.to_owned())
}

struct Fixed;

#[async_trait]
impl SecretsSource for Fixed {
    fn name(&self) -> String {
        "fixed".to_owned()
    }

    async fn get_secrets(
        &self,
        wanted: &[SecretVaultRef],
    ) -> SecretVaultResult<HashMap<SecretVaultRef, Secret>> {
        let secret = |wanted: &SecretVaultRef| {
            let metadata = SecretMetadata::create_from_ref(wanted);
            Secret::new(VALUE.to_owned().into(), metadata)
        };
        Ok(wanted
            .iter()
            .map(|wanted| (wanted.clone(), secret(wanted)))
            .collect())
    }
}
