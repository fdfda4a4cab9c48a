//! Writes and histories are of the member that answers; lists are of all.

use super::*;
use crate::name::SecretName;

fn put(name: &str, value: &str) -> Put {
    Put::new(target(name), Secret::from_text(value))
}

async fn held(memory: &Memory, name: &str) -> Option<String> {
    let reply = memory.fetch(&[request(name)]).await.remove(0);
    value(reply).ok()
}

#[tokio::test]
async fn a_write_goes_to_the_member_that_answers() {
    let two = two(Memory::new(), Memory::new().with("a", "old"), &[]);
    two.chain.put(&put("a", "new")).await.unwrap();
    assert_eq!(held(&two.base, "a").await.as_deref(), Some("new"));
    assert_eq!(held(&two.overlay, "a").await, None);
    two.chain.delete(&target("a"), &Expect::Any).await.unwrap();
    assert_eq!(held(&two.base, "a").await, None);
    // It stays with the member that it was of.
    two.chain.put(&put("a", "again")).await.unwrap();
    assert_eq!(held(&two.base, "a").await.as_deref(), Some("again"));
}

#[tokio::test]
async fn what_is_nowhere_goes_to_the_first_that_can_be_written() {
    let both = two(Memory::new(), Memory::new(), &[]);
    both.chain.put(&put("a", "new")).await.unwrap();
    assert_eq!(held(&both.overlay, "a").await.as_deref(), Some("new"));
    assert_eq!(both.read("a").await.unwrap(), "new");
    let nowhere = both.chain.delete(&target("b"), &Expect::Any).await;
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::Absent);

    let base = Memory::new();
    let read_only: Arc<dyn SecretProvider> = Arc::new(ReadOnly);
    let members = [
        ("first".into(), read_only),
        (
            "base".into(),
            Arc::new(base.clone()) as Arc<dyn SecretProvider>,
        ),
    ];
    let chain = Chain::new(members, Vec::new());
    chain.put(&put("a", "new")).await.unwrap();
    assert_eq!(held(&base, "a").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn nothing_is_written_where_nobody_knows_who_answers() {
    let two = two(Memory::new(), Memory::new().with("a", "old"), &[]);
    two.overlay
        .fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Transient));
    let error = two.chain.put(&put("a", "new")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.had_no_effect());
    two.overlay
        .fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Denied));
    let error = two
        .chain
        .delete(&target("a"), &Expect::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(two.overlay.calls(Operation::Put), 0);
    assert_eq!(held(&two.base, "a").await.as_deref(), Some("old"));
}

#[tokio::test]
async fn a_pending_value_and_a_history_are_found_again() {
    let two = two(Memory::new(), Memory::new().with("a", "first"), &[]);
    let pending = put("a", "second").with_stage(Stage::Pending);
    let version = two.chain.put(&pending).await.unwrap().unwrap();
    two.chain.promote(&target("a"), &version).await.unwrap();
    assert_eq!(two.read("a").await.unwrap(), "second");
    assert_eq!(
        two.chain.versions(&target("a")).await.unwrap()[0].version,
        version
    );
    assert_eq!(two.overlay.calls(Operation::Promote), 0);
}

#[tokio::test]
async fn what_is_deleted_is_restored_where_its_history_is() {
    // As another process left it: nothing is fixed.
    let two = two(Memory::new(), Memory::new().with("a", "value"), &[]);
    two.base.delete(&target("a"), &Expect::Any).await.unwrap();
    assert_eq!(two.kind("a").await, ErrorKind::Absent);
    two.chain.restore(&target("a")).await.unwrap();
    assert_eq!(two.read("a").await.unwrap(), "value");

    two.overlay
        .fail_next(Operation::Restore, Fault::Fail(ErrorKind::Denied));
    let denied = two.chain.restore(&target("b")).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn the_list_is_of_all_and_once() {
    let two = two(
        Memory::new().with("b", "overlay").with("d", "overlay"),
        Memory::new()
            .with("a", "base")
            .with("b", "base")
            .with("c", "base"),
        &[],
    );
    let list = async || {
        let names = two.chain.list("").await.unwrap();
        names.iter().map(SecretName::to_string).collect::<Vec<_>>()
    };
    assert_eq!(list().await, ["a", "b", "c", "d"]);
    two.read("b").await.unwrap();
    two.chain.delete(&target("b"), &Expect::Any).await.unwrap();
    // Its member has it no more, and no other member is asked for it.
    assert_eq!(list().await, ["a", "c", "d"]);
    two.base
        .fail_next(Operation::List, Fault::Fail(ErrorKind::Transient));
    assert!(two.chain.list("").await.unwrap_err().is_retryable());
}

/// Holds nothing, and can't be written.
#[derive(Debug)]
struct ReadOnly;

#[async_trait]
impl SecretProvider for ReadOnly {
    fn describe(&self) -> Description {
        Description::new("fixed", "fixed:", false)
    }
    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let absent = |_| Err(Error::new(ErrorKind::Absent, "it holds nothing"));
        wanted.iter().map(absent).collect()
    }
    async fn put(&self, _: &Put) -> Result<Option<Version>> {
        Err(Error::new(ErrorKind::Unsupported, "read-only"))
    }
    async fn delete(&self, _: &Target, _: &Expect) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "read-only"))
    }
    async fn list(&self, _: &str) -> Result<Vec<SecretName>> {
        Ok(Vec::new())
    }
    async fn health(&self) -> Result<ProviderHealth> {
        Ok(ProviderHealth::ready())
    }
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
