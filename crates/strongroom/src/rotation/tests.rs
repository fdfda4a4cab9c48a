//! The sequence on memory, which has stages, and on memory that hides them.

use async_trait::async_trait;

use super::*;
use crate::declared::{Encoding, Kind};
use crate::env::Env;
use crate::provider::{Description, Expect, ProviderHealth, Put, Reply, Request, VersionInfo};
use crate::{Fault, Memory, Operation, SecretsFactory};

const NAME: SecretName = SecretName::from_static("db/password");
const OTHER: SecretName = SecretName::from_static("db/other");
const FORMER: &str = "what-was-in-force-4711";
const GIVEN: &str = "vR7-quiet-harbour-lamp-93";

/// Memory as a backend without stages and, where it is bare, without versions and previous values.
#[derive(Debug)]
struct Stageless {
    memory: Memory,
    bare: bool,
}

impl Stageless {
    fn check(stage: &Stage) -> Result<()> {
        match stage {
            Stage::Pending => Err(Error::new(ErrorKind::Unsupported, "no stages")),
            _ => Ok(()),
        }
    }

    async fn answer(&self, request: &Request) -> Result<Reply> {
        Self::check(&request.stage)?;
        if self.bare && request.stage != Stage::Current {
            return Err(Error::new(ErrorKind::Unsupported, "the current one only"));
        }
        let reply = self
            .memory
            .fetch(std::slice::from_ref(request))
            .await
            .remove(0)?;
        Ok(match reply {
            Reply::Value(secret) if self.bare => {
                Reply::Value(secret.with_metadata(crate::Metadata::new()))
            }
            reply => reply,
        })
    }
}

#[async_trait]
impl SecretProvider for Stageless {
    fn describe(&self) -> Description {
        Description::new("stageless", "stageless:", true)
    }
    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let mut answers = Vec::new();
        for request in wanted {
            answers.push(self.answer(request).await);
        }
        answers
    }
    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        Self::check(&put.stage)?;
        let version = self.memory.put(put).await?;
        Ok(version.filter(|_| !self.bare))
    }
    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        self.memory.delete(target, expect).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.memory.list(prefix).await
    }
    async fn health(&self) -> Result<ProviderHealth> {
        self.memory.health().await
    }
    async fn close(&self) -> Result<()> {
        self.memory.close().await
    }
    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        self.memory.versions(target).await
    }
}

fn memory() -> Memory {
    Memory::new()
        .with(NAME.as_str(), FORMER)
        .with(OTHER.as_str(), GIVEN)
}

fn declared() -> Declared {
    Declared::new(NAME, Kind::Password)
}

async fn connect(provider: impl SecretProvider + 'static, declared: Vec<Declared>) -> Connection {
    let builder = SecretsFactory::builder()
        .env(Env::empty())
        .declare(declared);
    builder.provider(provider).connect().await.unwrap()
}

async fn staged(memory: &Memory) -> Rotation {
    let connection = connect(memory.clone(), vec![declared()]).await;
    connection.rotation(&NAME).await.unwrap()
}

async fn replacing(memory: &Memory, bare: bool) -> Rotation {
    let memory = memory.clone();
    let connection = connect(Stageless { memory, bare }, vec![declared()]).await;
    connection.rotation(&NAME).await.unwrap()
}

async fn at(memory: &Memory, stage: Stage) -> Result<Secret> {
    let request = Request::from(NAME).with_stage(stage);
    match memory.fetch(&[request]).await.remove(0)? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => panic!("no version was known"),
    }
}

#[track_caller]
fn is(secret: Result<Secret>, value: impl AsRef<[u8]>) {
    assert!(secret.unwrap().verify(value), "another value");
}

