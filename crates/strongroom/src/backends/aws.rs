//! AWS Secrets Manager (feature `aws`).

use super::{Backend, Class, Probe, Strength};
use crate::env::{Deployment, Env};
use crate::error::Result;
use crate::provider_url::ProviderUrl;

#[cfg(feature = "aws")]
mod client;
#[cfg(feature = "aws")]
mod credentials;
#[cfg(feature = "aws")]
mod doctor;
#[cfg(feature = "aws")]
mod failure;
#[cfg(feature = "aws")]
mod http;
#[cfg(feature = "aws")]
mod place;
#[cfg(feature = "aws")]
mod profile;
#[cfg(feature = "aws")]
mod provider;
#[cfg(feature = "aws")]
mod settings;
#[cfg(feature = "aws")]
mod store;

#[cfg(all(feature = "aws", any(test, fuzzing)))]
pub(super) use store::fuzzing;

pub(super) const BACKEND: Backend = Backend::new("aws", "AWS Secrets Manager", open)
    .with_url_keys(&["recovery_days"])
    .with_credentials(CREDENTIALS)
    .remote()
    .with_strength(Strength::Authenticated)
    .with_detect(detect)
    .with_doctor(examine);

/// The variables that hold a credential, or lead to one.
const CREDENTIALS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

const MARKER: &str = "STRONGROOM_AWS_PREFIX";

/// Platforms of AWS, each with the variable that it sets.
const PLATFORMS: &[(&str, &str)] = &[
    ("AWS Lambda", "AWS_LAMBDA_FUNCTION_NAME"),
    ("Amazon ECS", "ECS_CONTAINER_METADATA_URI_V4"),
    ("Amazon ECS", "ECS_CONTAINER_METADATA_URI"),
    ("Amazon EKS", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("Amazon EKS", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
];

#[cfg(not(feature = "aws"))]
fn open(connect: super::Connect) -> super::Opening {
    super::not_in_this_build(
        &connect,
        "AWS backend",
        "build it with the cargo feature `aws`",
    )
}

#[cfg(not(feature = "aws"))]
fn examine(connect: super::Connect) -> crate::examination::Examining {
    super::examine_by_opening(connect, open)
}

#[cfg(feature = "aws")]
use doctor::examine;

#[cfg(feature = "aws")]
fn open(connect: super::Connect) -> super::Opening {
    Box::pin(async move {
        let settings = settings::Settings::read(&connect).await?;
        let client = client::Client::new(&connect, &settings)?;
        let provider = provider::Provider::new(client, settings);
        Ok(std::sync::Arc::new(provider) as std::sync::Arc<dyn crate::provider::SecretProvider>)
    })
}

/// Finds AWS credentials, where AWS's own tools would, for a login elsewhere that takes them.
///
/// # Errors
/// As those of a read of a secret, where there are none.
#[cfg(all(feature = "aws", feature = "vault"))]
pub(super) async fn credentials(
    connect: &super::Connect,
    region: &str,
) -> Result<aws_credential_types::Credentials> {
    let mut connect = connect.clone();
    connect.url = ProviderUrl::new("aws", "/").with_authority(region);
    let settings = settings::Settings::read(&connect).await?;
    let connector = http::connector(&connect)?;
    credentials::Chain::new(&connect, &settings, connector)
        .current()
        .await
}

fn detect(env: &Env, _: Deployment) -> Result<Vec<Probe>> {
    if let Some(prefix) = env.var(MARKER)? {
        let region = match env.var("AWS_REGION")? {
            Some(region) => Some(region),
            None => env.var("AWS_DEFAULT_REGION")?,
        };
        let url = ProviderUrl::new("aws", format!("/{}", prefix.trim_matches('/')))
            .with_authority(region.unwrap_or_default());
        return Ok(vec![Probe::found(Class::Marker, MARKER, url)]);
    }
    let mut probes = vec![Probe::nothing(Class::Marker, MARKER, "not set")];
    if let Some((platform, variable)) = PLATFORMS.iter().find(|(_, variable)| env.has(variable)) {
        probes.push(Probe::nothing(
            Class::Platform,
            *variable,
            format!("this is {platform}, but {MARKER} is missing to choose AWS Secrets Manager"),
        ));
    }
    Ok(probes)
}
