//! Credentials of a role, for a token that the platform mounts: Kubernetes, most of all on EKS.

use std::time::SystemTime;

use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_sts::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};

use super::{Found, Inner};
use crate::backends::aws::client;
use crate::backends::aws::failure::Failure;
use crate::backends::aws::http;
use crate::backends::aws::settings::wrong;
use crate::env::read_text_file;
use crate::error::{Error, ErrorKind, Result};

const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const SESSION: &str = "AWS_ROLE_SESSION_NAME";

/// The most bytes of a token.
const MAX_TOKEN: usize = 64 * 1024;

pub(super) async fn find(inner: &Inner) -> Result<Option<Found>> {
    let env = &inner.env;
    let Some(path) = env.var(TOKEN_FILE)? else {
        return Ok(None);
    };
    let role = env.var(ROLE)?;
    let role = role.ok_or_else(|| wrong(format!("{TOKEN_FILE} is set, and {ROLE} is not")))?;
    let path = env.working_dir().join(path);
    // Kubernetes replaces the token every hour.
    let token = read_text_file(&path, MAX_TOKEN).map_err(|error| {
        let message = format!(
            "the token that {TOKEN_FILE} names can't be read: {}: {}",
            path.display(),
            error.kind()
        );
        Error::new(ErrorKind::Auth, message)
    })?;
    let what = format!("the role {role}, for a web identity");
    let answer = sts(inner)
        .assume_role_with_web_identity()
        .role_arn(role)
        .role_session_name(env.var(SESSION)?.unwrap_or("strongroom"))
        .web_identity_token(token.trim_end())
        .send();
    let answer = client::quietly(answer).await;
    let answer = answer.map_err(|error| Failure::of(&what, &error).of_login())?;
    let given = answer.credentials().ok_or_else(|| {
        Error::new(
            ErrorKind::Auth,
            format!("{what}: the answer has no credentials"),
        )
    })?;
    let credentials = Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        Some(given.session_token().to_owned()),
        SystemTime::try_from(*given.expiration()).ok(),
        "web identity",
    );
    let from = format!("{what} ({TOKEN_FILE})");
    Ok(Some(Found { credentials, from }))
}

fn sts(inner: &Inner) -> aws_sdk_sts::Client {
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
    aws_sdk_sts::Client::from_conf(config.build())
}
