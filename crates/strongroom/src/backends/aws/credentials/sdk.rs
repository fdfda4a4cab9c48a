//! Credentials that AWS's own SDK finds: of a profile, and of the instance that this machine is.

use std::time::Duration;

use aws_config::imds;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::{Credentials, ProvideCredentials, Region};
use aws_sdk_sts::error::{ConnectorError, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Found, Inner, variables};
use crate::backends::aws::failure::{Failure, not_sent};
use crate::backends::aws::settings::wrong;
use crate::backends::aws::{client, http};
use crate::error::{Error, ErrorKind, Result};

/// How long the instance may take to answer. Elsewhere nobody answers at its address.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(1);

/// The profile's credentials, whatever way they are had: keys, a role, a login, a program.
///
/// The files are read each time: other programs renew what they hold.
pub(super) async fn profile(inner: &Inner) -> Result<Option<Found>> {
    let profile = &inner.settings.profile;
    let Some(files) = profile.files() else {
        return Ok(None);
    };
    let mut provider = ProfileFileCredentialsProvider::builder()
        .configure(&config(inner))
        .profile_name(profile.name.clone())
        .profile_files(files)
        .with_custom_provider("EcsContainer", inner.container());
    if let Some(found) = variables::find(&inner.env)? {
        provider = provider.with_custom_provider("Environment", found.credentials);
    }
    if let Some(client) = instance_client(inner)? {
        let instance = imds::credentials::ImdsCredentialsProvider::builder();
        let instance = instance.configure(&config(inner)).imds_client(client);
        provider = provider.with_custom_provider("Ec2InstanceMetadata", instance.build());
    }
    let what = format!("the AWS profile `{}`", profile.name);
    let provider = provider.build();
    let found = given(&what, client::quietly(provider.provide_credentials()).await)?;
    match found {
        None if profile.is_named => {
            let message = format!("{what} holds no credentials");
            Err(Error::new(ErrorKind::Auth, message)
                .with_help("correct AWS_PROFILE or the profile"))
        }
        found => Ok(found),
    }
}

/// The credentials of the role of an EC2 instance.
pub(super) async fn instance(inner: &Inner) -> Result<Option<Found>> {
    let Some(client) = instance_client(inner)? else {
        return Ok(None);
    };
    let provider = imds::credentials::ImdsCredentialsProvider::builder();
    let provider = provider
        .configure(&config(inner))
        .imds_client(client)
        .build();
    let found = client::quietly(provider.provide_credentials()).await;
    given("the role of the EC2 instance", found)
}

/// The client for the instance's metadata, unless it is switched off.
fn instance_client(inner: &Inner) -> Result<Option<imds::Client>> {
    let env = &inner.env;
    let disabled = env.var("AWS_EC2_METADATA_DISABLED")?;
    if disabled.is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let endpoint = env.var(ENDPOINT)?.unwrap_or("http://169.254.169.254");
    let client = imds::Client::builder()
        .configure(&config(inner))
        .connect_timeout(INSTANCE_TIMEOUT)
        .read_timeout(INSTANCE_TIMEOUT)
        .max_attempts(1)
        .endpoint(endpoint)
        .map_err(|_| wrong(format!("{ENDPOINT} is not an address")))?;
    Ok(Some(client.build()))
}

fn config(inner: &Inner) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_region(Some(Region::new(inner.settings.region.clone())))
        .with_http_client(http::client(inner.connector.clone()))
}

/// Sorts what the SDK says. Its messages quote files and answers, so that none is kept.
fn given(what: &str, outcome: Result<Credentials, CredentialsError>) -> Result<Option<Found>> {
    let error = match outcome {
        Ok(credentials) => {
            let from = what.to_owned();
            return Ok(Some(Found { credentials, from }));
        }
        Err(CredentialsError::CredentialsNotLoaded(_)) => return Ok(None),
        Err(CredentialsError::InvalidConfiguration(_)) => {
            let message =
                format!("{what} is set up wrongly, or in a way that this build can't use");
            return Err(wrong(message).with_help(
                "`aws configure list` shows the settings; for single sign-on and for programs that \
                 give credentials, strongroom is built with the feature `aws-sso`",
            ));
        }
        Err(CredentialsError::ProviderTimedOut(_)) => {
            let message = format!("{what} gave no credentials in time");
            return Err(Error::new(ErrorKind::Transient, message));
        }
        Err(error) => error,
    };
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |cause| {
        cause.source()
    });
    for cause in causes {
        if let Some(error) = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            return Err(Failure::of(what, error).of_login());
        }
        if let Some(error) =
            cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>()
        {
            return Err(Failure::of(what, error).of_login());
        }
        if cause.is::<ConnectorError>() {
            return Err(not_sent(what, Some(cause)));
        }
    }
    let message = format!("{what} gives no credentials");
    Err(Error::new(ErrorKind::Auth, message)
        .with_help("`aws sts get-caller-identity` with the same profile says why"))
}
