//! Reads: in how many calls, of what, and what AWS's rules make of them.

use serde_json::json;
use strongroom::provider::{Reply, Request, Stage, Target};
use strongroom::{ErrorKind, SecretName, Version};

use super::account::Account;
use super::{get, name};

fn named(count: usize) -> Vec<SecretName> {
    (0..count).map(|n| name(&format!("service/n{n}"))).collect()
}

async fn filled(count: usize) -> Option<(Account, Vec<SecretName>)> {
    let account = Account::new()?;
    let names = named(count);
    for name in &names {
        account
            .create(name.as_str(), &format!("value of {name}"))
            .await;
    }
    Some((account, names))
}

#[tokio::test]
async fn many_secrets_are_read_20_in_a_call() {
    let Some((account, names)) = filled(45).await else {
        return;
    };
    let provider = account.open().await;
    let requests: Vec<Request> = names.iter().cloned().map(Request::from).collect();
    let answers = provider.fetch(&requests).await;
    for (name, answer) in names.iter().zip(answers) {
        let Ok(Reply::Value(secret)) = answer else {
            panic!("{name}: {answer:?}")
        };
        assert_eq!(secret.expose_str().unwrap(), format!("value of {name}"));
        assert!(secret.metadata().created().is_some());
    }
    assert_eq!(account.calls().await, ["BatchGetSecretValue"; 3]);
}

#[tokio::test]
async fn where_the_batch_is_denied_secrets_are_read_one_by_one() {
    let Some((account, names)) = filled(22).await else {
        return;
    };
    let provider = account.open().await;
    let denied = json!({
        "n": 100, "ops": ["BatchGetSecretValue"], "status": 400, "type": "AccessDeniedException"
    });
    account.fault(denied).await;
    let requests: Vec<Request> = names.iter().cloned().map(Request::from).collect();
    for asked in [2, 0] {
        let answers = provider.fetch(&requests).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let calls = account
            .fault(json!({
                "n": 100, "ops": ["BatchGetSecretValue"], "status": 400,
                "type": "AccessDeniedException"
            }))
            .await;
        let batches = calls.iter().filter(|call| *call == "BatchGetSecretValue");
        // Once it is known, nobody asks again.
        assert_eq!((batches.count(), calls.len()), (asked, 22 + asked));
    }
}

#[tokio::test]
async fn one_secret_is_read_alone_and_its_fields_together() {
    let Some(account) = Account::new() else {
        return;
    };
    account
        .create(
            "database",
            r#"{"user": "u", "password": "p", "port": 5432}"#,
        )
        .await;
    let provider = account.open().await;
    let fields = ["user", "password", "port"].map(|field| name(&format!("database#{field}")));
    let answers = provider.fetch(&fields.clone().map(Request::from)).await;
    let texts = answers.into_iter().map(|answer| match answer.unwrap() {
        Reply::Value(secret) => secret.expose_str().unwrap().to_owned(),
        Reply::Unchanged => panic!("no version was known"),
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["u", "p", "5432"]);
    assert_eq!(account.calls().await, ["GetSecretValue"]);

    let error = get(&*provider, name("database#none")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);
    assert!(
        error.help().unwrap().contains("user, password, port"),
        "{error:?}"
    );
}

#[tokio::test]
async fn that_nothing_changed_is_learned_without_the_value() {
    let Some((account, names)) = filled(2).await else {
        return;
    };
    let provider = account.open().await;
    let mut known = Vec::new();
    for name in &names {
        let secret = get(&*provider, name.clone()).await.unwrap();
        let version = secret.metadata().version().unwrap().clone();
        known.push(Request::from(name.clone()).with_known(version));
    }
    account.calls().await;
    let answers = provider.fetch(&known[..1]).await;
    assert!(matches!(answers[0], Ok(Reply::Unchanged)));
    assert_eq!(account.calls().await, ["DescribeSecret"]);

    let answers = provider.fetch(&known).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(Reply::Unchanged)))
    );
    assert_eq!(account.calls().await, ["BatchGetSecretValue"]);

    account.write("service/n0", "changed").await;
    let answers = provider.fetch(&known[..1]).await;
    let Ok(Reply::Value(secret)) = &answers[0] else {
        panic!("{answers:?}")
    };
    assert_eq!(secret.expose_str().unwrap(), "changed");

    // Who may not describe reads.
    let denied = json!({
        "n": 9, "ops": ["DescribeSecret"], "status": 400, "type": "AccessDeniedException"
    });
    account.fault(denied).await;
    let answers = provider.fetch(&known[1..]).await;
    assert!(matches!(answers[0], Ok(Reply::Unchanged)), "{answers:?}");

    // A service that fails is asked once.
    account.calls().await;
    let failing = json!({ "n": 9, "status": 503, "type": "ServiceUnavailable" });
    account.fault(failing).await;
    let answers = provider.fetch(&known[1..]).await;
    let error = answers[0].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    assert_eq!(account.calls().await, ["DescribeSecret"]);
}

