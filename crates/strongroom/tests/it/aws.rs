//! AWS's backend against moto, a stand-in for AWS. `cargo xtask test` starts it.

pub(crate) mod account;
mod conformance;
mod credentials;
mod doctor;
mod faults;
mod https;
mod reads;
mod rotation;
mod shown;
mod trust;
mod writes;

use std::sync::Arc;

use strongroom::provider::{Reply, Request};
use strongroom::{
    Connect, Deployment, Env, GuardRails, Result, Secret, SecretName, SecretProvider,
    SecretsFactory,
};

/// Opens an address as the factory would, without layers.
async fn open(address: &str, env: Env) -> Result<Arc<dyn SecretProvider>> {
    let url: strongroom::ProviderUrl = address.parse()?;
    let mut rows = SecretsFactory::backends().iter();
    let row = rows.find(|row| row.scheme() == "aws").unwrap();
    let rails = GuardRails::new(Deployment::Development, []);
    row.open(Connect::new(url, env, rails)).await
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

async fn get(provider: &dyn SecretProvider, request: impl Into<Request>) -> Result<Secret> {
    match provider.fetch(&[request.into()]).await.remove(0)? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => panic!("no version was known"),
    }
}
