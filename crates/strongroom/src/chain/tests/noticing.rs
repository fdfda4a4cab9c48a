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

/// A memory that gives notice a while after the change.
#[derive(Debug)]
struct Settling(Memory);

const STILL: Duration = Duration::from_secs(8);

#[async_trait]
impl SecretProvider for Settling {
    fn describe(&self) -> Description {
        self.0.describe()
    }
    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        self.0.fetch(wanted).await
    }
    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        self.0.put(put).await
    }
    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        self.0.delete(target, expect).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        self.0.list(prefix).await
    }
    async fn health(&self) -> Result<ProviderHealth> {
        self.0.health().await
    }
    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
    async fn changed(&self) -> Result<()> {
        self.0.changed().await?;
        tokio::time::sleep(STILL).await;
        Ok(())
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
async fn a_notice_on_its_way_outlives_the_wait_that_is_given_up() {
    // The member takes the change, and tells of it once all is still.
    let (overlay, settling) = (Memory::new(), Memory::new());
    let members = [
        (
            "overlay".into(),
            Arc::new(overlay.clone()) as Arc<dyn SecretProvider>,
        ),
        ("settling".into(), Arc::new(Settling(settling.clone()))),
    ];
    let chain = Chain::new(members, Vec::new());
    for given_up in [true, false] {
        settling.set("a", Secret::from_text("new"));
        assert!(timeout(STILL / 2, chain.changed()).await.is_err());
        if !given_up {
            overlay.set("a", Secret::from_text("new"));
            timeout(STILL / 4, chain.changed()).await.unwrap().unwrap();
        }
        timeout(LONG, chain.changed()).await.unwrap().unwrap();
        assert!(timeout(LONG, chain.changed()).await.is_err());
    }
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
