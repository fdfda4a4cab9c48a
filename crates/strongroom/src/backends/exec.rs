//! Providers that are programs of their own, in any language (feature `exec`).
//!
//! `exec:/absolute/path/to/program?timeout=10s&pass=NAME,…&config=TEXT` is started for each call, gets one
//! request in JSON on its standard input, and answers with one in JSON on its standard output. The protocol
//! is specified in docs/write-a-backend.md.

use super::{Backend, Strength};

#[cfg(feature = "exec")]
mod answer;
#[cfg(feature = "exec")]
mod caller;
#[cfg(feature = "exec")]
mod doctor;
#[cfg(all(feature = "exec", any(test, fuzzing)))]
pub(super) mod fuzzing;
#[cfg(feature = "exec")]
mod introduction;
#[cfg(feature = "exec")]
mod object;
#[cfg(feature = "exec")]
mod process;
#[cfg(feature = "exec")]
mod program;
#[cfg(feature = "exec")]
mod provider;
#[cfg(feature = "exec")]
mod request;
#[cfg(feature = "exec")]
mod settings;

#[cfg(test)]
#[cfg(feature = "exec")]
mod tests;

/// Nothing leads detection here: a program is run only where somebody names it.
///
/// It is called as what is behind a network is: most programs will be clients of some store, and a call costs
/// a process. What it keeps nobody can see, so it counts as no stronger than a plain file.
pub(super) const BACKEND: Backend = Backend::new("exec", "program", open)
    .with_url_keys(&["timeout", "pass", "config"])
    .remote()
    .with_strength(Strength::Plain)
    .with_doctor(examine);

#[cfg(not(feature = "exec"))]
fn open(connect: super::Connect) -> super::Opening {
    super::not_in_this_build(
        &connect,
        "backend for programs",
        "build it with the cargo feature `exec`",
    )
}

#[cfg(not(feature = "exec"))]
fn examine(connect: super::Connect) -> crate::examination::Examining {
    super::examine_by_opening(connect, open)
}

#[cfg(feature = "exec")]
use doctor::examine;

#[cfg(feature = "exec")]
fn open(connect: super::Connect) -> super::Opening {
    Box::pin(async move {
        let caller = caller::Caller::new(settings::Settings::read(&connect)?);
        let introduction = caller.introduce().await?;
        let provider = provider::Provider::new(caller, introduction);
        Ok(std::sync::Arc::new(provider) as std::sync::Arc<dyn crate::provider::SecretProvider>)
    })
}
