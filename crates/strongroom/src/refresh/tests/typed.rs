//! Typed values: what belongs together stays together, whatever a type's own code does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};

use super::*;
use crate::{Declared, Kind, LiveSecret};

const OTHERWISE: &str = "crimson-Otter-27-lantern";

/// A type that is built from one opaque secret, by this code.
macro_rules! built_by {
    ($name:ident, $build:expr) => {
        struct $name(#[allow(dead_code, reason = "some only count")] String);

        impl FromSecrets for $name {
            fn declared() -> Vec<Declared> {
                let name = SecretName::from_static("api/other");
                vec![Declared::new(name, Kind::Opaque)]
            }

            fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
                let build: fn(&str) -> Result<String> = $build;
                Ok(Self(build(found.get("api/other")?.expose_str()?)?))
            }
        }
    };
}

#[tokio::test(start_paused = true)]
async fn a_document_is_refused_as_a_whole_for_a_value_that_another_secret_has() {
    let backend = backend();
    backend.set("api/other", OTHERWISE);
    // It is found by one reading of all.
    let manifest = MANIFEST.replace(
        "\"api/other\" = { kind = \"opaque\" }",
        "\"api/other\" = { kind = \"password\" }",
    );
    let secrets = boot_with(&backend, &manifest).await;
    backend.set_together([("db#user", "app-2"), ("db#password", OTHERWISE)]);
    pass(6 * MINUTE).await;
    let password = value(&secrets, "db#password").await;
    assert_eq!(password.as_deref(), Ok("violet-Kayak-19-thunder"));
    assert_eq!(value(&secrets, "db#user").await.as_deref(), Ok("app-1"));
}

