//! Every status that Vault, or a proxy before it, answers: which kind of error it becomes, and
//! whether it is tried again.
//!
//! A real server answers where it can be made to. The others are a stub's: the statuses of
//! replication belong to a cluster, and pages and broken answers to what stands between.

use std::time::Duration;

use serde_json::json;
use strongroom::provider::{Expect, Put};
use strongroom::{Error, ErrorKind, Secret, Version};
use wiremock::ResponseTemplate;

use super::admin::{Admin, unique};
use super::calls::{connect, failed, get, read, target, write};
use super::open;
use super::stub::{self, Stub, html, secret};
use crate::servers::PrivateBao;

/// Two attempts, so that a status which is tried again shows.
const TWICE: &str = "[default.retry]\nattempts = 2";

/// Reads a secret whose server answers so, without and with the layers: as what it fails, and that
/// it is asked again exactly if the kind says so.
async fn reads_as(case: &str, answer: ResponseTemplate, kind: ErrorKind) -> Error {
    let stub = Stub::start().await;
    stub.answer("GET", answer).await;
    let provider = open(&stub.url("/"), stub::env()).await.unwrap();
    let error = failed(read(&*provider, "a#x").await, kind, case);
    assert_eq!(stub.asked().await.len(), 1, "{case}");
    let connection = connect(&stub.url("/"), stub::env(), TWICE).await.unwrap();
    failed(get(&connection, "a#x").await, kind, case);
    let attempts = if kind == ErrorKind::Transient { 2 } else { 1 };
    assert_eq!(stub.asked().await.len(), 1 + attempts, "{case}");
    error
}

/// A stub, because one server alone has no replication, can't be told to fail inside, and answers
/// 400 to a read only while it upgrades a large mount.
#[tokio::test]
async fn a_server_that_can_t_answer_now_is_transient_and_asked_again() {
    let refusal = json!({ "errors": ["in Vault's words"] });
    for status in [400, 412, 429, 472, 473, 500, 501, 502, 503, 504, 599] {
        let case = format!("{status}");
        let error = reads_as(&case, stub::json(status, &refusal), ErrorKind::Transient).await;
        assert!(!format!("{error:?}").contains("in Vault's words"), "{case}");
    }
    for status in [500, 502, 503, 504] {
        let case = format!("a page with {status}");
        reads_as(&case, html(status), ErrorKind::Transient).await;
    }
    reads_as(
        "503 alone",
        ResponseTemplate::new(503),
        ErrorKind::Transient,
    )
    .await;
}

/// A stub in the place of a proxy between us and Vault.
#[tokio::test]
async fn a_page_is_malformed_whatever_its_status_says() {
    for status in [200, 204, 400, 401, 403, 404, 405, 407, 418] {
        let case = format!("a page with {status}");
        let error = reads_as(&case, html(status), ErrorKind::Malformed).await;
        assert!(
            !format!("{error:?}").contains("Something is wrong"),
            "{case}"
        );
        reads_as(&case, ResponseTemplate::new(status), ErrorKind::Malformed).await;
        let other = json!({ "message": "no such route" });
        reads_as(&case, stub::json(status, &other), ErrorKind::Malformed).await;
    }
}

/// A stub, because no Vault answers so.
#[tokio::test]
async fn an_answer_that_is_no_secret_is_malformed() {
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let unclosed = "{\"data\":".repeat(100_000);
    let without_version = json!({ "data": { "data": { "x": "value" } } });
    for (case, body) in [
        ("null", "null"),
        ("a list", "[]"),
        ("a number", "7"),
        ("an empty object", "{}"),
        ("data that is null", "{\"data\":null}"),
        (
            "a secret that is null",
            "{\"data\":{\"data\":null,\"metadata\":{\"version\":1}}}",
        ),
        (
            "a secret that is a text",
            "{\"data\":{\"data\":\"x\",\"metadata\":{\"version\":1}}}",
        ),
        ("a secret without a version", &without_version.to_string()),
        ("deep nesting", &deep),
        ("deep nesting without an end", &unclosed),
        ("half an answer", "{\"data\":{\"data\":{\"x\":\"val"),
        ("two answers", "{\"data\":{}}{\"data\":{}}"),
        (
            "one field twice",
            "{\"data\":{\"data\":{\"x\":\"1\",\"x\":\"2\"},\"metadata\":{\"version\":1}}}",
        ),
    ] {
        reads_as(case, stub::text(200, body), ErrorKind::Malformed).await;
    }
    let large = secret(1, &json!({ "x": "v", "y": "y".repeat(9 * 1024 * 1024) }));
    let error = reads_as("9 MiB", stub::json(200, &large), ErrorKind::Malformed).await;
    assert!(error.to_string().contains("8 MiB"), "{error}");
}

