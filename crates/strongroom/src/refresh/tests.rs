use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance, sleep, timeout};

use crate::clock::Clock;
use crate::events::{EventKind, Events};
use crate::provider::Expect;
use crate::{
    Env, ErrorKind, FromSecrets, HealthStatus, Live, Loaded, Result, Secret, SecretName, Secrets,
    SecretsFactory,
};

mod ends;
mod model;
mod rates;
mod scripted;
mod snapshot;
mod typed;

use scripted::Scripted;

const MINUTE: Duration = Duration::from_secs(60);

/// Two secrets that belong to nobody else, and two fields of one document.
const MANIFEST: &str = r#"
[default.cache]
ttl = "5m"
max_stale = "1h"
overlap = "10m"
[default.secrets]
"api/token" = { kind = "token" }
"api/other" = { kind = "opaque" }
"db#user" = { kind = "opaque" }
"db#password" = { kind = "password" }
"maybe" = { kind = "opaque", required = false }
"#;

const MONDAY: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
const TUESDAY: &str = "Hn7c-Qy2wK5r_D8uM1xV4tG9bF6jL3zS";

fn backend() -> Scripted {
    Scripted::with([
        ("api/token", MONDAY),
        ("api/other", "something else"),
        ("db#user", "app-1"),
        ("db#password", "violet-Kayak-19-thunder"),
    ])
}

/// Boots on the runtime's clock, which the test advances.
async fn boot(backend: &Scripted) -> Secrets {
    boot_with(backend, MANIFEST).await
}

async fn boot_with(backend: &Scripted, manifest: &str) -> Secrets {
    let env = Env::empty().with_var("STRONGROOM_ENV", "development");
    let builder = SecretsFactory::builder()
        .env(env)
        .manifest_text(manifest)
        .provider(backend.clone());
    let connection = builder.connect().await.unwrap();
    connection.boot_by(Clock::runtime()).await.unwrap()
}

/// Lets time pass in steps, so that everything that is due happens.
async fn pass(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        advance((end - Instant::now()).min(Duration::from_secs(5))).await;
        settle().await;
    }
}

/// Lets everything happen that needs no time.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn value(secrets: &Secrets, name: &str) -> Result<String, ErrorKind> {
    let secret = secrets.get(name).await.map_err(|error| error.kind())?;
    Ok(secret.expose_str().unwrap().to_owned())
}

/// Returns what happened so far.
async fn so_far(events: &mut Events) -> Vec<String> {
    let mut seen = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::ZERO, events.next()).await {
        seen.push(event.to_string());
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_taken_up_within_the_time_to_live_and_the_former_value_overlaps() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let mut changes = live.changes();
    let mut events = live.events();
    assert_eq!(backend.calls(), 1);

    backend.set("api/token", TUESDAY);
    pass(5 * MINUTE).await;
    assert!(live.verify(TUESDAY) && live.verify(MONDAY));
    assert!(changes.next().await.unwrap().unwrap().verify(TUESDAY));
    assert!(secrets.get("api/token").await.unwrap().verify(TUESDAY));
    assert_eq!(
        so_far(&mut events).await,
        ["api/token: rotated to version 5"]
    );
    // Everything in one call.
    assert_eq!(backend.calls(), 2);
    assert_eq!(backend.state().calls[1].1.len(), 4);

    pass(11 * MINUTE).await;
    assert!(!live.verify(MONDAY));
    assert!(live.verify(TUESDAY));
}

