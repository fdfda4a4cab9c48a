//! The layers around a provider, and their order. No backend knows one.

use std::sync::Arc;

use crate::audit::Audit;
use crate::provider::SecretProvider;

mod audit;
pub(crate) mod limit;
pub(crate) mod retry;

use audit::Recorded;
use limit::Limit;
use retry::Retry;

/// What the layers around each remote provider are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    pub(crate) retry: retry::Settings,
    pub(crate) limit: limit::Settings,
}

/// Puts the layers around a provider, the innermost first: those for remote providers where there are
/// settings for them, and the record of what was done with it around all.
///
/// The limit is inside the retries, so that each attempt passes it: a failing backend sees the same
/// bounded rate of calls as a healthy one. What is recorded is the access, not the attempts.
pub(crate) fn wrap(
    provider: Arc<dyn SecretProvider>,
    remote: Option<&Settings>,
    audit: &Arc<Audit>,
) -> Arc<dyn SecretProvider> {
    let provider: Arc<dyn SecretProvider> = match remote {
        Some(settings) => {
            let limited = Arc::new(Limit::new(provider, settings.limit));
            Arc::new(Retry::new(limited, settings.retry))
        }
        None => provider,
    };
    Arc::new(Recorded::new(provider, Arc::clone(audit)))
}

#[cfg(test)]
mod tests;