#[tokio::test(start_paused = true)]
async fn a_write_of_one_field_never_mixes_two_versions_of_a_document() {
    for latency in [0, 2, 20] {
        let backend = backend();
        let secrets = boot(&backend).await;
        let live: Live<Database> = secrets.watch_as().await.unwrap();
        backend.set_together([("db#user", "app-2"), ("db#password", OTHERWISE)]);
        backend.state().latency = Duration::from_secs(latency);
        backend.notify();
        settle().await;
        let write = {
            let secrets = secrets.clone();
            let password = Secret::from_text("amber-Walrus-55-compass");
            tokio::spawn(async move { secrets.put("db#password", &password, Expect::Any).await })
        };
        for _ in 0..200 {
            advance(Duration::from_millis(500)).await;
            settle().await;
            let (user, former) = live
                .with(|found| {
                    let former = found.password.verify("violet-Kayak-19-thunder");
                    (found.user.clone(), former)
                })
                .unwrap();
            assert_eq!(user == "app-1", former, "{user} after {latency} s");
        }
        write.await.unwrap().unwrap();
        let found = live.current().unwrap();
        assert!(found.user == "app-2" && found.password.verify("amber-Walrus-55-compass"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_force_alone_is_part_of_no_type_until_it_is_read() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live: Live<Database> = secrets.watch_as().await.unwrap();
    backend.set_together([("db#user", "app-2"), ("db#password", OTHERWISE)]);
    backend.state().latency = Duration::from_secs(2);
    let write = {
        let secrets = secrets.clone();
        let password = Secret::from_text("amber-Walrus-55-compass");
        tokio::spawn(async move { secrets.put("db#password", &password, Expect::Any).await })
    };
    // The backend takes it, and nothing can be read then.
    sleep(Duration::from_millis(1_500)).await;
    backend.fail(Some(ErrorKind::Transient));
    write.await.unwrap().unwrap();
    let password = secrets.get("db#password").await.unwrap();
    assert!(password.verify("amber-Walrus-55-compass"));
    assert_eq!(live.current().unwrap().user, "app-1");
    assert!(
        !live
            .current()
            .unwrap()
            .password
            .verify("amber-Walrus-55-compass")
    );
    backend.fail(None);
    pass(6 * MINUTE).await;
    let found = live.current().unwrap();
    assert!(found.user == "app-2" && found.password.verify("amber-Walrus-55-compass"));
}

#[test]
fn a_rotation_while_a_type_is_built_is_not_missed() {
    static BACKEND: OnceLock<(Scripted, LiveSecret)> = OnceLock::new();
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    built_by!(Overtaken, |value| {
        let (backend, live) = BACKEND.get().unwrap();
        if BUILT.fetch_add(1, Ordering::SeqCst) == 0 {
            backend.set("api/other", "tuesday");
            backend.notify();
            while !live.verify("tuesday") {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(value.to_owned())
    });
    within_seconds(|| {
        let runtime = runtime();
        let backend = backend();
        let secrets = runtime.block_on(boot(&backend));
        let live = runtime.block_on(secrets.watch("api/other")).unwrap();
        let _ = BACKEND.set((backend, live));
        let live: Live<Overtaken> = runtime.block_on(secrets.watch_as()).unwrap();
        assert_eq!(live.current().unwrap().0, "tuesday");
        runtime.block_on(secrets.shutdown()).unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_type_that_could_not_be_built_is_built_by_the_next_reading() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    built_by!(Moody, |value| {
        if FAILS.load(Ordering::SeqCst) {
            return Err(crate::Error::new(ErrorKind::Transient, "not now"));
        }
        Ok(value.to_owned())
    });
    let backend = backend();
    let secrets = boot(&backend).await;
    let live: Live<Moody> = secrets.watch_as().await.unwrap();
    FAILS.store(true, Ordering::SeqCst);
    backend.set("api/other", "tuesday");
    pass(6 * MINUTE).await;
    assert_eq!(live.current().unwrap().0, "something else");
    assert_eq!(secrets.health().status, HealthStatus::Degraded);
    FAILS.store(false, Ordering::SeqCst);
    pass(6 * MINUTE).await;
    assert_eq!(live.current().unwrap().0, "tuesday");
    assert_eq!(secrets.health().status, HealthStatus::Ready);

    // What can't be built for long is as old as any other value that nobody confirms.
    FAILS.store(true, Ordering::SeqCst);
    backend.set("api/other", "wednesday");
    pass(66 * MINUTE).await;
    assert_eq!(live.with(|_| ()).unwrap_err().kind(), ErrorKind::Stale);
}

#[tokio::test(start_paused = true)]
async fn the_health_of_one_type_hides_nothing_of_another() {
    built_by!(Picky, |value| match value {
        "tuesday" => Err(crate::Error::new(ErrorKind::Malformed, "not on tuesdays")),
        _ => Ok(value.to_owned()),
    });
    built_by!(Easy, |value| Ok(value.to_owned()));
    let backend = backend();
    let secrets = boot(&backend).await;
    let picky: Live<Picky> = secrets.watch_as().await.unwrap();
    let easy: Live<Easy> = secrets.watch_as().await.unwrap();
    backend.set("api/other", "tuesday");
    pass(6 * MINUTE).await;
    assert_eq!(easy.current().unwrap().0, "tuesday");
    assert_eq!(secrets.health().status, HealthStatus::Degraded);
    drop(picky);
    pass(6 * MINUTE).await;
    assert_eq!(secrets.health().status, HealthStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_type_that_panics_when_it_is_dropped_ends_nothing() {
    struct Bomb(String);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert_ne!(self.0, "bomb");
        }
    }
    impl FromSecrets for Bomb {
        fn declared() -> Vec<Declared> {
            let name = SecretName::from_static("api/other");
            vec![Declared::new(name, Kind::Opaque)]
        }

        fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
            Ok(Self(found.get("api/other")?.expose_str()?.to_owned()))
        }
    }
    let backend = backend();
    backend.set("api/other", "bomb");
    let secrets = boot(&backend).await;
    let live: Live<Bomb> = secrets.watch_as().await.unwrap();
    for value in ["tuesday", "wednesday", "thursday"] {
        backend.set("api/other", value);
        backend.set("api/token", &format!("{TUESDAY}{value}"));
        pass(16 * MINUTE).await;
        let token = value_of(&secrets).await;
        assert!(token.ends_with(value), "{value}");
        assert_eq!(live.current().unwrap().0, value);
    }
}

async fn value_of(secrets: &Secrets) -> String {
    value(secrets, "api/token").await.unwrap()
}

/// Runs a test of real threads, which must not hang.
fn within_seconds(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    let ended = is_done.recv_timeout(Duration::from_secs(20));
    assert!(
        !matches!(ended, Err(mpsc::RecvTimeoutError::Timeout)),
        "it hangs"
    );
    thread.join().unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_type_that_is_built_for_ever_does_not_hold_up_the_shutdown() {
    static BUILT: AtomicUsize = AtomicUsize::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    built_by!(Slow, |value| {
        if BUILT.fetch_add(1, Ordering::SeqCst) > 0 {
            while !STOP.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(value.to_owned())
    });
    within_seconds(|| {
        let (held_up, other) = (runtime(), runtime());
        let backend = backend();
        let (secrets, live) = held_up.block_on(async {
            let secrets = boot(&backend).await;
            let live: Live<Slow> = secrets.watch_as().await.unwrap();
            (secrets, live)
        });
        backend.set("api/other", "tuesday");
        backend.notify();
        while BUILT.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        other.block_on(async {
            // Nobody else waits for it.
            let quick: Live<Quick> = secrets.watch_as().await.unwrap();
            let begun = std::time::Instant::now();
            secrets.shutdown().await.unwrap();
            let took = begun.elapsed();
            STOP.store(true, Ordering::SeqCst);
            assert!(took < Duration::from_secs(3), "{took:?}");
            assert_eq!(live.with(|_| ()).unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(quick.with(|_| ()).unwrap_err().kind(), ErrorKind::Closed);
        });
    });
}

built_by!(Quick, |value| Ok(value.to_owned()));

#[test]
fn a_type_may_ask_for_secrets_while_it_is_built() {
    static SECRETS: OnceLock<(tokio::runtime::Handle, Secrets)> = OnceLock::new();
    built_by!(Nested, |value| {
        let (runtime, secrets) = SECRETS.get().unwrap();
        let cold = format!("cold/{}", value.len());
        let ask = move || runtime.block_on(async move { secrets.get(cold).await });
        let asked = std::thread::spawn(ask).join().unwrap();
        assert_eq!(asked.unwrap_err().kind(), ErrorKind::Absent);
        assert_eq!(secrets.health().secrets.len(), 4);
        Ok(value.to_owned())
    });
    within_seconds(|| {
        let runtime = runtime();
        runtime.block_on(async {
            let secrets = boot(&backend()).await;
            let handle = tokio::runtime::Handle::current();
            assert!(SECRETS.set((handle, secrets.clone())).is_ok());
            let live: Live<Nested> = secrets.watch_as().await.unwrap();
            assert_eq!(live.current().unwrap().0, "something else");
            secrets.shutdown().await.unwrap();
        });
    });
}
