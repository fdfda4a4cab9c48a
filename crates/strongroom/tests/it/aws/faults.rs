//! What AWS answers when it doesn't answer: each is the right kind of error, and nothing is asked
//! twice that must not be.

use serde_json::{Value, json};
use strongroom::provider::{Expect, Put, Request, Target};
use strongroom::{ErrorKind, Secret, SecretsFactory};

use super::account::Account;
use super::{get, name};
use crate::proxy::{Mode, Proxy};

fn answering(code: &str, status: u16) -> Value {
    json!({ "n": 9, "status": status, "type": code })
}

#[tokio::test]
async fn each_code_is_its_kind_and_is_asked_once() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "value").await;
    let provider = account.open().await;
    for (code, status, kind, no_effect) in [
        ("ThrottlingException", 400, ErrorKind::Transient, true),
        ("TooManyRequestsException", 429, ErrorKind::Transient, true),
        ("InternalServiceError", 500, ErrorKind::Transient, false),
        ("ServiceUnavailable", 503, ErrorKind::Transient, false),
        ("AccessDeniedException", 400, ErrorKind::Denied, false),
        ("DecryptionFailure", 400, ErrorKind::Denied, false),
        ("ExpiredTokenException", 400, ErrorKind::Auth, false),
        ("UnrecognizedClientException", 400, ErrorKind::Auth, false),
        ("InvalidSignatureException", 403, ErrorKind::Auth, false),
        (
            "InvalidParameterException",
            400,
            ErrorKind::Malformed,
            false,
        ),
        ("ResourceNotFoundException", 400, ErrorKind::Absent, false),
    ] {
        account.fault(answering(code, status)).await;
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.had_no_effect()),
            (kind, no_effect),
            "{code}: {error:?}"
        );
        // Static credentials can't be renewed, so that nothing is asked again.
        assert_eq!(account.calls().await, ["GetSecretValue"], "{code}");
    }
    assert!(get(&*provider, name("a")).await.is_ok());
}

#[tokio::test]
async fn decryption_that_fails_tells_of_the_key_and_a_denial_of_the_policy() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    for (code, said) in [
        ("DecryptionFailure", "KMS key"),
        ("AccessDeniedException", "IAM action"),
    ] {
        account.fault(answering(code, 400)).await;
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert!(error.help().unwrap().contains(said), "{error:?}");
        assert!(error.to_string().contains(code), "{error}");
        // Its own text is nobody's business: it may quote the request.
        assert!(
            !format!("{error:?}").contains("a fault of the test"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn the_service_is_healthy_that_denies_and_not_the_one_that_fails() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    provider.health().await.unwrap();
    account.fault(answering("AccessDeniedException", 400)).await;
    provider.health().await.unwrap();
    account.fault(answering("ExpiredTokenException", 400)).await;
    assert_eq!(provider.health().await.unwrap_err().kind(), ErrorKind::Auth);
    account.fault(answering("InternalServiceError", 500)).await;
    assert_eq!(
        provider.health().await.unwrap_err().kind(),
        ErrorKind::Transient
    );
}

#[tokio::test]
async fn throttling_is_waited_out_by_the_retry_layer_for_writes_too() {
    let Some(account) = Account::new() else {
        return;
    };
    let env = account.env().with_var("STRONGROOM_ENV", "development");
    let connection = SecretsFactory::builder()
        .env(env)
        .provider_url(account.address().parse().unwrap())
        .connect()
        .await
        .unwrap();
    let throttled = json!({ "n": 2, "status": 400, "type": "ThrottlingException" });
    account.fault(throttled.clone()).await;
    let value = Secret::from_text("value");
    connection
        .put(&name("a"), &value, Expect::Any)
        .await
        .unwrap();
    let calls = account.fault(throttled).await;
    assert_eq!(
        calls,
        [
            "PutSecretValue",
            "PutSecretValue",
            "PutSecretValue",
            "CreateSecret"
        ]
    );
    assert!(connection.read(&name("a")).await.is_ok());
    assert_eq!(account.calls().await, ["GetSecretValue"; 3]);
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_is_kept() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    let fault = json!({
        "n": 1, "status": 429, "type": "TooManyRequestsException", "headers": { "Retry-After": "7" }
    });
    account.fault(fault).await;
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
}

#[tokio::test]
async fn a_batch_that_fails_fails_for_all_its_secrets() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    account.fault(answering("InternalServiceError", 500)).await;
    let requests = ["a", "b"].map(|at| Request::from(name(at)));
    for answer in provider.fetch(&requests).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Transient);
    }
    assert_eq!(account.calls().await, ["BatchGetSecretValue"]);
}

