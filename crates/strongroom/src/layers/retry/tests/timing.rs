use super::*;

fn failing(memory: &Memory, times: usize) {
    for _ in 0..times {
        memory.fail_next(Operation::List, Fault::Fail(ErrorKind::Transient));
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_the_last_failure_is_the_answer() {
    let memory = Memory::new();
    failing(&memory, 10);
    let begun = Instant::now();
    let error = retry(memory.clone()).list("").await.unwrap_err();
    assert_eq!(error.to_string(), "the test's script says transient");
    assert_eq!(memory.calls(Operation::List), 4);
    // 100, 200 and 400 ms.
    assert_eq!(begun.elapsed().as_millis(), 700);
}

#[tokio::test(start_paused = true)]
async fn one_attempt_means_no_repetition() {
    let memory = Memory::new();
    failing(&memory, 1);
    let mut provider = retry(memory.clone());
    provider.settings.attempts = NonZeroU32::MIN;
    provider.list("").await.unwrap_err();
    assert_eq!(memory.calls(Operation::List), 1);
}

#[tokio::test(start_paused = true)]
async fn jitter_is_a_part_of_the_longest_pause() {
    for (random, milliseconds) in [
        ((|| Some(0)) as fn() -> Option<u32>, 0),
        (|| Some(u32::MAX / 2), 350),
        (|| Some(u32::MAX), 700),
    ] {
        let memory = Memory::new();
        failing(&memory, 3);
        let mut provider = retry(memory);
        provider.random = random;
        let begun = Instant::now();
        provider.list("").await.unwrap();
        // The clock of tokio counts whole milliseconds, rounded up for each pause.
        let elapsed = begun.elapsed().as_millis();
        assert!(
            (milliseconds..milliseconds + 4).contains(&elapsed),
            "{elapsed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_at_the_deadline() {
    let memory = Memory::new();
    memory.fail_next(Operation::List, Fault::Fail(ErrorKind::Transient));
    memory.fail_next(Operation::List, Fault::Hang);
    let begun = Instant::now();
    let error = retry(memory.clone()).list("").await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(error.to_string(), "no answer within 15s");
    assert!(error.help().unwrap().contains("`retry`"), "{error:?}");
    let story = error.source().unwrap().to_string();
    assert_eq!(story, "the test's script says transient");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_hangs_keeps_what_was_answered() {
    let memory = Memory::new().with("good", "value").with("bad", "value");
    memory.fail_next(Operation::Fetch, Fault::Hang);
    let answers = retry(memory.clone())
        .fetch(&requests(&["good", "bad"]))
        .await;
    for (answer, of) in answers.iter().zip(["good", "bad"]) {
        let error = answer.as_ref().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("secret `{of}`: no answer within 15s")
        );
        assert_eq!(error.kind(), ErrorKind::Transient);
    }

    memory.fail("bad", ErrorKind::Transient);
    let provider = Arc::new(retry(memory.clone()));
    let begun = Instant::now();
    let reading = tokio::spawn({
        let provider = Arc::clone(&provider);
        async move { provider.fetch(&requests(&["good", "bad", "none"])).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    memory.fail_next(Operation::Fetch, Fault::Hang);
    let answers = reading.await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(value_of(&answers[0]), "value");
    let absent = answers[2].as_ref().unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Absent);
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "secret `bad`: no answer within 15s");
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("the test's script")
    );
}

fn busy_for(wait: Duration) -> Error {
    transient("busy").with_retry_after(wait).with_no_effect()
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_backend_asks_for_is_kept() {
    let (answers, asked) = Answers::new(|call, _: &Request| match call {
        1 => Err(busy_for(Duration::from_secs(7))),
        _ => Ok(Reply::Value(Secret::from_text("value"))),
    });
    let begun = Instant::now();
    let found = retry(answers).fetch(&requests(&["a"])).await;
    assert_eq!(value_of(&found[0]), "value");
    assert_eq!(begun.elapsed().as_millis(), 7100);
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_past_the_deadline_ends_the_call_at_once() {
    for (wait, said) in [
        (Duration::from_secs(15), "try again in 15s"),
        (Duration::from_millis(89_001), "try again in 1m 30s"),
        (Duration::MAX, "try again in "),
    ] {
        let (answers, asked) =
            Answers::new(move |_, _: &Request| Err(busy_for(wait).with_help("ask for more quota")));
        let provider = retry(answers);
        let begun = Instant::now();
        let found = provider.fetch(&requests(&["a"])).await;
        let error = found[0].as_ref().unwrap_err();
        assert_eq!(error.retry_after(), Some(wait));
        let help = error.help().unwrap();
        assert!(
            help.starts_with("ask for more quota; ") && help.contains(said),
            "{help}"
        );
        let put = Put::new(target("a"), Secret::from_text("new"));
        let error = provider.put(&put).await.unwrap_err();
        assert!(error.help().unwrap().contains(said), "{error:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_batch_a_long_wait_holds_up_nobody_else() {
    let (answers, asked) =
        Answers::new(
            |call, request: &Request| match request.target.name.as_str() {
                "patient" => Err(busy_for(Duration::from_secs(60))),
                _ if call == 1 => Err(transient("busy")),
                _ => Ok(Reply::Value(Secret::from_text("value"))),
            },
        );
    let begun = Instant::now();
    let found = retry(answers).fetch(&requests(&["patient", "quick"])).await;
    assert!(
        found[0]
            .as_ref()
            .unwrap_err()
            .help()
            .unwrap()
            .contains("1m")
    );
    assert_eq!(value_of(&found[1]), "value");
    assert_eq!(begun.elapsed().as_millis(), 100);
    assert_eq!(asked.lock().unwrap()[1], ["quick"]);
}

proptest! {
    #[test]
    fn no_pause_is_longer_than_the_cap(
        attempts in prop_oneof![0_u32..70, any::<u32>()],
        base in 0_u64..=u64::MAX,
        cap in 0_u64..=u64::MAX,
    ) {
        let settings = Settings {
            base: Duration::from_nanos(base),
            cap: Duration::from_nanos(cap),
            ..Settings::default()
        };
        let pause = settings.longest_pause(attempts);
        prop_assert!(pause <= settings.cap);
        prop_assert!(pause <= settings.longest_pause(attempts.saturating_add(1)));
        let provider = Retry { settings, ..retry(Memory::new()) };
        for random in [|| Some(0), || Some(u32::MAX), crate::random::spread, || None] {
            let provider = Retry { random, inner: Arc::clone(&provider.inner), ..provider };
            let round = provider.round(attempts, Instant::now());
            prop_assert!(round.jitter <= pause, "{:?} {pause:?}", round.jitter);
        }
    }

    #[test]
    fn no_call_outlives_its_deadline_or_has_more_attempts_than_allowed(
        latency in 0_u64..4_000,
        asked in prop::option::of(0_u64..8_000),
        attempts in 1_u32..40,
        deadline in 1_u64..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (answers, calls) = Answers::new(move |_, _: &Request| Err(match asked {
                Some(wait) => busy_for(Duration::from_millis(wait)),
                None => transient("busy"),
            }));
            let mut provider = Retry::new(Arc::new(Slow(answers, latency)), Settings::default());
            provider.settings.attempts = NonZeroU32::new(attempts).unwrap();
            provider.settings.deadline = Duration::from_millis(deadline);
            let begun = Instant::now();
            let found = provider.fetch(&requests(&["a"])).await;
            assert_eq!(found[0].as_ref().unwrap_err().kind(), ErrorKind::Transient);
            assert!(begun.elapsed() <= Duration::from_millis(deadline));
            assert!(calls.lock().unwrap().len() <= attempts as usize);
        });
    }
}

/// Takes so many milliseconds for each call.
#[derive(Debug)]
struct Slow<P>(P, u64);

#[async_trait]
impl<P: SecretProvider> SecretProvider for Slow<P> {
    fn describe(&self) -> Description {
        self.0.describe()
    }
    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        sleep(Duration::from_millis(self.1)).await;
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
}
