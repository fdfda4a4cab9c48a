//! The secrets layer that a Rust service boots with.
//!
//! One line at boot picks the backend from the environment, reads every secret that the service
//! declares, proves that each is there and strong enough, and hands out wiped handles:
//!
//! ```no_run
//! # async fn boot() -> strongroom::Result<()> {
//! use strongroom::SecretsFactory;
//!
//! let secrets = SecretsFactory::detect().await?;
//! let password = secrets.watch("database/password").await?;
//! password.with(|password| password.expose_bytes().len())?;
//! # Ok(()) }
//! ```
//!
//! The same binary runs on a laptop, in CI, on Kubernetes or systemd: only the environment differs.
//!
//! # For authors of services
//!
//! Declare what you need in `strongroom.toml`, beside the binary or compiled in by
//! [`SecretsBuilder::manifest_text`]:
//!
//! ```toml
//! [default.secrets."database/password"]
//! kind = "password"
//! description = "the application role"
//!
//! [default.secrets."session/signing-key"]
//! kind = "key"
//! encoding = "base64"
//! ```
//!
//! [`SecretsFactory::detect`] answers with [`Secrets`], or with one [`Error`] whose report lists
//! everything that is wrong. A [`Secret`] is a value: wiped on drop, never printed, compared in
//! constant time. A [`Live`] handle follows a secret that rotates. [`FromSecrets`] builds a type of
//! your own from what it declares, and [`Secrets::watch_as`] replaces it as a whole. [`blocking`] is the same for programs without async code, and
//! [`Memory`] the provider for unit tests, with faults to order. [`rotation`] replaces the value of a
//! secret that your service owns, and [`auth`] decides about requests that bring one.
//!
//! With the feature `derive` a struct says what it needs, and one call declares, proves and loads it;
//! [`declaration`] writes the same as JSON, which `strongroom validate --declared` checks in CI without the
//! service:
//!
#![cfg_attr(feature = "derive", doc = "```no_run")]
#![cfg_attr(not(feature = "derive"), doc = "```ignore")]
//! # async fn boot() -> strongroom::Result<()> {
//! use strongroom::{FromSecrets, LiveSecret, Secret, SecretsFactory};
//!
//! #[derive(FromSecrets)]
//! struct App {
//!     /// The application role.
//!     #[secret(name = "database/password", kind = "password")]
//!     password: Secret,
//!     #[secret(kind = "token")]
//!     partner_token: Option<LiveSecret>,
//! }
//!
//! let (app, secrets) = SecretsFactory::detect_for::<App>().await?;
//! # Ok(()) }
//! ```
//!
//! An ordinary configuration refers to secrets by [`SecretRef`] and [`LiveRef`], `secret:database/password`, so
//! that no value stands in it.
//!
//! # For operators
//!
//! [`SecretsBuilder::explain`] says what was looked for, what was found and why it won; the
//! `strongroom` program prints it (`strongroom inspect`), checks everything that a boot checks
//! (`strongroom validate`) and every step on the way to the secrets ([`SecretsBuilder::examine`],
//! `strongroom doctor`). Classes, strongest first:
//!
//! 1. *explicit*: the builder or `--provider`, `STRONGROOM_PROVIDER`, the manifest's `provider`;
//! 2. *marker*: `VAULT_ADDR` or `BAO_ADDR`; `STRONGROOM_AWS_PREFIX`; `STRONGROOM_KEY`,
//!    `STRONGROOM_KEY_FILE` or `STRONGROOM_PASSPHRASE_FILE`; `STRONGROOM_DIR`;
//! 3. *platform*: `$CREDENTIALS_DIRECTORY`; a `/run/secrets` that holds secrets; `VERCEL` and its
//!    kin;
//! 4. *fallback*: `.strongroom/secrets.sealed` with its key file; then, in development, test or CI
//!    only, `.env`, then the environment.
//!
//! An explicit address may be a chain of up to 8 providers that the manifest names, asked in this
//! order: `chain:overlay,base`. Which one answers for a secret is fixed by the first read that finds it,
//! for its whole document with all fields, and for the life of the process
//! ([`Connection::describe_for`]). Absence falls through to the next provider; an error never does. A
//! write goes to the provider that answers, or, where none does, to the first that can be written.
//!
//! Two candidates of one class that lead to two addresses are an error that names both. A backend
//! that fails, or that this build doesn't have, is never replaced by a weaker one; a chain to a weaker one
//! is refused in production unless the manifest says `danger_allow_weaker_chain`. What production
//! refuses is listed by [`Rail`]; what makes a value too weak, by [`policy`].
//!
//! While the service runs, the manifest's `cache` says how long values are held:
//!
//! ```toml
//! [default.cache]
//! ttl = "5m"            # 1s to 30d: read again before a value is so old
//! max_stale = "1h"      # 1s to 30d: handed out so long after the backend last confirmed it
//! negative_ttl = "5s"   # 0s to 10m: an absence is believed so long
//! overlap = "10m"       # 0s to 30d: the former value is `Live::previous` so long
//! ```
//!
//! Values are read again at 80 to 95 % of `ttl`, all those of one provider in one call, and at once after
//! [`SecretProvider::changed`]. A failing provider is asked again after a pause of 1 s to a bound that
//! doubles up to a minute. [`Secrets::health`] and [`Secrets::events`] tell how it goes.
//!
//! A boot needs the backend, unless the manifest has a section `snapshot`: then an encrypted file of the
//! last confirmed values, at most a day old, stands in for what can't be reached at present.
//!
//! # For authors of backends
//!
//! Implement [`SecretProvider`], put it into a [`Backend`] row and register the row with
//! [`SecretsBuilder::backend`]: it is then addressed, detected and guarded as our own are. The suite
//! in `conformance` (feature `conformance`) tries every rule of the trait. One behind a network says
//! so by [`Backend::remote`], and its calls are tried again and limited.
//!
//! A backend may also be a program in any language, `exec:/absolute/path/to/program` (feature `exec`): it is started
//! for each call, with one request in JSON on its standard input. `docs/write-a-backend.md` of the repository
//! specifies the protocol.
//!
//! # Features
//!
//! `exec` runs providers that are programs of their own. `vault` is the backend for Vault and OpenBao, `aws` that for AWS Secrets Manager, and `aws-sso` adds
//! its logins by IAM Identity Center and by programs. `yaml` reads YAML documents in the plain-file
//! backend, `zxcvbn` adds its score to the rules for passwords, `metrics` counts for a recorder of the crate
//! of that name what the refresh does, `locked-memory` keeps values out of swap and core dumps
//! ([`Secret::is_locked`]), `conformance` is the suite for authors of backends, `derive` the derive of
//! [`FromSecrets`]. `auth` verifies bearer
//! tokens and limits failures, and `tower` makes a layer of that. None is on by default.
//!
//! With `metrics` there are `strongroom_readings_total` (labels `provider`, `outcome`),
//! `strongroom_reading_seconds` (`provider`), `strongroom_events_total` (`secret`, `event`) and
//! `strongroom_secrets` (`state`: `fresh`, `stale`, `unusable`).

