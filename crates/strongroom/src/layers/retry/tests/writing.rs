use super::*;

const MAY_HAVE: &str = "may have happened";

#[tokio::test(start_paused = true)]
async fn a_write_that_had_no_effect_is_tried_again() {
    let memory = Memory::new().with("a", "old");
    let provider = retry(memory.clone());
    let writes = [
        Operation::Put,
        Operation::Delete,
        Operation::Restore,
        Operation::Promote,
    ];
    for operation in writes {
        memory.fail_next(operation, Fault::Fail(ErrorKind::Transient));
    }
    let first = provider.versions(&target("a")).await.unwrap()[0]
        .version
        .clone();
    let put = Put::new(target("a"), Secret::from_text("new"))
        .with_expect(Expect::Version(first))
        .with_stage(Stage::Pending);
    let version = provider.put(&put).await.unwrap().unwrap();
    provider.promote(&target("a"), &version).await.unwrap();
    provider.delete(&target("a"), &Expect::Any).await.unwrap();
    provider.restore(&target("a")).await.unwrap();
    for operation in writes {
        assert_eq!(memory.calls(operation), 2, "{operation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_not_repeated() {
    let memory = Memory::new();
    let provider = retry(memory.clone());
    memory.fail_next(Operation::Put, Fault::LoseAnswer(ErrorKind::Transient));
    let put = Put::new(target("a"), Secret::from_text("new")).with_expect(Expect::Absent);
    // Repeated, it would be in conflict with itself.
    let error = provider.put(&put).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert_eq!(error.name(), Some(&name("a")));
    assert!(error.help().unwrap().contains(MAY_HAVE), "{error:?}");
    assert_eq!(memory.calls(Operation::Put), 1);
    assert_eq!(provider.versions(&target("a")).await.unwrap().len(), 1);

    memory.fail_next(Operation::Delete, Fault::LoseAnswer(ErrorKind::Transient));
    let error = provider
        .delete(&target("a"), &Expect::Any)
        .await
        .unwrap_err();
    assert!(error.help().unwrap().contains(MAY_HAVE), "{error:?}");
    assert_eq!(memory.calls(Operation::Delete), 1);

    memory.fail_next(Operation::Restore, Fault::LoseAnswer(ErrorKind::Transient));
    let error = provider.restore(&target("a")).await.unwrap_err();
    assert!(error.help().unwrap().contains(MAY_HAVE), "{error:?}");
    assert_eq!(memory.calls(Operation::Restore), 1);

    let pending = Put::new(target("a"), Secret::from_text("newer")).with_stage(Stage::Pending);
    let version = provider.put(&pending).await.unwrap().unwrap();
    memory.fail_next(Operation::Promote, Fault::LoseAnswer(ErrorKind::Transient));
    let error = provider.promote(&target("a"), &version).await.unwrap_err();
    assert!(error.help().unwrap().contains(MAY_HAVE), "{error:?}");
    assert_eq!(memory.calls(Operation::Promote), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_lost_in_a_later_attempt_ends_the_attempts() {
    let memory = Memory::new();
    memory.fail_next(Operation::Put, Fault::Fail(ErrorKind::Transient));
    memory.fail_next(Operation::Put, Fault::LoseAnswer(ErrorKind::Transient));
    let put = Put::new(target("a"), Secret::from_text("new"));
    let error = retry(memory.clone()).put(&put).await.unwrap_err();
    assert!(error.help().unwrap().contains(MAY_HAVE), "{error:?}");
    assert_eq!(memory.calls(Operation::Put), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_had_an_effect_does_not_say_that_it_may() {
    let memory = Memory::new();
    for _ in 0..4 {
        memory.fail_next(Operation::Put, Fault::Fail(ErrorKind::Transient));
    }
    let put = Put::new(target("a"), Secret::from_text("new"));
    let error = retry(memory.clone()).put(&put).await.unwrap_err();
    assert_eq!(memory.calls(Operation::Put), 4);
    assert!(error.had_no_effect());
    assert_eq!(error.help(), None);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_ends_at_the_deadline_and_says_that_it_may_have_happened() {
    let memory = Memory::new();
    memory.fail_next(Operation::Put, Fault::Hang);
    let put = Put::new(target("db/password"), Secret::from_text("canary"));
    let begun = Instant::now();
    let error = retry(memory.clone()).put(&put).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(
        error.to_string(),
        "secret `db/password`: no answer within 15s"
    );
    assert!(!error.had_no_effect());
    assert!(error.help().unwrap().contains(MAY_HAVE), "{error:?}");
    assert_eq!(memory.calls(Operation::Put), 1);
}