#[tokio::test(start_paused = true)]
async fn the_former_value_is_let_go_of_when_its_overlap_ends() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let typed: Live<Database> = secrets.watch_as().await.unwrap();
    backend.set("api/token", TUESDAY);
    backend.set_together([
        ("db#user", "app-2"),
        ("db#password", "amber-Walrus-55-compass"),
    ]);
    backend.notify();
    settle().await;
    let former = Arc::downgrade(&live.previous().unwrap());
    let former_typed = Arc::downgrade(&typed.previous().unwrap());
    pass(10 * MINUTE - Duration::from_secs(1)).await;
    assert!(former.upgrade().is_some() && former_typed.upgrade().is_some());
    // A reading would let go of them too: none is answered from now on.
    let calls = backend.calls();
    pass(Duration::from_secs(2)).await;
    assert_eq!(backend.calls(), calls, "a reading came between");
    assert!(former.upgrade().is_none() && former_typed.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_value_is_confirmed_for_ever_and_nobody_is_told() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let mut changes = live.changes();
    let before = live.current().unwrap();
    pass(24 * 60 * MINUTE).await;
    assert!(Arc::ptr_eq(&before, &live.current().unwrap()));
    assert!(!live.is_stale());
    assert!(timeout(Duration::ZERO, changes.next()).await.is_err());
    let calls = backend.calls();
    // At 80 to 95 % of five minutes each.
    assert!((24 * 12..=24 * 15 + 1).contains(&calls), "{calls}");
    assert_eq!(secrets.health().status, HealthStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn through_an_outage_values_last_as_long_as_max_stale_and_calls_are_few() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let mut events = live.events();
    backend.fail(Some(ErrorKind::Transient));

    pass(59 * MINUTE).await;
    assert!(live.verify(MONDAY));
    assert!(live.is_stale());
    let health = secrets.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    let token = health
        .secrets
        .iter()
        .find(|s| s.name.as_str() == "api/token")
        .unwrap();
    assert_eq!(token.source, crate::Source::Stale);
    assert!(token.problems[0].contains("transient"), "{token:?}");
    let held = secrets.get("api/token").await.unwrap();
    assert_eq!(held.metadata().source(), crate::Source::Stale);

    pass(2 * MINUTE).await;
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Stale);
    assert_eq!(
        value(&secrets, "api/token").await,
        Err(ErrorKind::Transient)
    );
    assert_eq!(secrets.health().status, HealthStatus::Failed);
    let calls = backend.calls();
    assert!(calls < 200, "{calls} calls in an hour");
    let seen = so_far(&mut events).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].contains("can't be confirmed (transient)"));
    assert!(seen[1].contains("not confirmed in time"));

    backend.fail(None);
    pass(2 * MINUTE).await;
    assert!(live.verify(MONDAY));
    assert!(!live.is_stale());
    assert_eq!(so_far(&mut events).await, ["api/token: confirmed again"]);
    assert_eq!(secrets.health().status, HealthStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_backend_asks_for_is_kept_up_to_a_minute() {
    for (asked, kept) in [(Duration::from_secs(40), 40), (60 * MINUTE, 60)] {
        for one_name in [false, true] {
            let backend = backend();
            let _secrets = boot(&backend).await;
            backend.state().calls.clear();
            backend.state().asking = Some(asked);
            if one_name {
                let name = "api/token".to_owned();
                let failing = HashMap::from([(name, ErrorKind::Transient)]);
                backend.state().failing_names = failing;
            } else {
                backend.fail(Some(ErrorKind::Transient));
            }
            pass(20 * MINUTE).await;
            let state = backend.state();
            let token = "api/token".to_owned();
            let calls = state
                .calls
                .iter()
                .filter(|(_, names)| names.contains(&token));
            let times: Vec<_> = calls.map(|(at, _)| *at).collect();
            assert!(times.len() > 10, "{}", times.len());
            for pair in times.windows(2) {
                // What is due within a tick comes along with others.
                let pause = pair[1] - pair[0] + crate::refresh::table::TICK;
                assert!(pause >= Duration::from_secs(kept), "{pause:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn years_of_failure_change_nothing_but_the_time() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.fail(Some(ErrorKind::Transient));
    let year = 365 * 24 * 60 * MINUTE;
    let start = Instant::now();
    while start.elapsed() < 3 * year {
        advance(24 * 60 * MINUTE).await;
        settle().await;
    }
    assert_eq!(
        value(&secrets, "api/token").await,
        Err(ErrorKind::Transient)
    );
    backend.fail(None);
    pass(2 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(MONDAY));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_is_withdrawn_at_once_and_comes_back() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let mut changes = live.changes();
    backend.remove("api/token");
    backend.notify();
    settle().await;
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Absent);
    assert!(live.previous().is_none() && !live.verify(MONDAY));
    assert_eq!(
        changes.next().await.unwrap().unwrap_err().kind(),
        ErrorKind::Absent
    );
    assert_eq!(value(&secrets, "api/token").await, Err(ErrorKind::Absent));
    assert_eq!(secrets.health().status, HealthStatus::Failed);

    backend.set("api/token", TUESDAY);
    pass(2 * MINUTE).await;
    assert!(live.verify(TUESDAY) && !live.verify(MONDAY));
    assert_eq!(secrets.health().status, HealthStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_believed_only_while_our_own_credential_is_alive() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();

    backend.state().sick = true;
    backend.fail(Some(ErrorKind::Denied));
    pass(6 * MINUTE).await;
    assert!(
        live.verify(MONDAY),
        "our credential is dead: keep the value"
    );
    assert!(backend.state().health_asked > 0);
    pass(60 * MINUTE).await;
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Stale);

    backend.state().sick = false;
    pass(2 * MINUTE).await;
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Denied);
    assert!(live.held().is_none(), "it is wiped");
}

#[tokio::test(start_paused = true)]
async fn an_auth_failure_keeps_the_value_until_max_stale() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.fail(Some(ErrorKind::Auth));
    pass(59 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(MONDAY));
    pass(2 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await, Err(ErrorKind::Auth));
}

#[tokio::test(start_paused = true)]
async fn a_new_value_that_the_boot_would_have_refused_is_refused() {
    for (bad, why) in [
        ("short", "fewer than 32"),
        ("", "empty"),
        ("changeme-changeme-changeme-changeme", "placeholder"),
        ("kdkdkdkdkdkdkdkdkdkdkdkdkdkdkdkdkdkdkdkd", "repetition"),
        ("violet-Kayak-19-thunder-and-some-more", ""),
    ] {
        let backend = backend();
        if why.is_empty() {
            // The same value as another secret.
            backend.set("api/other", bad);
        }
        let secrets = boot(&backend).await;
        let mut events = secrets.events();
        backend.set("api/token", bad);
        pass(6 * MINUTE).await;
        assert_eq!(
            value(&secrets, "api/token").await.as_deref(),
            Ok(MONDAY),
            "{bad}"
        );
        let seen = so_far(&mut events).await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(
            seen[0].starts_with("api/token: a new value was refused"),
            "{seen:?}"
        );
        let expected = if why.is_empty() {
            "same as that of `api/other`"
        } else {
            why
        };
        assert!(seen[0].contains(expected), "{seen:?}");
        assert!(bad.is_empty() || !seen[0].contains(bad), "{seen:?}");
        assert_eq!(secrets.health().status, HealthStatus::Degraded);

        pass(60 * MINUTE).await;
        assert!(value(&secrets, "api/token").await.is_err(), "{bad}");
        backend.set("api/token", TUESDAY);
        pass(2 * MINUTE).await;
        assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(TUESDAY));
        assert_eq!(secrets.health().status, HealthStatus::Ready);
    }
}

#[tokio::test(start_paused = true)]
async fn fields_of_one_document_are_taken_up_together_or_not_at_all() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.set("db#user", "app-2");
    backend.set("db#password", "short");
    pass(6 * MINUTE).await;
    assert_eq!(value(&secrets, "db#user").await.as_deref(), Ok("app-1"));
    backend.set("db#password", "crimson-Otter-27-lantern");
    pass(2 * MINUTE).await;
    assert_eq!(value(&secrets, "db#user").await.as_deref(), Ok("app-2"));
    // A reading of one field reads the other with it.
    secrets.watch("db#user").await.unwrap();
    let before = backend.calls();
    let used = secrets.get("db#user").await.unwrap();
    assert!(secrets.report_rejected(&used).await.is_ok());
    let last = backend.state().calls[before].1.clone();
    assert!(last.contains(&"db#password".to_owned()), "{last:?}");
}

