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

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

    use crate::{Declared, Env, Kind, Memory, Secret, SecretName, SecretsFactory};

    const CANARY: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
    const NEXT: &str = "Hn7c-Qy2wK5r_D8uM1xV4tG9bF6jL3zS";

    /// Returns each metric as `name{labels} value`; histograms without their values.
    fn lines(snapshotter: &Snapshotter) -> Vec<String> {
        let all = snapshotter.snapshot().into_vec().into_iter();
        let line = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
            let labels = key.key().labels();
            let labels: Vec<_> = labels
                .map(|l| format!("{}={}", l.key(), l.value()))
                .collect();
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(level) => level.to_string(),
                DebugValue::Histogram(all) => format!("{} times", all.len()),
            };
            format!("{}{{{}}} {value}", key.key().name(), labels.join(","))
        };
        let mut lines: Vec<_> = all.map(line).collect();
        lines.sort();
        lines
    }

    #[test]
    fn readings_events_and_states_are_counted_and_no_value_is_told() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                let memory = Memory::new().with("api/token", CANARY);
                let declared = Declared::new(SecretName::from_static("api/token"), Kind::Token);
                let secrets = SecretsFactory::builder()
                    .env(Env::empty())
                    .provider(memory.clone())
                    .declare([declared])
                    .detect()
                    .await
                    .unwrap();
                let mut events = secrets.events();
                memory.set("api/token", Secret::from_text(NEXT));
                events.next().await.unwrap();
                memory.set("api/token", Secret::from_text("short"));
                events.next().await.unwrap();
                secrets.refresh().await.unwrap();
            });
        });
        let lines = lines(&snapshotter);
        for expected in [
            "strongroom_events_total{secret=api/token,event=rotated} 1",
            "strongroom_events_total{secret=api/token,event=refused} 1",
            "strongroom_readings_total{provider=main,outcome=ok} 3",
            "strongroom_reading_seconds{provider=main} 3 times",
            "strongroom_secrets{state=fresh} 1",
            "strongroom_secrets{state=stale} 0",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:#?}"
            );
        }
        let all = lines.concat();
        assert!(!all.contains(CANARY) && !all.contains(NEXT));
    }
}
