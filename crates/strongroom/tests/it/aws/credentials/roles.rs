//! Credentials of roles, which end: STS, containers and instances, served by the test.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use strongroom::{Env, ErrorKind, SecretProvider};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{arrives, home, keys};
use crate::aws::account::{Account, SECRET_KEY};
use crate::aws::{get, name, open};

fn in_one_hour() -> String {
    let at = SystemTime::now() + Duration::from_secs(3600);
    humantime_of(at)
}

fn humantime_of(at: SystemTime) -> String {
    // Seconds since the epoch, as a date: days are counted by the calendar's own rule.
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn given(key: &str, expires: &str) -> Value {
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
        "AccessKeyId": key, "SecretAccessKey": SECRET_KEY, "Token": "the session token",
        "Expiration": expires
    })
}

/// STS, as far as it gives credentials for a role.
async fn sts(action: &str, more: &str, key: &str) -> MockServer {
    let server = MockServer::start().await;
    let answer = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{SECRET_KEY}\
         </SecretAccessKey><SessionToken>the session token</SessionToken>\
         <Expiration>{}</Expiration></Credentials></{action}Result></{action}Response>",
        in_one_hour()
    );
    Mock::given(method("POST"))
        .and(body_string_contains(format!("Action={action}&")))
        .and(body_string_contains(more))
        .respond_with(ResponseTemplate::new(200).set_body_raw(answer, "text/xml"))
        .mount(&server)
        .await;
    server
}

fn web_identity(account: &Account, token: &Path, sts: &MockServer) -> Env {
    account
        .env_without_credentials()
        .with_var("AWS_ENDPOINT_URL", "")
        .with_var("AWS_ENDPOINT_URL_SECRETS_MANAGER", &account.endpoint)
        .with_var("AWS_ENDPOINT_URL_STS", sts.uri())
        .with_var("AWS_WEB_IDENTITY_TOKEN_FILE", token)
        .with_var("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app")
}

#[tokio::test]
async fn a_web_identity() {
    let Some(account) = Account::new() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "the-mounted-token\n").unwrap();
    let action = "AssumeRoleWithWebIdentity";
    let server = sts(action, "WebIdentityToken=the-mounted-token", &account.key).await;
    arrives(&account, web_identity(&account, &token, &server)).await;
    let asked = server.received_requests().await.unwrap();
    let body = String::from_utf8_lossy(&asked[0].body).into_owned();
    assert!(
        body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fapp"),
        "{body}"
    );
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_web_identity_that_is_refused_is_our_own_credential_s_fault() {
    let Some(account) = Account::new() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "the-mounted-token").unwrap();
    let server = MockServer::start().await;
    let env = web_identity(&account, &token, &server);
    let provider = open(&account.address(), env.clone()).await.unwrap();
    for (status, code, kind) in [
        (403, "AccessDenied", ErrorKind::Auth),
        (400, "ExpiredTokenException", ErrorKind::Auth),
        (400, "InvalidIdentityToken", ErrorKind::Auth),
        (400, "IDPCommunicationError", ErrorKind::Transient),
        (503, "ServiceUnavailable", ErrorKind::Transient),
    ] {
        server.reset().await;
        let answer = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>the-mounted-token</Message></Error>\
             <RequestId>1</RequestId></ErrorResponse>"
        );
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(status).set_body_raw(answer, "text/xml"))
            .mount(&server)
            .await;
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error:?}");
        assert!(error.to_string().contains(code), "{error}");
        assert!(
            !format!("{error:?}").contains("the-mounted-token"),
            "{error:?}"
        );
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{code}");
    }
    std::fs::remove_file(&token).unwrap();
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(
        error.to_string().contains("AWS_WEB_IDENTITY_TOKEN_FILE"),
        "{error}"
    );
    let without_role = env.without_var("AWS_ROLE_ARN");
    let provider = open(&account.address(), without_role).await.unwrap();
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

