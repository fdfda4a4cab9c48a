//! How much a server may answer: at each bound, and one beyond it.

use serde_json::json;
use strongroom::ErrorKind;
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use super::calls::{connect, failed, get, read};
use super::open;
use super::stub::{self, Stub, secret};

const MOST: usize = 8 * 1024 * 1024;

/// The answer to a read of the secret `a`, filled up to so many bytes.
fn filled(length: usize) -> String {
    let body =
        |filler: usize| secret(1, &json!({ "x": "value", "y": "y".repeat(filler) })).to_string();
    let filler = length - body(0).len();
    let body = body(filler);
    assert_eq!(body.len(), length);
    body
}

#[tokio::test]
async fn an_answer_has_at_most_8_mib() {
    let stub = Stub::start().await;
    stub.answer_once("GET", stub::text(200, &filled(MOST)))
        .await;
    stub.answer("GET", stub::text(200, &filled(MOST + 1))).await;
    let provider = open(&stub.url("/"), stub::env()).await.unwrap();
    assert_eq!(read(&*provider, "a#x").await.unwrap(), "value");
    let error = failed(
        read(&*provider, "a#x").await,
        ErrorKind::Malformed,
        "8 MiB and a byte",
    );
    assert!(error.to_string().contains("8 MiB"), "{error}");
}

/// Nothing is unpacked, so nothing small becomes large.
#[tokio::test]
async fn a_compressed_answer_is_not_asked_for_and_not_taken() {
    const ZIPPED: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 73, 44, 73, 84, 178, 82, 168, 70, 48, 42,
        128, 164, 82, 89, 98, 78, 105, 170, 82, 173, 142, 130, 82, 110, 106, 73, 34, 92, 174, 44,
        181, 168, 56, 51, 63, 15, 200, 54, 172, 173, 173, 5, 0, 65, 190, 31, 174, 62, 0, 0, 0,
    ];
    let stub = Stub::start().await;
    let answer = ResponseTemplate::new(200).insert_header("content-encoding", "gzip");
    stub.answer("GET", answer.set_body_raw(ZIPPED, "application/json"))
        .await;
    let provider = open(&stub.url("/"), stub::env()).await.unwrap();
    failed(read(&*provider, "a#x").await, ErrorKind::Malformed, "gzip");
    for asked in stub.asked().await {
        assert!(
            !asked.headers.contains_key("accept-encoding"),
            "{:?}",
            asked.headers
        );
    }
}

fn with_head(headers: &str) -> Vec<u8> {
    let body = secret(1, &json!({ "x": "value" })).to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n");
    format!("{head}{body}").into_bytes()
}

#[tokio::test]
async fn the_headers_of_an_answer_are_bounded() {
    let lines = |count: usize| -> String { (0..count).map(|n| format!("x-{n}: y\r\n")).collect() };
    let long = |length: usize| format!("x: {}\r\n", "y".repeat(length));
    for (case, headers, fits) in [
        ("100 headers", lines(99), true),
        ("101 headers", lines(100), false),
        ("a header of 64 KiB", long(64 * 1024), true),
        ("a header of 1 MiB", long(1024 * 1024), false),
    ] {
        let address = stub::sends(with_head(&headers)).await;
        let url = format!("vault+http://{address}/?kv=2");
        let provider = open(&url, stub::env()).await.unwrap();
        let read = read(&*provider, "a#x").await;
        match fits {
            true => assert_eq!(read.unwrap(), "value", "{case}"),
            false => drop(failed(read, ErrorKind::Transient, case)),
        }
    }
}

/// Who is told to wait longer than a call may take is told so at once.
#[tokio::test]
async fn a_wait_without_an_end_is_not_waited() {
    for wait in ["18446744073709551615", "18446744073709551616", "-1", "soon"] {
        let stub = Stub::start().await;
        let refusal = json!({ "errors": ["later"] });
        let answer = stub::json(503, &refusal).insert_header("retry-after", wait);
        stub.answer("GET", answer).await;
        let settings = "[default.retry]\nattempts = 2\ndeadline = \"2s\"";
        let connection = connect(&stub.url("/"), stub::env(), settings)
            .await
            .unwrap();
        failed(get(&connection, "a#x").await, ErrorKind::Transient, wait);
        let endless = wait == "18446744073709551615";
        assert_eq!(
            stub.asked().await.len(),
            if endless { 1 } else { 2 },
            "{wait}"
        );
    }
}

#[tokio::test]
async fn a_listing_has_at_most_10_000_names() {
    let stub = Stub::start().await;
    let keys: Vec<_> = (0..10_001).map(|n| format!("k{n}")).collect();
    let listed = json!({ "data": { "keys": keys } });
    let asked = Mock::given(path("/v1/secret/metadata"));
    asked
        .respond_with(stub::json(200, &listed))
        .mount(&stub.0)
        .await;
    let asked = Mock::given(path("/v1/secret/metadata/"));
    asked
        .respond_with(stub::json(200, &listed))
        .mount(&stub.0)
        .await;
    let provider = open(&stub.url("/"), stub::env()).await.unwrap();
    let error = provider.list("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("10000"), "{error}");
}
