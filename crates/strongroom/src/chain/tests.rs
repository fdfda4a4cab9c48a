use std::time::Duration;

use super::*;
use crate::backends::{Fault, Memory, Operation};
use crate::conformance::{self, Harness};
use crate::provider::Stage;
use crate::secret::Secret;

mod conforming;
mod noticing;
mod writing;

/// Two memories and the chain of them.
struct Two {
    overlay: Memory,
    base: Memory,
    chain: Chain,
}

fn two(overlay: Memory, base: Memory, declared: &[&str]) -> Two {
    let member = |name: &str, memory: &Memory| {
        let provider: Arc<dyn SecretProvider> = Arc::new(memory.clone());
        (name.to_owned(), provider)
    };
    let members = [member("overlay", &overlay), member("base", &base)];
    let declared = declared.iter().map(|text| target(text)).collect();
    Two {
        chain: Chain::new(members, declared),
        overlay,
        base,
    }
}

fn target(name: &str) -> Target {
    Target::new(name.parse().unwrap())
}

fn request(name: &str) -> Request {
    Request::new(target(name))
}

fn value(reply: Result<Reply>) -> Result<String> {
    match reply? {
        Reply::Value(secret) => Ok(secret.expose_str().unwrap().to_owned()),
        Reply::Unchanged => panic!("nothing was known"),
    }
}

impl Two {
    async fn read_all(&self, names: &[&str]) -> Vec<Result<String>> {
        let wanted: Vec<_> = names.iter().map(|name| request(name)).collect();
        let replies = self.chain.fetch(&wanted).await.into_iter();
        replies.map(value).collect()
    }

    async fn read(&self, name: &str) -> Result<String> {
        self.read_all(&[name]).await.remove(0)
    }

    async fn kind(&self, name: &str) -> ErrorKind {
        self.read(name).await.unwrap_err().kind()
    }
}

#[tokio::test]
async fn absence_falls_through_in_one_call_to_each() {
    let overlay = Memory::new().with("a", "overlay a");
    let base = ["a", "b", "c"]
        .iter()
        .fold(Memory::new(), |memory, name| memory.with(*name, "base"));
    let two = two(overlay, base, &[]);
    let read = two.read_all(&["c", "a", "nowhere", "b", "a"]).await;
    let values: Vec<_> = read.iter().map(|read| read.as_deref().ok()).collect();
    let (overlay, base) = (Some("overlay a"), Some("base"));
    assert_eq!(values, [base, overlay, None, base, overlay]);
    for memory in [&two.overlay, &two.base] {
        assert_eq!(memory.calls(Operation::Fetch), 1);
    }
    let error = read[2].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);
    assert_eq!(error.name().unwrap().as_str(), "nowhere");
    let told = error.to_string();
    assert!(
        told.contains("overlay: ") && told.contains("; base: "),
        "{told}"
    );
}

#[tokio::test]
async fn an_error_never_falls_through() {
    let kinds = [
        ErrorKind::Denied,
        ErrorKind::Auth,
        ErrorKind::Malformed,
        ErrorKind::Transient,
        ErrorKind::Policy,
        ErrorKind::Integrity,
        ErrorKind::Config,
        ErrorKind::Unsupported,
        ErrorKind::Closed,
    ];
    for kind in kinds {
        let two = two(Memory::new(), Memory::new().with("a", "base"), &[]);
        two.overlay.fail("a", kind);
        assert_eq!(two.kind("a").await, kind);
        two.overlay.heal("a");
        two.overlay.fail_next(Operation::Fetch, Fault::Fail(kind));
        assert_eq!(two.kind("a").await, kind);
        assert_eq!(two.base.calls(Operation::Fetch), 0);
        // Nothing was fixed by it.
        assert_eq!(two.read("a").await.unwrap(), "base");
    }
}

