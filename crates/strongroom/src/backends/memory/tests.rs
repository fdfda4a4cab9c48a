use std::time::SystemTime;

use super::*;
use crate::name::SecretName;
use crate::provider::{Expect, Put, Reply, Request, Stage};

const NAME: SecretName = SecretName::from_static("database/password");

fn target() -> Target {
    Target::new(NAME)
}

async fn read(memory: &Memory, request: Request) -> Result<Secret> {
    match memory.fetch(&[request]).await.remove(0)? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => panic!("no version was known"),
    }
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.map(|_| ()).unwrap_err().kind()
}

#[tokio::test]
async fn fields_come_from_the_json_object_unless_an_entry_has_the_whole_name() {
    let document = r#"{"user": "a\u00e9\n", "port": 5432.0, "tags": [1, 2]}"#;
    let memory = Memory::new()
        .with("db", document)
        .with("db#own", "entry")
        .with("text", "canary");
    for (name, value) in [
        ("db#user", "aé\n"),
        ("db#port", "5432.0"),
        ("db#tags", "[1, 2]"),
        ("db#own", "entry"),
        ("db", document),
    ] {
        let name = SecretName::parse(name).unwrap();
        let secret = read(&memory, name.into()).await.unwrap();
        assert_eq!(secret.expose_str().unwrap(), value);
    }
    let missing = read(&memory, SecretName::from_static("db#none").into()).await;
    assert_eq!(kind(missing), ErrorKind::Absent);
    let error = read(&memory, SecretName::from_static("text#a").into()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");

    let field = Target::new(SecretName::from_static("db#user"));
    let put = Put::new(field.clone(), Secret::from_text("x"));
    assert_eq!(kind(memory.put(&put).await), ErrorKind::Unsupported);
    let deleted = memory.delete(&field, &Expect::Any).await;
    assert_eq!(kind(deleted), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_id_need_not_be_a_name() {
    let memory = Memory::new().with("rds!db-1", r#"{"password": "p"}"#);
    let target = target().with_id("rds!db-1", Some("password".into()));
    let secret = read(&memory, Request::new(target)).await.unwrap();
    assert_eq!(secret.expose_str().unwrap(), "p");
    assert_eq!(secret.metadata().name(), Some(&NAME));
    assert_eq!(memory.list("").await.unwrap(), []);
}

#[tokio::test]
async fn stages_follow_promotion() {
    let memory = Memory::new().with(NAME.as_str(), "one");
    let pending = Put::new(target(), Secret::from_text("two")).with_stage(Stage::Pending);
    let two = memory.put(&pending).await.unwrap().unwrap();
    let at = async |stage: Stage| {
        let request = Request::new(target()).with_stage(stage);
        let secret = read(&memory, request).await.ok()?;
        Some(secret.expose_str().unwrap().to_owned())
    };
    assert_eq!(at(Stage::Current).await.as_deref(), Some("one"));
    assert_eq!(at(Stage::Pending).await.as_deref(), Some("two"));
    assert_eq!(at(Stage::Previous).await, None);

    memory.promote(&target(), &two).await.unwrap();
    assert_eq!(at(Stage::Current).await.as_deref(), Some("two"));
    assert_eq!(at(Stage::Previous).await.as_deref(), Some("one"));
    assert_eq!(at(Stage::Pending).await, None);
    let unknown = memory.promote(&target(), &Version::new("99")).await;
    assert_eq!(kind(unknown), ErrorKind::Absent);
}

#[tokio::test]
async fn faults_hit_one_call_each_in_order() {
    let memory = Memory::new().with(NAME.as_str(), "one");
    memory.fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Denied));
    memory.fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Transient));
    for wanted in [ErrorKind::Denied, ErrorKind::Transient] {
        assert_eq!(kind(read(&memory, NAME.into()).await), wanted);
    }
    read(&memory, NAME.into()).await.unwrap();
    assert_eq!(memory.calls(Operation::Fetch), 3);
    assert_eq!(memory.calls(Operation::Put), 0);
}