#[tokio::test]
async fn with_stages_the_new_value_waits_until_it_is_completed() {
    let memory = memory();
    let rotation = staged(&memory).await;
    assert_eq!(rotation.method(), Method::Staged);
    let begun = rotation.begin(None).await.unwrap();
    is(at(&memory, Stage::Current).await, FORMER);
    let new = begun.value().clone();
    is(at(&memory, Stage::Pending).await, new.expose_bytes());
    let done = begun.complete().await.unwrap();
    is(at(&memory, Stage::Current).await, new.expose_bytes());
    is(at(&memory, Stage::Previous).await, FORMER);
    assert_eq!(done.version.as_ref(), begun.version());
    assert_eq!(
        done.previous.unwrap().version.as_ref(),
        begun.rotation().former()
    );
    // Again is fine.
    begun.complete().await.unwrap();
}

#[tokio::test]
async fn without_stages_the_new_value_is_in_force_and_an_undo_writes_the_former_back() {
    for bare in [false, true] {
        let memory = memory();
        let rotation = replacing(&memory, bare).await;
        assert_eq!(rotation.method(), Method::Replacing);
        let begun = rotation.begin(None).await.unwrap();
        is(
            at(&memory, Stage::Current).await,
            begun.value().expose_bytes(),
        );
        assert_eq!(begun.version().is_some(), !bare);
        let done = begun.complete().await.unwrap();
        assert_eq!(done.previous.is_some(), !bare);
        assert!(
            matches!(begun.undo().await.unwrap(), Undone::Restored(version) if version.is_some() != bare)
        );
        is(at(&memory, Stage::Current).await, FORMER);
        begun.undo().await.unwrap();
        let error = begun.complete().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient, "{error}");
    }
}

#[tokio::test]
async fn an_undo_with_stages_discards_what_is_pending() {
    let memory = memory();
    let begun = staged(&memory).await.begin(None).await.unwrap();
    assert_eq!(begun.undo().await.unwrap(), Undone::Discarded);
    is(at(&memory, Stage::Current).await, FORMER);
    let pending = at(&memory, Stage::Pending).await.unwrap_err();
    assert_eq!(pending.kind(), ErrorKind::Absent);
    // It was put in force, and whoever completed never learned so.
    let begun = staged(&memory).await.begin(None).await.unwrap();
    let former = begun.rotation().former().cloned();
    begun.complete().await.unwrap();
    assert_eq!(begun.undo().await.unwrap(), Undone::Restored(former));
    is(at(&memory, Stage::Current).await, FORMER);
}

#[tokio::test]
async fn whoever_wrote_meanwhile_is_not_overwritten() {
    const THEIRS: &str = "written by somebody else";
    for staged_too in [true, false] {
        let memory = memory();
        let rotation = match staged_too {
            true => staged(&memory).await,
            false => replacing(&memory, false).await,
        };
        let begun = rotation.clone().begin(None).await.unwrap();
        memory.set(NAME.as_str(), Secret::from_text(THEIRS));
        let error = begun.complete().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("db/password"), "{error}");
        is(at(&memory, Stage::Current).await, THEIRS);
        if staged_too {
            is(
                at(&memory, Stage::Pending).await,
                begun.value().expose_bytes(),
            );
            begun.undo().await.unwrap();
        } else {
            let error = begun.undo().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        }
        is(at(&memory, Stage::Current).await, THEIRS);
        // What was looked at before is not what is there.
        let error = rotation.begin(None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        is(at(&memory, Stage::Current).await, THEIRS);
    }
}

#[tokio::test]
async fn an_undo_finds_a_deleted_secret_in_conflict() {
    let memory = memory();
    let begun = replacing(&memory, false).await.begin(None).await.unwrap();
    memory.remove(NAME.as_str());
    let error = begun.undo().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[tokio::test]
async fn an_interrupted_rotation_is_resumed_or_aborted() {
    let memory = memory();
    let begun = staged(&memory).await.begin(None).await.unwrap();
    let (value, version) = (begun.value().clone(), begun.version().cloned());
    drop(begun);

    let rotation = staged(&memory).await;
    assert_eq!(rotation.pending(), version.as_ref());
    let error = rotation.clone().begin(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let help = error.help().unwrap();
    assert!(
        help.contains("--resume") && help.contains("--abort"),
        "{help}"
    );

    let resumed = rotation.resume().await.unwrap();
    assert!(resumed.value().verify(value.expose_bytes()));
    resumed.complete().await.unwrap();
    is(at(&memory, Stage::Current).await, value.expose_bytes());

    let error = staged(&memory).await.resume().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent, "{error}");
    let begun = staged(&memory).await.begin(None).await.unwrap();
    assert_eq!(
        staged(&memory).await.abort().await.ok().as_ref(),
        begun.version()
    );
    is(at(&memory, Stage::Current).await, value.expose_bytes());
    let error = staged(&memory).await.abort().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent, "{error}");
}

