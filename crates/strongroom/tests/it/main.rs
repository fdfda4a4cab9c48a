//! What the crate promises, tried through its public API alone.

mod detection;
mod manifest;