#[tokio::test]
async fn a_role_of_a_profile() {
    let Some(account) = Account::new() else {
        return;
    };
    let server = sts("AssumeRole", "RoleArn=", &account.key).await;
    let config = format!(
        "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = base\n\
         services = test\n[profile base]\naws_access_key_id = AKIABASE\n\
         aws_secret_access_key = {SECRET_KEY}\n\
         [services test]\nsts =\n  endpoint_url = {}\n",
        server.uri()
    );
    let home = home(&[("config", config)]);
    let env = account
        .env_without_credentials()
        .with_var("AWS_ENDPOINT_URL", "")
        .with_var("AWS_ENDPOINT_URL_SECRETS_MANAGER", &account.endpoint)
        .with_var("HOME", home.path())
        .with_var("AWS_PROFILE", "app");
    arrives(&account, env).await;
    let asked = server.received_requests().await.unwrap();
    let signed = asked[0].headers.get("authorization").unwrap();
    assert!(signed.to_str().unwrap().contains("Credential=AKIABASE/"));
}

async fn container(answers: &[(u16, Value)]) -> MockServer {
    let server = MockServer::start().await;
    for (at, (status, answer)) in answers.iter().enumerate() {
        let mock = Mock::given(method("GET"))
            .and(path("/v1/credentials"))
            .and(header("authorization", "the-pod-token"))
            .respond_with(ResponseTemplate::new(*status).set_body_json(answer));
        let is_last = at + 1 == answers.len();
        let mock = if is_last { mock } else { mock.up_to_n_times(1) };
        mock.with_priority(u8::try_from(at + 1).unwrap())
            .mount(&server)
            .await;
    }
    server
}

fn in_container(account: &Account, server: &MockServer) -> Env {
    account
        .env_without_credentials()
        .with_var(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/v1/credentials", server.uri()),
        )
        .with_var("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-pod-token")
}

#[tokio::test]
async fn a_container() {
    let Some(account) = Account::new() else {
        return;
    };
    let server = container(&[(200, given(&account.key, &in_one_hour()))]).await;
    arrives(&account, in_container(&account, &server)).await;
    // EKS mounts the token instead.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "the-pod-token").unwrap();
    let another = account.another();
    let server = container(&[(200, given(&another.key, &in_one_hour()))]).await;
    let env = in_container(&another, &server)
        .without_var("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        .with_var(
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            dir.path().join("token"),
        );
    arrives(&another, env).await;
}