struct Database {
    user: String,
    password: Secret,
}

impl FromSecrets for Database {
    fn declared() -> Vec<crate::Declared> {
        vec![
            crate::Declared::new(SecretName::from_static("db#user"), crate::Kind::Opaque),
            crate::Declared::new(
                SecretName::from_static("db#password"),
                crate::Kind::Password,
            ),
        ]
    }

    fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
        let user = found.get("db#user")?.expose_str()?.to_owned();
        assert_ne!(user, "panic");
        Ok(Self {
            user,
            password: found.get("db#password")?.clone(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_typed_value_is_built_once_for_each_version() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live: Live<Database> = secrets.watch_as().await.unwrap();
    let mut changes = live.changes();
    let first = live.current().unwrap();
    pass(20 * MINUTE).await;
    assert!(Arc::ptr_eq(&first, &live.current().unwrap()));

    backend.set("db#user", "app-2");
    backend.set("db#password", "crimson-Otter-27-lantern");
    pass(5 * MINUTE).await;
    let second = changes.next().await.unwrap().unwrap();
    assert_eq!(second.user, "app-2");
    assert!(second.password.verify("crimson-Otter-27-lantern"));
    assert_eq!(live.previous().unwrap().user, "app-1");
    assert!(
        timeout(Duration::ZERO, changes.next()).await.is_err(),
        "once"
    );

    // What the type's own code does ends nothing.
    backend.set("db#user", "panic");
    pass(6 * MINUTE).await;
    assert_eq!(live.current().unwrap().user, "app-2");
    assert_eq!(secrets.health().status, HealthStatus::Degraded);
    backend.set("db#user", "app-3");
    pass(6 * MINUTE).await;
    assert_eq!(live.current().unwrap().user, "app-3");
    assert_eq!(secrets.health().status, HealthStatus::Ready);

    // It lasts as long as its parts.
    backend.fail(Some(ErrorKind::Transient));
    pass(62 * MINUTE).await;
    assert_eq!(live.with(|_| ()).unwrap_err().kind(), ErrorKind::Stale);
    backend.fail(None);
    pass(2 * MINUTE).await;
    assert_eq!(live.current().unwrap().user, "app-3");
    secrets.shutdown().await.unwrap();
    assert_eq!(live.with(|_| ()).unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn any_number_of_reports_cause_one_reading() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().latency = Duration::from_millis(100);
    let live = secrets.watch("api/token").await.unwrap();
    let used = live.current().unwrap();
    backend.set("api/token", TUESDAY);
    let report = || {
        let (live, used) = (live.clone(), Arc::clone(&used));
        tokio::spawn(async move { live.report_rejected(&used).await })
    };
    let reports: Vec<_> = (0..1_000).map(|_| report()).collect();
    for report in reports {
        assert!(report.await.unwrap().unwrap().verify(TUESDAY));
    }
    assert_eq!(backend.calls(), 2);

    // The new one is refused too: the former one comes back, without another reading.
    sleep(Duration::from_secs(1)).await;
    let used = live.current().unwrap();
    assert!(live.report_rejected(&used).await.unwrap().verify(MONDAY));
    assert_eq!(backend.calls(), 2, "within ten seconds of the last");

    // There is no other one.
    pass(15 * MINUTE).await;
    let used = secrets.get("api/token").await.unwrap();
    let calls = backend.calls();
    let error = secrets.report_rejected(&used).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stale);
    assert_eq!(backend.calls(), calls + 1);
    // An older value is answered by the current one at once.
    let old = Secret::from_text(MONDAY).with_metadata(used.metadata().clone());
    assert!(secrets.report_rejected(&old).await.unwrap().verify(TUESDAY));
    assert_eq!(backend.calls(), calls + 1);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_readers_of_one_name_make_one_call() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().latency = Duration::from_millis(100);
    backend.set("cold", "nobody asked for it");
    let read = || {
        let secrets = secrets.clone();
        tokio::spawn(async move { value(&secrets, "cold").await })
    };
    let readers: Vec<_> = (0..10_000).map(|_| read()).collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap().as_deref(), Ok("nobody asked for it"));
    }
    assert_eq!(backend.calls(), 2);

    // Past its time to live: nobody waits, since a usable value is there.
    backend.state().latency = 10 * MINUTE;
    pass(6 * MINUTE).await;
    let before = Instant::now();
    for _ in 0..10_000 {
        secrets.get("cold").await.unwrap();
        secrets.get("api/token").await.unwrap();
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(backend.state().most_under_way, 1);
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_believed_for_a_short_while() {
    let backend = backend();
    let secrets = boot(&backend).await;
    for _ in 0..1_000 {
        assert_eq!(value(&secrets, "maybe").await, Err(ErrorKind::Absent));
    }
    assert_eq!(backend.calls(), 2);
    backend.set("maybe", "here it is");
    pass(Duration::from_secs(6)).await;
    assert_eq!(value(&secrets, "maybe").await.as_deref(), Ok("here it is"));
    assert_eq!(backend.calls(), 3);
    // A notice ends it at once.
    assert_eq!(value(&secrets, "undeclared").await, Err(ErrorKind::Absent));
    backend.set("undeclared", "here too");
    backend.notify();
    settle().await;
    assert_eq!(
        value(&secrets, "undeclared").await.as_deref(),
        Ok("here too")
    );
}

#[tokio::test(start_paused = true)]
async fn readers_of_what_fails_cause_few_calls() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.fail(Some(ErrorKind::Transient));
    let start = Instant::now();
    while start.elapsed() < 10 * MINUTE {
        assert_eq!(value(&secrets, "maybe").await, Err(ErrorKind::Transient));
        sleep(Duration::from_millis(100)).await;
    }
    let about = |call: &&(Instant, Vec<String>)| call.1.contains(&"maybe".to_owned());
    let calls = backend.state().calls.iter().filter(about).count();
    assert!((5..70).contains(&calls), "{calls}");
}

#[tokio::test(start_paused = true)]
async fn a_write_is_in_force_when_it_returns_and_a_reading_under_way_does_not_undo_it() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    // A reading begins, and sees the former value.
    backend.state().latency = Duration::from_secs(10);
    backend.notify();
    settle().await;
    assert_eq!(backend.calls(), 2);
    sleep(Duration::from_secs(6)).await;
    backend.state().latency = Duration::ZERO;
    let version = secrets
        .put("api/token", &Secret::from_text(TUESDAY), Expect::Any)
        .await
        .unwrap();
    assert!(live.with(|value| value.verify(TUESDAY)).unwrap());
    assert_eq!(live.version().unwrap(), version);
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        assert!(live.with(|value| value.verify(TUESDAY)).unwrap());
    }
    let weak = Secret::from_text("short");
    let refused = secrets.put("api/token", &weak, Expect::Any).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Policy);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_or_is_dropped_leaves_the_name_readable() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().latency = Duration::from_secs(2);
    let tuesday = Secret::from_text(TUESDAY);
    let write = secrets.put("api/token", &tuesday, Expect::Any);
    // It reaches the backend, and nobody waits for the answer.
    assert!(timeout(Duration::from_millis(1_500), write).await.is_err());
    backend.state().latency = Duration::ZERO;
    pass(Duration::from_secs(5)).await;
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(TUESDAY));
    backend.fail(Some(ErrorKind::Transient));
    assert!(
        secrets
            .put("api/token", &tuesday, Expect::Any)
            .await
            .is_err()
    );
    backend.fail(None);
    backend.set("api/token", MONDAY);
    pass(2 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(MONDAY));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_on_request_waits_for_what_is_new() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().latency = Duration::from_secs(10);
    backend.notify();
    settle().await;
    sleep(Duration::from_secs(6)).await;
    // The reading under way has seen the former value.
    backend.set("api/token", TUESDAY);
    secrets.refresh().await.unwrap();
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(TUESDAY));
    assert_eq!(backend.calls(), 3);
    // A view refreshes what is in its scope.
    secrets.scoped("api").unwrap().refresh().await.unwrap();
    let mut last = backend.state().calls[3].1.clone();
    last.sort();
    assert_eq!(last, ["api/other", "api/token"]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_blocks_nothing_for_good() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().latency = 1_000 * MINUTE;
    let start = Instant::now();
    assert_eq!(value(&secrets, "maybe").await, Err(ErrorKind::Transient));
    assert!(start.elapsed() <= 2 * MINUTE);
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(MONDAY));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_declared_and_nobody_uses_is_let_go_of() {
    let backend = backend();
    for number in 0..2_000 {
        backend.set(&format!("n/{number}"), "value");
    }
    let secrets = boot(&backend).await;
    for number in 0..2_000 {
        secrets.get(format!("n/{number}")).await.unwrap();
    }
    let held = |secrets: &Secrets| secrets.health().secrets.len();
    assert!(held(&secrets) <= 4 + 1_024 + 1, "{}", held(&secrets));
    // A handle is kept, whatever else there is.
    let live = secrets.watch("n/1999").await.unwrap();
    pass(15 * MINUTE).await;
    assert_eq!(held(&secrets), 4 + 1);
    backend.set("n/1999", "another");
    pass(6 * MINUTE).await;
    assert!(live.verify("another"));
}

