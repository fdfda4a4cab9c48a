//! AWS's backend against moto, a stand-in for AWS. `cargo xtask test` starts it.

mod account;
mod conformance;

use std::sync::Arc;

use strongroom::{Connect, Deployment, Env, GuardRails, Result, SecretProvider, SecretsFactory};

/// Opens an address as the factory would, without layers.
async fn open(address: &str, env: Env) -> Result<Arc<dyn SecretProvider>> {
    let url: strongroom::ProviderUrl = address.parse()?;
    let mut rows = SecretsFactory::backends().iter();
    let row = rows.find(|row| row.scheme() == "aws").unwrap();
    let rails = GuardRails::new(Deployment::Development, []);
    row.open(Connect::new(url, env, rails)).await
}