#[tokio::test]
async fn the_first_that_answers_is_asked_from_then_on() {
    let two = two(Memory::new(), Memory::new().with("a", "base"), &[]);
    assert_eq!(two.read("a").await.unwrap(), "base");
    assert_eq!(
        two.chain.describe_for(&target("a")).unwrap().scheme,
        "memory"
    );
    two.overlay.set("a", Secret::from_text("overlay"));
    let asked = two.overlay.calls(Operation::Fetch);
    assert_eq!(two.read("a").await.unwrap(), "base");
    assert_eq!(two.overlay.calls(Operation::Fetch), asked);

    two.base.remove("a");
    let error = two.read("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);
    assert!(
        error.help().unwrap().contains("`base` answers"),
        "{error:?}"
    );
    assert_eq!(two.overlay.calls(Operation::Fetch), asked);
}

#[tokio::test]
async fn absence_everywhere_fixes_nothing() {
    let two = two(Memory::new(), Memory::new(), &[]);
    assert_eq!(two.kind("a").await, ErrorKind::Absent);
    assert!(two.chain.describe_for(&target("a")).is_none());
    two.overlay.set("a", Secret::from_text("overlay"));
    assert_eq!(two.read("a").await.unwrap(), "overlay");
}

const USER: &str = r#"{"user": "overlay"}"#;
const BOTH: &str = r#"{"user": "base", "password": "base"}"#;

#[tokio::test]
async fn fields_of_one_document_come_from_one_member() {
    let fresh = || {
        two(
            Memory::new().with("db", USER),
            Memory::new().with("db", BOTH),
            &[],
        )
    };
    let two = fresh();
    let read = two.read_all(&["db#password", "db#user"]).await;
    assert_eq!(read[1].as_deref().unwrap(), "overlay");
    let error = read[0].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Absent);
    assert!(
        error.help().unwrap().contains("answers for all of `db`"),
        "{error:?}"
    );
    assert_eq!(two.base.calls(Operation::Fetch), 0);

    // One after the other, too, by whatever is read first.
    let two = fresh();
    assert_eq!(two.read("db#password").await.unwrap(), "base");
    assert_eq!(two.read("db#user").await.unwrap(), "base");

    let two = fresh();
    let by_id = |field: &str| Request::new(target("x").with_id("db", Some(field.to_owned())));
    let read = two.chain.fetch(&[by_id("user"), by_id("password")]).await;
    assert!(read[0].is_ok() && read[1].is_err());
    assert_eq!(two.base.calls(Operation::Fetch), 0);
}

#[tokio::test]
async fn what_is_declared_of_a_document_decides_with_it() {
    let declared = ["db#user", "db#password"];
    let two = two(
        Memory::new().with("db", USER),
        Memory::new().with("db", BOTH),
        &declared,
    );
    assert_eq!(two.kind("db#password").await, ErrorKind::Absent);
    assert_eq!(two.read("db#user").await.unwrap(), "overlay");
    assert_eq!(two.base.calls(Operation::Fetch), 0);
}

#[tokio::test]
async fn a_field_that_fails_keeps_the_others_from_falling_through() {
    let two = two(Memory::new(), Memory::new().with("db", BOTH), &[]);
    two.overlay.fail("db#user", ErrorKind::Denied);
    for read in two.read_all(&["db#password", "db#user"]).await {
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Denied);
    }
    assert_eq!(two.base.calls(Operation::Fetch), 0);
    assert!(two.chain.describe_for(&target("db")).is_none());
}

#[tokio::test]
async fn a_known_version_is_for_the_fixed_member() {
    let two = two(
        Memory::new().with("a", "overlay"),
        Memory::new().with("a", "base"),
        &[],
    );
    let Reply::Value(secret) = two.base.fetch(&[request("a")]).await.remove(0).unwrap() else {
        panic!("nothing was known");
    };
    // Both memories count from one, so that their versions are the same.
    let version = secret.metadata().version().unwrap().clone();
    let known = || request("a").with_known(version.clone());
    assert!(matches!(
        two.overlay.fetch(&[known()]).await[0],
        Ok(Reply::Unchanged)
    ));
    let first = two.chain.fetch(&[known()]).await.remove(0);
    assert_eq!(value(first).unwrap(), "overlay");
    assert!(matches!(
        two.chain.fetch(&[known()]).await[0],
        Ok(Reply::Unchanged)
    ));
}

#[tokio::test]
async fn another_stage_is_of_the_member_that_has_the_current_value() {
    let two = two(
        Memory::new().with("a", "overlay"),
        Memory::new().with("a", "base 1"),
        &[],
    );
    two.base.set("a", Secret::from_text("base 2"));
    let previous = || request("a").with_stage(Stage::Previous);
    let reply = two.chain.fetch(&[previous()]).await.remove(0);
    assert_eq!(value(reply).unwrap_err().kind(), ErrorKind::Absent);
    two.overlay.set("a", Secret::from_text("overlay 2"));
    let reply = two.chain.fetch(&[previous()]).await.remove(0);
    assert_eq!(value(reply).unwrap(), "overlay");
}

#[tokio::test(start_paused = true)]
async fn two_searches_at_one_time_agree() {
    let two = two(Memory::new(), Memory::new().with("a", "base"), &[]);
    two.base.latency(Duration::from_secs(1));
    let late = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        two.overlay.set("a", Secret::from_text("overlay"));
        two.read("a").await.unwrap()
    };
    let (first, second) = tokio::join!(two.read("a"), late);
    assert_eq!(
        (first.unwrap().as_str(), second.as_str()),
        ("overlay", "overlay")
    );
}

#[tokio::test]
async fn a_batch_that_is_not_answered_is_no_absence() {
    let two = two(Memory::new(), Memory::new().with("a", "base"), &[]);
    let mute: Arc<dyn SecretProvider> = Arc::new(noticing::Mute::default());
    let base: Arc<dyn SecretProvider> = Arc::new(two.base.clone());
    let chain = Chain::new([("mute".into(), mute), ("base".into(), base)], Vec::new());
    let reply = chain.fetch(&[request("a")]).await.remove(0);
    assert_eq!(value(reply).unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(two.base.calls(Operation::Fetch), 0);
}