#[tokio::test(start_paused = true)]
async fn the_refresh_lives_as_long_as_a_handle_and_no_longer() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let typed: Live<Database> = secrets.watch_as().await.unwrap();
    drop(secrets);
    backend.set("api/token", TUESDAY);
    pass(5 * MINUTE).await;
    assert!(live.verify(TUESDAY));
    drop(live);
    let before = backend.calls();
    pass(5 * MINUTE).await;
    assert!(backend.calls() > before);
    drop(typed);
    settle().await;
    let before = backend.calls();
    pass(60 * MINUTE).await;
    assert_eq!(backend.calls(), before);
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_every_task_at_once_and_wipes() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let mut events = secrets.events();
    let mut changes = live.changes();
    let held = live.held().map(|held| Arc::downgrade(&held)).unwrap();
    backend.state().latency = 10 * MINUTE;
    let waiting = {
        let secrets = secrets.clone();
        tokio::spawn(async move { value(&secrets, "cold").await })
    };
    settle().await;
    let start = Instant::now();
    secrets.shutdown().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(waiting.await.unwrap(), Err(ErrorKind::Closed));
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Closed);
    assert!(held.upgrade().is_none(), "wiped");
    assert!(events.next().await.is_none());
    assert!(changes.next().await.is_none());
    assert_eq!(value(&secrets, "api/token").await, Err(ErrorKind::Closed));
    assert_eq!(
        secrets.refresh().await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    settle().await;
    let metrics = tokio::runtime::Handle::current().metrics();
    assert_eq!(metrics.num_alive_tasks(), 0);
    secrets.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_name_that_fails_does_not_keep_the_others_from_being_read() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend
        .state()
        .failing_names
        .insert("api/other".to_owned(), ErrorKind::Transient);
    backend.set("api/token", TUESDAY);
    pass(6 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(TUESDAY));
    let mut names: HashMap<String, usize> = HashMap::new();
    pass(60 * MINUTE).await;
    for name in backend.state().calls.iter().flat_map(|call| &call.1) {
        *names.entry(name.clone()).or_default() += 1;
    }
    assert!(names["api/token"] < 20, "{names:?}");
    let refused = matches!(
        value(&secrets, "api/other").await,
        Err(ErrorKind::Transient)
    );
    assert!(refused);
}

#[tokio::test(start_paused = true)]
async fn an_event_never_shows_a_value() {
    let kind = EventKind::Rejected;
    assert_eq!(kind.to_string(), "refused where it is used");
    let backend = backend();
    let secrets = boot(&backend).await;
    let mut events = secrets.events();
    let used = secrets.get("api/token").await.unwrap();
    drop(secrets.report_rejected(&used).await);
    let event = events.next().await.unwrap();
    let shown = serde_json::to_string(&event).unwrap();
    assert!(shown.contains(r#""event":"rejected""#), "{shown}");
    assert!(!shown.contains(MONDAY) && !format!("{event:?}").contains(MONDAY));
}
