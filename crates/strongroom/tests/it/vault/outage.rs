//! A server that is away, closed or changed for a while: each failure is of its own kind, and one
//! provider lives through all of them.

use std::time::{Duration, Instant};

use serde_json::json;
use strongroom::{Env, ErrorKind, Secret, SecretProvider};

use super::admin::{Admin, unique};
use super::calls::{failed, read, target, write};
use super::open;
use crate::servers::PrivateBao;

/// Reads until it succeeds: after a failed login the next one is held back for a moment.
async fn read_again(provider: &dyn SecretProvider) -> String {
    let begun = Instant::now();
    loop {
        match read(provider, "a").await {
            Ok(value) => return value,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_server_is_transient_until_it_is_unsealed() {
    let Some(bao) = PrivateBao::dev() else { return };
    let admin = Admin::new(&bao.server.address, &bao.server.token);
    let provider = open(&admin.url("/"), admin.env()).await.unwrap();
    write(&*provider, "a", "v").await.unwrap();
    bao.seal();
    let error = failed(read(&*provider, "a").await, ErrorKind::Transient, "a read");
    assert!(error.to_string().contains("sealed"), "{error}");
    let error = failed(
        write(&*provider, "a", "w").await,
        ErrorKind::Transient,
        "a write",
    );
    assert!(error.had_no_effect(), "{error}");
    let health = provider.health().await.unwrap_err();
    assert_eq!(health.kind(), ErrorKind::Transient, "{health}");
    assert_eq!(
        provider.list("").await.unwrap_err().kind(),
        ErrorKind::Transient
    );
    bao.unseal();
    assert_eq!(read_again(&*provider).await, "v");
    provider.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_outlives_its_server() {
    let Some(mut bao) = PrivateBao::persistent() else {
        return;
    };
    let admin = Admin::new(&bao.server.address, &bao.server.token);
    let store = json!({ "type": "kv", "options": { "version": "2" } });
    admin.call("POST", "sys/mounts/secret", store).await;
    let provider = open(&admin.url("/"), admin.env()).await.unwrap();
    // A mount that was just made is upgraded first.
    let begun = Instant::now();
    while write(&*provider, "a", "v").await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    bao.stop();
    failed(read(&*provider, "a").await, ErrorKind::Transient, "stopped");
    let error = failed(
        write(&*provider, "a", "w").await,
        ErrorKind::Transient,
        "stopped",
    );
    assert!(error.had_no_effect(), "{error}");
    bao.start();
    failed(
        read(&*provider, "a").await,
        ErrorKind::Transient,
        "started, and sealed",
    );
    bao.unseal();
    assert_eq!(read_again(&*provider).await, "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_beginning_is_transient() {
    let Some(bao) = PrivateBao::uninitialised() else {
        return;
    };
    let admin = Admin::new(&bao.server.address, "hvs.of-nobody");
    let provider = open(&admin.url("/"), admin.env()).await.unwrap();
    let error = failed(
        read(&*provider, "a").await,
        ErrorKind::Transient,
        "501 or 503",
    );
    assert!(error.had_no_effect(), "{error}");
}

/// A server, a mount with a secret `a`, and the name of a policy that allows to read it.
async fn readable() -> Option<(Admin, String, String)> {
    let admin = Admin::shared()?;
    let mount = admin.mount_kv("2").await;
    let provider = open(&admin.url(&format!("/{mount}")), admin.env())
        .await
        .unwrap();
    write(&*provider, "a", "v").await.unwrap();
    let policy = unique("policy");
    allow(&admin, &policy, &mount).await;
    Some((admin, mount, policy))
}

async fn allow(admin: &Admin, policy: &str, mount: &str) {
    let rules = format!("path \"{mount}/data/a\" {{ capabilities = [\"read\"] }}");
    admin
        .call(
            "PUT",
            &format!("sys/policies/acl/{policy}"),
            json!({ "policy": rules }),
        )
        .await;
}

async fn token(admin: &Admin, policy: &str) -> String {
    let made = admin
        .call("POST", "auth/token/create", json!({ "policies": [policy] }))
        .await;
    made["auth"]["client_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_taken_away_is_a_denial_until_it_is_back() {
    let Some((admin, mount, policy)) = readable().await else {
        return;
    };
    let env = Env::empty().with_var("VAULT_TOKEN", token(&admin, &policy).await);
    let provider = open(&admin.url(&format!("/{mount}")), env).await.unwrap();
    assert_eq!(read(&*provider, "a").await.unwrap(), "v");
    for _ in 0..2 {
        admin
            .call("DELETE", &format!("sys/policies/acl/{policy}"), json!(null))
            .await;
        let error = failed(read(&*provider, "a").await, ErrorKind::Denied, "taken away");
        assert!(error.help().unwrap().contains("policy"), "{error}");
        provider.health().await.unwrap();
        allow(&admin, &policy, &mount).await;
        assert_eq!(read(&*provider, "a").await.unwrap(), "v");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_no_denial_and_the_next_one_is_found_in_its_file() {
    let Some((admin, mount, policy)) = readable().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let first = token(&admin, &policy).await;
    std::fs::write(&file, &first).unwrap();
    let address = format!("/{mount}?token_file={}", file.display());
    let provider = open(&admin.url(&address), Env::empty()).await.unwrap();
    assert_eq!(read(&*provider, "a").await.unwrap(), "v");
    admin
        .call("POST", "auth/token/revoke", json!({ "token": first }))
        .await;
    let error = failed(read(&*provider, "a").await, ErrorKind::Auth, "revoked");
    assert!(!format!("{error:?}").contains(&first));
    assert_eq!(provider.health().await.unwrap_err().kind(), ErrorKind::Auth);
    std::fs::write(&file, token(&admin, &policy).await).unwrap();
    assert_eq!(read_again(&*provider).await, "v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_we_made_is_made_again_when_it_is_revoked() {
    let Some((admin, mount, policy)) = readable().await else {
        return;
    };
    let auth = unique("approle");
    admin
        .call(
            "POST",
            &format!("sys/auth/{auth}"),
            json!({ "type": "approle" }),
        )
        .await;
    let role = format!("auth/{auth}/role/reader");
    admin
        .call("POST", &role, json!({ "token_policies": [policy] }))
        .await;
    let id = admin
        .call("GET", &format!("{role}/role-id"), json!(null))
        .await;
    let secret = admin
        .call("POST", &format!("{role}/secret-id"), json!({}))
        .await;
    let env = Env::empty()
        .with_var("VAULT_ROLE_ID", id["data"]["role_id"].as_str().unwrap())
        .with_var(
            "VAULT_SECRET_ID",
            secret["data"]["secret_id"].as_str().unwrap(),
        );
    let address = format!("/{mount}?auth=approle&auth_mount={auth}");
    let provider = open(&admin.url(&address), env).await.unwrap();
    for _ in 0..3 {
        assert_eq!(read(&*provider, "a").await.unwrap(), "v");
        // Every token of this auth mount.
        admin
            .call(
                "PUT",
                &format!("sys/leases/revoke-prefix/auth/{auth}/login"),
                json!({}),
            )
            .await;
    }
    let put = strongroom::provider::Put::new(target("a"), Secret::from_text("w"));
    let denied = provider.put(&put).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied, "{denied}");
}
