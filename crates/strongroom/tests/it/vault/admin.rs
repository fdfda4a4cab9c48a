//! What an operator does to the server before a test, and behind the provider's back.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use strongroom::Env;

use crate::servers;

/// A server, and a token that may do everything there.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) address: String,
    pub(crate) token: String,
    namespace: Option<String>,
    http: reqwest::Client,
}

impl Admin {
    /// The server that all tests share.
    pub(crate) fn shared() -> Option<Self> {
        servers::vault().map(|server| Self::new(server.address, server.token))
    }

    pub(crate) fn new(address: impl Into<String>, token: impl Into<String>) -> Self {
        // A second test of the same process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The certificates of private servers are the subject of other tests.
        let http = reqwest::Client::builder().no_proxy();
        let http = http.danger_accept_invalid_certs(true).build().unwrap();
        Self {
            address: address.into(),
            token: token.into(),
            namespace: None,
            http,
        }
    }

    /// The same server, in a namespace.
    pub(crate) fn within(&self, namespace: &str) -> Self {
        let namespace = Some(namespace.to_owned());
        Self {
            namespace,
            ..self.clone()
        }
    }

    /// Sends one request and demands success. `GET`, `LIST`, `POST`, `PUT` and `DELETE`.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_call(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) async fn try_call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = method.parse::<reqwest::Method>().unwrap();
        let url = format!("{}/v1/{path}", self.address);
        let mut request = self
            .http
            .request(method, url)
            .header("X-Vault-Token", &self.token);
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Mounts a key-value store of this version under a name of its own.
    pub(crate) async fn mount_kv(&self, version: &str) -> String {
        let mount = unique("kv");
        let body = json!({ "type": "kv", "options": { "version": version } });
        self.call("POST", &format!("sys/mounts/{mount}"), body)
            .await;
        mount
    }

    /// Makes a namespace of its own.
    pub(crate) async fn make_namespace(&self) -> String {
        let namespace = unique("ns");
        self.call("POST", &format!("sys/namespaces/{namespace}"), json!({}))
            .await;
        namespace
    }

    /// An environment whose token is the administrator's.
    pub(crate) fn env(&self) -> Env {
        Env::empty().with_var("VAULT_TOKEN", &self.token)
    }

    /// The address of a provider on this server. `rest` begins with `/`.
    pub(crate) fn url(&self, rest: &str) -> String {
        match self.address.split_once("://") {
            Some(("https", host)) => format!("vault://{host}{rest}"),
            Some((_, host)) => format!("vault+http://{host}{rest}"),
            None => panic!("an address has a scheme"),
        }
    }
}

/// A name that no other test of this run has.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{next}", std::process::id())
}
