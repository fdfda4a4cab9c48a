//! Boots a service, and shows what it learns on the way.
//!
//! ```text
//! cargo run --example boot                # creates an encrypted file with what is missing
//! cargo run --example boot -- --serve     # then answers /health on 127.0.0.1:8080
//! ```
//!
//! Where nothing on the machine points to a provider of secrets, it declares development, and keeps a
//! sealed file of its own under `target/`, with its key, which `strongroom init` would put elsewhere.
//! Variables always win over that, and swap the backend without a change to the program:
//!
//! ```text
//! STRONGROOM_DIR=/etc/service/secrets cargo run --example boot
//! STRONGROOM_PROVIDER='env:?prefix=APP_' cargo run --example boot
//! ```
//!
//! A service that needs no story does all of it by `SecretsFactory::detect().await?`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use strongroom::provider::Expect;
use strongroom::sealed_file::{FileId, NewSlot, SealedFile, SlotKey};
use strongroom::{
    Class, Connection, Deployment, Env, Error as SecretsError, ErrorKind, HealthStatus, Outcome,
    ProviderUrl, Result, SecretState, Secrets, SecretsFactory, generate,
};

const MANIFEST: &str = include_str!("strongroom.toml");
const OWN_FILE: &str = "target/strongroom-example/secrets.sealed";
const OWN_KEY: &str = "target/strongroom-example/secrets.key";
const USAGE: &str = "usage: boot [--serve] [--port PORT]   (port 0 takes any that is free)";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse(std::env::args().skip(1))?;
    let connection = connect(Env::process()).await?;
    println!("{}\n", connection.detection());

    let validation = connection.validate().await;
    println!("declared secrets");
    for state in &validation.secrets {
        println!("  {}", describe(state));
    }
    // What is wrong stops the boot, with the whole report; warnings are shown below.
    let secrets = connection.boot().await?;
    println!("\nreport");
    match validation.report.findings.is_empty() {
        true => println!("  nothing to mend"),
        false => println!("{}", validation.report),
    }

    println!("\nhandles");
    for state in &validation.secrets {
        println!("  {:?}", secrets.watch(&state.name).await?);
    }
    println!("\nhealth: {}", secrets.health().status.as_str());

    if args.serve {
        let app = Router::new()
            .route("/health", get(public_health))
            .with_state(secrets.clone());
        strongroom_examples::serve(args.port, app).await?;
    }
    Ok(secrets.shutdown().await?)
}

/// Connects to what the environment points to; where it points nowhere, to a sealed file of our own.
async fn connect(env: Env) -> Result<Connection> {
    let builder = SecretsFactory::builder()
        .manifest_text(MANIFEST)
        .env(env.clone());
    let seen = builder.explain()?;
    let points_somewhere = seen
        .candidates
        .iter()
        .any(|candidate| candidate.address.is_some() && candidate.class < Class::Fallback);
    let says_where_it_runs = env.has("STRONGROOM_ENV") || env.has("APP_ENV");
    if points_somewhere || says_where_it_runs && seen.deployment.deployment.is_strict() {
        return builder.connect().await;
    }

    println!("Nothing here points to a provider of secrets: this example keeps its own, in");
    println!("{OWN_FILE}.");
    let env = match says_where_it_runs {
        true => env,
        false => {
            println!("Nobody says where it runs: it declares development.");
            env.with_var("STRONGROOM_ENV", Deployment::Development.as_str())
        }
    };
    create_own_file(env.working_dir())?;
    let connection = builder
        .env(env)
        .provider_url(ProviderUrl::new("sealed", OWN_FILE).with_query("key_file", OWN_KEY))
        .connect()
        .await?;
    create_missing(&connection).await?;
    println!();
    Ok(connection)
}

/// Creates the sealed file and its key, unless the file is there.
fn create_own_file(here: &Path) -> Result<()> {
    let (file, key_file) = (here.join(OWN_FILE), here.join(OWN_KEY));
    if file.exists() {
        return Ok(());
    }
    let (id, key) = (FileId::random()?, SlotKey::generate()?);
    write_private(&key_file, key.to_text(id)?.expose_bytes()).map_err(|error| {
        SecretsError::new(ErrorKind::Config, format!("can't create {OWN_KEY}")).with_source(error)
    })?;
    SealedFile::create(&file, id, &NewSlot::new("example", key))?;
    println!("Created the file and its key, {OWN_KEY}.");
    Ok(())
}

/// Writes a file that is not there yet, for its owner alone.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let (mut dir, mut file) = (DirBuilder::new(), OpenOptions::new());
    dir.recursive(true);
    file.write(true).create_new(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut dir, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    }
    dir.create(path.parent().unwrap_or(path))?;
    file.open(path)?.write_all(bytes)
}

/// Writes a new random value for every declared secret that has none, and leaves all others alone.
async fn create_missing(connection: &Connection) -> Result<()> {
    for declared in connection.declared() {
        let found = connection.read(&declared.name).await;
        if found.is_err_and(|error| error.kind() == ErrorKind::Absent) {
            let value = generate(declared)?;
            connection
                .put(&declared.name, &value, Expect::Absent)
                .await?;
            println!("Created {}, a random {}.", declared.name, declared.kind);
        }
    }
    Ok(())
}

/// Says in one line what was found, and no part of the value.
fn describe(state: &SecretState) -> String {
    let (name, kind) = (&state.name, state.kind);
    let found = match &state.outcome {
        Outcome::Present(present) => {
            let verdict = if present.ok { "ok" } else { "refused" };
            match present.fingerprint {
                Some(fingerprint) => format!("{verdict}, {fingerprint}, {}", present.grade),
                None => format!("{verdict}, {}", present.grade),
            }
        }
        Outcome::Absent => "absent".to_owned(),
        Outcome::Failed { kind, .. } => format!("can't be read: {kind}"),
        _ => "unknown".to_owned(),
    };
    format!("{:<22} {:<9} {found}", name.as_str(), kind.as_str())
}

/// Answers anybody with one word. Names, versions and reasons belong to operators.
async fn public_health(
    State(secrets): State<Secrets>,
) -> (StatusCode, Json<BTreeMap<&'static str, HealthStatus>>) {
    let status = secrets.health().status;
    let code = match status {
        HealthStatus::Failed => StatusCode::SERVICE_UNAVAILABLE,
        HealthStatus::Ready | HealthStatus::Degraded => StatusCode::OK,
    };
    (code, Json(BTreeMap::from([("status", status)])))
}

struct Args {
    serve: bool,
    port: u16,
}

impl Args {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Self {
            serve: false,
            port: 8080,
        };
        while let Some(arg) = given.next() {
            match arg.as_str() {
                "--serve" => args.serve = true,
                "--port" => {
                    let port = given.next().and_then(|port| port.parse().ok());
                    args.port = port.ok_or_else(|| wrong("--port needs a number"))?;
                }
                _ => return Err(wrong("an argument is unknown")),
            }
        }
        Ok(args)
    }
}

fn wrong(message: &str) -> SecretsError {
    SecretsError::new(ErrorKind::Config, message).with_help(USAGE)
}