#[tokio::test]
async fn without_stages_nothing_is_pending_and_the_state_is_said() {
    let memory = memory();
    drop(replacing(&memory, false).await.begin(None).await.unwrap());
    for outcome in [
        replacing(&memory, false).await.resume().await.map(drop),
        replacing(&memory, false).await.abort().await.map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("version 3 is in force"), "{text}");
        assert!(
            text.contains("version 1 is kept as the previous one"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn lost_answers_are_found_out() {
    let lost = || Fault::LoseAnswer(ErrorKind::Transient);
    let memory = memory();
    memory.fail_next(Operation::Put, lost());
    let begun = staged(&memory).await.begin(None).await.unwrap();
    assert_eq!(begun.version().unwrap().as_str(), "3");
    memory.fail_next(Operation::Promote, lost());
    begun.complete().await.unwrap();
    is(
        at(&memory, Stage::Current).await,
        begun.value().expose_bytes(),
    );

    let begun = staged(&memory).await.begin(None).await.unwrap();
    memory.fail_next(Operation::Discard, lost());
    assert_eq!(begun.undo().await.unwrap(), Undone::Discarded);

    memory.fail_next(Operation::Put, lost());
    let begun = replacing(&memory, false).await.begin(None).await.unwrap();
    memory.fail_next(Operation::Put, lost());
    begun.undo().await.unwrap();
}

#[tokio::test]
async fn failures_leave_what_was() {
    let memory = memory();
    let fail = || Fault::Fail(ErrorKind::Denied);
    memory.fail_next(Operation::Put, fail());
    let error = staged(&memory).await.begin(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let begun = staged(&memory).await.begin(None).await.unwrap();
    memory.fail_next(Operation::Promote, fail());
    assert_eq!(
        begun.complete().await.unwrap_err().kind(),
        ErrorKind::Denied
    );
    is(at(&memory, Stage::Current).await, FORMER);
    memory.fail_next(Operation::Discard, fail());
    assert_eq!(begun.undo().await.unwrap_err().kind(), ErrorKind::Denied);
    is(
        at(&memory, Stage::Pending).await,
        begun.value().expose_bytes(),
    );
    // A write that may still arrive is no rotation that began, and no clean failure.
    begun.undo().await.unwrap();
    let late = staged(&memory).await;
    memory.fail_next(Operation::Put, Fault::Fail(ErrorKind::Transient));
    assert_eq!(
        late.begin(None).await.unwrap_err().kind(),
        ErrorKind::Transient
    );
}

#[tokio::test]
async fn a_given_value_is_judged_before_it_is_written() {
    let memory = memory();
    let other = Declared::new(OTHER, Kind::Password);
    let connection = connect(memory.clone(), vec![declared(), other]).await;
    for (value, said) in [
        (FORMER, "in force already"),
        ("hunter2", "too-short"),
        (GIVEN, "duplicate-value"),
    ] {
        let rotation = connection.rotation(&NAME).await.unwrap();
        let value = Secret::from_text(value);
        let checked = rotation.check(Some(&value)).await.unwrap_err();
        let error = rotation.begin(Some(&value)).await.unwrap_err();
        for error in [checked, error] {
            assert_eq!(error.kind(), ErrorKind::Policy);
            assert!(format!("{error:?}").contains(said), "{error:?}");
        }
    }
    assert_eq!(memory.calls(Operation::Put), 0);
    // What can't be read can't be told apart.
    memory.fail(OTHER.as_str(), ErrorKind::Denied);
    let value = Secret::from_text("another-lamp-2-the-harbour-side");
    let rotation = connection.rotation(&NAME).await.unwrap();
    let error = rotation.clone().begin(Some(&value)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("`db/other`"), "{error}");
    // A generated one needs no comparison.
    rotation
        .clone()
        .begin(None)
        .await
        .unwrap()
        .undo()
        .await
        .unwrap();
    memory.heal(OTHER.as_str());
    let begun = rotation.begin(Some(&value)).await.unwrap();
    is(at(&memory, Stage::Pending).await, value.expose_bytes());
    assert!(begun.value().verify(value.expose_bytes()));
}

#[tokio::test]
async fn a_weak_pending_value_is_not_resumed() {
    let memory = memory();
    let put = Put::new(Target::new(NAME), Secret::from_text("hunter2")).with_stage(Stage::Pending);
    memory.put(&put).await.unwrap();
    let error = staged(&memory).await.resume().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    staged(&memory).await.abort().await.unwrap();
}

#[tokio::test]
async fn keys_are_stored_in_their_encoding() {
    let memory = Memory::new().with(NAME.as_str(), "00".repeat(32));
    let key = Declared::new(NAME, Kind::Key).with_encoding(Encoding::Hex);
    let connection = connect(memory.clone(), vec![key]).await;
    let rotation = connection.rotation(&NAME).await.unwrap();
    let begun = rotation.begin(None).await.unwrap();
    assert_eq!(begun.value().len(), 32);
    begun.complete().await.unwrap();
    is(
        at(&memory, Stage::Current).await,
        base16ct::lower::encode_string(begun.value().expose_bytes()),
    );
    // Upper case is the same key.
    let upper = at(&memory, Stage::Current).await.unwrap();
    let upper = upper.expose_str().unwrap().to_uppercase();
    memory.set(NAME.as_str(), Secret::from_text(upper));
    let rotation = connection.rotation(&NAME).await.unwrap();
    let error = rotation.begin(Some(begun.value())).await.unwrap_err();
    assert!(error.to_string().contains("in force already"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_rotated_says_why() {
    let source = crate::DeclaredSource::of_id("database/creds/app", None).with_lease();
    let lent = Declared::new(OTHER, Kind::Password).with_source(source);
    let connection = connect(Memory::new(), vec![declared(), lent]).await;
    let undeclared = SecretName::from_static("not/declared");
    for (name, kind) in [
        (&NAME, ErrorKind::Absent),
        (&OTHER, ErrorKind::Unsupported),
        (&undeclared, ErrorKind::Config),
    ] {
        let error = connection.rotation(name).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(name.as_str()), "{error}");
    }
    let opaque = Declared::new(NAME, Kind::Opaque);
    let connection = connect(memory(), vec![opaque]).await;
    let rotation = connection.rotation(&NAME).await.unwrap();
    assert_eq!(
        rotation.check(None).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    let error = rotation.begin(None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn an_overlap_is_promised_or_nothing_is_written() {
    let memory = memory();
    let hour = Duration::from_secs(3600);
    let error = staged(&memory)
        .await
        .with_overlap(hour)
        .begin(None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(at(&memory, Stage::Pending).await.is_err());
    let begun = replacing(&memory, false)
        .await
        .with_overlap(hour)
        .begin(None)
        .await
        .unwrap();
    let until = begun.complete().await.unwrap().previous.unwrap().until;
    let left = until.unwrap().duration_since(SystemTime::now()).unwrap();
    assert!(left <= hour && left > hour / 2, "{left:?}");
}

#[tokio::test]
async fn no_value_is_shown() {
    let memory = memory();
    let begun = staged(&memory).await.begin(None).await.unwrap();
    let shown = format!("{begun:?} {:?}", staged(&memory).await);
    let new = begun.value().expose_str().unwrap();
    assert!(!shown.contains(new) && !shown.contains(FORMER), "{shown}");
}
