//! What the crate promises, tried through its public API alone.

#![allow(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

mod detection;
mod manifest;