/// A stub, because Vault always says `application/json`.
#[tokio::test]
async fn the_body_counts_and_not_what_it_is_called() {
    let body = secret(1, &json!({ "x": "value" })).to_string();
    for content_type in ["text/html", "application/octet-stream", "nonsense"] {
        let stub = Stub::start().await;
        let answer = ResponseTemplate::new(200).set_body_raw(body.as_str(), content_type);
        stub.answer("GET", answer).await;
        let provider = open(&stub.url("/"), stub::env()).await.unwrap();
        assert_eq!(
            read(&*provider, "a#x").await.unwrap(),
            "value",
            "{content_type}"
        );
    }
}

/// A stub, because Vault says 403 where others say 401.
#[tokio::test]
async fn a_refused_credential_is_no_denial() {
    let refusal = json!({ "errors": ["unauthorized"] });
    reads_as("401", stub::json(401, &refusal), ErrorKind::Auth).await;
    let refusal = json!({ "errors": ["permission denied"] });
    reads_as("403", stub::json(403, &refusal), ErrorKind::Denied).await;
    reads_as("405", stub::json(405, &refusal), ErrorKind::Malformed).await;
}

/// A stub, because a standby redirects only within a cluster.
#[tokio::test]
async fn the_token_follows_no_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Stub::start().await;
        let answer = stub::json(200, &secret(1, &json!({ "x": "theirs" })));
        elsewhere.answer("GET", answer).await;
        let location = format!("{}{}?token=of-nobody", elsewhere.0.uri(), stub::SECRET);
        let redirect = ResponseTemplate::new(status).insert_header("Location", location.as_str());
        let error = reads_as(&status.to_string(), redirect.clone(), ErrorKind::Config).await;
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
        assert!(!error.to_string().contains("of-nobody"), "{error}");
        let stub = Stub::start().await;
        stub.answer("POST", redirect.clone()).await;
        stub.answer("GET", stub::json(404, &json!({ "errors": [] })))
            .await;
        let provider = open(&stub.url("/"), stub::env()).await.unwrap();
        failed(
            write(&*provider, "a#x", "v").await,
            ErrorKind::Config,
            "a write",
        );
        let received = elsewhere.0.received_requests().await.unwrap();
        assert!(received.is_empty(), "{received:?}");
    }
}

/// A stub, because a single server has always seen its own writes.
#[tokio::test]
async fn a_node_that_has_not_seen_our_write_is_asked_until_it_has() {
    let stub = Stub::start().await;
    let behind = stub::json(
        412,
        &json!({ "errors": ["required index state not present"] }),
    );
    stub.answer_once("GET", behind).await;
    stub.answer("GET", stub::json(404, &json!({ "errors": [] })))
        .await;
    let written = stub::json(200, &json!({ "data": { "version": 1 } }));
    stub.answer("POST", written.insert_header("X-Vault-Index", "v1:seen"))
        .await;
    let connection = connect(&stub.url("/"), stub::env(), "").await.unwrap();
    let name = "a#x".parse().unwrap();
    let value = Secret::from_text("v");
    let put = connection.put(&name, &value, Expect::Any);
    put.await.unwrap();
    failed(
        get(&connection, "a#x").await,
        ErrorKind::Absent,
        "afterwards",
    );
    let asked = stub.asked().await;
    let sent = |at: usize| {
        asked[at]
            .headers
            .get("x-vault-index")
            .map(|index| index.to_str().unwrap())
    };
    let methods: Vec<_> = asked.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!(methods, ["GET", "GET", "POST", "GET"]);
    assert_eq!(
        (sent(0), sent(1), sent(2), sent(3)),
        (None, None, None, Some("v1:seen"))
    );
    for request in asked {
        assert_eq!(request.headers["x-vault-request"], "true");
    }
}

