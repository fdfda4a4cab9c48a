//! A bad network between us and a real server: what fails is transient, nothing comes by halves, and
//! when the network is well again, so are we.

use std::sync::Arc;
use std::time::Duration;

use strongroom::{ErrorKind, SecretProvider};

use super::admin::Admin;
use super::calls::{connect, failed, get, read, write};
use super::open;
use crate::proxy::{Mode, Proxy};

/// A mount on the real server, seen through a proxy.
struct Wire {
    admin: Admin,
    mount: String,
    proxy: Proxy,
}

impl Wire {
    async fn new() -> Option<Self> {
        let admin = Admin::shared()?;
        let mount = admin.mount_kv("2").await;
        let (_, host) = admin.address.split_once("://").unwrap();
        let proxy = Proxy::start(host).await;
        Some(Self {
            admin,
            mount,
            proxy,
        })
    }

    fn address(&self) -> String {
        format!("vault+http://{}/{}", self.proxy.address(), self.mount)
    }

    /// A provider that gives up after a second, logged in, with a secret `a`.
    async fn provider(&self) -> Arc<dyn SecretProvider> {
        let env = self.admin.env().with_var("VAULT_CLIENT_TIMEOUT", "1");
        let provider = open(&self.address(), env).await.unwrap();
        write(&*provider, "a", "whole").await.unwrap();
        provider
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_is_waited_for() {
    let Some(wire) = Wire::new().await else {
        return;
    };
    let provider = wire.provider().await;
    wire.proxy.set(Mode::Latency(Duration::from_millis(100)));
    assert_eq!(read(&*provider, "a").await.unwrap(), "whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_transient_and_forgotten() {
    let Some(wire) = Wire::new().await else {
        return;
    };
    let provider = wire.provider().await;
    wire.proxy.set(Mode::Reset);
    failed(read(&*provider, "a").await, ErrorKind::Transient, "reset");
    failed(
        write(&*provider, "a", "b").await,
        ErrorKind::Transient,
        "reset",
    );
    wire.proxy.set(Mode::Pass);
    assert_eq!(read(&*provider, "a").await.unwrap(), "whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_with_our_time() {
    let Some(wire) = Wire::new().await else {
        return;
    };
    let provider = wire.provider().await;
    wire.proxy.set(Mode::BlackHole);
    let error = failed(read(&*provider, "a").await, ErrorKind::Transient, "silence");
    assert!(
        error.to_string().contains("no answer came in time"),
        "{error}"
    );
    assert!(!error.had_no_effect());
    wire.proxy.set(Mode::Pass);
    assert_eq!(read(&*provider, "a").await.unwrap(), "whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_anywhere_is_no_value() {
    let Some(wire) = Wire::new().await else {
        return;
    };
    let provider = wire.provider().await;
    let mut at = 0;
    let whole = loop {
        wire.proxy.set(Mode::CutAfter(at));
        match read(&*provider, "a").await {
            Ok(value) => break value,
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Transient | ErrorKind::Malformed),
                    "{at}: {error}"
                );
            }
        }
        at += 1;
        assert!(at < 10_000, "it never came through");
    };
    assert_eq!(whole, "whole");
    assert!(at > 300, "an answer of {at} bytes has no head");
    wire.proxy.set(Mode::Pass);
    assert_eq!(read(&*provider, "a").await.unwrap(), "whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_comes_back_is_found_again() {
    let Some(mut wire) = Wire::new().await else {
        return;
    };
    let provider = wire.provider().await;
    wire.proxy.take_down().await;
    // The first may still meet a connection that is about to be reset.
    failed(read(&*provider, "a").await, ErrorKind::Transient, "down");
    let error = failed(read(&*provider, "a").await, ErrorKind::Transient, "down");
    assert!(
        error.help().unwrap().contains("check that the server runs"),
        "{error}"
    );
    let error = failed(
        write(&*provider, "a", "b").await,
        ErrorKind::Transient,
        "down",
    );
    assert!(error.had_no_effect(), "{error}");
    wire.proxy.bring_up().await;
    assert_eq!(read(&*provider, "a").await.unwrap(), "whole");
}

/// Connections that lay unused while the server was restarted are dead, and no read notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_from_before_a_restart_are_not_used() {
    let Some(mut wire) = Wire::new().await else {
        return;
    };
    wire.provider().await;
    let connection = connect(&wire.address(), wire.admin.env(), "")
        .await
        .unwrap();
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let connection = connection.clone();
        readers.spawn(async move { get(&connection, "a").await.unwrap() });
    }
    assert_eq!(readers.join_all().await, ["whole"; 8]);
    for _ in 0..10 {
        wire.proxy.take_down().await;
        wire.proxy.bring_up().await;
        assert_eq!(get(&connection, "a").await.unwrap(), "whole");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reads_share_32_connections() {
    let Some(wire) = Wire::new().await else {
        return;
    };
    let provider = wire.provider().await;
    let before = wire.proxy.connections();
    wire.proxy.set(Mode::Latency(Duration::from_millis(20)));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let provider = Arc::clone(&provider);
        readers.spawn(async move { read(&*provider, "a").await.unwrap() });
    }
    assert_eq!(readers.join_all().await, ["whole"; 200]);
    let made = wire.proxy.connections() - before;
    assert!((16..=32).contains(&made), "{made} connections");
}
