//! Login by an identity of AWS. OpenBao has no such method, so that a stub stands for Vault: it keeps
//! what it was sent, and the test checks the signature as AWS would, from the rules that AWS publishes.

use base64ct::{Base64, Encoding as _};
use ring::{digest, hmac};
use serde_json::{Value, json};
use strongroom::provider::{Reply, Request};
use strongroom::{Env, ErrorKind};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SECRET_KEY: &str = "canary-of-the-secret-access-key";
const TOKEN: &str = "canary-of-the-session-token";

async fn vault(status: u16) -> MockServer {
    let server = MockServer::start().await;
    let auth = match status {
        200 => json!({ "auth": {
            "client_token": "the-token", "lease_duration": 3600, "renewable": true,
            "token_type": "service",
        } }),
        _ => json!({ "errors": ["entry for role app not found"] }),
    };
    let secret = json!({ "data": {
        "data": { "value": "value" },
        "metadata": { "version": 1, "created_time": "2026-01-01T00:00:00Z",
            "deletion_time": "", "destroyed": false },
    } });
    for (how, at, answer) in [
        (
            "POST",
            "/v1/auth/iam/login",
            ResponseTemplate::new(status).set_body_json(auth),
        ),
        (
            "GET",
            "/v1/kv/data/a",
            ResponseTemplate::new(200).set_body_json(secret),
        ),
    ] {
        let mock = Mock::given(method(how)).and(path(at));
        mock.respond_with(answer).mount(&server).await;
    }
    server
}

fn env() -> Env {
    Env::empty()
        .with_var("AWS_ACCESS_KEY_ID", "AKIATEST")
        .with_var("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .with_var("AWS_SESSION_TOKEN", TOKEN)
}

fn address(server: &MockServer, query: &str) -> String {
    let host = server.address();
    format!("vault+http://{host}/kv?kv=2&auth=aws&auth_mount=iam{query}")
}

fn decoded(body: &Value, key: &str) -> Vec<u8> {
    Base64::decode_vec(body[key].as_str().unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// Signs again what is signed, by the rules of Signature Version 4.
fn signature_of(headers: &Value, host: &str, region: &str, body: &[u8]) -> (Vec<String>, String) {
    let header = |name: &str| headers[name].as_str().unwrap_or(host).to_owned();
    let authorization = header("authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(&format!("{name}=")).unwrap();
        rest.split([',', ' ']).next().unwrap().to_owned()
    };
    let signed: Vec<_> = part("SignedHeaders")
        .split(';')
        .map(str::to_owned)
        .collect();
    let canonical: String = signed
        .iter()
        .map(|name| format!("{name}:{}\n", header(name)))
        .collect();
    let sha = |bytes: &[u8]| hex(digest::digest(&digest::SHA256, bytes).as_ref());
    let request = format!(
        "POST\n/\n\n{canonical}\n{}\n{}",
        signed.join(";"),
        sha(body)
    );
    let date = header("x-amz-date");
    let scope = format!("{}/{region}/sts/aws4_request", &date[..8]);
    assert_eq!(part("Credential"), format!("AKIATEST/{scope}"));
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha(request.as_bytes())
    );
    let key = ["sts", "aws4_request"].iter().fold(
        mac(
            &mac(format!("AWS4{SECRET_KEY}").as_bytes(), &date[..8]),
            region,
        ),
        |key, part| mac(&key, part),
    );
    assert_eq!(part("Signature"), hex(&mac(&key, &text)));
    (signed, part("Signature"))
}

#[tokio::test]
async fn vault_gets_a_request_to_aws_that_is_signed_for_it_alone() {
    for (query, host, region) in [
        ("", "sts.amazonaws.com", "us-east-1"),
        (
            "&role=app&iam_server_id=vault.internal",
            "sts.amazonaws.com",
            "us-east-1",
        ),
        (
            "&region=eu-west-1",
            "sts.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
        (
            "&region=cn-north-1",
            "sts.cn-north-1.amazonaws.com.cn",
            "cn-north-1",
        ),
    ] {
        let server = vault(200).await;
        let provider = crate::vault::open(&address(&server, query), env())
            .await
            .unwrap();
        let request = Request::from("a".parse::<strongroom::SecretName>().unwrap());
        let answer = provider.fetch(&[request]).await.remove(0);
        assert!(matches!(answer, Ok(Reply::Value(_))), "{answer:?}");
        let asked = server.received_requests().await.unwrap();
        let body: Value = asked[0].body_json().unwrap();
        assert_eq!(body["iam_http_request_method"], "POST");
        assert_eq!(
            decoded(&body, "iam_request_url"),
            format!("https://{host}/").as_bytes()
        );
        let sent = decoded(&body, "iam_request_body");
        assert_eq!(sent, b"Action=GetCallerIdentity&Version=2011-06-15");
        let headers: Value =
            serde_json::from_slice(&decoded(&body, "iam_request_headers")).unwrap();
        let (signed, _) = signature_of(&headers, host, region, &sent);
        assert!(
            signed.iter().any(|name| name == "x-amz-security-token"),
            "{signed:?}"
        );
        let id = query.contains("iam_server_id").then_some("vault.internal");
        assert_eq!(headers["x-vault-aws-iam-server-id"].as_str(), id);
        assert_eq!(
            signed
                .iter()
                .any(|name| name == "x-vault-aws-iam-server-id"),
            id.is_some()
        );
        assert_eq!(
            body["role"].as_str(),
            query.contains("role=").then_some("app")
        );
        assert!(!String::from_utf8_lossy(&asked[0].body).contains(SECRET_KEY));
    }
}

#[tokio::test]
async fn what_is_missing_or_refused_is_our_credential_s_fault() {
    let server = vault(400).await;
    let refused = crate::vault::open(&address(&server, ""), env())
        .await
        .unwrap();
    let nobody = Env::empty().with_var("AWS_EC2_METADATA_DISABLED", "true");
    let nobody = crate::vault::open(&address(&server, ""), nobody)
        .await
        .unwrap();
    for (provider, said) in [
        (refused, "the AWS credentials, at auth/iam"),
        (nobody, "there are no AWS credentials"),
    ] {
        let request = Request::from("a".parse::<strongroom::SecretName>().unwrap());
        let error = provider.fetch(&[request]).await.remove(0).unwrap_err();
        let shown = format!("{error:?}");
        assert_eq!(error.kind(), ErrorKind::Auth, "{shown}");
        assert!(shown.contains(said), "{shown}");
        for canary in [SECRET_KEY, TOKEN] {
            assert!(!shown.contains(canary), "{shown}");
        }
    }
    let region = crate::vault::open(&address(&server, "&region=evil.example/"), env())
        .await
        .unwrap();
    let request = Request::from("a".parse::<strongroom::SecretName>().unwrap());
    let error = region.fetch(&[request]).await.remove(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    let id = crate::vault::open(&address(&server, "&iam_server_id=a%0ab"), env()).await;
    assert_eq!(id.unwrap_err().kind(), ErrorKind::Config);
}