/// A stub, because no real server fails at the same write every time.
#[tokio::test]
async fn a_write_is_repeated_only_if_nothing_came_of_it() {
    for (status, posts) in [
        (412, 2),
        (429, 2),
        (473, 2),
        (503, 2),
        (500, 1),
        (502, 1),
        (504, 1),
    ] {
        let stub = Stub::start().await;
        stub.answer("GET", stub::json(404, &json!({ "errors": [] })))
            .await;
        stub.answer("POST", stub::json(status, &json!({ "errors": [] })))
            .await;
        let connection = connect(&stub.url("/"), stub::env(), TWICE).await.unwrap();
        let name = "a#x".parse().unwrap();
        let value = Secret::from_text("v");
        let put = connection.put(&name, &value, Expect::Any);
        assert_eq!(
            put.await.unwrap_err().kind(),
            ErrorKind::Transient,
            "{status}"
        );
        let asked = stub.asked().await;
        let made = asked
            .iter()
            .filter(|asked| asked.method.as_str() == "POST")
            .count();
        assert_eq!(made, posts, "{status}");
    }
}

/// A stub, because no real server fails once.
#[tokio::test]
async fn a_write_that_did_not_come_to_writing_is_repeated() {
    let stub = Stub::start().await;
    stub.answer_once("GET", html(502)).await;
    stub.answer("GET", stub::json(404, &json!({ "errors": [] })))
        .await;
    stub.answer(
        "POST",
        stub::json(200, &json!({ "data": { "version": 1 } })),
    )
    .await;
    let connection = connect(&stub.url("/"), stub::env(), TWICE).await.unwrap();
    let (name, value) = ("a#x".parse().unwrap(), Secret::from_text("v"));
    let written = connection.put(&name, &value, Expect::Any).await.unwrap();
    assert_eq!(written.unwrap().as_str(), "1");
}

/// A stub: a proxy's page in answer to a write says nothing of whether Vault wrote.
#[tokio::test]
async fn a_write_that_a_proxy_refuses_is_no_conflict() {
    let stub = Stub::start().await;
    stub.answer("GET", stub::json(404, &json!({ "errors": [] })))
        .await;
    stub.answer("POST", html(400)).await;
    let provider = open(&stub.url("/"), stub::env()).await.unwrap();
    failed(
        write(&*provider, "a#x", "v").await,
        ErrorKind::Malformed,
        "400",
    );
}

