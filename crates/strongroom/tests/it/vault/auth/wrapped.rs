//! A secret id that comes wrapped.

use serde_json::{Value, json};
use strongroom::{Env, ErrorKind};

use super::place::{Place, VALUE};
use crate::vault::admin::Admin;

/// Has what a path answers wrapped, and returns the wrapping token.
async fn wrap(admin: &Admin, path: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = http
        .post(format!("{}/v1/{path}", admin.address))
        .header("X-Vault-Token", &admin.token)
        .header("X-Vault-Wrap-TTL", "60s")
        .body(json!({ "metadata": "{}" }).to_string())
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    answer["wrap_info"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_unwrapped_once_and_kept_for_later_logins() {
    let Some(place) = Place::new().await else {
        return;
    };
    let (role_id, _) = place.approle("app", json!({})).await;
    let path = format!("auth/{}/role/app/secret-id", place.auth);
    let token = wrap(&place.admin, &path).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wrapped");
    place.write(&file, &token);
    let query = format!(
        "auth=approle&auth_mount={}&role_id={role_id}&secret_id_file={}&wrapped_by={path}",
        place.auth,
        file.display()
    );
    let provider = place.open(&query, Env::empty()).await.unwrap();
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
    place.revoke_all(&place.auth).await;
    assert_eq!(
        place.read(&provider).await.unwrap(),
        VALUE,
        "a second login"
    );
    // Another wrapping token is another secret id.
    place.write(&file, &wrap(&place.admin, &path).await);
    place.revoke_all(&place.auth).await;
    assert_eq!(place.read(&provider).await.unwrap(), VALUE, "a third login");
    // A new program finds a token that was spent.
    let second = place.open(&query, Env::empty()).await.unwrap();
    let error = place.read(&second).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    assert!(
        error
            .to_string()
            .contains("somebody else may have unwrapped"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_path_wrapped_is_not_unwrapped() {
    let Some(place) = Place::new().await else {
        return;
    };
    let (role_id, _) = place.approle("app", json!({})).await;
    let path = format!("auth/{}/role/app/secret-id", place.auth);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wrapped");
    let token = wrap(&place.admin, "sys/wrapping/wrap").await;
    place.write(&file, &token);
    let query = format!(
        "auth=approle&auth_mount={}&role_id={role_id}&secret_id_file={}&wrapped_by={path}",
        place.auth,
        file.display()
    );
    let provider = place.open(&query, Env::empty()).await.unwrap();
    let error = place.read(&provider).await.unwrap_err();
    let shown = format!("{error:?}");
    assert_eq!(error.kind(), ErrorKind::Auth, "{shown}");
    assert!(
        shown.contains(&path) && shown.contains("another in its place"),
        "{shown}"
    );
    assert!(
        !shown.contains(&token) && !shown.contains("canary"),
        "{shown}"
    );
    // It was only looked at: whoever it is for can still unwrap it.
    let body = json!({ "token": token });
    place.admin.call("POST", "sys/wrapping/lookup", body).await;
}
