//! A service whose token rotates while it serves.
//!
//! ```text
//! cargo run --example rotation               # plays operator and client too, and ends
//! cargo run --example rotation -- --serve    # takes its token from wherever the environment says
//! kill -HUP PID                              # asks it to read its secrets now
//! ```
//!
//! Clients send `Authorization: Bearer …` to `/`. The token in force is let through, and so is the one
//! before it while `cache.overlap` lasts, so that no client has to change in the same moment as the
//! service. `/health` says one word to anybody. What happens to the token is printed, never the token.
//! How soon a new one is seen is what the manifest's `cache` says: a time to live at most, and at once
//! where the backend tells of changes.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;
use axum::routing::get;
use axum::{BoxError, Router};
use strongroom::auth::{BearerLayer, BearerVerifier, ClientKey, FailureLimit, health_response};
use strongroom::{
    Declared, Env, Events, Kind, Memory, Secret, SecretName, Secrets, SecretsBuilder,
    SecretsFactory, generate,
};
use tower::ServiceExt as _;

const TOKEN: SecretName = SecretName::from_static("api/token");

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), BoxError> {
    if std::env::args().any(|arg| arg == "--serve") {
        serve().await
    } else {
        play().await
    }
}

/// Boots on what the environment says, and serves until it is told to stop.
async fn serve() -> Result<(), BoxError> {
    // In place before anybody knows of the process, which the signal would end otherwise.
    let asked = Asked::listen()?;
    let builder = SecretsFactory::builder().declare([Declared::new(TOKEN, Kind::Token)]);
    let (secrets, app) = boot(builder).await?;
    let telling = tokio::spawn(tell(secrets.events()));
    let asking = tokio::spawn(refresh_when(asked, secrets.clone()));
    strongroom_examples::serve(0, app).await?;
    asking.abort();
    secrets.shutdown().await?;
    telling.await?;
    Ok(())
}

async fn boot(builder: SecretsBuilder) -> strongroom::Result<(Secrets, Router)> {
    let secrets = builder.detect().await?;
    // All clients are one here; the example `bearer` tells them apart.
    let limit = FailureLimit::new(100, Duration::from_millis(10))?;
    let verifier = BearerVerifier::with_limit([secrets.watch(TOKEN).await?], limit)?;
    let app = Router::new()
        .route("/", get(async || "welcome"))
        .route_layer(BearerLayer::new(verifier, |_| ClientKey::UNKNOWN))
        .route("/health", get(health))
        .with_state(secrets.clone());
    Ok((secrets, app))
}

async fn health(State(secrets): State<Secrets>) -> Response {
    health_response(&secrets)
}

/// Prints what happens to the secrets, until they are shut down.
async fn tell(mut events: Events) {
    while let Some(event) = events.next().await {
        println!("{event}");
    }
}

/// Reads every secret again each time that somebody asks.
async fn refresh_when(mut asked: Asked, secrets: Secrets) {
    while asked.next().await.is_some() {
        match secrets.refresh().await {
            Ok(()) => println!("refreshed: {}", secrets.health().status.as_str()),
            Err(error) => println!("not refreshed: {error}"),
        }
    }
}

/// The SIGHUPs of an operator, where there are such signals.
struct Asked {
    #[cfg(unix)]
    hangups: tokio::signal::unix::Signal,
}

impl Asked {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            hangups: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Option<()> {
        #[cfg(unix)]
        return self.hangups.recv().await;
        #[cfg(not(unix))]
        return None;
    }
}

/// Plays all sides against a memory that stands in for a backend.
async fn play() -> Result<(), BoxError> {
    let declared = Declared::new(TOKEN, Kind::Token);
    let memory = Memory::new();
    memory.set(TOKEN.as_str(), generate(&declared)?);
    let builder = SecretsFactory::builder()
        .env(Env::process())
        .provider(memory.clone())
        .declare([declared.clone()]);
    let (secrets, app) = boot(builder).await?;
    let first = secrets.get(TOKEN).await?;
    let mut events = secrets.events();

    println!("the operator stores a weak token: it is refused, and the service goes on");
    memory.set(TOKEN.as_str(), Secret::from_text("letmein"));
    println!("  {}", next(&mut events).await?);
    call(&app, "the token", &first).await?;

    println!("the operator stores a new token");
    let second = generate(&declared)?;
    memory.set(TOKEN.as_str(), second.clone());
    println!("  {}", next(&mut events).await?);
    call(&app, "the new token", &second).await?;
    call(&app, "the former token, which overlaps", &first).await?;

    secrets.shutdown().await?;
    call(&app, "the new token, after the shutdown", &second).await
}

async fn next(events: &mut Events) -> Result<String, BoxError> {
    let event = events.next().await.ok_or("the secrets were shut down")?;
    Ok(event.to_string())
}

async fn call(app: &Router, what: &str, token: &Secret) -> Result<(), BoxError> {
    let authorization = format!("Bearer {}", token.expose_str()?);
    let request = Request::get("/").header(header::AUTHORIZATION, authorization);
    let response = app.clone().oneshot(request.body(Body::empty())?).await?;
    println!("  {} for {what}", response.status());
    Ok(())
}
