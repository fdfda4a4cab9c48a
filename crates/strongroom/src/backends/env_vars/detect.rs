//! How the environment is noticed as the place of secrets.

use crate::backends::{Class, Probe};
use crate::env::{Deployment, Env};
use crate::error::Result;
use crate::provider_url::ProviderUrl;

/// Platforms that hand secrets to a service as variables, each by the variable that it sets.
const PLATFORMS: &[(&str, &str)] = &[
    ("VERCEL", "Vercel"),
    ("NETLIFY", "Netlify"),
    ("DYNO", "Heroku"),
    ("RENDER", "Render"),
    ("FLY_APP_NAME", "Fly.io"),
    ("RAILWAY_ENVIRONMENT", "Railway"),
    ("K_SERVICE", "Cloud Run"),
    ("WEBSITE_INSTANCE_ID", "Azure App Service"),
];

/// After `.env`, which says more plainly what it is for.
const RANK: u8 = 2;

pub(super) fn detect(env: &Env, deployment: Deployment) -> Result<Vec<Probe>> {
    Ok(vec![platform(env), fallback(env, deployment)?])
}

fn platform(env: &Env) -> Probe {
    match PLATFORMS.iter().find(|(variable, _)| env.has(variable)) {
        Some((variable, platform)) => Probe::found(Class::Platform, *variable, address())
            .with_detail(format!("{platform} hands secrets over as variables")),
        None => {
            let variables: Vec<_> = PLATFORMS.iter().map(|(variable, _)| *variable).collect();
            Probe::nothing(Class::Platform, variables.join(", "), "none is set")
        }
    }
}

fn fallback(env: &Env, deployment: Deployment) -> Result<Probe> {
    let is_ci = env.is_ci()?;
    let detail = match deployment {
        Deployment::Development | Deployment::Test => format!("the deployment is {deployment}"),
        _ if is_ci => "CI is set".to_owned(),
        _ => {
            let detail = format!(
                "the deployment is {deployment}: the environment is the last resort only in \
                 development, in test and where CI is set"
            );
            let probe = Probe::nothing(Class::Fallback, "the environment", detail);
            return Ok(probe.with_rank(RANK));
        }
    };
    let probe = Probe::found(Class::Fallback, "the environment", address());
    Ok(probe.with_detail(detail).with_rank(RANK))
}

fn address() -> ProviderUrl {
    ProviderUrl::new("env", "")
}
