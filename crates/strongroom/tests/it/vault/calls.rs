//! The calls of a provider as these tests make them.

use strongroom::provider::{Put, Reply, Request, Stage, Target};
use strongroom::{Connection, Env, Error, ErrorKind, Result, Secret, SecretProvider, Version};
use strongroom::{Deployment, SecretsFactory};

pub(super) fn target(name: &str) -> Target {
    Target::new(name.parse().unwrap())
}

/// Means a place of the backend itself, as `source = { id = …, field = … }` does.
pub(super) fn place(id: &str, field: &str) -> Target {
    target("any/name").with_id(id, Some(field.to_owned()))
}

pub(super) async fn fetch(provider: &dyn SecretProvider, request: Request) -> Result<Secret> {
    match provider.fetch(&[request]).await.pop().unwrap()? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => panic!("nothing was known"),
    }
}

/// Reads the current value, as text.
pub(super) async fn read(provider: &dyn SecretProvider, name: &str) -> Result<String> {
    let secret = fetch(provider, Request::new(target(name))).await?;
    secret.expose_str().map(str::to_owned)
}

/// Reads one version, as text.
pub(super) async fn read_version(
    provider: &dyn SecretProvider,
    name: &str,
    version: &str,
) -> Result<String> {
    let stage = Stage::Exact(Version::new(version));
    let secret = fetch(provider, Request::new(target(name)).with_stage(stage)).await?;
    secret.expose_str().map(str::to_owned)
}

/// Demands that a read fails, and as what.
#[track_caller]
pub(super) fn failed(read: Result<String>, kind: ErrorKind, case: &str) -> Error {
    let Err(error) = read else {
        panic!("{case}: it was read");
    };
    assert_eq!(error.kind(), kind, "{case}: {error}");
    error
}

pub(super) async fn write(
    provider: &dyn SecretProvider,
    name: &str,
    value: &str,
) -> Result<String> {
    let put = Put::new(target(name), Secret::from_text(value));
    let version = provider.put(&put).await?;
    Ok(version.map_or_else(String::new, |version| version.as_str().to_owned()))
}

/// Connects as a service does: with the layers, and as the manifest says.
pub(super) async fn connect(address: &str, env: Env, manifest: &str) -> Result<Connection> {
    let env = env
        .with_var("STRONGROOM_PROVIDER", address)
        .with_var("STRONGROOM_ENV", Deployment::Development.as_str())
        .with_working_dir("/nonexistent");
    let builder = SecretsFactory::builder().env(env).manifest_text(manifest);
    builder.connect().await
}

/// Reads through the layers.
pub(super) async fn get(connection: &Connection, name: &str) -> Result<String> {
    let secret = connection.read(&name.parse().unwrap()).await?;
    secret.expose_str().map(str::to_owned)
}
