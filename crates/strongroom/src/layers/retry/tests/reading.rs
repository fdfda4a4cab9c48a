use super::*;

const OTHER_KINDS: [ErrorKind; 11] = [
    ErrorKind::Absent,
    ErrorKind::Denied,
    ErrorKind::Auth,
    ErrorKind::Malformed,
    ErrorKind::Stale,
    ErrorKind::Conflict,
    ErrorKind::Policy,
    ErrorKind::Integrity,
    ErrorKind::Config,
    ErrorKind::Unsupported,
    ErrorKind::Closed,
];

#[tokio::test(start_paused = true)]
async fn every_read_is_tried_again() {
    let memory = Memory::new().with("a", "value");
    let provider = retry(memory.clone());
    let operations = [
        Operation::Fetch,
        Operation::List,
        Operation::Health,
        Operation::Versions,
    ];
    for operation in operations {
        memory.fail_next(operation, Fault::Fail(ErrorKind::Transient));
        memory.fail_next(operation, Fault::LoseAnswer(ErrorKind::Transient));
    }
    assert_eq!(
        value_of(&provider.fetch(&requests(&["a"])).await[0]),
        "value"
    );
    assert_eq!(provider.list("").await.unwrap(), [name("a")]);
    provider.health().await.unwrap();
    assert_eq!(provider.versions(&target("a")).await.unwrap().len(), 1);
    for operation in operations {
        assert_eq!(memory.calls(operation), 3, "{operation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_failure_is_tried_again() {
    for kind in OTHER_KINDS {
        let memory = Memory::new().with("a", "value");
        let provider = retry(memory.clone());
        memory.fail_next(Operation::Fetch, Fault::Fail(kind));
        memory.fail_next(Operation::List, Fault::Fail(kind));
        memory.fail_next(Operation::Put, Fault::Fail(kind));
        let begun = Instant::now();
        let answers = provider.fetch(&requests(&["a"])).await;
        assert_eq!(answers[0].as_ref().unwrap_err().kind(), kind);
        assert_eq!(provider.list("").await.unwrap_err().kind(), kind);
        let put = Put::new(target("a"), Secret::from_text("new"));
        assert_eq!(provider.put(&put).await.unwrap_err().kind(), kind);
        for operation in [Operation::Fetch, Operation::List, Operation::Put] {
            assert_eq!(memory.calls(operation), 1, "{kind}");
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_batch_is_one_call() {
    let memory = Memory::new().with("a", "1").with("b", "2");
    let answers = retry(memory.clone()).fetch(&requests(&["b", "a"])).await;
    assert_eq!([value_of(&answers[0]), value_of(&answers[1])], ["2", "1"]);
    assert_eq!(memory.calls(Operation::Fetch), 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_only_what_failed_is_tried_again_and_the_order_is_kept() {
    let (answers, asked) =
        Answers::new(
            |call, request: &Request| match request.target.name.as_str() {
                "denied" => Err(Error::new(ErrorKind::Denied, "no")),
                "once" if call < 2 => Err(transient("busy")),
                "twice" if call < 3 => Err(transient("busy")),
                "always" => Err(transient("busy")),
                name => Ok(Reply::Value(Secret::from_text(format!("{name} {call}")))),
            },
        );
    let wanted = requests(&["twice", "good", "always", "denied", "once"]);
    let found = retry(answers).fetch(&wanted).await;
    assert_eq!(value_of(&found[0]), "twice 3");
    assert_eq!(value_of(&found[1]), "good 1");
    assert_eq!(found[2].as_ref().unwrap_err().to_string(), "busy");
    assert_eq!(found[3].as_ref().unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(value_of(&found[4]), "once 2");
    let expected: [&[&str]; 4] = [
        &["twice", "good", "always", "denied", "once"],
        &["twice", "always", "once"],
        &["twice", "always"],
        &["always"],
    ];
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn one_document_is_never_answered_from_two_versions() {
    // The document changes between the calls; its password fails in the first one.
    let (answers, asked) =
        Answers::new(
            |call, request: &Request| match request.target.name.field() {
                Some("password") if call == 1 => Err(transient("busy")),
                Some("missing") => Err(Error::new(ErrorKind::Absent, "no such key")),
                _ => Ok(Reply::Value(Secret::from_text(format!("version {call}")))),
            },
        );
    let names = ["db#user", "db#password", "other#user", "db#missing"];
    let found = retry(answers).fetch(&requests(&names)).await;
    assert_eq!(value_of(&found[0]), "version 2");
    assert_eq!(value_of(&found[1]), "version 2");
    assert_eq!(value_of(&found[2]), "version 1");
    assert_eq!(asked.lock().unwrap()[1], ["db#user", "db#password"]);
}

#[tokio::test(start_paused = true)]
async fn the_backends_own_id_is_a_document_too() {
    let (answers, asked) =
        Answers::new(
            |call, request: &Request| match request.target.field.as_deref() {
                Some("password") if call == 1 => Err(transient("busy")),
                _ => Ok(Reply::Value(Secret::from_text(format!("version {call}")))),
            },
        );
    let of = |text: &str, field: &str| {
        Request::new(target(text).with_id("rds!db-1", Some(field.to_owned())))
    };
    let found = retry(answers)
        .fetch(&[of("a", "user"), of("b", "password")])
        .await;
    assert_eq!([value_of(&found[0]), value_of(&found[1])], ["version 2"; 2]);
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_passes_through_passes_through() {
    let memory = Memory::new();
    let provider = retry(memory.clone());
    assert_eq!(provider.describe().address, "memory:");
    memory.set("a", Secret::from_text("1"));
    provider.changed().await.unwrap();
    memory.fail_next(Operation::Close, Fault::Fail(ErrorKind::Transient));
    assert_eq!(
        provider.close().await.unwrap_err().kind(),
        ErrorKind::Transient
    );
    assert_eq!(memory.calls(Operation::Close), 1);
}