#[tokio::test]
async fn broken_connections_are_transient_and_leave_the_provider_usable() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", &"value ".repeat(100)).await;
    let mut proxy = Proxy::start(account.endpoint.strip_prefix("http://").unwrap()).await;
    let env = account
        .env()
        .with_var("AWS_ENDPOINT_URL", format!("http://{}", proxy.address()));
    let provider = super::open(&account.address(), env).await.unwrap();
    assert!(get(&*provider, name("a")).await.is_ok());
    for mode in [Mode::Reset, Mode::CutAfter(1), Mode::CutAfter(400)] {
        proxy.set(mode);
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient, "{mode:?}: {error:?}");
        assert!(!error.had_no_effect(), "{mode:?}: {error:?}");
        proxy.set(Mode::Pass);
        assert!(get(&*provider, name("a")).await.is_ok(), "after {mode:?}");
    }
    proxy.take_down().await;
    let put = Put::new(Target::new(name("a")), Secret::from_text("x"));
    let error = provider.put(&put).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(
        error.had_no_effect(),
        "a refused connection sent nothing: {error:?}"
    );
    proxy.bring_up().await;
    assert!(get(&*provider, name("a")).await.is_ok());
}

#[tokio::test]
async fn what_is_not_aws_is_not_believed() {
    // moto answers in its own words, so something else has to stand on the way.
    let server = wiremock::MockServer::start().await;
    let Some(account) = Account::new() else {
        return;
    };
    let env = account.env().with_var("AWS_ENDPOINT_URL", server.uri());
    let provider = super::open(&account.address(), env).await.unwrap();
    for (status, kind) in [
        (200, ErrorKind::Malformed),
        (302, ErrorKind::Malformed),
        (403, ErrorKind::Malformed),
        (502, ErrorKind::Transient),
    ] {
        server.reset().await;
        let page = wiremock::ResponseTemplate::new(status)
            .insert_header("location", "http://127.0.0.1:9/")
            .set_body_string("<html>canary of a proxy</html>");
        wiremock::Mock::given(wiremock::matchers::any())
            .respond_with(page)
            .mount(&server)
            .await;
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error:?}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            1,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_batch_whose_failure_may_be_of_one_secret_is_read_one_by_one() {
    let Some(account) = Account::new() else {
        return;
    };
    for at in ["a", "b"] {
        account.create(at, "value").await;
    }
    let provider = account.open().await;
    let requests = ["a", "b"].map(|at| Request::from(name(at)));
    for code in [
        "ResourceNotFoundException",
        "InvalidRequestException",
        "DecryptionFailure",
        "UnknownOperationException",
    ] {
        let fault = json!({ "n": 9, "ops": ["BatchGetSecretValue"], "status": 400, "type": code });
        account.fault(fault).await;
        let answers = provider.fetch(&requests).await;
        assert!(answers.iter().all(Result::is_ok), "{code}: {answers:?}");
        let mut calls = account.calls().await;
        calls.sort();
        let single = "GetSecretValue";
        assert_eq!(calls, ["BatchGetSecretValue", single, single], "{code}");
    }
}

#[tokio::test]
async fn an_answer_slower_than_the_limit_is_transient() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "value").await;
    let proxy = Proxy::start(account.endpoint.strip_prefix("http://").unwrap()).await;
    let through = format!("http://{}", proxy.address());
    let env = account.env().with_var("AWS_ENDPOINT_URL", through);
    let provider = super::open(&account.address(), env).await.unwrap();
    assert!(get(&*provider, name("a")).await.is_ok());
    proxy.set(Mode::BlackHole);
    // Nothing comes, so that the clock has nothing to wait for but the limit.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let error = get(&*provider, name("a")).await.unwrap_err();
    let waited = began.elapsed().as_secs_f64();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    assert!(!error.had_no_effect(), "{error:?}");
    assert!((9.9..10.5).contains(&waited), "{waited}");
}

#[tokio::test]
async fn credentials_that_no_header_holds_are_refused_and_not_shown() {
    let Some(account) = Account::new() else {
        return;
    };
    for (variable, value) in [
        ("AWS_ACCESS_KEY_ID", "canary\nx: y"),
        ("AWS_SECRET_ACCESS_KEY", "canary\n"),
        ("AWS_SESSION_TOKEN", "canary\n"),
        ("AWS_SESSION_TOKEN", "canarié"),
    ] {
        let env = account.env().with_var(variable, value);
        let provider = super::open(&account.address(), env).await.unwrap();
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{value:?}: {error:?}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