// docs.rs shows which feature an item needs; only its toolchain can.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Its one exception is for locked memory.
#![cfg_attr(not(feature = "locked-memory"), forbid(unsafe_code))]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")
)]

pub mod audit;
pub mod auth;
pub mod blocking;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod declaration;
pub mod documents;
pub mod policy;
pub mod provider;
pub mod rotation;
pub mod trust;

mod backends;
mod chain;
mod clock;
mod connection;
mod declared;
mod env;
mod error;
mod events;
mod examination;
mod factory;
#[cfg(feature = "derive")]
mod fields;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod generate;
mod harden;
mod health;
mod layers;
mod live;
mod load;
#[cfg(feature = "locked-memory")]
#[allow(
    unsafe_code,
    reason = "mapped memory is handled by pointers, in this module alone"
)]
mod locked;
#[cfg(test)]
mod logged;
mod manifest;
mod metrics;
mod name;
mod provider_url;
mod rails;
mod random;
mod reference;
mod refresh;
mod report;
mod secret;
mod secrets;
mod snapshot;
mod validation;

pub use backends::sealed_file;
pub use backends::{Backend, Class, Connect, Fault, Memory, Opening, Operation, Probe, Strength};
pub use connection::Connection;
pub use declared::{Declared, DeclaredSource, Encoding, Kind};
pub use env::{Deployment, DeploymentChoice, Env};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventKind, Events};
pub use examination::{Check, CheckOutcome, Diagnosis, Examination, Examined, Examining};
pub use factory::{
    Candidate, ChainMember, Chosen, Detection, SecretsBuilder, SecretsFactory, Verdict,
};
pub use generate::generate;
pub use harden::{CoreLimit, harden_launcher, harden_process};
pub use health::{Health, HealthStatus, SecretHealth};
pub use live::{Changes, Live, LiveSecret, Publisher};
pub use load::{FromSecrets, Loaded};
pub use manifest::{ManifestNames, Setting, manifest_schema};
pub use name::{MAX_NAME_BYTES, SecretName};
pub use provider::SecretProvider;
pub use provider_url::ProviderUrl;
pub use rails::{GuardRails, Rail};
pub use reference::{LiveRef, SecretRef};
pub use report::{Finding, Report, Severity};
pub use secret::{Fingerprint, MAX_VALUE_BYTES, Metadata, Provenance, Secret, Source, Version};
pub use secrets::Secrets;
#[cfg(feature = "derive")]
pub use strongroom_derive::FromSecrets;
pub use validation::{Outcome, Present, SecretState, Validation};

/// For the code that `#[derive(FromSecrets)]` writes, and changed without notice.
#[cfg(feature = "derive")]
#[doc(hidden)]
pub mod __private {
    pub use crate::fields::{Field, Fields, Parse, declare_nested};
}
