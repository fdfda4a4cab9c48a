use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};

use super::*;
use crate::backends::{Fault, Memory, Operation};
use crate::error::ErrorKind;

fn limited(memory: &Memory, concurrency: u32, per_second: u32) -> Arc<Limit> {
    let settings = Settings {
        concurrency: NonZeroU32::new(concurrency).unwrap(),
        per_second: NonZeroU32::new(per_second).unwrap(),
    };
    Arc::new(Limit::new(Arc::new(memory.clone()), settings))
}

/// Begins so many calls at once, and returns when each ended, counted from now.
async fn calls(limit: &Arc<Limit>, count: usize) -> Vec<Duration> {
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..count {
        let limit = Arc::clone(limit);
        running.spawn(async move {
            let _ = limit.list("").await;
            begun.elapsed()
        });
    }
    let mut ends = running.join_all().await;
    ends.sort();
    ends
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_under_way_than_allowed() {
    let memory = Memory::new();
    memory.latency(Duration::from_secs(1));
    let ends = calls(&limited(&memory, 3, 1000), 10).await;
    assert_eq!(memory.most_concurrent(), 3);
    assert_eq!(ends.last().unwrap().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_boot_is_not_slowed_by_the_defaults() {
    let memory = Memory::new();
    let settings = Settings::default();
    let limit = limited(
        &memory,
        settings.concurrency.get(),
        settings.per_second.get(),
    );
    let ends = calls(&limit, 100).await;
    assert_eq!(ends.last(), Some(&Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_call() {
    let memory = Memory::new();
    let limit = limited(&memory, 1, 1);
    let wanted = vec![Request::from(SecretName::from_static("a")); 1000];
    let begun = Instant::now();
    assert_eq!(limit.fetch(&wanted).await.len(), 1000);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_failing_backend_sees_a_bounded_rate() {
    let memory = Memory::new();
    for _ in 0..35 {
        memory.fail_next(Operation::List, Fault::Fail(ErrorKind::Transient));
    }
    let ends = calls(&limited(&memory, 100, 10), 35).await;
    let at_once = ends.iter().filter(|end| end.is_zero()).count();
    assert_eq!(at_once, 10);
    assert_eq!(ends.last().unwrap().as_millis(), 2500);
}

#[tokio::test(start_paused = true)]
async fn what_an_idle_time_saves_up_is_bounded() {
    let memory = Memory::new();
    let limit = limited(&memory, 100, 10);
    advance(Duration::from_secs(3600)).await;
    let ends = calls(&limit, 20).await;
    assert_eq!(ends.iter().filter(|end| end.is_zero()).count(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_place_back() {
    let memory = Memory::new();
    memory.fail_next(Operation::List, Fault::Hang);
    let limit = limited(&memory, 1, 1000);
    timeout(Duration::from_secs(1), limit.list(""))
        .await
        .unwrap_err();
    let begun = Instant::now();
    limit.list("").await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn callers_who_give_up_take_nothing_with_them() {
    let memory = Memory::new();
    let limit = limited(&memory, 1000, 2);
    calls(&limit, 2).await;
    let mut waiting = JoinSet::new();
    for _ in 0..500 {
        let limit = Arc::clone(&limit);
        waiting.spawn(async move { limit.list("").await });
    }
    sleep(Duration::from_millis(1)).await;
    waiting.shutdown().await;
    let begun = Instant::now();
    limit.list("").await.unwrap();
    assert!(
        begun.elapsed() <= Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(memory.calls(Operation::List), 3);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_no_limit() {
    let memory = Memory::new();
    memory.fail_next(Operation::List, Fault::Hang);
    let limit = limited(&memory, 1, 1);
    let hanging = tokio::spawn({
        let limit = Arc::clone(&limit);
        async move { limit.list("").await }
    });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    limit.close().await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    hanging.abort();
}

proptest! {
    /// However calls arrive, no second sees more than what was saved up and what came in it.
    #[test]
    fn the_rate_holds_in_every_second(
        gaps in prop::collection::vec(0_u64..400, 1..80),
        per_second in 1_u32..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let starts = runtime.block_on(async {
            let bucket = Arc::new(Bucket::new(NonZeroU32::new(per_second).unwrap()));
            let mut running = JoinSet::new();
            for gap in gaps {
                sleep(Duration::from_millis(gap)).await;
                let bucket = Arc::clone(&bucket);
                running.spawn(async move {
                    bucket.take().await;
                    Instant::now()
                });
            }
            let mut starts = running.join_all().await;
            starts.sort();
            starts
        });
        for (at, first) in starts.iter().enumerate() {
            let within = |start: &&Instant| start.duration_since(*first) < Duration::from_secs(1);
            let count = starts[at..].iter().filter(within).count();
            prop_assert!(count <= 2 * per_second as usize, "{count} in a second");
        }
    }
}
