//! An axum service with its configuration from figment and its secrets from strongroom.
//!
//! ```text
//! cargo run --example axum_figment                 # asks itself once and ends
//! cargo run --example axum_figment -- --serve      # answers on 127.0.0.1, on any free port
//! STRONGROOM_ENV=production cargo run --example axum_figment
//! ```
//!
//! The configuration says which secret is meant, by name, and never holds a value: figment keeps
//! what it reads as plain text, shows it in its errors, and doesn't wipe it. The profile of both
//! follows one variable.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::get;
use axum::{BoxError, Router};
use figment::Figment;
use figment::providers::Format;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use strongroom::{
    Declared, DeploymentChoice, Env, Kind, LiveSecret, Memory, Secret, SecretName, Secrets,
    SecretsFactory, generate,
};
use tower::ServiceExt as _;

const CONFIG: &str = include_str!("config.toml");

/// The ordinary configuration. It may be logged as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    greeting: String,
    partner: Partner,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partner {
    url: String,
    token: SecretName,
}

struct App {
    config: Config,
    token: LiveSecret,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let env = Env::process();
    let config = configure(DeploymentChoice::from_env(&env)?.deployment.as_str())?;
    println!("{config:?}");

    let secrets = boot(env, &config).await?;
    let token = secrets.watch(&config.partner.token).await?;
    let app = Router::new()
        .route("/", get(greet))
        .route("/partner", get(partner))
        .with_state(Arc::new(App { config, token }));

    if std::env::args().any(|arg| arg == "--serve") {
        strongroom_examples::serve(0, app).await?;
    } else {
        for path in ["/", "/partner"] {
            let request = Request::get(path).body(Body::empty())?;
            let response = app.clone().oneshot(request).await?;
            let body = axum::body::to_bytes(response.into_body(), 1024).await?;
            println!("GET {path}: {}", String::from_utf8_lossy(&body));
        }
    }
    Ok(secrets.shutdown().await?)
}

fn configure(profile: &str) -> Result<Config, BoxError> {
    Ok(Figment::from(Toml::string(CONFIG).nested())
        .select(profile)
        .extract()?)
}

/// Declares what the configuration names. The memory stands in for a backend, so that this runs
/// anywhere: without `.provider(…)` the environment decides.
async fn boot(env: Env, config: &Config) -> strongroom::Result<Secrets> {
    let token = Declared::new(config.partner.token.clone(), Kind::Token);
    let memory = Memory::new();
    memory.set(token.name.as_str(), generate(&token)?);
    SecretsFactory::builder()
        .env(env)
        .provider(memory)
        .declare([token])
        .detect()
        .await
}

async fn greet(State(app): State<Arc<App>>) -> String {
    app.config.greeting.clone()
}

/// Stands for a call of the partner's API. The value would go into its header, and nowhere else.
async fn partner(State(app): State<Arc<App>>) -> String {
    let url = &app.config.partner.url;
    match app.token.with(Secret::fingerprint) {
        Ok(Some(fingerprint)) => format!("would call {url} with token {fingerprint}"),
        Ok(None) => format!("would call {url}"),
        Err(error) => error.client_message().to_owned(),
    }
}

/// TOML for figment, by the parser that strongroom uses too.
struct Toml;

impl Format for Toml {
    type Error = toml::de::Error;

    const NAME: &'static str = "TOML";

    fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Self::Error> {
        toml::from_str(text)
    }
}
