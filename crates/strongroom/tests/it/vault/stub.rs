//! Servers that answer as they are told: what no real one can be made to say.

use std::net::SocketAddr;

use serde_json::{Value, json};
use strongroom::Env;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// What Vault says of a token that lives for ever.
const TOKEN: &str =
    r#"{"data":{"ttl":0,"expire_time":null,"renewable":false,"policies":["root"]}}"#;

/// The path of the secret `a` on the mount `secret`.
pub(super) const SECRET: &str = "/v1/secret/data/a";

/// A server that knows every token, and a mount `secret` of version 2.
pub(super) struct Stub(pub(super) MockServer);

impl Stub {
    pub(super) async fn start() -> Self {
        let server = MockServer::start().await;
        let told = |body: &str| ResponseTemplate::new(200).set_body_raw(body, "application/json");
        let lookup = Mock::given(path("/v1/auth/token/lookup-self"));
        lookup.respond_with(told(TOKEN)).mount(&server).await;
        let mounted = json!({ "path": "secret/", "type": "kv", "options": { "version": "2" } });
        let mounted = json!({ "data": mounted }).to_string();
        let mounts = Mock::given(path("/v1/sys/internal/ui/mounts/secret"));
        mounts.respond_with(told(&mounted)).mount(&server).await;
        Self(server)
    }

    /// Answers so each time that the secret is asked for by this method.
    pub(super) async fn answer(&self, verb: &str, answer: ResponseTemplate) {
        let asked = Mock::given(method(verb)).and(path(SECRET));
        asked.respond_with(answer).mount(&self.0).await;
    }

    /// Answers so the first time, whatever is answered afterwards.
    pub(super) async fn answer_once(&self, verb: &str, answer: ResponseTemplate) {
        let asked = Mock::given(method(verb)).and(path(SECRET));
        let asked = asked.respond_with(answer).up_to_n_times(1);
        asked.with_priority(1).mount(&self.0).await;
    }

    /// The address of a provider on this server. `rest` begins with `/`.
    pub(super) fn url(&self, rest: &str) -> String {
        format!("vault+http://{}{rest}", self.0.address())
    }

    /// What was asked of the secret, oldest first.
    pub(super) async fn asked(&self) -> Vec<wiremock::Request> {
        let all = self.0.received_requests().await.unwrap();
        let of_secret = all.into_iter().filter(|asked| asked.url.path() == SECRET);
        of_secret.collect()
    }
}

pub(super) fn env() -> Env {
    Env::empty().with_var("VAULT_TOKEN", "hvs.of-no-server")
}

pub(super) fn json(status: u16, body: &Value) -> ResponseTemplate {
    text(status, &body.to_string())
}

pub(super) fn text(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

pub(super) fn html(status: u16) -> ResponseTemplate {
    let page = "<html><body><h1>Something is wrong here</h1></body></html>";
    ResponseTemplate::new(status).set_body_raw(page, "text/html")
}

/// The answer to a read of the secret: its version, and these fields.
pub(super) fn secret(version: u32, fields: &Value) -> Value {
    json!({ "data": { "data": fields, "metadata": {
        "version": version, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "",
        "destroyed": false,
    } } })
}

/// Starts a server that knows every token, and sends these bytes and no more to any other request.
pub(super) async fn sends(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0 {}
            let known = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{TOKEN}",
                TOKEN.len()
            );
            let asks_for_token = String::from_utf8_lossy(&head).contains("/lookup-self ");
            let answer = if asks_for_token {
                known.as_bytes()
            } else {
                &bytes
            };
            // The client may have gone, having seen enough.
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}
