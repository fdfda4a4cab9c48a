//! Credentials that AWS's own SDK finds: of a login, of a program, and of the instance that this
//! machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use aws_config::imds;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_secretsmanager::config::{Credentials, ProvideCredentials, Region};
use aws_sdk_sts::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::{Found, Inner};
use crate::backends::aws::failure::not_sent;
use crate::backends::aws::settings::wrong;
use crate::backends::aws::{client, http};
use crate::error::{Error, ErrorKind, Result};

/// How long the instance may take to answer. Elsewhere nobody answers at its address.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a program or a login may take.
const PROFILE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a profile says of a login, and its `sso-session` of it.
const LOGIN: &[&str] = &["sso_session", "sso_account_id", "sso_role_name"];
const SESSION: &[&str] = &["sso_region", "sso_start_url"];

/// The credentials of a profile without a role.
pub(super) async fn profile(
    inner: &Inner,
    set: &ProfileSet,
    name: &str,
) -> Result<Option<Credentials>> {
    let what = format!("the AWS profile `{name}`");
    let login = login(inner, set, name);
    let is_login = login.is_some();
    let files = match login {
        Some(login) => Some(login),
        None => inner.settings.profile.files()?,
    };
    let Some(files) = files else {
        return Ok(None);
    };
    let watched = Watched::new(&inner.connector);
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(&config(inner, &watched))
        .profile_name(name)
        .profile_files(files)
        .build();
    let found = client::quietly(provider.provide_credentials());
    let found = tokio::time::timeout(PROFILE_TIMEOUT, found).await;
    let late = |_| Err(CredentialsError::provider_timed_out(PROFILE_TIMEOUT));
    let found = watched.given(&what, found.unwrap_or_else(late));
    found.map_err(|error| match error.kind() {
        ErrorKind::Auth if is_login => {
            error.with_help(format!("log in again: `aws sso login --profile {name}`"))
        }
        _ => error,
    })
}

/// The login of a profile, in a file that exists in memory alone. The SDK takes the endpoints from
/// files or from the variables of the process, and ours may say otherwise.
fn login(inner: &Inner, set: &ProfileSet, name: &str) -> Option<EnvConfigFiles> {
    let profile = set.get_profile(name)?;
    let is_login = |key: &&str| profile.get(key).is_some();
    if !LOGIN.iter().chain(SESSION).any(is_login) {
        return None;
    }
    let mut file = format!("[profile {name}]\nservices = strongroom\n");
    for key in LOGIN.iter().chain(SESSION) {
        let value = profile.get(key);
        file.extend(value.map(|value| format!("{key} = {value}\n")));
    }
    let session = profile.get("sso_session");
    if let Some((at, session)) = session.and_then(|at| Some((at, set.sso_session(at)?))) {
        file.push_str(&format!("[sso-session {at}]\n"));
        for key in SESSION {
            let value = session.get(key);
            file.extend(value.map(|value| format!("{key} = {value}\n")));
        }
    }
    file.push_str("[services strongroom]\n");
    let settings = &inner.settings;
    for (service, endpoint) in [
        ("sso", &settings.sso_endpoint),
        ("sso_oidc", &settings.sso_oidc_endpoint),
    ] {
        let url = endpoint.as_ref().map(|endpoint| &endpoint.url);
        file.extend(url.map(|url| format!("{service} =\n  endpoint_url = {url}\n")));
    }
    let files = EnvConfigFiles::builder();
    Some(files.with_contents(EnvConfigFileKind::Config, file).build())
}

/// The credentials of the role of an EC2 instance.
pub(super) async fn instance(inner: &Inner) -> Result<Option<Found>> {
    let watched = Watched::new(&inner.connector);
    let Some(client) = instance_client(inner, &watched)? else {
        return Ok(None);
    };
    let provider = imds::credentials::ImdsCredentialsProvider::builder();
    let provider = provider
        .configure(&config(inner, &watched))
        .imds_client(client)
        .build();
    let found = client::quietly(provider.provide_credentials()).await;
    let what = "the role of the EC2 instance";
    let credentials = watched.given(what, found)?;
    let from = what.to_owned();
    Ok(credentials.map(|credentials| Found { credentials, from }))
}

/// The client for the instance's metadata, unless it is switched off.
fn instance_client(inner: &Inner, watched: &Watched) -> Result<Option<imds::Client>> {
    let env = &inner.env;
    let disabled = env.var("AWS_EC2_METADATA_DISABLED")?;
    if disabled.is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let endpoint = env.var(ENDPOINT)?.unwrap_or("http://169.254.169.254");
    let client = imds::Client::builder()
        .configure(&config(inner, watched))
        .connect_timeout(INSTANCE_TIMEOUT)
        .read_timeout(INSTANCE_TIMEOUT)
        .max_attempts(1)
        .endpoint(endpoint)
        .map_err(|_| wrong(format!("{ENDPOINT} is not an address")))?;
    Ok(Some(client.build()))
}

fn config(inner: &Inner, watched: &Watched) -> ProviderConfig {
    let settings = &inner.settings;
    ProviderConfig::without_region()
        .with_region(Some(Region::new(settings.region.clone())))
        .with_use_fips(Some(settings.fips))
        .with_use_dual_stack(Some(settings.dual_stack))
        .with_http_client(http::client(SharedHttpConnector::new(watched.clone())))
        .with_retry_config(client::no_retries())
        .with_timeout_config(client::timeouts())
}

/// The pool of connections, which remembers the status of the last answer: the SDK's own errors tell
/// it only by types of crates that are not ours.
#[derive(Debug, Clone)]
struct Watched {
    connector: SharedHttpConnector,
    status: Arc<AtomicU16>,
}

impl Watched {
    fn new(connector: &SharedHttpConnector) -> Self {
        Self {
            connector: connector.clone(),
            status: Arc::default(),
        }
    }

    /// Sorts what the SDK says. Its messages quote files and answers, so that none is kept.
    fn given(
        &self,
        what: &str,
        outcome: Result<Credentials, CredentialsError>,
    ) -> Result<Option<Credentials>> {
        let error = match outcome {
            Ok(credentials) => return Ok(Some(credentials)),
            Err(CredentialsError::CredentialsNotLoaded(_)) => return Ok(None),
            Err(CredentialsError::InvalidConfiguration(_)) => {
                let message =
                    format!("{what} is set up wrongly, or in a way that this build can't use");
                return Err(wrong(message).with_help(
                    "`aws configure list` shows the settings; for single sign-on and for programs \
                     that give credentials, strongroom is built with the feature `aws-sso`",
                ));
            }
            Err(CredentialsError::ProviderTimedOut(_)) => {
                let message = format!("{what} gave no credentials in time");
                return Err(Error::new(ErrorKind::Transient, message));
            }
            Err(error) => error,
        };
        let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |cause| {
            cause.source()
        });
        if let Some(cause) = causes.find(|cause| cause.is::<ConnectorError>()) {
            return Err(not_sent(what, Some(cause)));
        }
        let status = self.status.load(Ordering::Relaxed);
        if status == 429 || status >= 500 {
            let message = format!("{what} gives no credentials: the answer is {status}");
            return Err(Error::new(ErrorKind::Transient, message));
        }
        let message = format!("{what} gives no credentials");
        Err(Error::new(ErrorKind::Auth, message)
            .with_help("`aws sts get-caller-identity` with the same profile says why"))
    }
}

impl HttpConnector for Watched {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { connector, status } = self.clone();
        HttpConnectorFuture::new(async move {
            let answer = connector.call(request).await?;
            status.store(answer.status().as_u16(), Ordering::Relaxed);
            Ok(answer)
        })
    }
}
