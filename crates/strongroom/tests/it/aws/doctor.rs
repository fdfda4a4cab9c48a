//! The examination: what is said of the way to the secrets, and the policy that it writes.

use serde_json::{Value, json};
use strongroom::{
    Check, CheckOutcome, Declared, Env, ErrorKind, Examination, Kind, SecretsFactory,
};

use super::account::{Account, SECRET_KEY};
use super::name;

async fn examine(address: &str, env: Env, declared: &[&str]) -> Examination {
    let env = env.with_var("STRONGROOM_ENV", "development");
    let declared: Vec<_> = declared
        .iter()
        .map(|at| Declared::new(name(at), Kind::Token))
        .collect();
    let builder = SecretsFactory::builder().env(env).declare(declared);
    let builder = builder.provider_url(address.parse().unwrap());
    let found = builder.examine().await.unwrap();
    let shown = format!("{found:?} {}", serde_json::to_string(&found).unwrap());
    assert!(!shown.contains(SECRET_KEY), "{shown}");
    found
}

#[track_caller]
fn only<'a>(found: &'a Examination, subject: &str) -> &'a Check {
    let checks = found.providers[0].diagnosis.checks.iter();
    let checks: Vec<_> = checks.filter(|check| check.subject == subject).collect();
    match checks[..] {
        [check] => check,
        _ => panic!("not one check of {subject}: {found:?}"),
    }
}

#[tokio::test]
async fn all_is_well_and_no_value_is_read() {
    let Some(account) = Account::new() else {
        return;
    };
    account
        .create("database", r#"{"user": "u", "password": "p"}"#)
        .await;
    account.create("token", "t").await;
    let declared = ["database#user", "database#password", "token"];
    let found = examine(&account.address(), account.env(), &declared).await;
    let failed = found.providers[0].diagnosis.checks.iter();
    let failed: Vec<_> = failed
        .filter(|check| check.outcome != CheckOutcome::Ok)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    for (subject, said) in [
        ("region", "eu-west-1, from the address"),
        ("endpoint", "from AWS_ENDPOINT_URL"),
        ("credentials", "of AWS_ACCESS_KEY_ID"),
        ("clock", "within"),
        ("service", "takes our credentials"),
        ("access to database#password, database#user", "we may read"),
        ("access to token", "we may read"),
        ("batch", "20 secrets are read in one call"),
    ] {
        let check = only(&found, subject);
        assert!(check.detail.contains(said), "{check:?}");
    }
    let policy = found.providers[0].diagnosis.policy.as_deref().unwrap();
    let policy: Value = serde_json::from_str(policy).unwrap();
    let arn = |at: &str| {
        let prefix = &account.prefix;
        format!("arn:aws:secretsmanager:eu-west-1:*:secret:{prefix}/{at}-??????")
    };
    let read = &policy["Statement"][0];
    assert_eq!(read["Resource"], json!([arn("database"), arn("token")]));
    assert_eq!(
        read["Action"],
        json!([
            "secretsmanager:GetSecretValue",
            "secretsmanager:DescribeSecret"
        ])
    );
    let many = &policy["Statement"][1];
    assert_eq!(many["Action"], "secretsmanager:BatchGetSecretValue");
}

#[tokio::test]
async fn each_secret_that_can_t_be_read_says_why() {
    let Some(account) = Account::new() else {
        return;
    };
    for at in ["there", "deleted"] {
        account.create(at, "value").await;
    }
    account.delete("deleted").await;
    let empty = format!("{}/empty", account.prefix);
    account
        .admin("CreateSecret", json!({ "Name": empty }))
        .await;
    let declared = ["there", "deleted", "never", "empty"];
    let found = examine(&account.address(), account.env(), &declared).await;
    for (at, kind) in [
        ("there", None),
        ("deleted", Some(ErrorKind::Absent)),
        ("never", Some(ErrorKind::Absent)),
        ("empty", Some(ErrorKind::Absent)),
    ] {
        assert_eq!(
            only(&found, &format!("access to {at}")).kind,
            kind,
            "{found:?}"
        );
    }
    let denied = json!({
        "n": 99, "ops": ["GetSecretValue", "BatchGetSecretValue"], "status": 400,
        "type": "AccessDeniedException"
    });
    account.fault(denied).await;
    let found = examine(&account.address(), account.env(), &declared).await;
    let check = only(&found, "access to there");
    assert_eq!(check.kind, Some(ErrorKind::Denied));
    assert!(check.help.contains("doctor --policy"), "{check:?}");
    assert_eq!(only(&found, "batch").outcome, CheckOutcome::Warning);
}

#[tokio::test]
async fn a_key_of_one_s_own_is_in_the_policy() {
    let Some(account) = Account::new() else {
        return;
    };
    let key = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000001";
    let id = format!("{}/a", account.prefix);
    let body = json!({ "Name": id, "SecretString": "value", "KmsKeyId": key });
    account.admin("CreateSecret", body).await;
    let found = examine(&account.address(), account.env(), &["a"]).await;
    let check = only(&found, "access to a");
    assert!(
        check.detail.contains(key) && check.detail.contains("kms:Decrypt"),
        "{check:?}"
    );
    let policy = found.providers[0].diagnosis.policy.as_deref().unwrap();
    let policy: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(policy["Statement"][2]["Resource"], json!([key]));
}

#[tokio::test]
async fn what_stops_all_else_is_said_alone() {
    let Some(account) = Account::new() else {
        return;
    };
    let found = examine("aws:///app", Env::empty(), &["a"]).await;
    assert_eq!(only(&found, "settings").kind, Some(ErrorKind::Config));
    let env = account.env_without_credentials();
    let found = examine(&account.address(), env, &["a"]).await;
    assert_eq!(only(&found, "credentials").kind, Some(ErrorKind::Auth));
    assert!(found.providers[0].diagnosis.policy.is_some());
    let expired = json!({ "n": 99, "status": 400, "type": "ExpiredTokenException" });
    account.fault(expired).await;
    let found = examine(&account.address(), account.env(), &["a"]).await;
    let service = only(&found, "service");
    assert_eq!(service.kind, Some(ErrorKind::Auth));
    assert!(service.help.contains("the session is over"), "{service:?}");
}