/// Bytes of our own, because no server that is sound stops half-way.
#[tokio::test]
async fn an_answer_that_stops_half_way_is_transient() {
    let body = secret(1, &json!({ "x": "value" })).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let chunk = format!("{:x}\r\n{body}\r\n", body.len());
    for (case, answer) in [
        ("nothing", String::new()),
        ("half a head", head.to_owned()),
        (
            "less than its length",
            format!("{head}Content-Length: {}\r\n\r\n{body}", body.len() + 1),
        ),
        (
            "a length beyond all memory",
            format!("{head}Content-Length: {}\r\n\r\n{body}", u64::MAX - 1),
        ),
        (
            "no last chunk",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}"),
        ),
        (
            "half a chunk",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nfff\r\n{body}"),
        ),
        ("no HTTP", "220 mail.example ESMTP\r\n".to_owned()),
    ] {
        let address = stub::sends(answer.into_bytes()).await;
        let url = format!("vault+http://{address}/?kv=2");
        let provider = open(&url, stub::env()).await.unwrap();
        failed(read(&*provider, "a#x").await, ErrorKind::Transient, case);
    }
    let whole = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    let address = stub::sends(whole.into_bytes()).await;
    let provider = open(&format!("vault+http://{address}/?kv=2"), stub::env())
        .await
        .unwrap();
    assert_eq!(read(&*provider, "a#x").await.unwrap(), "value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absent_has_three_meanings_and_a_message_for_each() {
    let Some(admin) = Admin::shared() else { return };
    let mount = admin.mount_kv("2").await;
    let provider = open(&admin.url(&format!("/{mount}")), admin.env())
        .await
        .unwrap();
    let absent = async |case| failed(read(&*provider, "a").await, ErrorKind::Absent, case);

    assert!(
        absent("never written")
            .await
            .to_string()
            .contains("nothing at `a`")
    );
    write(&*provider, "a", "v").await.unwrap();
    failed(
        read(&*provider, "a#x").await,
        ErrorKind::Absent,
        "another field",
    );
    provider.delete(&target("a"), &Expect::Any).await.unwrap();
    let deleted = absent("deleted").await;
    assert!(
        deleted.to_string().contains("version 1 of `a` was deleted"),
        "{deleted}"
    );
    assert!(deleted.help().unwrap().contains("undelete"), "{deleted}");
    let destroy = format!("{mount}/destroy/a");
    admin
        .call("PUT", &destroy, json!({ "versions": [1] }))
        .await;
    let destroyed = absent("destroyed").await;
    assert!(
        destroyed.to_string().contains("was destroyed"),
        "{destroyed}"
    );
    assert_eq!(destroyed.help(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mount_that_is_upgraded_meanwhile_is_looked_at_again() {
    let Some(admin) = Admin::shared() else { return };
    let mount = admin.mount_kv("1").await;
    let address = admin.url(&format!("/{mount}"));
    let connection = connect(&address, admin.env(), "").await.unwrap();
    let name = "a".parse().unwrap();
    let put = async |value| {
        let value = Secret::from_text(value);
        connection.put(&name, &value, Expect::Any).await
    };
    assert_eq!(put("one").await.unwrap(), None);
    assert_eq!(get(&connection, "a").await.unwrap(), "one");
    let upgrade = json!({ "options": { "version": "2" } });
    admin
        .call("POST", &format!("sys/mounts/{mount}/tune"), upgrade)
        .await;
    assert_eq!(get(&connection, "a").await.unwrap(), "one");
    assert!(put("two").await.unwrap().is_some());
    assert_eq!(get(&connection, "a").await.unwrap(), "two");

    let mistaken = open(&format!("{address}?kv=1"), admin.env()).await.unwrap();
    failed(read(&*mistaken, "a").await, ErrorKind::Config, "kv=1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_waited_for_as_long_as_the_server_says() {
    let Some(bao) = PrivateBao::dev() else { return };
    let admin = Admin::new(&bao.server.address, &bao.server.token);
    let shown = json!({ "enable_rate_limit_response_headers": true });
    admin.call("POST", "sys/quotas/config", shown).await;
    let provider = open(&admin.url("/"), admin.env()).await.unwrap();
    write(&*provider, "a", "v").await.unwrap();
    let quota = json!({ "path": "secret/", "rate": 1, "interval": "2s" });
    admin
        .call(
            "POST",
            &format!("sys/quotas/rate-limit/{}", unique("quota")),
            quota,
        )
        .await;

    read(&*provider, "a").await.unwrap();
    let error = failed(read(&*provider, "a").await, ErrorKind::Transient, "429");
    assert!(
        error.to_string().contains("429") && error.had_no_effect(),
        "{error}"
    );
    let wait = error.retry_after().unwrap();
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_secs(2),
        "{wait:?}"
    );
    let put = Put::new(target("a"), Secret::from_text("w"));
    assert!(provider.put(&put).await.unwrap_err().had_no_effect());
    let connection = connect(&admin.url("/"), admin.env(), "").await.unwrap();
    assert_eq!(get(&connection, "a").await.unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_comparison_is_a_conflict_and_made_once() {
    let Some(admin) = Admin::shared() else { return };
    let mount = admin.mount_kv("2").await;
    let provider = open(&admin.url(&format!("/{mount}")), admin.env())
        .await
        .unwrap();
    let old = write(&*provider, "a", "one").await.unwrap();
    write(&*provider, "a", "two").await.unwrap();
    let expect = Expect::Version(Version::new(old));
    for expect in [expect, Expect::Absent] {
        let put = Put::new(target("a"), Secret::from_text("three")).with_expect(expect);
        assert_eq!(
            provider.put(&put).await.unwrap_err().kind(),
            ErrorKind::Conflict
        );
    }
    assert_eq!(read(&*provider, "a").await.unwrap(), "two");
    assert_eq!(provider.versions(&target("a")).await.unwrap().len(), 2);
}
