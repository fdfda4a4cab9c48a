//! Writes: AWS's limits on our side, comparisons, and answers that get lost.

use serde_json::json;
use strongroom::provider::{Expect, Put, Stage, Target};
use strongroom::{ErrorKind, Result, Secret, SecretProvider, Version};

use super::account::Account;
use super::{get, name};
use crate::proxy::{Mode, Proxy};

async fn put(
    provider: &dyn SecretProvider,
    at: &str,
    value: &str,
    expect: Expect,
) -> Result<Option<Version>> {
    let put = Put::new(Target::new(name(at)), Secret::from_text(value)).with_expect(expect);
    provider.put(&put).await
}

#[tokio::test]
async fn aws_s_own_limits_are_kept_before_anything_is_sent() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    let too_large = "x".repeat(65_537);
    for (value, said) in [("", "no empty value"), (too_large.as_str(), "65537 bytes")] {
        let error = put(&*provider, "a", value, Expect::Any).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(said), "{error}");
    }
    // A field may fit where its document doesn't.
    account
        .create("full", &format!(r#"{{"a": "{}"}}"#, "x".repeat(65_500)))
        .await;
    account.calls().await;
    let error = put(&*provider, "full#b", "more than is left", Expect::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert_eq!(account.calls().await, ["GetSecretValue"]);

    let long = format!("aws://eu-west-1/{}", "p".repeat(400));
    let provider = super::open(&long, account.env()).await.unwrap();
    let error = put(&*provider, &"n".repeat(200), "v", Expect::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("601 characters; 512"), "{error}");
    assert_eq!(account.calls().await, [] as [&str; 0]);
}

#[tokio::test]
async fn addresses_that_aws_could_not_have_are_refused() {
    let Some(account) = Account::new() else {
        return;
    };
    for (address, said) in [
        ("aws://eu-west-1/a b", "what stands before names"),
        ("aws://eu-west-1/a%0ab", "what stands before names"),
        ("aws://eu-west-1/a//b", "what stands before names"),
        ("aws://evil.example/app", "no AWS region"),
        ("aws://EU-WEST-1/app", "no AWS region"),
        ("aws://-x/app", "no AWS region"),
        ("aws:///app", "no AWS region is set"),
        ("aws://eu-west-1/app?recovery_days=6", "from 7 to 30"),
        ("aws://eu-west-1/app?recovery_days=31", "from 7 to 30"),
        ("aws://eu-west-1/app?recovery_days=0", "from 7 to 30"),
    ] {
        let error = super::open(address, account.env()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{address}");
        assert!(error.to_string().contains(said), "{address}: {error}");
    }
}

#[tokio::test]
async fn the_region_comes_from_the_address_then_variables_then_the_profile() {
    let Some(account) = Account::new() else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = "[default]\nregion = eu-north-1\n[profile other]\nregion = eu-south-1\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let env = account.env().with_var("HOME", home.path());
    let shown = async |address: &str, env: strongroom::Env| {
        super::open(address, env).await.unwrap().describe().address
    };
    let both = env
        .clone()
        .with_var("AWS_REGION", "us-east-1")
        .with_var("AWS_DEFAULT_REGION", "x-1");
    assert_eq!(
        shown("aws://eu-west-1/p", both.clone()).await,
        "aws://eu-west-1/p"
    );
    assert_eq!(shown("aws:///p", both.clone()).await, "aws://us-east-1/p");
    assert_eq!(
        shown("aws:///p", both.without_var("AWS_REGION")).await,
        "aws://x-1/p"
    );
    assert_eq!(shown("aws:///p", env.clone()).await, "aws://eu-north-1/p");
    let other = env.clone().with_var("AWS_PROFILE", "other");
    assert_eq!(shown("aws:///p", other).await, "aws://eu-south-1/p");
    let missing = env.with_var("AWS_PROFILE", "missing");
    let error = super::open("aws:///p", missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("no AWS profile `missing`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_plaintext_endpoint_elsewhere_is_refused_in_production() {
    let rails = || strongroom::GuardRails::new(strongroom::Deployment::Production, []);
    let open = async |variable: &str, url: &str| {
        let env = strongroom::Env::empty().with_var(variable, url);
        let connect = strongroom::Connect::new("aws://eu-west-1/p".parse().unwrap(), env, rails());
        let mut rows = strongroom::SecretsFactory::backends().iter();
        rows.find(|row| row.scheme() == "aws")
            .unwrap()
            .open(connect)
            .await
    };
    for variable in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_ENDPOINT_URL_STS",
        "AWS_ENDPOINT_URL_SSO",
        "AWS_ENDPOINT_URL_SSO_OIDC",
    ] {
        let error = open(variable, "http://secrets.internal:1234")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy, "{variable}");
        assert!(error.to_string().contains(variable), "{error}");
        for fine in [
            "http://127.0.0.1:1",
            "http://localhost:1/",
            "https://secrets.internal",
        ] {
            assert!(open(variable, fine).await.is_ok(), "{variable} {fine}");
        }
        for bad in [
            "secrets.internal",
            "ftp://127.0.0.1",
            "http://user@127.0.0.1/",
        ] {
            let error = open(variable, bad).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{variable} {bad}");
        }
    }
}

#[tokio::test]
async fn the_endpoint_of_the_service_beats_the_one_of_all() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "v").await;
    let nobody = "http://127.0.0.1:9";
    let env = account
        .env()
        .with_var("AWS_ENDPOINT_URL", nobody)
        .with_var("AWS_ENDPOINT_URL_SECRETS_MANAGER", &account.endpoint);
    let provider = super::open(&account.address(), env).await.unwrap();
    assert!(get(&*provider, name("a")).await.is_ok());

    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = format!(
        "[default]\nservices = mine\nendpoint_url = {nobody}\n\
         [services mine]\nsecrets_manager =\n  endpoint_url = {}\n",
        account.endpoint
    );
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let env = account
        .env()
        .without_var("AWS_ENDPOINT_URL")
        .with_var("HOME", home.path());
    let provider = super::open(&account.address(), env).await.unwrap();
    assert!(get(&*provider, name("a")).await.is_ok());
}

#[tokio::test]
async fn a_deleted_secret_can_be_brought_back_for_as_long_as_the_address_says() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "first").await;
    let address = format!("{}?recovery_days=9", account.address());
    let provider = super::open(&address, account.env()).await.unwrap();
    provider
        .delete(&Target::new(name("a")), &Expect::Any)
        .await
        .unwrap();
    let id = format!("{}/a", account.prefix);
    let described = account
        .admin("DescribeSecret", json!({ "SecretId": id }))
        .await;
    let deleted = described["DeletedDate"].as_f64().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs_f64();
    let days = (deleted - now) / 86_400.0;
    assert!((8.9..9.1).contains(&days), "{days}");
    provider.restore(&Target::new(name("a"))).await.unwrap();
    assert_eq!(
        get(&*provider, name("a"))
            .await
            .unwrap()
            .expose_str()
            .unwrap(),
        "first"
    );
}

