//! What a test has of the stand-in for AWS: a prefix and an access key that are its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use strongroom::{Env, SecretProvider};

use crate::servers;

/// A prefix of one test, and the access key by which its calls are known.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) endpoint: String,
    pub(crate) key: String,
    pub(crate) prefix: String,
    http: reqwest::Client,
}

/// The secret key that all tests use; the stand-in takes any.
pub(crate) const SECRET_KEY: &str = "canary-of-the-secret-access-key";

impl Account {
    /// Makes one, where the stand-in runs.
    pub(crate) fn new() -> Option<Self> {
        let endpoint = servers::aws()?;
        Some(Self::at(endpoint))
    }

    fn at(endpoint: String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = format!("{}-{number}", std::process::id());
        // A second test of the same process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            endpoint,
            key: format!("AKIATEST{}", own.replace('-', "X")),
            prefix: format!("tests/{own}"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Another one on the same server.
    pub(crate) fn another(&self) -> Self {
        Self::at(self.endpoint.clone())
    }

    pub(crate) fn address(&self) -> String {
        format!("aws://eu-west-1/{}", self.prefix)
    }

    /// An environment that leads to the stand-in, without credentials.
    pub(crate) fn env_without_credentials(&self) -> Env {
        Env::empty()
            .with_var("AWS_ENDPOINT_URL", &self.endpoint)
            .with_var("AWS_EC2_METADATA_DISABLED", "true")
    }

    pub(crate) fn env(&self) -> Env {
        self.env_without_credentials()
            .with_var("AWS_ACCESS_KEY_ID", &self.key)
            .with_var("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    }

    pub(crate) async fn open(&self) -> Arc<dyn SecretProvider> {
        super::open(&self.address(), self.env()).await.unwrap()
    }

    /// Sets the faults of this account's calls, and returns the calls made since the last time.
    pub(crate) async fn fault(&self, fault: Value) -> Vec<String> {
        let mut fault = fault;
        if fault["key"].is_null() {
            fault["key"] = json!(self.key);
        }
        let url = format!("{}/_fault", self.endpoint);
        let answer = self.http.post(url).body(fault.to_string()).send().await;
        let body = answer.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Returns the calls made since the last time, and switches faults off.
    pub(crate) async fn calls(&self) -> Vec<String> {
        self.fault(json!({ "n": 0 })).await
    }

    /// Creates a secret as somebody else, and returns its ARN.
    pub(crate) async fn create(&self, name: &str, value: &str) -> String {
        let name = format!("{}/{name}", self.prefix);
        let body = json!({ "Name": name, "SecretString": value });
        let answer = self.admin("CreateSecret", body).await;
        answer["ARN"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn write(&self, name: &str, value: &str) {
        let id = format!("{}/{name}", self.prefix);
        let body = json!({ "SecretId": id, "SecretString": value });
        self.admin("PutSecretValue", body).await;
    }

    pub(crate) async fn delete(&self, name: &str) {
        let id = format!("{}/{name}", self.prefix);
        self.admin("DeleteSecret", json!({ "SecretId": id })).await;
    }

    /// Makes a call as somebody else, by AWS's own protocol.
    pub(crate) async fn admin(&self, operation: &str, body: Value) -> Value {
        let scope = "20260101/eu-west-1/secretsmanager/aws4_request";
        let request = self
            .http
            .post(&self.endpoint)
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential=ADMIN/{scope}, SignedHeaders=host, Signature=0"
                ),
            )
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        assert!(
            status.is_success(),
            "{operation}: {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).unwrap()
    }
}
