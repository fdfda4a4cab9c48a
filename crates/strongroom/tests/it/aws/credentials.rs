//! Where credentials come from: each place is logged in with, and its key is the one that arrives.

#[cfg(feature = "aws-sso")]
mod logins;
mod roles;

use serde_json::json;
use strongroom::{Env, ErrorKind};

use super::account::{Account, SECRET_KEY};
use super::{get, name};

/// Reads one secret, and demands that the call came with the account's own key.
async fn arrives(account: &Account, env: Env) {
    account.create("a", "value").await;
    let provider = super::open(&account.address(), env).await.unwrap();
    let secret = get(&*provider, name("a")).await.unwrap();
    assert_eq!(secret.expose_str().unwrap(), "value");
    assert_eq!(account.calls().await, ["GetSecretValue"]);
}

/// A home directory with these files beneath `.aws`.
fn home(files: &[(&str, String)]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    for (file, text) in files {
        std::fs::write(home.path().join(".aws").join(file), text).unwrap();
    }
    home
}

fn keys(section: &str, key: &str) -> String {
    format!("[{section}]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET_KEY}\n")
}

#[tokio::test]
async fn variables() {
    let Some(account) = Account::new() else {
        return;
    };
    arrives(&account, account.env()).await;
}

#[tokio::test]
async fn half_of_the_variables_is_said() {
    let Some(account) = Account::new() else {
        return;
    };
    for (set, unset) in [
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    ] {
        let env = account.env_without_credentials().with_var(set, SECRET_KEY);
        let provider = super::open(&account.address(), env).await.unwrap();
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains(&format!("{unset} is not")),
            "{error}"
        );
        assert!(!format!("{error:?}").contains(SECRET_KEY));
    }
}

#[tokio::test]
async fn nothing_anywhere_is_said_and_nothing_is_sent() {
    let Some(account) = Account::new() else {
        return;
    };
    let env = account.env_without_credentials();
    let provider = super::open(&account.address(), env).await.unwrap();
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(
        error.to_string().contains("there are no AWS credentials"),
        "{error}"
    );
    assert!(error.help().unwrap().contains("AWS_PROFILE"), "{error:?}");
}

#[tokio::test]
async fn a_profile_in_either_file_and_by_name() {
    let Some(account) = Account::new() else {
        return;
    };
    for (file, section, profile) in [
        ("credentials", "default", None),
        ("credentials", "team", Some("team")),
        ("config", "profile team", Some("team")),
    ] {
        let account = account.another();
        let home = home(&[(file, keys(section, &account.key))]);
        let mut env = account
            .env_without_credentials()
            .with_var("HOME", home.path());
        if let Some(profile) = profile {
            env = env.with_var("AWS_PROFILE", profile);
        }
        arrives(&account, env).await;
    }
}

#[tokio::test]
async fn files_that_variables_name() {
    let Some(account) = Account::new() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), keys("default", &account.key)).unwrap();
    let env = account
        .env_without_credentials()
        .with_working_dir(dir.path())
        .with_var("AWS_SHARED_CREDENTIALS_FILE", "mine");
    arrives(&account, env).await;
    let env = account
        .env_without_credentials()
        .with_var("AWS_CONFIG_FILE", "/nowhere/config");
    let error = super::open(&account.address(), env).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("/nowhere/config"), "{error}");
}

#[tokio::test]
async fn a_broken_profile_is_not_quoted() {
    let Some(account) = Account::new() else {
        return;
    };
    let home = home(&[(
        "credentials",
        "[default\naws_secret = canary-9f1\n".to_owned(),
    )]);
    let env = account
        .env_without_credentials()
        .with_var("HOME", home.path());
    let error = super::open(&account.address(), env).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains(".aws/credentials"), "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn keys_that_another_program_replaced_are_read_again() {
    let Some(account) = Account::new() else {
        return;
    };
    let (old, new) = (account.another(), account.clone());
    let home = home(&[("credentials", keys("default", &old.key))]);
    account.create("a", "value").await;
    let env = account
        .env_without_credentials()
        .with_var("HOME", home.path());
    let provider = super::open(&account.address(), env).await.unwrap();
    assert!(get(&*provider, name("a")).await.is_ok());
    let expired = json!({ "n": 99, "status": 400, "type": "ExpiredTokenException" });
    old.fault(expired).await;
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    std::fs::write(
        home.path().join(".aws/credentials"),
        keys("default", &new.key),
    )
    .unwrap();
    assert!(get(&*provider, name("a")).await.is_ok());
    assert_eq!(new.calls().await, ["GetSecretValue"]);
}
