//! What the crate promises, tried through its public API alone.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

mod audit;
#[cfg(feature = "aws")]
mod aws;
mod bounds;
mod canary;
mod chains;
mod conformance;
#[cfg(feature = "derive")]
mod derive;
mod detection;
mod layers;
mod manifest;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(any(feature = "aws", feature = "vault"))]
mod outage;
mod proxy;
mod rotation;
mod sealed_file;
mod sealed_vectors;
mod secrets;
mod servers;
mod snapshot;
#[cfg(feature = "vault")]
mod vault;
mod watching;
