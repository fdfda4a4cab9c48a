//! AWS Secrets Manager: how it is noticed. This version can't open it.

use super::{Backend, Class, Probe, not_in_this_build};
use crate::env::{Deployment, Env};
use crate::error::Result;
use crate::provider_url::ProviderUrl;

pub(super) const BACKEND: Backend = Backend::new("aws", "AWS Secrets Manager", |connect| {
    not_in_this_build(
        &connect,
        "AWS backend",
        "the cargo feature `aws` brings it, in versions of strongroom that have that feature",
    )
})
.remote()
.with_detect(detect);

const MARKER: &str = "STRONGROOM_AWS_PREFIX";

/// Platforms of AWS, each with the variable that it sets.
const PLATFORMS: &[(&str, &str)] = &[
    ("AWS Lambda", "AWS_LAMBDA_FUNCTION_NAME"),
    ("Amazon ECS", "ECS_CONTAINER_METADATA_URI_V4"),
    ("Amazon ECS", "ECS_CONTAINER_METADATA_URI"),
    ("Amazon EKS", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("Amazon EKS", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
];

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