#[tokio::test]
async fn a_batch_answers_for_each_secret_by_itself() {
    let Some((account, mut names)) = filled(3).await else {
        return;
    };
    account.delete("service/n1").await;
    names.push(name("service/never"));
    let provider = account.open().await;
    let requests: Vec<Request> = names.iter().cloned().map(Request::from).collect();
    let answers = provider.fetch(&requests).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    let deleted = answers[1].as_ref().unwrap_err();
    assert_eq!(deleted.kind(), ErrorKind::Absent);
    assert!(
        deleted
            .to_string()
            .contains("scheduled for deletion since 20"),
        "{deleted}"
    );
    assert!(
        deleted.help().unwrap().contains("restore-secret"),
        "{deleted:?}"
    );
    let never = answers[3].as_ref().unwrap_err();
    assert_eq!(never.kind(), ErrorKind::Absent);
    assert!(never.to_string().contains("there is no secret"), "{never}");
    // Alone it is the same.
    let alone = get(&*provider, names[1].clone()).await.unwrap_err();
    assert_eq!(alone.to_string(), deleted.to_string());
}

#[tokio::test]
async fn an_arn_is_an_id_as_it_is_and_without_its_end() {
    let Some(account) = Account::new() else {
        return;
    };
    let arn = account.create("database", r#"{"user": "u"}"#).await;
    account.create("other", "o").await;
    let provider = account.open().await;
    let whole = Target::new(name("mine")).with_id(arn.clone(), None);
    let field = Target::new(name("user")).with_id(arn.clone(), Some("user".to_owned()));
    let by_name = Target::new(name("named")).with_id(format!("{}/other", account.prefix), None);
    let requests = [whole, field, by_name].map(Request::new);
    let answers = provider.fetch(&requests).await;
    let texts = answers.into_iter().map(|answer| match answer.unwrap() {
        Reply::Value(secret) => secret.expose_str().unwrap().to_owned(),
        Reply::Unchanged => panic!("no version was known"),
    });
    assert_eq!(texts.collect::<Vec<_>>(), [r#"{"user": "u"}"#, "u", "o"]);
    let elsewhere = arn.replace("eu-west-1", "us-east-1");
    let no_secret = arn.replace(":secret:", ":key:");
    for bad in [
        "",
        "a b",
        "not:an:arn",
        "a\nb",
        "arn:",
        &elsewhere,
        &no_secret,
    ] {
        let target = Target::new(name("mine")).with_id(bad, None);
        let error = get(&*provider, Request::new(target)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bad:?}: {error:?}");
    }
}

#[tokio::test]
async fn bytes_are_bytes_and_have_no_fields() {
    let Some(account) = Account::new() else {
        return;
    };
    let id = format!("{}/key", account.prefix);
    let binary = json!({ "Name": id, "SecretBinary": "/wCA" });
    account.admin("CreateSecret", binary).await;
    let provider = account.open().await;
    let secret = get(&*provider, name("key")).await.unwrap();
    assert_eq!(secret.expose_bytes(), [0xff, 0, 0x80]);
    let error = get(&*provider, name("key#field")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.to_string().contains("is binary"), "{error}");
}

#[tokio::test]
async fn stages_are_the_labels_of_aws() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "first").await;
    let provider = account.open().await;
    let at = async |stage: Stage| {
        let secret = get(&*provider, Request::from(name("a")).with_stage(stage)).await;
        secret.map(|secret| secret.expose_str().unwrap().to_owned())
    };
    for stage in [Stage::Previous, Stage::Pending] {
        let error = at(stage).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Absent);
        assert!(error.to_string().contains("no such version"), "{error}");
    }
    account.write("a", "second").await;
    assert_eq!(at(Stage::Previous).await.unwrap(), "first");
    assert_eq!(at(Stage::Current).await.unwrap(), "second");
    let id = format!("{}/a", account.prefix);
    let pending = json!({
        "SecretId": id, "SecretString": "third", "VersionStages": ["AWSPENDING"],
        "ClientRequestToken": "00000000-0000-4000-8000-000000000003"
    });
    account.admin("PutSecretValue", pending).await;
    assert_eq!(at(Stage::Pending).await.unwrap(), "third");
    let exactly = Stage::Exact(Version::new("00000000-0000-4000-8000-000000000003"));
    assert_eq!(at(exactly).await.unwrap(), "third");
    for never in ["00000000-0000-4000-8000-000000000009", "1", "../../x"] {
        let error = at(Stage::Exact(Version::new(never))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Absent, "{error:?}");
    }
}

