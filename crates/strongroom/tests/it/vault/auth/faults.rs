//! What the real server doesn't do: answers of something in between, and of a server that fails at
//! exactly one kind of request. Each test says what it needs that for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom::provider::{Reply, Request, Target};
use strongroom::{Env, ErrorKind, Result, SecretProvider};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const DENIED: &str = "{\"errors\":[\"permission denied\"]}";

async fn on(server: &MockServer, how: &str, at: &str, answer: ResponseTemplate) {
    let mock = Mock::given(method(how)).and(path(format!("/v1/{at}")));
    // What is mounted later answers first.
    mock.respond_with(answer)
        .with_priority(1)
        .mount(server)
        .await;
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn denied() -> ResponseTemplate {
    ResponseTemplate::new(403).set_body_string(DENIED)
}

fn login(ttl: u64) -> ResponseTemplate {
    ok(json!({ "auth": {
        "client_token": "canary-token", "lease_duration": ttl, "renewable": true,
        "token_type": "service",
    } }))
}

fn secret() -> ResponseTemplate {
    let metadata = json!({
        "version": 1, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "",
        "destroyed": false,
    });
    ok(json!({ "data": { "data": { "value": "canary-value" }, "metadata": metadata } }))
}

async fn as_role(server: &MockServer) -> Arc<dyn SecretProvider> {
    let host = server.address();
    let address = format!("vault+http://{host}/kv?kv=2&auth=approle&role_id=r");
    let env = Env::empty().with_var("VAULT_SECRET_ID", "canary-secret-id");
    crate::vault::open(&address, env).await.unwrap()
}

async fn read(provider: &Arc<dyn SecretProvider>) -> Result<Reply> {
    let wanted = Request::new(Target::new("db".parse()?));
    provider.fetch(&[wanted]).await.pop().unwrap()
}

/// How many requests went to a path.
async fn count(server: &MockServer, at: &str) -> usize {
    let at = format!("/v1/{at}");
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .filter(|request| request.url.path() == at)
        .count()
}

/// No proxy stands before the real server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_s_refusal_is_no_denial() {
    for body in [
        "<html>canary-page</html>",
        "{\"message\":\"canary-page\"}",
        "",
    ] {
        let server = MockServer::start().await;
        on(&server, "POST", "auth/approle/login", login(3600)).await;
        let page = ResponseTemplate::new(403).set_body_string(body);
        on(&server, "GET", "kv/data/db", page).await;
        let error = read(&as_role(&server).await).await.unwrap_err();
        let shown = format!("{error:?}");
        assert_eq!(error.kind(), ErrorKind::Malformed, "{body}: {shown}");
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(count(&server, "auth/approle/login").await, 1);
        assert_eq!(count(&server, "kv/data/db").await, 1);
    }
}

/// The real server doesn't fail at looking a token up while it serves everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_that_fails_decides_nothing() {
    let server = MockServer::start().await;
    on(&server, "POST", "auth/approle/login", login(3600)).await;
    on(&server, "GET", "kv/data/db", denied()).await;
    let sealed = ResponseTemplate::new(503).set_body_string("{\"errors\":[\"sealed\"]}");
    on(&server, "GET", "auth/token/lookup-self", sealed).await;
    let error = read(&as_role(&server).await).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    assert!(error.had_no_effect());
    assert_eq!(count(&server, "auth/approle/login").await, 1);
}

/// The real server logs in too fast to be left in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_gives_up_takes_the_login_from_nobody() {
    let server = MockServer::start().await;
    let slow = login(3600).set_delay(Duration::from_millis(300));
    on(&server, "POST", "auth/approle/login", slow).await;
    on(&server, "GET", "kv/data/db", secret()).await;
    let provider = as_role(&server).await;
    let reader = || {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { read(&provider).await })
    };
    let first = reader();
    while count(&server, "auth/approle/login").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let others: Vec<_> = (0..10).map(|_| reader()).collect();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(count(&server, "auth/approle/login").await, 1);
}

