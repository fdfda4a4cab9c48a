//! AWS's service that gives credentials for a role.

use std::time::SystemTime;

use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_sts::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};

use super::Inner;
use crate::backends::aws::failure::Failure;
use crate::backends::aws::{client, http};
use crate::error::{Error, ErrorKind, Result};

/// How a session is called where nothing says it.
const SESSION: &str = "strongroom";

/// A role that is taken on.
pub(super) struct Role<'a> {
    pub(super) arn: &'a str,
    pub(super) session: &'a str,
    pub(super) external_id: Option<&'a str>,
    pub(super) seconds: Option<i32>,
}

impl<'a> Role<'a> {
    pub(super) fn new(arn: &'a str, session: Option<&'a str>) -> Self {
        Self {
            arn,
            session: session.unwrap_or(SESSION),
            external_id: None,
            seconds: None,
        }
    }
}

/// Takes a role on, with credentials that may.
pub(super) async fn assume(
    inner: &Inner,
    role: &Role<'_>,
    with: Credentials,
) -> Result<Credentials> {
    let what = format!("the role {}", role.arn);
    let answer = client(inner, Some(with))
        .assume_role()
        .role_arn(role.arn)
        .role_session_name(role.session)
        .set_external_id(role.external_id.map(str::to_owned))
        .set_duration_seconds(role.seconds)
        .send();
    let answer = client::quietly(answer).await;
    let answer = answer.map_err(|error| Failure::of(&what, &error).of_login())?;
    given(&what, answer.credentials())
}

pub(super) fn client(inner: &Inner, with: Option<Credentials>) -> aws_sdk_sts::Client {
    let settings = &inner.settings;
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(settings.region.clone()))
        .http_client(http::client(inner.connector.clone()))
        .retry_config(client::no_retries())
        .timeout_config(client::timeouts())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .use_fips(settings.fips)
        .use_dual_stack(settings.dual_stack);
    if let Some(endpoint) = &settings.sts_endpoint {
        config = config.endpoint_url(&endpoint.url);
    }
    if let Some(with) = with {
        config = config.credentials_provider(with);
    }
    aws_sdk_sts::Client::from_conf(config.build())
}

pub(super) fn given(
    what: &str,
    given: Option<&aws_sdk_sts::types::Credentials>,
) -> Result<Credentials> {
    let given = given.ok_or_else(|| {
        let message = format!("{what}: the answer has no credentials");
        Error::new(ErrorKind::Auth, message)
    })?;
    Ok(Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token().to_owned()),
        SystemTime::try_from(*given.expiration()).ok(),
        "role",
    ))
}
