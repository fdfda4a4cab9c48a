//! The verifier as a layer of tower, and the public health endpoint.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{BearerVerifier, ClientKey, Refusal};
use crate::secrets::Secrets;

/// Lets only requests with the token through to the service inside.
///
/// A request goes on with a [`Verified`](super::Verified) among its extensions, and without its
/// `Authorization` header, so that nothing inside can log or forward it. Any other is answered
/// here, with an empty body: 401 with `WWW-Authenticate`, 429 with `Retry-After`, or 503.
///
/// What stands outside of this layer sees the header. A layer that logs requests belongs inside, or behind
/// one that marks the header as sensitive.
///
/// ```
/// use strongroom::auth::{BearerLayer, BearerVerifier, ClientKey};
/// use strongroom::{Live, Secret};
///
/// let verifier = BearerVerifier::new(Live::fixed(Secret::from_text("mF_9.B5f-4.1JqM")))?;
/// // With axum: `parts.extensions.get::<ConnectInfo<SocketAddr>>()`.
/// let layer = BearerLayer::new(verifier, |parts| {
///     let peer = parts.extensions.get::<std::net::SocketAddr>();
///     peer.map_or(ClientKey::UNKNOWN, |peer| (*peer).into())
/// });
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BearerLayer<K> {
    gate: Gate<K>,
}

#[derive(Debug, Clone)]
struct Gate<K> {
    verifier: BearerVerifier,
    client: K,
    keeps_header: bool,
}

impl<K: Fn(&Parts) -> ClientKey> BearerLayer<K> {
    /// Makes a layer that counts failures for what `client` says of a request.
    pub fn new(verifier: BearerVerifier, client: K) -> Self {
        Self {
            gate: Gate {
                verifier,
                client,
                keeps_header: false,
            },
        }
    }

    /// Leaves the header in the request, marked as sensitive: its `Debug` then shows no value.
    #[must_use]
    pub fn keep_header(mut self) -> Self {
        self.gate.keeps_header = true;
        self
    }
}

impl<S, K: Clone> Layer<S> for BearerLayer<K> {
    type Service = BearerService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerService {
            inner,
            gate: self.gate.clone(),
        }
    }
}

/// What a [`BearerLayer`] makes of a service.
#[derive(Debug, Clone)]
pub struct BearerService<S, K> {
    inner: S,
    gate: Gate<K>,
}

impl<S, K, B, R> Service<Request<B>> for BearerService<S, K>
where
    S: Service<Request<B>, Response = Response<R>>,
    K: Fn(&Parts) -> ClientKey,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let state = match self.gate.admit(&mut parts) {
            Ok(()) => State::Admitted {
                future: self.inner.call(Request::from_parts(parts, body)),
            },
            Err(refusal) => State::Refused { refusal },
        };
        ResponseFuture { state }
    }
}

impl<K: Fn(&Parts) -> ClientKey> Gate<K> {
    fn admit(&self, parts: &mut Parts) -> Result<(), Refusal> {
        let client = (self.client)(parts);
        let headers = parts.headers.get_all(AUTHORIZATION);
        let verified = self.verifier.verify(client, headers)?;
        parts.extensions.insert(verified);
        if !self.keeps_header {
            parts.headers.remove(AUTHORIZATION);
        } else if let Some(header) = parts.headers.get_mut(AUTHORIZATION) {
            header.set_sensitive(true);
        }
        Ok(())
    }
}

pin_project! {
    /// The answer of the service inside, or a refusal.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        Admitted { #[pin] future: F },
        Refused { refusal: Refusal },
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            StateProjection::Admitted { future } => ready!(future.poll(cx)),
            StateProjection::Refused { refusal } => Ok(answer(*refusal)),
        })
    }
}

fn answer<R: Default>(refusal: Refusal) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = status(refusal.status());
    let headers = response.headers_mut();
    if let Some(challenge) = refusal.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Answers what anybody may know of the secrets' health: one word, and 200 or 503 as
/// [`HealthStatus::http_status`](crate::HealthStatus::http_status) says.
///
/// [`Secrets::health`] names secrets, providers and problems: it belongs behind a [`BearerLayer`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use strongroom::{Env, Memory, SecretsFactory};
/// # let builder = SecretsFactory::builder().env(Env::empty()).provider(Memory::new());
/// let secrets = builder.detect().await?;
/// let response: http::Response<String> = strongroom::auth::health_response(&secrets);
/// assert_eq!(response.status(), 200);
/// assert!(["ready", "degraded"].contains(&response.body().as_str()));
/// # Ok::<(), strongroom::Error>(()) }).unwrap();
/// ```
pub fn health_response<R: From<&'static str>>(secrets: &Secrets) -> Response<R> {
    let health = secrets.health().status;
    let mut response = Response::new(R::from(health.as_str()));
    *response.status_mut() = status(health.http_status());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests;
