use std::io::Write;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn each_repetition_is_logged_without_a_value() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let memory = Memory::new().with("a", "canary").with("b", "canary");
    let provider = retry(memory.clone());
    memory.fail_next(Operation::Put, Fault::Fail(ErrorKind::Transient));
    let put = Put::new(target("a"), Secret::from_text("canary"));
    provider.put(&put).await.unwrap();
    memory.fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Transient));
    provider.fetch(&requests(&["a", "b"])).await;
    memory.fail_next(Operation::Fetch, Fault::Fail(ErrorKind::Absent));
    provider.fetch(&requests(&["a"])).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
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
