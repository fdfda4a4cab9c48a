//! The login by AWS IAM. OpenBao has no such method, and Vault's would ask AWS itself, so a double
//! takes the request; the signature is judged beside the code that makes it.

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use strongroom::provider::{Reply, Request, Target};
use strongroom::{Env, ErrorKind};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::vault::open;

const SECRET_KEY: &str = "canary-of-the-secret-key";

fn decoded(body: &Value, key: &str) -> String {
    let text = body[key].as_str().unwrap();
    String::from_utf8(Base64::decode_vec(text).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_says_who_we_are_and_holds_no_key() {
    let server = MockServer::start().await;
    let token = json!({ "auth": {
        "client_token": "hvs.by-iam", "lease_duration": 3600, "renewable": true,
        "token_type": "service",
    } });
    let login = Mock::given(method("POST")).and(path("/v1/auth/aws-eu/login"));
    let told = ResponseTemplate::new(200).set_body_json(token);
    login.respond_with(told).mount(&server).await;
    let secret = json!({ "data": { "data": { "value": "v" }, "metadata": { "version": 1 } } });
    let read = Mock::given(path("/v1/kv/data/db")).and(header("X-Vault-Token", "hvs.by-iam"));
    let told = ResponseTemplate::new(200).set_body_json(secret);
    read.respond_with(told).mount(&server).await;

    let settings =
        "kv=2&auth=aws&auth_mount=aws-eu&role=app&iam_server_id=vault.example&sts_region=eu-west-1";
    let address = format!("vault+http://{}/kv?{settings}", server.address());
    let env = Env::empty()
        .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with_var("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .with_var("AWS_SESSION_TOKEN", "session");
    let provider = open(&address, env).await.unwrap();
    let wanted = Request::new(Target::new("db".parse().unwrap()));
    let answer = provider.fetch(&[wanted]).await.pop().unwrap();
    assert!(matches!(answer, Ok(Reply::Value(value)) if value.verify("v")));

    let requests = server.received_requests().await.unwrap();
    let login: Vec<_> = requests
        .iter()
        .filter(|r| r.url.path().contains("login"))
        .collect();
    assert_eq!(login.len(), 1);
    let body: Value = login[0].body_json().unwrap();
    assert_eq!(body["role"], "app");
    assert_eq!(body["iam_http_request_method"], "POST");
    assert_eq!(
        decoded(&body, "iam_request_url"),
        "https://sts.eu-west-1.amazonaws.com/"
    );
    let asks = decoded(&body, "iam_request_body");
    assert_eq!(asks, "Action=GetCallerIdentity&Version=2011-06-15");
    let headers: Value = serde_json::from_str(&decoded(&body, "iam_request_headers")).unwrap();
    assert_eq!(
        headers["x-vault-aws-iam-server-id"],
        json!(["vault.example"])
    );
    assert_eq!(headers["x-amz-security-token"], json!(["session"]));
    let signed = headers["authorization"][0].as_str().unwrap();
    assert!(signed.contains("/eu-west-1/sts/aws4_request"), "{signed}");
    assert!(!String::from_utf8_lossy(&login[0].body).contains(SECRET_KEY));
    assert!(!headers.to_string().contains(SECRET_KEY));
    assert!(!format!("{provider:?}").contains(SECRET_KEY));
}

#[tokio::test]
async fn without_credentials_the_error_says_where_they_were_looked_for() {
    let server = MockServer::start().await;
    let address = format!("vault+http://{}/kv?kv=2&auth=aws", server.address());
    let env = Env::empty()
        .with_var("HOME", "/nowhere")
        .with_var("AWS_EC2_METADATA_DISABLED", "true");
    let provider = open(&address, env).await.unwrap();
    let wanted = Request::new(Target::new("db".parse().unwrap()));
    let error = provider.fetch(&[wanted]).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    assert!(
        error.help().unwrap().contains("AWS_ACCESS_KEY_ID"),
        "{error:?}"
    );
    assert!(server.received_requests().await.unwrap().is_empty());
}
