//! How often the backend is asked, and values that end by themselves.

use super::scripted::Lasting;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_value_that_ends_before_its_time_to_live_is_read_again_before_it_ends() {
    let backend = backend();
    backend.state().lasting = Some(Lasting::For(MINUTE));
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let start = Instant::now();
    while start.elapsed() < 30 * MINUTE {
        advance(Duration::from_secs(1)).await;
        settle().await;
        assert!(live.verify(MONDAY), "after {:?}", start.elapsed());
    }
    let calls = backend.calls();
    assert!(calls < 60, "{calls}");
    secrets.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_over_already_causes_few_calls() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().lasting = Some(Lasting::Over);
    backend.set("api/token", TUESDAY);
    backend.notify();
    settle().await;
    let before = backend.calls();
    let start = Instant::now();
    while start.elapsed() < 2 * MINUTE {
        assert_eq!(value(&secrets, "api/token").await, Err(ErrorKind::Stale));
        sleep(Duration::from_millis(100)).await;
    }
    let calls = backend.calls() - before;
    assert!((3..120).contains(&calls), "{calls}");
    // It is a value again once it lasts longer, though its version is the same.
    backend.state().lasting = Some(Lasting::For(20 * MINUTE));
    pass(2 * MINUTE).await;
    assert_eq!(value(&secrets, "api/token").await.as_deref(), Ok(TUESDAY));
}

#[tokio::test(start_paused = true)]
async fn reports_without_end_cause_a_reading_in_ten_seconds_and_an_event_each() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().latency = Duration::from_millis(200);
    let mut events = secrets.events();
    let before = backend.calls();
    // One is under way already, which no report led to.
    backend.notify();
    settle().await;
    let start = Instant::now();
    let mut reports = tokio::task::JoinSet::new();
    while start.elapsed() < MINUTE {
        for _ in 0..20 {
            let secrets = secrets.clone();
            reports.spawn(async move {
                let used = secrets.get("api/token").await.unwrap();
                secrets.report_rejected(&used).await.is_ok()
            });
        }
        sleep(Duration::from_millis(50)).await;
    }
    while reports.join_next().await.is_some() {}
    let calls = backend.calls() - before;
    assert!((3..=8).contains(&calls), "{calls}");
    let told = so_far(&mut events).await.len();
    assert!((1..=7).contains(&told), "{told}");
    assert_eq!(events.missed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_former_value_leaves_the_memory_when_its_overlap_is_over_though_nothing_can_be_read() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    backend.set("api/token", TUESDAY);
    pass(5 * MINUTE).await;
    let former = Arc::downgrade(&live.previous().unwrap());
    backend.fail(Some(ErrorKind::Transient));
    pass(12 * MINUTE).await;
    assert!(live.verify(TUESDAY));
    assert!(former.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_believed_for_as_long_as_the_manifest_says() {
    for (negative_ttl, most) in [("5s", 13), ("1m", 2), ("10m", 1)] {
        let manifest =
            MANIFEST.replace("ttl = \"5m\"", "ttl = \"5m\"\nnegative_ttl = \"NEGATIVE\"");
        let manifest = manifest.replace("NEGATIVE", negative_ttl);
        let backend = backend();
        let secrets = boot_with(&backend, &manifest).await;
        let before = backend.calls();
        let start = Instant::now();
        while start.elapsed() < MINUTE {
            assert_eq!(value(&secrets, "maybe").await, Err(ErrorKind::Absent));
            sleep(Duration::from_millis(100)).await;
        }
        let calls = backend.calls() - before;
        assert!(
            (most - 1..=most).contains(&calls),
            "{calls} for {negative_ttl}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_asked_for_and_fails_is_read_more_and_more_rarely() {
    let backend = backend();
    let secrets = boot(&backend).await;
    // It says nothing about the provider.
    let malformed = ("maybe".to_owned(), ErrorKind::Malformed);
    backend.state().failing_names.extend([malformed]);
    let start = Instant::now();
    while start.elapsed() < 30 * MINUTE {
        let found = value(&secrets, "maybe").await;
        assert_eq!(found, Err(ErrorKind::Malformed));
        sleep(Duration::from_millis(500)).await;
    }
    let calls = backend.calls();
    assert!(calls < 150, "{calls}");
}

#[tokio::test(start_paused = true)]
async fn however_many_names_are_due_a_provider_that_fails_is_tried_once_a_pause() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let mut handles = Vec::new();
    for number in 0..40 {
        backend.set(&format!("n/{number}"), "value");
        handles.push(secrets.watch(format!("n/{number}")).await.unwrap());
        pass(Duration::from_secs(7)).await;
    }
    backend.fail(Some(ErrorKind::Transient));
    let before = backend.calls();
    for _ in 0..4 * 300 {
        advance(Duration::from_millis(250)).await;
        settle().await;
    }
    let calls = backend.calls() - before;
    assert!((8..40).contains(&calls), "{calls}");
    drop(handles);
}

#[tokio::test(start_paused = true)]
async fn a_value_is_as_old_as_the_beginning_of_its_reading() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    backend.state().latency = Duration::from_secs(50);
    let began = Instant::now();
    secrets.refresh().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(50));
    backend.fail(Some(ErrorKind::Transient));
    pass(59 * MINUTE).await;
    assert!(live.verify(MONDAY));
    pass(Duration::from_secs(11)).await;
    assert!(!live.verify(MONDAY));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_as_old_as_the_beginning_of_the_write() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    backend.state().latency = Duration::from_secs(50);
    let write = {
        let secrets = secrets.clone();
        let tuesday = Secret::from_text(TUESDAY);
        tokio::spawn(async move { secrets.put("api/token", &tuesday, Expect::Any).await })
    };
    sleep(Duration::from_secs(30)).await;
    backend.fail(Some(ErrorKind::Transient));
    write.await.unwrap().unwrap();
    pass(59 * MINUTE).await;
    assert!(live.verify(TUESDAY));
    pass(Duration::from_secs(11)).await;
    assert!(!live.verify(TUESDAY));
}

#[tokio::test(start_paused = true)]
async fn the_same_value_under_another_version_is_no_rotation() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let live = secrets.watch("api/token").await.unwrap();
    let mut changes = live.changes();
    let mut events = live.events();
    let version = backend.set("api/token", MONDAY);
    pass(5 * MINUTE).await;
    let known = live.version().unwrap().unwrap();
    assert_eq!(known.as_str(), version.to_string());
    assert!(timeout(Duration::ZERO, changes.next()).await.is_err());
    assert!(so_far(&mut events).await.is_empty());
    assert!(live.previous().is_none());
}

