//! Calls to AWS: each with valid credentials, a limit of time, and nothing of it in a log.

use std::future::Future;
use std::sync::Arc;

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::{
    BehaviorVersion, IdentityCache, Region, StalledStreamProtectionConfig,
};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::credentials::Chain;
use super::failure::Failure;
use super::http;
use super::settings::{CONNECT_TIMEOUT, Settings, TIMEOUT};
use crate::backends::Connect;
use crate::error::Result;

/// The most calls at one time, and so the most connections.
const MAX_CALLS: usize = 32;

/// AWS's own client, of which only the calls are used: retries, waiting and credentials are ours.
#[derive(Clone, Debug)]
pub(super) struct Client {
    sdk: aws_sdk_secretsmanager::Client,
    pub(super) chain: Chain,
    permits: Arc<tokio::sync::Semaphore>,
}

impl Client {
    /// Makes one. Connects to nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) that names the variable which can't be used.
    pub(super) fn new(connect: &Connect, settings: &Settings) -> Result<Self> {
        let connector = http::connector(connect)?;
        let chain = Chain::new(connect, settings, connector.clone());
        let mut config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(settings.region.clone()))
            .credentials_provider(chain.clone())
            .identity_cache(IdentityCache::no_cache())
            .http_client(http::client(connector))
            .retry_config(no_retries())
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .use_fips(settings.fips)
            .use_dual_stack(settings.dual_stack);
        if let Some(endpoint) = &settings.endpoint {
            config = config.endpoint_url(&endpoint.url);
        }
        Ok(Self {
            sdk: aws_sdk_secretsmanager::Client::from_conf(config.build()),
            chain,
            permits: Arc::new(tokio::sync::Semaphore::new(MAX_CALLS)),
        })
    }

    /// Makes one call. Where AWS refuses the credentials and others can be had, makes it once more.
    pub(super) async fn call<T, E, F>(
        &self,
        what: &str,
        send: impl Fn(&aws_sdk_secretsmanager::Client) -> F,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        // Never closed; were it, the call would only go out without waiting.
        let _permit = self.permits.acquire().await.ok();
        let credentials = self.chain.current().await?;
        let refused = match self.once(what, &send).await {
            Err(failure) if failure.refuses_credentials() => failure,
            outcome => return outcome,
        };
        match self.chain.renew(&credentials).await? {
            true => self.once(what, &send).await,
            false => Err(refused),
        }
    }

    /// Makes a call that carries a token by which AWS knows it again. If its answer is lost, makes it
    /// once more: AWS answers the second as it did the first, and does nothing twice.
    pub(super) async fn call_with_token<T, E, F>(
        &self,
        what: &str,
        send: impl Fn(&aws_sdk_secretsmanager::Client) -> F,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        match self.call(what, &send).await {
            Err(failure) if failure.may_have_happened() => self.call(what, &send).await,
            outcome => outcome,
        }
    }

    async fn once<T, E, F>(
        &self,
        what: &str,
        send: &impl Fn(&aws_sdk_secretsmanager::Client) -> F,
    ) -> Result<T, Failure>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let outcome = quietly(send(&self.sdk)).await;
        outcome.map_err(|error| Failure::of(what, &error))
    }
}

/// Runs a future of the SDK without its log. At the level TRACE it shows requests and answers; this
/// release redacts what is secret in them, and nothing promises that the next one does, or that an
/// answer which can't be parsed is redacted too.
pub(super) fn quietly<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_subscriber(NoSubscriber::default())
}

/// Repetition is the retry layer's.
pub(super) fn no_retries() -> RetryConfig {
    RetryConfig::disabled()
}

pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_timeout(TIMEOUT)
        .build()
}
