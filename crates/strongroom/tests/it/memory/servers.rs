//! The backends behind a network: what their clients leave of a value.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "vault")]
mod vault;
