//! What the refresh counts, for whoever installs a recorder of the crate `metrics`.
//!
//! | metric | labels | what it is |
//! |---|---|---|
//! | `strongroom_readings_total` | `provider`, `outcome` (`ok`, `failed`) | readings of a batch of secrets |
//! | `strongroom_reading_seconds` | `provider` | how long they took |
//! | `strongroom_events_total` | `secret`, `event` | what [`Event`](crate::Event)s were told |
//! | `strongroom_secrets` | `state` (`fresh`, `stale`, `unusable`) | how many secrets are held |
//!
//! `provider` is a name of the manifest's `providers`, or `main`. Without the feature `metrics` nothing
//! is counted.

#![cfg_attr(
    not(feature = "metrics"),
    allow(unused_variables, reason = "what is not counted is not looked at")
)]

use std::time::Duration;

use crate::events::EventKind;
use crate::name::SecretName;

/// How many secrets are in which state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct States {
    pub(crate) fresh: u32,
    pub(crate) stale: u32,
    pub(crate) unusable: u32,
}

/// Reports whether anybody may look at what is counted.
pub(crate) const fn are_counted() -> bool {
    cfg!(feature = "metrics")
}

pub(crate) fn reading(provider: Option<&str>, failed: bool, took: Duration) {
    #[cfg(feature = "metrics")]
    {
        let provider = provider.unwrap_or("main").to_owned();
        let outcome = if failed { "failed" } else { "ok" };
        let labels = [
            ("provider", provider.clone()),
            ("outcome", outcome.to_owned()),
        ];
        ::metrics::counter!("strongroom_readings_total", &labels).increment(1);
        ::metrics::histogram!("strongroom_reading_seconds", "provider" => provider).record(took);
    }
}

pub(crate) fn event(name: &SecretName, kind: &EventKind) {
    #[cfg(feature = "metrics")]
    {
        let labels = [
            ("secret", name.to_string()),
            ("event", kind.as_str().to_owned()),
        ];
        ::metrics::counter!("strongroom_events_total", &labels).increment(1);
    }
}

pub(crate) fn states(states: States) {
    #[cfg(feature = "metrics")]
    for (state, count) in [
        ("fresh", states.fresh),
        ("stale", states.stale),
        ("unusable", states.unusable),
    ] {
        ::metrics::gauge!("strongroom_secrets", "state" => state).set(f64::from(count));
    }
}
