//! The examples, run as a user runs them.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod axum_figment;
mod bearer;
mod boot;
#[cfg(unix)]
mod boot_serve;
#[cfg(unix)]
mod client;
mod custom_provider;
mod database_pool;
mod exec_provider;
mod five_backends;
mod program;
#[cfg(unix)]
mod rotation;
mod servers;
#[cfg(unix)]
mod service;
