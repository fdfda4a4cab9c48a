//! The layers around a provider, and their order. No backend knows one.

use std::sync::Arc;

use crate::provider::SecretProvider;

pub(crate) mod limit;
pub(crate) mod retry;

use limit::Limit;
use retry::Retry;

/// What the layers around each remote provider are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    pub(crate) retry: retry::Settings,
    pub(crate) limit: limit::Settings,
}

/// Puts the layers around a remote provider, the innermost first.
///
/// The limit is inside the retries, so that each attempt passes it: a failing backend sees the same
/// bounded rate of calls as a healthy one.
pub(crate) fn wrap(
    provider: Arc<dyn SecretProvider>,
    settings: &Settings,
) -> Arc<dyn SecretProvider> {
    let limited = Arc::new(Limit::new(provider, settings.limit));
    Arc::new(Retry::new(limited, settings.retry))
}

#[cfg(test)]
mod tests;
