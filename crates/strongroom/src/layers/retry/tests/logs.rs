use super::*;
use crate::logged::Log;

#[tokio::test(start_paused = true)]
async fn each_repetition_is_logged_without_a_value() {
    let log = Log::start();
    let memory = Memory::new().with("a", "canary").with("b", "canary");
    let provider = retry(memory.clone());
    memory.fail_next(Operation::Put, Fault::Fail(ErrorKind::Transient));
    let put = Put::new(target("a"), Secret::from_text("canary"));
    provider.put(&put).await.unwrap();
    memory.fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Transient));
    provider.fetch(&requests(&["a", "b"])).await;
    memory.fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Absent));
    provider.fetch(&requests(&["a"])).await;
    let text = log.text();
    let [put, fetch] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    for said in [
        "WARN",
        "operation=\"put\"",
        "kind=transient",
        "attempt=1",
        "delay=100ms",
        "secret=a",
    ] {
        assert!(put.contains(said), "{said}: {put}");
    }
    assert!(
        fetch.contains("requests=2") && !fetch.contains("secret="),
        "{fetch}"
    );
    assert!(!text.contains("canary"), "{text}");
}