/// As above. Whoever drops the provider meanwhile leaves no token behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_nobody_waits_for_is_undone() {
    let server = MockServer::start().await;
    let slow = login(3600).set_delay(Duration::from_millis(300));
    on(&server, "POST", "auth/approle/login", slow).await;
    on(
        &server,
        "POST",
        "auth/token/revoke-self",
        ResponseTemplate::new(204),
    )
    .await;
    let provider = as_role(&server).await;
    let reader = tokio::spawn(async move { read(&provider).await });
    while count(&server, "auth/approle/login").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    reader.abort();
    let started = Instant::now();
    while count(&server, "auth/token/revoke-self").await == 0 {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The real server fails everything or nothing, and counts no logins that it didn't grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_server_sees_no_storm_of_logins() {
    let server = MockServer::start().await;
    let failing = ResponseTemplate::new(500).set_body_string(DENIED);
    let slow = failing.set_delay(Duration::from_millis(200));
    on(&server, "POST", "auth/approle/login", slow).await;
    let provider = as_role(&server).await;
    let failed = Arc::new(AtomicUsize::new(0));
    let readers = (0..50).map(|_| {
        let (provider, failed) = (Arc::clone(&provider), Arc::clone(&failed));
        tokio::spawn(async move {
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(2) {
                let error = read(&provider).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
                assert!(error.retry_after().is_some());
                failed.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    assert!(failed.load(Ordering::Relaxed) >= 50);
    // Each takes 200 ms, and as long at least passes before the next.
    let logins = count(&server, "auth/approle/login").await;
    assert!((1..=6).contains(&logins), "{logins} logins");
}

/// The real server never renews a token for no time at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_gives_nothing_is_no_reason_to_hurry() {
    let server = MockServer::start().await;
    on(&server, "POST", "auth/approle/login", login(1)).await;
    on(&server, "POST", "auth/token/renew-self", login(0)).await;
    on(&server, "GET", "kv/data/db", secret()).await;
    let provider = as_role(&server).await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        read(&provider).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let renewals = count(&server, "auth/token/renew-self").await;
    let logins = count(&server, "auth/approle/login").await;
    assert!((1..=6).contains(&renewals), "{renewals} renewals");
    assert!((2..=9).contains(&logins), "{logins} logins");
}

/// Some of these the real server answers only with plugins that it lacks, some only by chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_login_may_answer() {
    let html = "<html>canary</html>";
    let mfa = json!({ "auth": {
        "client_token": "", "lease_duration": 0, "renewable": false,
        "mfa_requirement": { "mfa_request_id": "canary" },
    } });
    let broken = json!({ "auth": { "client_token": "canary\ntoken", "lease_duration": 1 } });
    let answer = |status: u16, body: &str| ResponseTemplate::new(status).set_body_string(body);
    for (answer, kind) in [
        (answer(400, DENIED), ErrorKind::Auth),
        (answer(403, DENIED), ErrorKind::Auth),
        (answer(403, html), ErrorKind::Malformed),
        (answer(400, html), ErrorKind::Malformed),
        (answer(404, DENIED), ErrorKind::Config),
        (answer(429, DENIED), ErrorKind::Transient),
        (answer(502, html), ErrorKind::Transient),
        (answer(200, html), ErrorKind::Malformed),
        (answer(200, "{}"), ErrorKind::Malformed),
        (ok(mfa), ErrorKind::Unsupported),
        (ok(broken), ErrorKind::Malformed),
    ] {
        let server = MockServer::start().await;
        on(&server, "POST", "auth/approle/login", answer).await;
        let error = read(&as_role(&server).await).await.unwrap_err();
        let shown = format!("{error:?}");
        assert_eq!(error.kind(), kind, "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

/// The real server revokes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_farewell_takes_seconds_at_most() {
    let server = MockServer::start().await;
    on(&server, "POST", "auth/approle/login", login(3600)).await;
    on(&server, "GET", "kv/data/db", secret()).await;
    let slow = ResponseTemplate::new(204).set_delay(Duration::from_secs(30));
    on(&server, "POST", "auth/token/revoke-self", slow).await;
    let provider = as_role(&server).await;
    read(&provider).await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(8), provider.close());
    let error = error.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    let error = read(&provider).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
}