#[tokio::test]
async fn a_container_that_gives_none() {
    let Some(account) = Account::new() else {
        return;
    };
    for (status, answer, kind) in [
        (403, json!({ "message": "canary" }), ErrorKind::Auth),
        (500, json!({ "message": "canary" }), ErrorKind::Transient),
        (200, json!({ "AccessKeyId": "canary" }), ErrorKind::Auth),
    ] {
        let server = container(&[(status, answer)]).await;
        let env = in_container(&account, &server);
        let provider = open(&account.address(), env).await.unwrap();
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error:?}");
        let shown = format!("{error:?}");
        assert!(
            shown.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            "{shown}"
        );
        assert!(
            !shown.contains("canary") && !shown.contains("the-pod-token"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn the_role_of_an_instance() {
    let Some(account) = Account::new() else {
        return;
    };
    let server = MockServer::start().await;
    let text = |status: u16, body: String| ResponseTemplate::new(status).set_body_string(body);
    let token = text(200, "imds-token".to_owned())
        .insert_header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    Mock::given(method("PUT"))
        .and(path("/latest/api/token"))
        .respond_with(token)
        .mount(&server)
        .await;
    let role = "/latest/meta-data/iam/security-credentials/";
    let credentials = given(&account.key, &in_one_hour()).to_string();
    for (at, body) in [
        (role.to_owned(), "app".to_owned()),
        (format!("{role}app"), credentials),
    ] {
        Mock::given(method("GET"))
            .and(path(at))
            .and(header("x-aws-ec2-metadata-token", "imds-token"))
            .respond_with(text(200, body))
            .mount(&server)
            .await;
    }
    let env = account
        .env_without_credentials()
        .without_var("AWS_EC2_METADATA_DISABLED")
        .with_var("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.uri());
    arrives(&account, env).await;
}

#[tokio::test]
async fn the_first_place_that_is_set_up_decides() {
    let Some(account) = Account::new() else {
        return;
    };
    let other = account.another();
    let home = home(&[("credentials", keys("default", &other.key))]);
    arrives(&account, account.env().with_var("HOME", home.path())).await;
    assert_eq!(other.calls().await, [] as [&str; 0]);
    // One that fails is not replaced by the next.
    let server = container(&[(200, given(&account.key, &in_one_hour()))]).await;
    let env = in_container(&account, &server)
        .with_var("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
        .with_var("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app");
    let provider = open(&account.address(), env).await.unwrap();
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(server.received_requests().await.unwrap().is_empty());
}

async fn read_at_once(provider: &Arc<dyn SecretProvider>, readers: usize) {
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..readers {
        let provider = Arc::clone(provider);
        running.spawn(async move { get(&*provider, name("a")).await });
    }
    while let Some(read) = running.join_next().await {
        read.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_in_the_middle_of_a_run_is_renewed_without_a_failed_read() {
    let Some(account) = Account::new() else {
        return;
    };
    let (old, new) = (account.another(), account.another());
    account.create("a", "value").await;
    let server = container(&[
        (200, given(&old.key, &in_one_hour())),
        (200, given(&new.key, &in_one_hour())),
    ])
    .await;
    let env = in_container(&account, &server);
    let provider = open(&account.address(), env).await.unwrap();
    read_at_once(&provider, 16).await;
    assert_eq!(old.calls().await, ["GetSecretValue"; 16]);
    // Whoever issued them took them back, long before their end.
    let expired = json!({ "n": 9999, "status": 400, "type": "ExpiredTokenException" });
    old.fault(expired).await;
    read_at_once(&provider, 16).await;
    assert_eq!(new.calls().await, ["GetSecretValue"; 16]);
    // One asked for all.
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
    // New ones that are refused too are believed to be refused.
    let expired = json!({ "n": 9999, "status": 400, "type": "ExpiredTokenException" });
    new.fault(expired).await;
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert_eq!(new.calls().await, ["GetSecretValue"]);
}

#[tokio::test]
async fn new_credentials_are_had_before_the_old_ones_end() {
    let Some(account) = Account::new() else {
        return;
    };
    let (old, new) = (account.another(), account.another());
    account.create("a", "value").await;
    let soon = humantime_of(SystemTime::now() + Duration::from_secs(3));
    let server = container(&[
        (200, given(&old.key, &soon)),
        (500, json!({})),
        (200, given(&new.key, &in_one_hour())),
    ])
    .await;
    let env = in_container(&account, &server);
    let provider = open(&account.address(), env).await.unwrap();
    // However long each takes: none fails, and the new ones come.
    while new.calls().await.is_empty() {
        get(&*provider, name("a")).await.unwrap();
    }
    assert!(!old.calls().await.is_empty());
}

#[tokio::test]
async fn a_role_of_a_profile_asks_where_the_variables_say_and_asks_once() {
    let Some(account) = Account::new() else {
        return;
    };
    let server = sts("AssumeRole", "ExternalId=theirs", &account.key).await;
    let config = format!(
        "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = base\n\
         external_id = theirs\nduration_seconds = 900\n\
         [profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = {SECRET_KEY}\n\
         role_arn = arn:aws:iam::123456789012:role/never\nsource_profile = base\n"
    );
    let home = home(&[("config", config)]);
    let env = account
        .env_without_credentials()
        .with_var("HOME", home.path())
        .with_var("AWS_PROFILE", "app")
        .with_var("AWS_ENDPOINT_URL_STS", server.uri());
    arrives(&account, env.clone()).await;
    let asked = server.received_requests().await.unwrap();
    let body = String::from_utf8_lossy(&asked[0].body).into_owned();
    assert!(body.contains("DurationSeconds=900"), "{body}");
    assert_eq!(asked.len(), 1);
    server.reset().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503))
        .mount(&server)
        .await;
    let provider = open(&account.address(), env).await.unwrap();
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_profile_s_role_takes_on_roles_and_sources() {
    let Some(account) = Account::new() else {
        return;
    };
    let sts = sts("AssumeRole", "RoleArn=", &account.key).await;
    let pod = container(&[(200, given("AKIAPOD", &in_one_hour()))]).await;
    let config = "[profile app]\nrole_arn = arn:aws:iam::123456789012:role/second\n\
         source_profile = middle\n\
         [profile middle]\nrole_arn = arn:aws:iam::123456789012:role/first\n\
         credential_source = EcsContainer\n";
    let home = home(&[("config", config.to_owned())]);
    let env = in_container(&account, &pod)
        .with_var("HOME", home.path())
        .with_var("AWS_PROFILE", "app")
        .with_var("AWS_ENDPOINT_URL_STS", sts.uri());
    arrives(&account, env).await;
    let asked = sts.received_requests().await.unwrap();
    let seen = asked.iter().map(|request| {
        let signed = request.headers.get("authorization").unwrap();
        let by_pod = signed.to_str().unwrap().contains("Credential=AKIAPOD/");
        let first = String::from_utf8_lossy(&request.body).contains("role%2Ffirst");
        (by_pod, first)
    });
    assert_eq!(seen.collect::<Vec<_>>(), [(true, true), (false, false)]);
}

#[tokio::test]
async fn a_profile_that_leads_nowhere_is_said() {
    let Some(account) = Account::new() else {
        return;
    };
    let role = "role_arn = arn:aws:iam::123456789012:role/app\n";
    for (text, said) in [
        ("source_profile = other\n", "is its own source"),
        ("source_profile = none\n", "no AWS profile `none`"),
        ("source_profile = app\n", "has no `aws_access_key_id`"),
        ("", "not one of `source_profile`"),
        (
            "source_profile = other\ncredential_source = Environment\n",
            "not one of `source_profile`",
        ),
        ("credential_source = Moon\n", "is none of AWS's"),
        (
            "source_profile = other\nmfa_serial = 1\n",
            "a second factor",
        ),
        (
            "source_profile = other\nduration_seconds = 1\n",
            "from 900 to 43200",
        ),
    ] {
        let config =
            format!("[profile app]\n{role}{text}[profile other]\n{role}source_profile = app\n");
        let home = home(&[("config", config)]);
        let env = account
            .env_without_credentials()
            .with_var("HOME", home.path())
            .with_var("AWS_PROFILE", "app");
        let provider = open(&account.address(), env).await.unwrap();
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}: {error:?}");
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
}

#[tokio::test]
async fn who_waited_for_an_attempt_that_failed_makes_no_other() {
    let Some(account) = Account::new() else {
        return;
    };
    let server = container(&[(500, json!({}))]).await;
    let env = in_container(&account, &server);
    let provider = open(&account.address(), env).await.unwrap();
    let reads = (0..16).map(|_| get(&*provider, name("a")));
    let mut running = Vec::from_iter(reads.map(Box::pin));
    // All of them ask before the first is answered.
    std::future::poll_fn(|context| {
        for read in &mut running {
            assert!(read.as_mut().poll(context).is_pending());
        }
        std::task::Poll::Ready(())
    })
    .await;
    for read in running {
        assert_eq!(read.await.unwrap_err().kind(), ErrorKind::Transient);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    // Later another attempt is made.
    assert!(get(&*provider, name("a")).await.is_err());
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}
