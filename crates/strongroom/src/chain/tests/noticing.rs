//! Notices, health, description and the end.

use super::*;
use tokio::time::timeout;

/// Answers nothing, gives notice once and then no more, and is not quite well.
#[derive(Debug, Default)]
pub(super) struct Mute {
    noticed: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl SecretProvider for Mute {
    fn describe(&self) -> Description {
        Description::new("mute", "mute:", false)
    }
    async fn fetch(&self, _: &[Request]) -> Vec<Result<Reply>> {
        Vec::new()
    }
    async fn put(&self, _: &Put) -> Result<Option<Version>> {
        Err(Error::new(ErrorKind::Unsupported, "mute"))
    }
    async fn delete(&self, _: &Target, _: &Expect) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "mute"))
    }
    async fn list(&self, _: &str) -> Result<Vec<SecretName>> {
        Ok(Vec::new())
    }
    async fn health(&self) -> Result<ProviderHealth> {
        Ok(ProviderHealth::ready().with_reason("it says nothing"))
    }
    async fn close(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Transient, "it doesn't say goodbye"))
    }
    async fn changed(&self) -> Result<()> {
        match self
            .noticed
            .swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::Unsupported, "no more notices")),
        }
    }
}

fn beside_mute(memory: &Memory) -> Chain {
    let mute: Arc<dyn SecretProvider> = Arc::new(Mute::default());
    let memory: Arc<dyn SecretProvider> = Arc::new(memory.clone());
    Chain::new(
        [("mute".into(), mute), ("memory".into(), memory)],
        Vec::new(),
    )
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn each_members_notice_is_one_and_none_is_lost() {
    let two = two(Memory::new(), Memory::new(), &[]);
    let quiet = async || timeout(LONG, two.chain.changed()).await.is_err();
    assert!(quiet().await);
    for memory in [&two.overlay, &two.base] {
        memory.set("a", Secret::from_text("new"));
        two.chain.changed().await.unwrap();
        assert!(quiet().await);
    }
    // While nobody waits, after a wait that was given up.
    two.base.set("a", Secret::from_text("newer"));
    two.overlay.set("a", Secret::from_text("newer"));
    timeout(LONG, two.chain.changed()).await.unwrap().unwrap();
    // While somebody waits.
    let write = async {
        tokio::time::sleep(LONG / 2).await;
        two.base.set("a", Secret::from_text("newest"));
    };
    let (noticed, ()) = tokio::join!(timeout(LONG, two.chain.changed()), write);
    noticed.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_notice_outlives_the_wait_of_another_member() {
    // The memory hands its notice to the one who waits; that wait must not be thrown away.
    let memory = Memory::new();
    let chain = beside_mute(&memory);
    chain.changed().await.unwrap();
    assert!(timeout(LONG, chain.changed()).await.is_err());
    memory.set("a", Secret::from_text("new"));
    assert!(timeout(LONG, chain.changed()).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_gives_no_more_notice_is_left_out_and_the_last_one_says_so() {
    let memory = Memory::new();
    let chain = beside_mute(&memory);
    chain.changed().await.unwrap();
    // Mute has ended; the memory goes on.
    assert!(timeout(LONG, chain.changed()).await.is_err());
    memory.set("a", Secret::from_text("new"));
    chain.changed().await.unwrap();
    memory.close().await.unwrap();
    let last = timeout(LONG, chain.changed()).await.unwrap().unwrap_err();
    assert_eq!(last.kind(), ErrorKind::Closed);
    assert!(timeout(LONG, chain.changed()).await.is_err(), "it spins");
}

#[tokio::test]
async fn health_names_the_member_and_fails_with_any() {
    let memory = Memory::new();
    let chain = beside_mute(&memory);
    assert_eq!(
        chain.health().await.unwrap().degraded,
        ["mute: it says nothing"]
    );
    memory.fail_next(Operation::Health, Fault::Fail(ErrorKind::Auth));
    assert_eq!(chain.health().await.unwrap_err().kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn closing_closes_all_and_tells_of_the_first_error() {
    let memory = Memory::new();
    let chain = beside_mute(&memory);
    assert_eq!(
        chain.close().await.unwrap_err().kind(),
        ErrorKind::Transient
    );
    assert_eq!(memory.list("").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn the_description_is_the_chains() {
    let chain = beside_mute(&Memory::new());
    let described = chain.describe();
    assert_eq!(described.scheme, "chain");
    assert_eq!(described.address, "chain:mute,memory");
    assert!(described.writable);
    let mute = || Arc::new(Mute::default()) as Arc<dyn SecretProvider>;
    let chain = Chain::new([("a".into(), mute()), ("b".into(), mute())], Vec::new());
    assert!(!chain.describe().writable);
}
