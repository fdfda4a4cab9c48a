//! What is left when the runtime has ended, or there is none; and what a view can reach.

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Runs a future where no runtime is.
fn without_runtime<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_runtime_that_ended_is_seen_in_health_and_said_by_errors() {
    let secrets = runtime().block_on(boot(&backend()));
    assert!(
        without_runtime(secrets.get("api/token"))
            .unwrap()
            .verify(MONDAY)
    );
    let health = secrets.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert!(health.reasons[0].contains("runtime"), "{health:?}");
    let error = without_runtime(secrets.get("cold")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.help().is_some());
    let error = without_runtime(secrets.refresh()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    runtime().block_on(secrets.shutdown()).unwrap();
    assert_eq!(secrets.health().status, HealthStatus::Failed);
}

#[test]
fn another_executor_may_read_and_shut_down() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let backend = backend();
    backend.set("cold", "nobody asked for it");
    let secrets = runtime.block_on(boot(&backend));
    let names = ["cold", "api/token"].map(SecretName::from_static);
    let many = without_runtime(secrets.get_many(&names)).unwrap();
    assert!(many[0].verify("nobody asked for it") && many[1].verify(MONDAY));
    assert_eq!(backend.calls(), 2);
    let live = without_runtime(secrets.watch("api/token")).unwrap();
    let error = without_runtime(secrets.shutdown()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert_eq!(live.with(|_| ()).unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_view_reaches_and_shows_nothing_outside_its_scope() {
    let backend = backend();
    let secrets = boot(&backend).await;
    let token = secrets.get("api/token").await.unwrap();
    let view = secrets.scoped("db").unwrap();
    let value = Secret::from_text(TUESDAY);
    let denied = [
        view.get("api/token").await.map(drop),
        view.get_optional("api/token").await.map(drop),
        view.get_many(&["api/token".parse().unwrap()])
            .await
            .map(drop),
        view.watch("api/token").await.map(drop),
        view.report_rejected(&token).await.map(drop),
        view.put("api/token", &value, Expect::Any).await.map(drop),
        view.load::<Database>().await.map(drop),
        view.watch_as::<Database>().await.map(drop),
    ];
    for error in denied.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    }
    let mut events = view.events();
    backend.set("api/token", TUESDAY);
    view.refresh().await.unwrap();
    pass(6 * MINUTE).await;
    assert!(so_far(&mut events).await.is_empty());
    assert!(!format!("{view:?}").contains("api/"), "{view:?}");
    assert!(view.health().secrets.is_empty());
}