#[tokio::test]
async fn one_secret_by_its_name_and_by_its_arn_answers_both() {
    let Some(account) = Account::new() else {
        return;
    };
    let arn = account.create("a", "value").await;
    let whole = Target::new(name("whole")).with_id(arn.clone(), None);
    let (partial, _) = arn.rsplit_once('-').unwrap();
    let partial = Target::new(name("partial")).with_id(partial, None);
    let provider = account.open().await;
    let requests = [
        Request::from(name("a")),
        Request::new(whole),
        Request::new(partial),
        Request::from(name("a")),
    ];
    for answer in provider.fetch(&requests).await {
        let Ok(Reply::Value(secret)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(secret.expose_str().unwrap(), "value");
    }
}

/// A server that answers as AWS does, in a way that moto can't.
async fn answering(body: serde_json::Value) -> wiremock::MockServer {
    let server = wiremock::MockServer::start().await;
    let answer = wiremock::ResponseTemplate::new(200);
    wiremock::Mock::given(wiremock::matchers::any())
        .respond_with(answer.set_body_raw(body.to_string(), "application/x-amz-json-1.1"))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn an_answer_without_a_value_is_no_value() {
    let Some(account) = Account::new() else {
        return;
    };
    for body in [
        json!({ "Name": "a" }),
        json!({ "Name": "a", "SecretString": "" }),
        json!({ "Name": "a", "SecretBinary": "" }),
    ] {
        let server = answering(body.clone()).await;
        let env = account.env().with_var("AWS_ENDPOINT_URL", server.uri());
        let provider = super::open(&account.address(), env).await.unwrap();
        let error = get(&*provider, name("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{body}: {error:?}");
    }
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_are_not_read_for_ever() {
    use wiremock::matchers::{any, body_string_contains};
    let Some(account) = Account::new() else {
        return;
    };
    let server = wiremock::MockServer::start().await;
    for (at, next) in [(Some("one"), "two"), (Some("two"), "one"), (None, "one")] {
        let answer = json!({
            "SecretList": [], "Versions": [], "SecretValues": [], "Errors": [], "NextToken": next
        });
        let answer = wiremock::ResponseTemplate::new(200)
            .set_body_raw(answer.to_string(), "application/x-amz-json-1.1");
        let mock = match at {
            Some(at) => wiremock::Mock::given(body_string_contains(format!("\"{at}\""))),
            None => wiremock::Mock::given(any()),
        };
        let priority = if at.is_some() { 1 } else { 2 };
        let mock = mock.respond_with(answer).with_priority(priority);
        mock.mount(&server).await;
    }
    let env = account.env().with_var("AWS_ENDPOINT_URL", server.uri());
    let provider = super::open(&account.address(), env).await.unwrap();
    let error = provider.list("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error:?}");
    let error = provider
        .versions(&Target::new(name("a")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error:?}");
    let requests = ["a", "b"].map(|at| Request::from(name(at)));
    for answer in provider.fetch(&requests).await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Malformed);
    }
}
