//! Logging in by every method that the server has, and what a login that fails says.

mod faults;
#[cfg(feature = "aws")]
mod iam;
mod identity;
mod life;
mod place;
mod trust;
mod wrapped;

use serde_json::json;
use strongroom::{Env, ErrorKind};

use place::{Place, VALUE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_taken_from_where_vault_s_own_tools_look() {
    let Some(place) = Place::new().await else {
        return;
    };
    let token = place.token(json!({})).await;
    let home = tempfile::tempdir().unwrap();
    let text = |path: &str| home.path().join(path).display().to_string();
    place.write(home.path().join(".vault-token"), &token);
    place.write(home.path().join("elsewhere"), &format!("{token}\n"));
    place.write(home.path().join("bad"), "canary-bad");
    let bad = text("bad");
    for (query, vars) in [
        ("auth=token", vec![("VAULT_TOKEN", &*token)]),
        (
            "",
            vec![("BAO_TOKEN", &*token), ("VAULT_TOKEN", "canary-bad")],
        ),
        ("", vec![("HOME", &*text(""))]),
        (
            "",
            vec![
                ("HOME", "/nowhere"),
                ("BAO_TOKEN_PATH", &*text("elsewhere")),
            ],
        ),
        (
            "",
            vec![("VAULT_TOKEN", &*token), ("BAO_TOKEN_PATH", &*bad)],
        ),
        (
            &*format!("token_file={}", text("elsewhere")),
            vec![("VAULT_TOKEN", "canary-bad")],
        ),
    ] {
        let mut env = Env::empty();
        for (name, value) in &vars {
            env = env.with_var(name, value);
        }
        let provider = place.open(query, env).await.unwrap();
        assert_eq!(
            place.read(&provider).await.unwrap(),
            VALUE,
            "{query} {vars:?}"
        );
        provider.close().await.unwrap();
    }
    // It was given to us: it is not ours to revoke.
    place.lookup(&token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_none_is_said_to_be_none() {
    let Some(place) = Place::new().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let query = format!("token_file={}", file.display());
    for (content, kind) in [
        (None, ErrorKind::Auth),
        (Some(""), ErrorKind::Auth),
        (Some("\n"), ErrorKind::Auth),
        (Some("canary-token"), ErrorKind::Auth),
        (Some("canary\ntoken"), ErrorKind::Malformed),
        (Some("canary-token\n\n"), ErrorKind::Malformed),
        (Some("canary\u{7f}token"), ErrorKind::Malformed),
        (Some("canary-tökén"), ErrorKind::Auth),
    ] {
        if let Some(content) = content {
            place.write(&file, content);
        }
        let provider = place.open(&query, Env::empty()).await.unwrap();
        let error = place.read(&provider).await.unwrap_err();
        let shown = format!("{error:?} {provider:?}");
        assert_eq!(error.kind(), kind, "{content:?}: {shown}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains(&file.display().to_string()), "{shown}");
    }
    let provider = place.open("", Env::empty()).await;
    assert_eq!(provider.unwrap_err().kind(), ErrorKind::Auth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approle_logs_in_and_revokes_its_token_when_it_is_closed() {
    let Some(place) = Place::new().await else {
        return;
    };
    let (role_id, secret_id) = place.approle("app", json!({})).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret-id");
    place.write(&file, &format!("{secret_id}\n"));
    let mount = &place.auth;
    let by_file = format!(
        "auth=approle&auth_mount={mount}&role_id={role_id}&secret_id_file={}",
        file.display()
    );
    let by_variables = format!("auth=approle&auth_mount={mount}");
    let env = Env::empty()
        .with_var("VAULT_ROLE_ID", &role_id)
        .with_var("BAO_SECRET_ID", &secret_id);
    for (query, env) in [(by_file, Env::empty()), (by_variables, env)] {
        let before = place.tokens().await;
        let provider = place.open(&query, env).await.unwrap();
        provider.health().await.unwrap();
        assert_eq!(place.read(&provider).await.unwrap(), VALUE, "{query}");
        assert_eq!(place.read(&provider).await.unwrap(), VALUE);
        assert_eq!(place.tokens().await, before + 1, "one login for all");
        provider.close().await.unwrap();
        assert_eq!(place.tokens().await, before);
        let error = place.read(&provider).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_may_want_no_secret_id() {
    let Some(place) = Place::new().await else {
        return;
    };
    let role = json!({ "bind_secret_id": false, "token_bound_cidrs": "127.0.0.1/32" });
    let (role_id, _) = place.approle("open", role).await;
    let query = format!("auth=approle&auth_mount={}&role_id={role_id}", place.auth);
    let provider = place.open(&query, Env::empty()).await.unwrap();
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_is_said_and_not_repeated_at_once() {
    let Some(place) = Place::new().await else {
        return;
    };
    let (role_id, _) = place.approle("app", json!({})).await;
    let query = format!("auth=approle&auth_mount={}&role_id={role_id}", place.auth);
    let env = Env::empty().with_var("VAULT_SECRET_ID", "canary-secret-id");
    let provider = place.open(&query, env.clone()).await.unwrap();
    for _ in 0..3 {
        let error = place.read(&provider).await.unwrap_err();
        let shown = format!("{error:?} {provider:?}");
        assert_eq!(error.kind(), ErrorKind::Auth, "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains(&format!("auth/{}", place.auth)), "{shown}");
    }
    // There is no such mount, which the server doesn't tell from a refusal.
    let query = format!("auth=approle&auth_mount=nowhere&role_id={role_id}");
    let provider = place.open(&query, env).await.unwrap();
    let error = place.read(&provider).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Auth | ErrorKind::Config),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn userpass_logs_in_and_reads_its_password_at_each_login() {
    let Some(place) = Place::new().await else {
        return;
    };
    let mount = place.enable("userpass").await;
    let user = format!("auth/{mount}/users/app");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let query = format!(
        "auth=userpass&auth_mount={mount}&username=app&password_file={}",
        file.display()
    );
    let provider = place.open(&query, Env::empty()).await.unwrap();
    for password in ["canary \"one\"\\", "canary-two"] {
        let body = json!({ "password": password, "token_policies": place.policy });
        place.admin.call("POST", &user, body).await;
        place.write(&file, password);
        assert_eq!(place.read(&provider).await.unwrap(), VALUE);
        // The next read needs another login, with the password that is there by then.
        place.revoke_all(&mount).await;
    }
    assert_eq!(place.read(&provider).await.unwrap(), VALUE);
}

#[tokio::test]
async fn what_can_t_be_meant_is_refused_before_anything_is_sent() {
    for (query, kind, word) in [
        ("auth=aprole", ErrorKind::Config, "did you mean `approle`"),
        ("auth=ldap", ErrorKind::Config, "userpass"),
        ("auth=approle", ErrorKind::Config, "VAULT_ROLE_ID"),
        (
            "auth=approle&role_id=r&wrapped_by=a/b",
            ErrorKind::Config,
            "secret_id_file",
        ),
        ("auth=kubernetes", ErrorKind::Config, "`role`"),
        ("auth=jwt&role=r", ErrorKind::Config, "`jwt_file`"),
        ("auth=cert", ErrorKind::Config, "VAULT_CLIENT_CERT"),
        (
            "auth=userpass&password_file=p",
            ErrorKind::Config,
            "`username`",
        ),
        (
            "auth=userpass&username=a/b&password_file=p",
            ErrorKind::Config,
            "name of a user",
        ),
        (
            "auth=userpass&username=..&password_file=p",
            ErrorKind::Config,
            "`username`",
        ),
        (
            "auth=userpass&username=u",
            ErrorKind::Config,
            "`password_file`",
        ),
        (
            "auth=approle&role_id=r&auth_mount=../sys",
            ErrorKind::Config,
            "auth_mount",
        ),
        (
            "auth=approle&role_id=r&auth_mount=/",
            ErrorKind::Config,
            "auth_mount",
        ),
        ("role_id=r", ErrorKind::Config, "`auth=approle`"),
        (
            "auth=kubernetes&role=r&token_file=t",
            ErrorKind::Config,
            "`auth=token`",
        ),
        #[cfg(not(feature = "aws"))]
        ("auth=aws&role=r", ErrorKind::Unsupported, "`aws`"),
        (
            "auth=aws&role=r&role_id=r",
            ErrorKind::Config,
            "`auth=approle`",
        ),
        #[cfg(feature = "aws")]
        ("auth=aws&sts_region=a/b", ErrorKind::Config, "`sts_region`"),
    ] {
        let address = format!("vault+http://127.0.0.1:1/?{query}");
        let error = super::open(&address, Env::empty()).await.unwrap_err();
        let shown = format!("{error:?}");
        assert_eq!(error.kind(), kind, "{query}: {shown}");
        assert!(shown.contains(word), "{query}: {shown}");
    }
}
