//! Bearer tokens that are verified in constant time and rotate without a restart.
//!
//! ```text
//! cargo run --example bearer
//! ```
//!
//! It sends a few requests to its own service, rotates the token in between, and prints what the
//! service's log would hold: never a token, only the fingerprint of the one in force.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{BoxError, Router};
use strongroom::{
    Declared, Env, Kind, Live, LiveSecret, Memory, Secret, SecretName, SecretsFactory, generate,
};
use tower::ServiceExt as _;

mod auth;

const TOKEN: SecretName = SecretName::from_static("api/token");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // A service calls `secrets.watch("api/token")`; here the program is its own operator too.
    let (monday, tuesday) = (boot_with_new_token().await?, boot_with_new_token().await?);
    let (operator, token) = Live::channel(monday.clone());
    let service = service(token);

    println!("Monday");
    call(&service, "the token", Some(bearer(&monday)?)).await?;
    call(&service, "another token", Some(bearer(&tuesday)?)).await?;
    call(
        &service,
        "another scheme",
        Some("Basic dXNlcjpub25l".to_owned()),
    )
    .await?;
    call(&service, "no header", None).await?;

    println!("Tuesday: a new token, and an overlap in which the old one still counts");
    operator.publish_with_overlap(tuesday.clone(), Duration::from_secs(3600));
    call(&service, "the new token", Some(bearer(&tuesday)?)).await?;
    call(&service, "the old token", Some(bearer(&monday)?)).await?;

    println!("The old token leaked: it goes at once");
    operator.publish(tuesday.clone());
    call(&service, "the new token", Some(bearer(&tuesday)?)).await?;
    call(&service, "the old token", Some(bearer(&monday)?)).await?;
    Ok(())
}

fn service(token: LiveSecret) -> Router {
    Router::new()
        .route("/", get(async || "welcome"))
        .layer(middleware::from_fn_with_state(token, authorize))
}

/// Lets a request through, or answers as RFC 6750 says, in the same words whatever was wrong.
async fn authorize(State(token): State<LiveSecret>, request: Request, next: Next) -> Response {
    let allowed = auth::is_authorized(&token, request.headers());
    log(allowed, &token);
    if allowed {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "unauthorized").into_response()
}

/// Only a token that passed the strength policy at boot has a fingerprint.
fn log(allowed: bool, token: &LiveSecret) {
    let verdict = if allowed { "allowed" } else { "refused" };
    let in_force = match token.with(Secret::fingerprint) {
        Ok(Some(fingerprint)) => fingerprint.to_string(),
        Ok(None) => "without fingerprint".to_owned(),
        Err(error) => error.kind().to_string(),
    };
    print!("  {verdict}, token in force {in_force}");
}

async fn call(service: &Router, what: &str, authorization: Option<String>) -> Result<(), BoxError> {
    let mut request = Request::builder().uri("/");
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = service
        .clone()
        .oneshot(request.body(Body::empty())?)
        .await?;
    println!(" -> {} for {what}", response.status());
    Ok(())
}

/// Boots a service whose backend holds a new token, and returns it as it passed the boot.
async fn boot_with_new_token() -> strongroom::Result<Secret> {
    let declared = Declared::new(TOKEN, Kind::Token);
    let memory = Memory::new();
    memory.set(TOKEN.as_str(), generate(&declared)?);
    let secrets = SecretsFactory::builder()
        .env(Env::process())
        .provider(memory)
        .declare([declared])
        .detect()
        .await?;
    secrets.get(TOKEN).await
}

/// Writes the header that a client sends.
fn bearer(token: &Secret) -> strongroom::Result<String> {
    Ok(format!("Bearer {}", token.expose_str()?))
}
