//! An axum service with its configuration from figment and its secrets from strongroom.
//!
//! ```text
//! cargo run --example axum_figment                 # asks itself once and ends
//! cargo run --example axum_figment -- --serve      # answers on 127.0.0.1, on any free port
//! STRONGROOM_ENV=staging cargo run --example axum_figment
//! ```
//!
//! The configuration refers to secrets, `secret:database/password`, and never holds a value: figment
//! keeps what it reads as plain text, shows it in its errors, and doesn't wipe it. The references are
//! resolved afterwards. The profile of both follows one variable.

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
    DeploymentChoice, Env, Kind, LiveRef, LiveSecret, Memory, Secret, Secrets, SecretsFactory,
    generate, policy,
};
use tower::ServiceExt as _;

use database::Database;

mod database;

const CONFIG: &str = include_str!("config.toml");

/// The ordinary configuration. It may be logged as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    greeting: String,
    database: Database,
    partner: Partner,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partner {
    url: String,
    token: LiveRef,
}

struct App {
    config: Config,
    /// What a pool is made of. A driver takes it by `database_url.expose_str()?`.
    database_url: Secret,
    partner_token: LiveSecret,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let env = Env::process();
    let config = configure(DeploymentChoice::from_env(&env)?.deployment.as_str())?;
    println!("{config:?}");

    let secrets = boot(env, &config).await?;
    let password = config.database.password.resolve(&secrets).await?;
    let app = App {
        database_url: config.database.url(&password)?,
        partner_token: config.partner.token.watch(&secrets).await?,
        config,
    };
    let app = Router::new()
        .route("/", get(greet))
        .route("/database", get(database))
        .route("/partner", get(partner))
        .with_state(Arc::new(app));

    if std::env::args().any(|arg| arg == "--serve") {
        strongroom_examples::serve(0, app).await?;
    } else {
        for path in ["/", "/database", "/partner"] {
            let request = Request::get(path).body(Body::empty())?;
            let response = app.clone().oneshot(request).await?;
            let body = axum::body::to_bytes(response.into_body(), 1024).await?;
            println!("GET {path}: {}", String::from_utf8_lossy(&body));
        }
    }
    Ok(secrets.shutdown().await?)
}

/// Reads the configuration. `APP_CONFIG` names another file than the one that is compiled in.
fn configure(profile: &str) -> Result<Config, BoxError> {
    let text = match std::env::var_os("APP_CONFIG") {
        Some(path) => std::fs::read_to_string(path)?,
        None => CONFIG.to_owned(),
    };
    let figment = Figment::from(Toml::string(&text).nested()).select(profile);
    // Its `Display` says which key is wrong.
    Ok(figment.extract().map_err(|error| error.to_string())?)
}

/// Declares what the configuration refers to, so that the boot proves it. The memory stands in for a
/// backend, so that this runs anywhere: without `.provider(…)` the environment decides.
async fn boot(env: Env, config: &Config) -> strongroom::Result<Secrets> {
    let declared = [
        config.database.password.declare(Kind::Password),
        config.partner.token.declare(Kind::Token),
    ];
    let memory = Memory::new();
    for declared in &declared {
        memory.set(declared.name.as_str(), generate(declared)?);
    }
    SecretsFactory::builder()
        .env(env)
        .provider(memory)
        .declare(declared)
        .detect()
        .await
}

async fn greet(State(app): State<Arc<App>>) -> String {
    app.config.greeting.clone()
}

/// Stands for a query. An address is logged without its password, or not at all.
async fn database(State(app): State<Arc<App>>) -> String {
    // EXPOSES: to the function that takes the credentials out of it
    match app.database_url.expose_str() {
        Ok(url) => format!("would connect to {}", policy::redact_url(url)),
        Err(error) => error.client_message().to_owned(),
    }
}

/// Stands for a call of the partner's API. The value would go into its header, and nowhere else.
async fn partner(State(app): State<Arc<App>>) -> String {
    let url = &app.config.partner.url;
    match app.partner_token.with(Secret::fingerprint) {
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
