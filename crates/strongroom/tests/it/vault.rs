//! Vault's backend against a real OpenBao. `cargo xtask test` starts it.

pub(crate) mod admin;
mod auth;
mod bounds;
mod calls;
mod canary;
mod conformance;
mod doctor;
mod kv;
mod leases;
mod outage;
mod rotation;
mod status;
mod stub;
pub(crate) mod tls;
mod wire;

use std::sync::Arc;

use strongroom::{
    Connect, Declared, Deployment, Env, GuardRails, Result, SecretProvider, SecretsFactory,
};

/// Opens an address as the factory would, without layers.
async fn open(address: &str, env: Env) -> Result<Arc<dyn SecretProvider>> {
    open_declared(address, env, []).await
}

async fn open_declared(
    address: &str,
    env: Env,
    declared: impl IntoIterator<Item = Declared>,
) -> Result<Arc<dyn SecretProvider>> {
    let url: strongroom::ProviderUrl = address.parse()?;
    let mut rows = SecretsFactory::backends().iter();
    let row = rows.find(|row| row.scheme() == url.base_scheme()).unwrap();
    let rails = GuardRails::new(Deployment::Development, []);
    row.open(Connect::new(url, env, rails).with_declared(declared))
        .await
}
