//! Profiles that say how to get credentials: a login at IAM Identity Center, a program, a role.

use std::process::Stdio;

use serde_json::json;
use strongroom::{Env, ErrorKind};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{arrives, home};
use crate::aws::account::{Account, SECRET_KEY};
use crate::aws::{get, name, open};

/// The name of the token's file is the SHA-1 of the session's name, which is `corp`.
const CACHED: &str = "ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
const TOKEN: &str = "canary-of-the-login-token";

/// Where the child finds what it is to open.
const ADDRESS: &str = "STRONGROOM_TEST_ADDRESS";

fn answered(kind: &str, text: &str, help: &str) -> String {
    format!("login: {kind} | {text} | {help}")
}

/// Reads one secret with the environment of this process, since AWS's own code looks for the cached
/// token beneath the process's home. Started by `logged_in`.
#[tokio::test]
#[ignore = "is the other process of a test"]
async fn of_this_process() {
    let env = Env::process();
    let address = env.var(ADDRESS).unwrap().unwrap().to_owned();
    let read = async {
        let provider = open(&address, env.clone()).await?;
        get(&*provider, name("a")).await
    };
    let said = match read.await {
        Ok(secret) => answered("read", secret.expose_str().unwrap(), ""),
        Err(error) => answered(
            &format!("{:?}", error.kind()),
            &format!("{error:?}").replace('\n', " "),
            error.help().unwrap_or_default(),
        ),
    };
    println!("{said}");
}

/// A process that has logged in at a portal, which answers so.
async fn logged_in(account: &Account, portal: &MockServer, expires: &str) -> String {
    let config = format!(
        "[profile team]\nsso_session = corp\nsso_account_id = 123456789012\n\
         sso_role_name = Reader\nservices = test\n\
         [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n\
         [services test]\nsso =\n  endpoint_url = {}\n",
        portal.uri()
    );
    let home = home(&[("config", config)]);
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = json!({
        "accessToken": TOKEN, "expiresAt": expires, "region": "eu-west-1",
        "startUrl": "https://corp.awsapps.com/start"
    });
    std::fs::write(cache.join(CACHED), token.to_string()).unwrap();
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("aws::credentials::logins::of_this_process")
        .env_clear()
        .env("HOME", home.path())
        .env("AWS_PROFILE", "team")
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &account.endpoint)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(ADDRESS, account.address())
        .stdin(Stdio::null())
        .output();
    let output = child.await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let said = text.lines().find_map(|line| line.split_once("login: "));
    said.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

async fn portal(status: u16, answer: serde_json::Value) -> MockServer {
    let server = MockServer::start().await;
    let code = answer["__type"].as_str().unwrap_or_default().to_owned();
    Mock::given(method("GET"))
        .and(path("/federation/credentials"))
        .and(query_param("role_name", "Reader"))
        .and(query_param("account_id", "123456789012"))
        .and(header("x-amz-sso_bearer_token", TOKEN))
        .respond_with(
            ResponseTemplate::new(status)
                .insert_header("x-amzn-errortype", code.as_str())
                .set_body_json(answer),
        )
        .mount(&server)
        .await;
    server
}

const LATER: &str = "2099-01-01T00:00:00Z";

#[tokio::test]
async fn a_login() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "value").await;
    let given = json!({ "roleCredentials": {
        "accessKeyId": account.key, "secretAccessKey": SECRET_KEY, "sessionToken": "t",
        "expiration": 4_000_000_000_000_u64
    }});
    let server = portal(200, given).await;
    let said = logged_in(&account, &server, LATER).await;
    assert!(said.starts_with("read | value"), "{said}");
    assert_eq!(account.calls().await, ["GetSecretValue"]);
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_login_that_is_over_or_refused_or_can_t_be_asked() {
    let Some(account) = Account::new() else {
        return;
    };
    let server = portal(200, json!({})).await;
    let said = logged_in(&account, &server, "2020-01-01T00:00:00Z").await;
    assert!(said.starts_with("Auth"), "{said}");
    assert!(said.contains("aws sso login --profile team"), "{said}");
    assert!(server.received_requests().await.unwrap().is_empty());
    for (status, code, kind) in [
        (401, "UnauthorizedException", "Auth"),
        (429, "TooManyRequestsException", "Transient"),
        (503, "ServiceUnavailable", "Transient"),
    ] {
        let server = portal(status, json!({ "__type": code, "message": "canary" })).await;
        let said = logged_in(&account, &server, LATER).await;
        assert!(said.starts_with(kind), "{code}: {said}");
        // Repetition is the retry layer's.
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{code}");
    }
}

fn with_config(account: &Account, config: String) -> (tempfile::TempDir, Env) {
    let home = home(&[("config", config)]);
    let env = account.env_without_credentials();
    let env = env
        .with_var("HOME", home.path())
        .with_var("AWS_PROFILE", "team");
    (home, env)
}

#[tokio::test]
async fn a_program() {
    let Some(account) = Account::new() else {
        return;
    };
    let given = json!({
        "Version": 1, "AccessKeyId": account.key, "SecretAccessKey": SECRET_KEY,
        "SessionToken": "t", "Expiration": LATER
    });
    let config = format!("[profile team]\ncredential_process = echo '{given}'\n");
    let (_home, env) = with_config(&account, config);
    arrives(&account, env).await;
}

#[tokio::test]
async fn a_program_that_fails_is_not_quoted() {
    let Some(account) = Account::new() else {
        return;
    };
    for program in [
        "echo canary >&2; exit 3",
        "echo canary",
        "echo '{\"Version\": 2, \"AccessKeyId\": \"canary\"}'",
        "/nowhere/canary",
    ] {
        let config = format!("[profile team]\ncredential_process = {program}\n");
        let (_home, env) = with_config(&account, config);
        let provider = open(&account.address(), env).await.unwrap();
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{program}: {error:?}");
        assert!(error.to_string().contains("profile `team`"), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_program_that_never_ends_is_given_up() {
    let Some(account) = Account::new() else {
        return;
    };
    let config = "[profile team]\ncredential_process = exec sleep 5\n".to_owned();
    let (_home, env) = with_config(&account, config);
    let provider = open(&account.address(), env).await.unwrap();
    tokio::time::pause();
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    assert!(error.to_string().contains("in time"), "{error}");
}
