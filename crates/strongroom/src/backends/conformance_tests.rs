//! Our own backends pass the suite, opened by their addresses as the factory opens them.

use std::sync::Arc;

use async_trait::async_trait;

use super::{ALL, Connect};
use crate::conformance::{self, Harness};
use crate::declared::{Declared, Kind};
use crate::env::{Deployment, Env};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::SecretProvider;
use crate::rails::GuardRails;
use crate::secret::Secret;

mod environment;
mod memory;
mod plain_file;
mod sealed_file;

/// Opens an address in an environment, with everything that the store holds declared.
async fn open(
    url: &str,
    env: Env,
    held: &[(SecretName, Secret)],
) -> Result<Arc<dyn SecretProvider>> {
    let url: crate::ProviderUrl = url.parse()?;
    let row = ALL.iter().find(|row| row.scheme() == url.base_scheme());
    let rails = GuardRails::new(Deployment::Development, []);
    let declared = held
        .iter()
        .map(|(name, _)| Declared::new(name.clone(), Kind::Opaque));
    let connect = Connect::new(url, env, rails).with_declared(declared);
    row.unwrap().open(connect).await
}

/// What a harness says of a value that its store can't be given.
fn cant_hold(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the store can't hold {what}"))
}

/// Runs the suite and demands that exactly these cases don't apply.
async fn conforms(harness: &dyn Harness, skipped: &[&str]) {
    let outcome = conformance::run(harness).await;
    assert!(outcome.is_conforming(), "{outcome}");
    let found: Vec<_> = outcome.skipped.iter().map(|(case, _)| *case).collect();
    assert_eq!(found, skipped, "{outcome}");
}