#[tokio::test(start_paused = true)]
async fn values_that_end_in_no_time_are_read_once_a_second() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().lasting = Some(Lasting::For(Duration::from_millis(300)));
    backend.set("api/token", TUESDAY);
    backend.notify();
    settle().await;
    let before = backend.calls();
    for _ in 0..6_000 {
        advance(Duration::from_millis(10)).await;
        tokio::task::yield_now().await;
    }
    let calls = backend.calls() - before;
    assert!((20..=61).contains(&calls), "{calls}");
    secrets.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_value_is_as_old_as_the_reading_of_the_boot() {
    let backend = backend();
    backend.state().latency = Duration::from_secs(50);
    let secrets = boot(&backend).await;
    backend.fail(Some(ErrorKind::Transient));
    backend.state().latency = Duration::ZERO;
    // It was read 50 s before now.
    pass(59 * MINUTE + Duration::from_secs(20)).await;
    let held = secrets.watch("api/token").await;
    assert!(held.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_ends_keeps_nobody_from_reading() {
    let backend = backend();
    let secrets = boot(&backend).await;
    backend.state().latency = 1_000_000 * MINUTE;
    let start = Instant::now();
    let tuesday = Secret::from_text(TUESDAY);
    let written = secrets.put("api/token", &tuesday, Expect::Any).await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Transient);
    assert!(start.elapsed() < 2 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_write_is_refused_if_another_secret_has_the_value() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let taken = Secret::from_text(MONDAY);
    let written = secrets.put("db#password", &taken, Expect::Any).await;
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Policy);
    let before = value(&secrets, "db#password").await;
    assert_eq!(before.as_deref(), Ok("violet-Kayak-19-thunder"));
    // What it has itself it may be given again.
    secrets.put("api/token", &taken, Expect::Any).await.unwrap();
}
