//! Processes that hang, flood, fork and die.

use std::time::Duration;

use super::*;
use crate::provider::{Expect, Stage};

/// Reports whether a process runs: one that nobody has reaped yet does not.
fn runs(id: &str) -> bool {
    match fs::read_to_string(format!("/proc/{id}/stat")) {
        // The state follows the name, which is in parentheses.
        Ok(stat) => {
            !matches!(stat.rsplit_once(") "), Some((_, rest)) if rest.starts_with(['Z', 'X']))
        }
        Err(_) => false,
    }
}

/// Waits for a process that was killed: the kernel takes a moment.
async fn ends(id: &str) {
    while runs(id) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn hanging(fixture: &Fixture, trap: &str) -> String {
    let dir = fixture.dir.path().display();
    format!(
        "{GOOD}{trap}\nsleep 1000 &\necho $! > {dir}/child\necho $$ > {dir}/self\nwait\nsleep 1000\n"
    )
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_its_whole_group() {
    for trap in ["", "trap '' TERM"] {
        let fixture = Fixture::new("");
        fixture.install(&hanging(&fixture, trap));
        let provider = fixture.open("?timeout=400ms").await;
        let shown = refused(read(&*provider).await, ErrorKind::Transient);
        assert!(shown.contains("within 400ms"), "{shown}");
        for name in ["self", "child"] {
            ends(&fixture.read(name).await).await;
        }
        // A write may have happened: it is not to be repeated.
        let error = put(&*provider, Secret::from_text("x")).await.unwrap_err();
        assert!(error.is_retryable() && !error.had_no_effect());
    }
}

#[tokio::test]
async fn a_program_that_is_late_may_tidy_up_first() {
    let fixture = Fixture::new("");
    let dir = fixture.dir.path().display().to_string();
    fixture.install(&format!(
        "{GOOD}trap 'echo tidy > {dir}/tidied; exit' TERM\nsleep 1000 &\nwait\n"
    ));
    let provider = fixture.open("?timeout=400ms").await;
    refused(read(&*provider).await, ErrorKind::Transient);
    assert_eq!(fixture.read("tidied").await, "tidy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_waits_for_ends_its_processes() {
    let fixture = Fixture::new("");
    fixture.install(&hanging(&fixture, "trap '' TERM"));
    let provider = fixture.open("?timeout=5m").await;
    let call = tokio::spawn({
        let provider = Arc::clone(&provider);
        async move { read(&*provider).await }
    });
    let ids = [fixture.read("self").await, fixture.read("child").await];
    assert!(ids.iter().all(|id| runs(id)));
    call.abort();
    for id in &ids {
        ends(id).await;
    }
    // And the provider goes on.
    fixture.install(&format!("{GOOD}{ANSWER}"));
    assert_eq!(
        read(&*provider).await.unwrap().expose_bytes(),
        b"value of a"
    );
}

#[test]
fn a_runtime_that_shuts_down_ends_the_processes() {
    let fixture = Fixture::new("");
    fixture.install(&hanging(&fixture, "trap '' TERM"));
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let one = runtime();
    let ids = one.block_on(async {
        let provider = fixture.open("?timeout=5m").await;
        tokio::spawn(async move { read(&*provider).await });
        [fixture.read("self").await, fixture.read("child").await]
    });
    // Returns only when no thread is left that waits.
    drop(one);
    runtime().block_on(async {
        for id in &ids {
            ends(id).await;
        }
    });
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_is_not_waited_for_and_does_not_stay() {
    let fixture = Fixture::new("");
    let dir = fixture.dir.path().display().to_string();
    fixture.install(&format!(
        "{GOOD}sleep 1000 &\necho $! > {dir}/child\n{ANSWER}"
    ));
    let provider = fixture.open("?timeout=5m").await;
    assert_eq!(
        read(&*provider).await.unwrap().expose_bytes(),
        b"value of a"
    );
    ends(&fixture.read("child").await).await;
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_shows_nowhere() {
    for (body, what) in [
        (format!("exec yes {CANARY}\n"), "more than 8 MiB"),
        (
            format!("exec yes {CANARY} >&2\n"),
            "flooded its standard error",
        ),
    ] {
        let fixture = Fixture::new(&body);
        let provider = fixture.open("?timeout=5m").await;
        let shown = refused(read(&*provider).await, ErrorKind::Malformed);
        assert!(shown.contains(what), "{shown}");
    }
}

#[tokio::test]
async fn standard_error_is_counted_and_never_shown() {
    let fixture = Fixture::new(&format!("echo {CANARY} >&2\nexit 3\n"));
    let provider = fixture.open("").await;
    let shown = refused(read(&*provider).await, ErrorKind::Transient);
    assert!(
        shown.contains("code 3") && shown.contains("16 bytes"),
        "{shown}"
    );
    // It is no failure either.
    fixture.install(&format!("{GOOD}echo {CANARY} >&2\n{ANSWER}"));
    read(&*provider).await.unwrap();
}

#[tokio::test]
async fn the_code_of_the_end_decides_the_kind() {
    let fixture = Fixture::new("");
    let provider = fixture.open("").await;
    for (end, kind) in [
        ("exit 1", ErrorKind::Transient),
        ("exit 64", ErrorKind::Unsupported),
        ("exit 65", ErrorKind::Malformed),
        ("exit 69", ErrorKind::Transient),
        ("exit 75", ErrorKind::Transient),
        ("exit 77", ErrorKind::Denied),
        ("exit 78", ErrorKind::Config),
        ("exit 127", ErrorKind::Config),
        ("kill -KILL $$", ErrorKind::Transient),
        ("kill -SEGV $$", ErrorKind::Transient),
    ] {
        // What it answered before counts for nothing.
        fixture.install(&format!("{GOOD}{ANSWER}echo {CANARY}\n{end}\n"));
        refused(read(&*provider).await, kind);
    }
}

#[tokio::test]
async fn a_program_that_does_not_read_its_request_is_not_waited_for() {
    let fixture = Fixture::new("");
    let provider = fixture.open("?timeout=5m").await;
    // Larger than a pipe holds: six bytes for each.
    let large = || Secret::from_text("\u{1}".repeat(crate::MAX_VALUE_BYTES));
    let answer = r#"echo '{"protocol":1,"version":"2"}'"#;
    for script in [
        format!("#!/bin/sh\n{answer}\n"),
        format!("#!/bin/sh\nexec <&-\nsleep 0.1\n{answer}\n"),
        format!("#!/bin/sh\nread -r line <&0\n{answer}\n"),
    ] {
        fixture.install(&script);
        let version = put(&*provider, large()).await.unwrap();
        assert_eq!(version.unwrap().as_str(), "2");
    }
    fixture.install("#!/bin/sh\nexit 7\n");
    refused(put(&*provider, large()).await, ErrorKind::Transient);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_at_a_time_are_a_few_processes() {
    let fixture = Fixture::new("");
    let dir = fixture.dir.path().display().to_string();
    fixture.install(&format!(
        "{GOOD}mkdir {dir}/run.$$\nls -d {dir}/run.* | wc -l >> {dir}/counts\nsleep 0.02\nrmdir {dir}/run.$$\n{ANSWER}"
    ));
    let provider = fixture.open("?timeout=5m").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let provider = Arc::clone(&provider);
        calls.spawn(async move { read(&*provider).await.unwrap() });
    }
    assert_eq!(calls.join_all().await.len(), 100);
    let counts = fixture.read("counts").await;
    let counts: Vec<u32> = counts
        .lines()
        .map(|line| line.trim().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), 100);
    assert!(
        counts.iter().all(|count| (1..=8).contains(count)),
        "{counts:?}"
    );
}

#[tokio::test]
async fn what_a_program_can_not_do_is_refused_without_starting_it() {
    let fixture = Fixture::new("");
    let provider = fixture.open("").await;
    fixture.install("#!/bin/sh\nexit 1\n");
    let target = Target::new(A);
    let version = crate::Version::new("1");
    refused(provider.versions(&target).await, ErrorKind::Unsupported);
    refused(
        provider.promote(&target, &version).await,
        ErrorKind::Unsupported,
    );
    let pending = Request::from(A).with_stage(Stage::Pending);
    let answer = provider.fetch(&[pending]).await.remove(0);
    refused(answer, ErrorKind::Unsupported);
    let large = Secret::from_text(CANARY.repeat(crate::MAX_VALUE_BYTES));
    refused(put(&*provider, large).await, ErrorKind::Malformed);
    refused(
        provider.delete(&target, &Expect::Any).await,
        ErrorKind::Transient,
    );
    provider.close().await.unwrap();
    refused(provider.list("").await, ErrorKind::Closed);
}