#[tokio::test]
async fn one_name_fails_alone_until_it_heals() {
    let memory = Memory::new()
        .with(NAME.as_str(), "one")
        .with("other", "two");
    memory.fail("other", ErrorKind::Denied);
    let wanted = [NAME.into(), SecretName::from_static("other").into()];
    let answers = memory.fetch(&wanted).await;
    assert!(answers[0].is_ok());
    assert_eq!(
        kind(answers[1].as_ref().map_err(|e| Error::new(e.kind(), ""))),
        ErrorKind::Denied
    );
    memory.heal("other");
    assert!(memory.fetch(&wanted).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_write_done() {
    let memory = Memory::new();
    memory.fail_next(Operation::Put, Fault::LoseAnswer(ErrorKind::Transient));
    let put = Put::new(target(), Secret::from_text("one"));
    assert_eq!(kind(memory.put(&put).await), ErrorKind::Transient);
    assert!(read(&memory, NAME.into()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn latency_and_hanging_follow_tokios_clock() {
    let memory = Memory::new().with(NAME.as_str(), "one");
    memory.latency(Duration::from_secs(3));
    let begun = tokio::time::Instant::now();
    let (a, b) = tokio::join!(read(&memory, NAME.into()), read(&memory, NAME.into()));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(memory.most_concurrent(), 2);

    memory.fail_next(Operation::Fetch, Fault::Hang);
    let hanging = read(&memory, NAME.into());
    let cut = tokio::time::timeout(Duration::from_secs(3600), hanging).await;
    assert!(cut.is_err());
    memory.latency(Duration::ZERO);
    read(&memory, NAME.into()).await.unwrap();
    assert_eq!(memory.most_concurrent(), 2);
}

#[tokio::test]
async fn a_change_between_two_calls_of_changed_is_not_lost() {
    let memory = Memory::new();
    memory.set(NAME.as_str(), Secret::from_text("one"));
    memory.changed().await.unwrap();
    let watcher = memory.clone();
    let waiting = tokio::spawn(async move { watcher.changed().await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert!(memory.remove(NAME.as_str()));
    waiting.await.unwrap().unwrap();
    assert!(!memory.remove(NAME.as_str()));
}

#[tokio::test]
async fn closing_ends_changed_and_empties_it_for_every_clone() {
    let memory = Memory::new().with(NAME.as_str(), "one");
    let watcher = memory.clone();
    let waiting = tokio::spawn(async move { watcher.changed().await });
    tokio::task::yield_now().await;
    memory.clone().close().await.unwrap();
    assert_eq!(kind(waiting.await.unwrap()), ErrorKind::Closed);
    assert_eq!(kind(memory.changed().await), ErrorKind::Closed);
    assert!(memory.set(NAME.as_str(), Secret::from_text("x")).is_none());
}

#[tokio::test]
async fn an_expiry_is_handed_out_with_the_value() {
    let expires = SystemTime::now();
    let secret = Secret::from_text("one");
    let metadata = crate::Metadata::new().with_expires(expires);
    let memory = Memory::new();
    memory.set(NAME.as_str(), secret.with_metadata(metadata));
    let read = read(&memory, NAME.into()).await.unwrap();
    assert_eq!(read.metadata().expires(), Some(expires));
}

#[test]
fn the_address_has_no_more_parts() {
    use crate::env::{Deployment, Env};
    use crate::rails::GuardRails;
    let open_at = |url: &str| {
        let rails = GuardRails::new(Deployment::Test, []);
        open(&Connect::new(url.parse().unwrap(), Env::empty(), rails))
    };
    assert!(open_at("memory:").is_ok());
    for url in ["memory:x", "memory://host/"] {
        assert_eq!(kind(open_at(url)), ErrorKind::Config, "{url}");
    }
}