#[tokio::test]
async fn a_write_over_a_deleted_secret_that_fails_leaves_it_deleted() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "first").await;
    account.delete("a").await;
    let provider = account.open().await;
    // The first is refused by the stand-in itself, since the secret is deleted.
    let restored = json!({
        "n": 1, "ops": ["UpdateSecretVersionStage"], "status": 400, "type": "AccessDeniedException"
    });
    account.fault(restored).await;
    let error = put(&*provider, "a", "second", Expect::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let error = get(&*provider, name("a")).await.unwrap_err();
    assert!(
        error.to_string().contains("scheduled for deletion"),
        "{error}"
    );
    put(&*provider, "a", "second", Expect::Absent)
        .await
        .unwrap();
    assert_eq!(
        get(&*provider, name("a"))
            .await
            .unwrap()
            .expose_str()
            .unwrap(),
        "second"
    );
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_happens_once() {
    let Some(account) = Account::new() else {
        return;
    };
    let proxy = Proxy::start(account.endpoint.strip_prefix("http://").unwrap()).await;
    let through = format!("http://{}", proxy.address());
    let env = account.env().with_var("AWS_ENDPOINT_URL", through);
    for (at, first) in [("created", "CreateSecret"), ("there", "PutSecretValue")] {
        if first == "PutSecretValue" {
            account.create(at, "before").await;
        }
        let provider = super::open(&account.address(), env.clone()).await.unwrap();
        account.calls().await;
        let expect = match first {
            "CreateSecret" => Expect::Absent,
            _ => Expect::Any,
        };
        // The request arrives; of the answer one byte does.
        proxy.set(Mode::CutAfter(1));
        let writing = tokio::spawn(async move {
            put(&*provider, at, "written", expect)
                .await
                .map(|version| (provider, version))
        });
        while account.calls().await.is_empty() {
            tokio::task::yield_now().await;
        }
        proxy.set(Mode::Pass);
        let (provider, version) = writing.await.unwrap().unwrap();
        let secret = get(&*provider, name(at)).await.unwrap();
        assert_eq!(secret.metadata().version(), version.as_ref());
        let history = provider.versions(&Target::new(name(at))).await.unwrap();
        assert_eq!(history.len(), if first == "CreateSecret" { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_refused_comparison_leaves_no_label_behind() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    let first = put(&*provider, "a", "first", Expect::Any)
        .await
        .unwrap()
        .unwrap();
    let expect = Expect::Version(first);
    put(&*provider, "a", "second", expect.clone())
        .await
        .unwrap();
    let error = put(&*provider, "a", "third", expect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let id = format!("{}/a", account.prefix);
    let described = account
        .admin("DescribeSecret", json!({ "SecretId": id }))
        .await;
    let labels: Vec<_> = described["VersionIdsToStages"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|labels| labels.as_array().unwrap().clone())
        .collect();
    assert!(
        labels
            .iter()
            .all(|label| label.as_str().unwrap().starts_with("AWS")),
        "{labels:?}"
    );
}

#[tokio::test]
async fn a_pending_value_is_promoted_and_no_longer_pending() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    let target = Target::new(name("a"));
    let pending = Put::new(target.clone(), Secret::from_text("second")).with_stage(Stage::Pending);
    let error = provider.put(&pending).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent, "{error:?}");
    put(&*provider, "a", "first", Expect::Any).await.unwrap();
    let version = provider.put(&pending).await.unwrap().unwrap();
    provider.promote(&target, &version).await.unwrap();
    provider.promote(&target, &version).await.unwrap();
    let at = strongroom::provider::Request::from(name("a")).with_stage(Stage::Pending);
    let error = get(&*provider, at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);
}

#[tokio::test]
async fn a_secret_that_another_tool_created_without_a_value_gets_its_first() {
    let Some(account) = Account::new() else {
        return;
    };
    let provider = account.open().await;
    for (at, expect) in [
        ("a", Expect::Absent),
        ("b#field", Expect::Absent),
        ("c", Expect::Any),
        ("d#field", Expect::Any),
    ] {
        let id = format!("{}/{}", account.prefix, at.trim_end_matches("#field"));
        account.admin("CreateSecret", json!({ "Name": id })).await;
        let error = get(&*provider, name(at)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Absent, "{at}: {error:?}");
        let pending = Put::new(Target::new(name(at)), Secret::from_text("p"));
        let pending = pending.with_stage(Stage::Pending);
        let error = provider.put(&pending).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Absent, "{at}: {error:?}");
        put(&*provider, at, "first", expect).await.unwrap();
        let secret = get(&*provider, name(at)).await.unwrap();
        assert_eq!(secret.expose_str().unwrap(), "first", "{at}");
        let error = put(&*provider, at, "second", Expect::Absent)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{at}: {error:?}");
    }
}

#[tokio::test]
async fn a_promotion_of_one_field_undoes_no_change_of_another() {
    let Some(account) = Account::new() else {
        return;
    };
    account
        .create("db", r#"{"user": "u", "password": "p"}"#)
        .await;
    let provider = account.open().await;
    let target = Target::new(name("db#password"));
    let pending = Put::new(target.clone(), Secret::from_text("p2")).with_stage(Stage::Pending);
    let version = provider.put(&pending).await.unwrap().unwrap();
    put(&*provider, "db#user", "u2", Expect::Any).await.unwrap();
    let error = provider.promote(&target, &version).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    let holds = async |at: &str| {
        let secret = get(&*provider, name(at)).await.unwrap();
        secret.expose_str().unwrap().to_owned()
    };
    assert_eq!(
        (holds("db#user").await, holds("db#password").await),
        ("u2".to_owned(), "p".to_owned())
    );
    let version = provider.put(&pending).await.unwrap().unwrap();
    provider.promote(&target, &version).await.unwrap();
    assert_eq!(
        (holds("db#user").await, holds("db#password").await),
        ("u2".to_owned(), "p2".to_owned())
    );
}
