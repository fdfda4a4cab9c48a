use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::auth::{FailureLimit, Matched, Verified};
use crate::live::Live;
use crate::secret::Secret;
use crate::{Env, ErrorKind, Memory, SecretsFactory};

const TOKEN: &str = "canary-8Kd2.xw~Qz+0/Lm==";

fn verifier(burst: u32) -> BearerVerifier {
    let limit = FailureLimit::new(burst, Duration::from_secs(60)).unwrap();
    BearerVerifier::with_limit([Live::fixed(Secret::from_text(TOKEN))], limit).unwrap()
}

/// The address of a connection, as a server puts it among the extensions.
fn peer(parts: &Parts) -> ClientKey {
    let peer = parts.extensions.get::<SocketAddr>();
    peer.map_or(ClientKey::UNKNOWN, |peer| (*peer).into())
}

fn request(authorization: &[&str], peer: &str) -> Request<()> {
    let mut request = Request::new(());
    for value in authorization {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(AUTHORIZATION, value);
    }
    request
        .extensions_mut()
        .insert(peer.parse::<SocketAddr>().unwrap());
    request
}

/// Asks a service that answers with what it sees of a request.
async fn ask(
    layer: &BearerLayer<fn(&Parts) -> ClientKey>,
    authorization: &[&str],
    peer: &str,
) -> Response<String> {
    let inner = service_fn(async |request: Request<()>| {
        let verified = request.extensions().get::<Verified>().unwrap();
        assert_eq!(verified.matched(), Matched::Current);
        Ok::<_, Infallible>(Response::new(format!("{:?}", request.headers())))
    });
    let request = request(authorization, peer);
    layer.layer(inner).oneshot(request).await.unwrap()
}

fn header(response: &Response<String>, name: http::HeaderName) -> Option<&str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn answers_are_those_of_the_standards() {
    let layer = BearerLayer::new(verifier(2), peer as fn(&_) -> _);
    let right = format!("Bearer {TOKEN}");
    let response = ask(&layer, &[&right], "192.0.2.7:1").await;
    assert_eq!(response.status(), 200);

    for nothing in [&[][..], &["Basic b9Xk"]] {
        let response = ask(&layer, nothing, "192.0.2.7:2").await;
        assert_eq!(response.status(), 401);
        assert_eq!(header(&response, WWW_AUTHENTICATE), Some("Bearer"));
        assert_eq!(response.body(), "");
    }
    for wrong in [&["Bearer guess"][..], &[&right, &right]] {
        let response = ask(&layer, wrong, "192.0.2.7:3").await;
        assert_eq!(response.status(), 401);
        let challenge = Some("Bearer error=\"invalid_token\"");
        assert_eq!(header(&response, WWW_AUTHENTICATE), challenge);
        assert_eq!(response.body(), "");
    }
    let response = ask(&layer, &[&right], "192.0.2.7:4").await;
    assert_eq!(response.status(), 429);
    let seconds: u64 = header(&response, RETRY_AFTER).unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(header(&response, WWW_AUTHENTICATE), None);
    assert_eq!(response.body(), "");

    let response = ask(&layer, &[&right], "192.0.2.8:1").await;
    assert_eq!(response.status(), 200, "another client");
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_client() {
    let layer = BearerLayer::new(verifier(2), peer as fn(&_) -> _);
    for (number, status) in [(1, 401), (2, 401), (3, 429)] {
        let peer = format!("[2001:db8::{number}]:1");
        let response = ask(&layer, &["Bearer guess"], &peer).await;
        assert_eq!(response.status(), status, "{peer}");
    }
    let response = ask(&layer, &["Bearer guess"], "[2001:db8:0:1::1]:1").await;
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn the_service_inside_sees_no_token() {
    let right = format!("Bearer {TOKEN}");
    let layer = BearerLayer::new(verifier(2), peer as fn(&_) -> _);
    let response = ask(&layer, &[&right], "192.0.2.7:1").await;
    assert_eq!(response.body(), "{}");
    let response = ask(&layer.keep_header(), &[&right], "192.0.2.7:1").await;
    assert_eq!(response.body(), "{\"authorization\": Sensitive}");
}

#[tokio::test]
async fn what_is_refused_never_reaches_the_service() {
    let calls = &AtomicUsize::new(0);
    let inner = service_fn(move |_: Request<()>| async move {
        calls.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let (publisher, live) = Live::channel(Secret::from_text(TOKEN));
    let verifier = BearerVerifier::new(live).unwrap();
    let service = BearerLayer::new(verifier, peer as fn(&_) -> _).layer(inner);
    let right = format!("Bearer {TOKEN}");
    let ask = |value: &str| service.clone().oneshot(request(&[value], "192.0.2.7:1"));
    assert_eq!(ask("Bearer guess").await.unwrap().status(), 401);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&right).await.unwrap().status(), 200);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    publisher.withdraw(ErrorKind::Denied);
    let response = ask(&right).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.body().as_str()),
        (503, "")
    );
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_public_health_is_one_word() {
    let manifest =
        "[default.secrets.\"api/canary\"]\nkind = \"token\"\n[default.cache]\nttl = \"1h\"";
    let memory = Memory::new().with("api/canary", "8Kd2.xw~Qz+0/LmPqT5vNcR9sW3yHj1B");
    let builder = SecretsFactory::builder()
        .env(Env::empty())
        .provider(memory.clone());
    let secrets = builder.manifest_text(manifest).detect().await.unwrap();
    let health = || health_response::<String>(&secrets);
    let word = health().into_body();
    assert!(["ready", "degraded"].contains(&word.as_str()), "{word}");
    assert_eq!(health().status(), 200);
    memory.remove("api/canary");
    secrets.refresh().await.ok();
    let failed = health();
    assert_eq!(
        (failed.status().as_u16(), failed.body().as_str()),
        (503, "failed")
    );
    assert!(!format!("{failed:?}").contains("canary"));
    secrets.shutdown().await.unwrap();
    assert_eq!(health().body(), "failed");
}
