//! An axum service behind a bearer token that rotates without a restart.
//!
//! ```text
//! cargo run --example bearer               # plays operator and clients too, and ends
//! cargo run --example bearer -- --serve    # takes its token from wherever the environment says
//! ```
//!
//! `/` and `/health/details` are for clients with the token in force, or the one before it while
//! `cache.overlap` lasts; `/health` says one word to anybody. Who fails too often has to wait. `RUST_LOG` says
//! what is logged: never a token, only the fingerprint of the one that was used or is in force.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::get;
use axum::{BoxError, Json, Router};
use strongroom::auth::{
    BearerLayer, BearerVerifier, ClientKey, Matched, Verified, health_response,
};
use strongroom::{
    Declared, Env, Health, Kind, Memory, Secret, SecretName, Secrets, SecretsFactory, generate,
};
use tower::ServiceExt as _;
use tracing_subscriber::EnvFilter;

const TOKEN: SecretName = SecretName::from_static("api/token");

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    if std::env::args().any(|arg| arg == "--serve") {
        serve().await
    } else {
        play().await
    }
}

/// Boots on what the environment says, and serves until it is told to stop.
async fn serve() -> Result<(), BoxError> {
    let builder = SecretsFactory::builder().declare([Declared::new(TOKEN, Kind::Token)]);
    let secrets = builder.detect().await?;
    strongroom_examples::serve(0, service(&secrets).await?).await?;
    Ok(secrets.shutdown().await?)
}

async fn service(secrets: &Secrets) -> strongroom::Result<Router> {
    let verifier = BearerVerifier::new(secrets.watch(TOKEN).await?)?;
    Ok(Router::new()
        .route("/", get(welcome))
        .route("/health/details", get(details))
        .route_layer(BearerLayer::new(verifier, peer))
        // Behind the layer, and so outside of it.
        .route("/health", get(health))
        .with_state(secrets.clone()))
}

/// Failures are counted for the address of the connection: here stands no proxy that could vouch for a header.
fn peer(parts: &Parts) -> ClientKey {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(ClientKey::UNKNOWN, |ConnectInfo(peer)| (*peer).into())
}

async fn welcome(Extension(verified): Extension<Verified>) -> &'static str {
    match verified.matched() {
        Matched::Current => "welcome",
        Matched::Previous => "welcome; take up the new token soon",
    }
}

async fn details(State(secrets): State<Secrets>) -> Json<Health> {
    Json(secrets.health())
}

async fn health(State(secrets): State<Secrets>) -> Response {
    health_response(&secrets)
}

/// Plays all sides against a memory that stands in for a backend.
async fn play() -> Result<(), BoxError> {
    let declared = Declared::new(TOKEN, Kind::Token);
    let (monday, tuesday) = (generate(&declared)?, generate(&declared)?);
    let memory = Memory::new();
    memory.set(TOKEN.as_str(), monday.clone());
    let secrets = SecretsFactory::builder()
        .env(Env::process())
        .provider(memory.clone())
        .declare([declared])
        .detect()
        .await?;
    let service = service(&secrets).await?;
    let mut events = secrets.events();

    println!("Monday");
    let (right, next) = (bearer(&monday)?, bearer(&tuesday)?);
    call(&service, "the token", Some(&right)).await?;
    call(&service, "another token", Some(&next)).await?;
    call(&service, "another scheme", Some("Basic dXNlcjpub25l")).await?;
    call(&service, "no header", None).await?;

    println!("Tuesday: a new token, and an overlap in which the old one still counts");
    memory.set(TOKEN.as_str(), tuesday);
    events.next().await.ok_or("the secrets were shut down")?;
    call(&service, "the new token", Some(&next)).await?;
    call(&service, "the old token", Some(&right)).await?;

    println!("Somebody guesses");
    for _ in 0..9 {
        call(&service, "a guess", Some("Bearer guess")).await?;
    }
    call(&service, "a guess", Some("Bearer guess")).await?;
    call(&service, "the new token from there", Some(&next)).await?;
    Ok(secrets.shutdown().await?)
}

async fn call(service: &Router, what: &str, authorization: Option<&str>) -> Result<(), BoxError> {
    let mut request = Request::get("/");
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = service
        .clone()
        .oneshot(request.body(Body::empty())?)
        .await?;
    println!("  {} for {what}", response.status());
    Ok(())
}

/// Writes the header that a client sends.
fn bearer(token: &Secret) -> strongroom::Result<String> {
    Ok(format!("Bearer {}", token.expose_str()?))
}
