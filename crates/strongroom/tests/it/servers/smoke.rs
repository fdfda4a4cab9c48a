//! The servers themselves, before anything is tested against them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PrivateBao, free_port};

#[test]
fn the_shared_openbao_answers() {
    let Some(vault) = super::vault() else { return };
    let status = vault.admin(&["status"]);
    assert_eq!(
        (&status["initialized"], &status["sealed"]),
        (&json!(true), &json!(false))
    );
    let token = vault.admin(&["token", "lookup"]);
    assert_eq!(token["data"]["policies"], json!(["root"]));
    let refused = vault
        .with_token("wrong")
        .try_admin(&["token", "lookup"], "")
        .unwrap_err();
    assert!(refused.contains("403"), "{refused}");
}

#[test]
fn a_namespace_holds_its_own_mounts() {
    let Some(vault) = super::vault() else { return };
    vault.admin(&["namespace", "create", "smoke"]);
    let inside = vault.in_namespace("smoke");
    inside.admin(&["secrets", "enable", "-path=inside", "kv-v2"]);
    let mounts = |server: &super::VaultServer| server.admin(&["secrets", "list"]);
    assert!(mounts(&inside).get("inside/").is_some());
    assert!(mounts(&vault).get("inside/").is_none());
}

#[test]
fn a_policy_is_read_from_the_input() {
    let Some(vault) = super::vault() else { return };
    let policy = "path \"smoke/data/*\" { capabilities = [\"read\"] }";
    vault.admin_with_input(&["policy", "write", "smoke", "-"], policy);
    let read = vault.admin(&["policy", "read", "smoke"]);
    assert_eq!(read["policy"], policy);
}

#[test]
fn a_sealed_server_says_so_and_forgets_nothing() {
    let Some(bao) = PrivateBao::dev() else { return };
    bao.server.admin(&["kv", "put", "secret/a", "field=held"]);
    bao.seal();
    assert_eq!(bao.server.admin(&["status"])["sealed"], true);
    let read = ["kv", "get", "secret/a"];
    let refused = bao.server.try_admin(&read, "").unwrap_err();
    assert!(refused.contains("503"), "{refused}");
    bao.unseal();
    assert_eq!(bao.server.admin(&read)["data"]["data"]["field"], "held");
}

#[test]
fn a_persistent_server_is_sealed_and_whole_after_a_restart() {
    let Some(mut bao) = PrivateBao::persistent() else {
        return;
    };
    bao.server
        .admin(&["secrets", "enable", "-path=secret", "kv-v2"]);
    bao.server.admin(&["kv", "put", "secret/a", "field=held"]);
    let read = ["kv", "get", "secret/a"];
    bao.stop();
    let refused = bao.server.try_admin(&read, "").unwrap_err();
    assert!(refused.contains("connection refused"), "{refused}");
    bao.start();
    assert_eq!(bao.server.admin(&["status"])["sealed"], true);
    bao.unseal();
    assert_eq!(bao.server.admin(&read)["data"]["data"]["field"], "held");
}

#[test]
fn a_new_server_is_not_initialised() {
    let Some(mut bao) = PrivateBao::uninitialised() else {
        return;
    };
    assert_eq!(bao.server.admin(&["status"])["initialized"], false);
    bao.initialise();
    bao.unseal();
    assert_eq!(bao.server.admin(&["status"])["sealed"], false);
}

#[test]
fn a_server_with_tls_is_believed_by_its_own_ca_alone() {
    let Some(bao) = PrivateBao::dev_tls() else {
        return;
    };
    assert_eq!(bao.server.admin(&["status"])["sealed"], false);
    let mut stranger = bao.server.clone();
    stranger.ca = None;
    let refused = stranger.try_admin(&["status"], "").unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
}

#[test]
fn a_server_listens_in_other_ways_too() {
    let address = format!("127.0.0.1:{}", free_port());
    let listener =
        format!("listener \"tcp\" {{\n  address = \"{address}\"\n  tls_disable = true\n}}\n");
    let Some(bao) = PrivateBao::dev_with(&listener) else {
        return;
    };
    let mut there = bao.server.clone();
    there.address = format!("http://{address}");
    assert_eq!(there.admin(&["status"])["sealed"], false);
}

#[tokio::test]
async fn the_stand_in_for_aws_answers_and_fails_on_demand() {
    let Some(endpoint) = super::aws() else { return };
    let key = "SMOKE";
    let call = async |operation| {
        let target = format!("X-Amz-Target: secretsmanager.{operation}");
        let scope = "20260101/eu-west-1/secretsmanager/aws4_request";
        let signed = format!("Authorization: AWS4-HMAC-SHA256 Credential={key}/{scope}");
        post(&endpoint, "/", &[&target, &signed], &json!({})).await
    };
    let fault = json!({
        "key": key, "n": 1, "ops": ["ListSecrets"], "status": 400, "type": "ThrottlingException"
    });
    let set = async |fault: &Value| post(&endpoint, "/_fault", &[], fault).await;
    assert_eq!(set(&fault).await, (200, json!([])));

    let (status, answer) = call("ListSecrets").await;
    assert_eq!(
        (status, &answer["__type"]),
        (400, &json!("ThrottlingException"))
    );
    let (status, answer) = call("ListSecrets").await;
    assert_eq!((status, answer["SecretList"].is_array()), (200, true));

    let calls = json!(["ListSecrets", "ListSecrets"]);
    assert_eq!(set(&json!({ "key": key })).await, (200, calls));
}

#[test]
fn a_server_dies_with_whoever_started_it() {
    let Some(bao) = PrivateBao::dev() else { return };
    let mut process = bao.let_go();
    let started = Instant::now();
    while process.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends one request, and returns the status and the body of the answer.
async fn post(endpoint: &str, path: &str, headers: &[&str], body: &Value) -> (u16, Value) {
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(host).await.unwrap();
    let body = body.to_string();
    let mut request = format!("POST {path} HTTP/1.0\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.push_str(&body);
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).expect(body))
}
