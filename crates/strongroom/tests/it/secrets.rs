//! Booting, reading, scoping, loading and shutting down, on the memory backend.

use std::time::Duration;

use std::future::Future as _;

use strongroom::provider::Expect;
use strongroom::{
    Declared, DeclaredSource, Encoding, Env, ErrorKind, FromSecrets, HealthStatus, Kind, Loaded,
    Memory, Result, Secret, SecretName, Secrets, SecretsBuilder, SecretsFactory,
};

const TOKEN: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";
const OTHER: &str = "Zk8w_uQ1xN5t-B7rM2vC9gL4jD6hS0aP";

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn token(text: &str) -> Declared {
    Declared::new(name(text), Kind::Token)
}

fn builder(deployment: &str, memory: &Memory) -> SecretsBuilder {
    let env = Env::empty()
        .with_var("STRONGROOM_ENV", deployment)
        .with_working_dir("/nonexistent");
    SecretsFactory::builder().env(env).provider(memory.clone())
}

async fn boot(deployment: &str, memory: &Memory, declared: &[Declared]) -> Result<Secrets> {
    builder(deployment, memory)
        .declare(declared.iter().cloned())
        .detect()
        .await
}

#[tokio::test]
async fn a_declared_secret_is_read_once_and_answered_from_memory() {
    let memory = Memory::new().with("api/token", TOKEN);
    let secrets = boot("production", &memory, &[token("api/token")])
        .await
        .unwrap();
    let calls = memory.calls(strongroom::Operation::Fetch);
    for _ in 0..3 {
        let secret = secrets.get("api/token").await.unwrap();
        assert!(secret.verify(TOKEN));
        assert_eq!(secret.metadata().name(), Some(&name("api/token")));
        assert!(secret.fingerprint().is_some(), "it passed as a token");
    }
    assert_eq!(
        memory.calls(strongroom::Operation::Fetch),
        calls,
        "no call after the boot"
    );
}

#[tokio::test]
async fn everything_that_is_wrong_comes_in_one_report() {
    let memory = Memory::new()
        .with("weak", "hunter2")
        .with("placeholder", "changeme")
        .with("same/one", TOKEN)
        .with("same/two", TOKEN)
        .with("hex", "zz-zz")
        .with("fine", OTHER);
    let declared = [
        token("weak"),
        token("placeholder"),
        token("same/one"),
        token("same/two"),
        token("missing"),
        Declared::new(name("hex"), Kind::Key).with_encoding(Encoding::Hex),
        token("fine"),
        token("unneeded").optional(),
    ];
    let error = boot("development", &memory, &declared).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    let report = error.report().unwrap();
    for name in [
        "weak",
        "placeholder",
        "same/one",
        "same/two",
        "missing",
        "hex",
    ] {
        let about = |finding: &&strongroom::Finding| {
            finding.name.as_ref().is_some_and(|n| n.as_str() == name)
        };
        assert!(
            report.violations().any(|finding| about(&finding)),
            "{name} in {report}"
        );
    }
    for name in ["fine", "unneeded"] {
        assert!(!report.to_string().contains(name), "{report}");
    }
    let shown = format!("{error:?}");
    assert!(shown.starts_with("6 of 8 declared secrets"), "{shown}");
    for value in ["hunter2", "changeme", TOKEN, "zz-zz", OTHER] {
        assert!(!shown.contains(value), "{shown}");
    }
}

#[tokio::test]
async fn an_outage_at_boot_is_transient_and_says_so_beside_the_findings() {
    let memory = Memory::new().with("weak", "short").with("down", TOKEN);
    memory.fail("down", ErrorKind::Transient);
    let error = boot("development", &memory, &[token("weak"), token("down")])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.is_retryable());
    let rules: Vec<_> = error
        .report()
        .unwrap()
        .violations()
        .map(|finding| finding.rule)
        .collect();
    assert!(
        rules.contains(&"unreachable") && rules.len() >= 2,
        "{rules:?}"
    );
}

#[tokio::test]
async fn undeclared_names_are_for_development() {
    let memory = Memory::new().with("other", "anything");
    for (deployment, outcome) in [
        ("development", None),
        ("test", None),
        ("staging", Some(ErrorKind::Config)),
        ("production", Some(ErrorKind::Config)),
    ] {
        let secrets = boot(deployment, &memory, &[]).await.unwrap();
        assert_eq!(
            secrets.get("other").await.map_err(|e| e.kind()).err(),
            outcome,
            "{deployment}"
        );
        assert_eq!(
            secrets.watch("other").await.map_err(|e| e.kind()).err(),
            outcome,
            "{deployment}"
        );
    }
}

#[tokio::test]
async fn absent_is_an_error_or_none_as_asked() {
    let memory = Memory::new().with("here", TOKEN);
    let declared = [token("here"), token("gone").optional()];
    let secrets = boot("production", &memory, &declared).await.unwrap();
    assert_eq!(
        secrets.get("gone").await.unwrap_err().kind(),
        ErrorKind::Absent
    );
    assert!(secrets.get_optional("gone").await.unwrap().is_none());
    assert!(secrets.get_optional("here").await.unwrap().is_some());
    assert_eq!(
        secrets.get_optional("not a name").await.unwrap_err().kind(),
        ErrorKind::Config
    );
}

#[tokio::test]
async fn an_optional_secret_that_turns_up_must_be_strong() {
    let memory = Memory::new();
    let declared = [token("late").optional(), token("later").optional()];
    let secrets = boot("production", &memory, &declared).await.unwrap();
    let memory = memory.with("late", "weak").with("later", TOKEN);
    let error = secrets.get("late").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    assert!(error.report().is_some_and(|report| !report.is_clean()));
    assert_eq!(
        secrets.get_many(&[name("late")]).await.unwrap_err().kind(),
        ErrorKind::Policy
    );
    assert!(secrets.get("later").await.unwrap().verify(TOKEN));
    drop(memory);
}

#[tokio::test]
async fn many_are_read_in_one_call_in_order() {
    let memory = Memory::new().with("a", TOKEN).with("b", "1").with("c", "2");
    let secrets = boot("development", &memory, &[token("a")]).await.unwrap();
    let calls = memory.calls(strongroom::Operation::Fetch);
    let found = secrets
        .get_many(&[name("c"), name("a"), name("b")])
        .await
        .unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|secret| secret.expose_str().unwrap())
        .collect();
    assert_eq!(found, ["2", TOKEN, "1"]);
    assert_eq!(memory.calls(strongroom::Operation::Fetch), calls + 1);
}

#[tokio::test]
async fn a_scoped_view_reaches_nothing_outside() {
    let memory = Memory::new()
        .with("payments/key", TOKEN)
        .with("payments-old/key", OTHER)
        .with("root", "anything");
    let declared = [token("payments/key"), token("payments-old/key")];
    let secrets = boot("development", &memory, &declared).await.unwrap();
    for scope in ["payments", "payments/"] {
        let payments = secrets.scoped(scope).unwrap();
        assert!(payments.get("payments/key").await.is_ok());
        for outside in ["payments-old/key", "root", "payments"] {
            assert_eq!(
                payments.get(outside).await.unwrap_err().kind(),
                ErrorKind::Denied
            );
            assert_eq!(
                payments.watch(outside).await.unwrap_err().kind(),
                ErrorKind::Denied
            );
            let many = payments.get_many(&[name(outside)]).await;
            assert_eq!(many.unwrap_err().kind(), ErrorKind::Denied);
        }
        assert!(payments.get("payments/../root").await.is_err());
        assert_eq!(
            payments.scoped("root").unwrap_err().kind(),
            ErrorKind::Denied
        );
        assert!(payments.scoped("payments/eu").is_ok());
        assert_eq!(payments.health().secrets.len(), 1);
    }
    assert!(secrets.scoped("../x").is_err());
}

#[derive(Debug)]
struct App {
    token: Secret,
    spare: Option<Secret>,
}

impl FromSecrets for App {
    fn declared() -> Vec<Declared> {
        vec![token("api/token"), token("api/spare").optional()]
    }

    fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
        assert!(found.live("api/token")?.verify(TOKEN));
        Ok(Self {
            token: found.get("api/token")?.clone(),
            spare: found.get_optional("api/spare").cloned(),
        })
    }
}

#[tokio::test]
async fn a_type_is_loaded_from_what_it_declares() {
    let memory = Memory::new().with("api/token", TOKEN);
    let declared = App::declared();
    let secrets = boot("production", &memory, &declared).await.unwrap();
    let app: App = secrets.load().await.unwrap();
    assert!(app.token.verify(TOKEN) && app.spare.is_none());

    // A type that the boot didn't know is proven when it is loaded, in development only.
    let secrets = boot("development", &memory, &[]).await.unwrap();
    assert!(secrets.load::<App>().await.is_ok());
    let secrets = boot("production", &memory, &[]).await.unwrap();
    assert_eq!(
        secrets.load::<App>().await.unwrap_err().kind(),
        ErrorKind::Config
    );
    let weak = Memory::new().with("api/token", "weak");
    let secrets = boot("development", &weak, &[]).await.unwrap();
    assert_eq!(
        secrets.load::<App>().await.unwrap_err().kind(),
        ErrorKind::Policy
    );
}

/// Declares what can't be settled once the providers are open.
struct Elsewhere;

impl FromSecrets for Elsewhere {
    fn declared() -> Vec<Declared> {
        vec![token("a/b").with_source(DeclaredSource::of_name(name("right")))]
    }

    fn from_secrets(_: &Loaded<'_>) -> Result<Self> {
        Ok(Self)
    }
}

#[tokio::test]
async fn a_source_that_the_boot_did_not_know_is_never_passed_over() {
    let memory = Memory::new().with("a/b", OTHER).with("right", TOKEN);
    let secrets = boot("development", &memory, &[]).await.unwrap();
    let error = secrets.load::<Elsewhere>().await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.help().unwrap().contains("detect_for"));
    let secrets = boot("development", &memory, &Elsewhere::declared())
        .await
        .unwrap();
    assert!(secrets.load::<Elsewhere>().await.is_ok());
    assert!(secrets.get("a/b").await.unwrap().verify(TOKEN));
}

#[tokio::test]
async fn the_health_of_a_view_tells_nothing_of_what_lies_outside() {
    let memory = Memory::new();
    let default = |text| token(text).with_default(Secret::from_text("postgres"));
    let declared = [default("inside/a"), default("outside/b")];
    let secrets = boot("development", &memory, &declared).await.unwrap();
    let health = secrets.scoped("inside").unwrap().health();
    assert_eq!(health.reasons.len(), 1, "{:?}", health.reasons);
    assert_eq!(secrets.health().reasons.len(), 2);
}

#[test]
fn reading_without_a_runtime_is_an_error_and_no_panic() {
    let build = |mut builder: tokio::runtime::Builder| builder.build().unwrap();
    let memory = Memory::new().with("other", "anything");
    let without_timers = build(tokio::runtime::Builder::new_current_thread());
    let refused = without_timers.block_on(boot("development", &memory, &[]));
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.help().unwrap().contains("enable_time"));

    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time();
    let runtime = build(builder);
    let secrets = runtime.block_on(boot("development", &memory, &[])).unwrap();
    drop(runtime);
    let mut read = Box::pin(secrets.get("other"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match read.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn after_shutdown_everything_is_closed() {
    let memory = Memory::new().with("api/token", TOKEN);
    let secrets = boot("production", &memory, &[token("api/token")])
        .await
        .unwrap();
    let (clone, view) = (secrets.clone(), secrets.scoped("api").unwrap());
    let live = secrets.watch("api/token").await.unwrap();
    secrets.shutdown().await.unwrap();
    for secrets in [&secrets, &clone, &view] {
        assert_eq!(
            secrets.get("api/token").await.unwrap_err().kind(),
            ErrorKind::Closed
        );
        assert_eq!(
            secrets.watch("api/token").await.unwrap_err().kind(),
            ErrorKind::Closed
        );
        assert_eq!(secrets.health().status, HealthStatus::Failed);
    }
    assert_eq!(live.current().unwrap_err().kind(), ErrorKind::Closed);
    assert!(!live.verify(TOKEN));
    secrets.shutdown().await.unwrap();
}

#[tokio::test]
async fn values_are_decoded_where_they_enter_and_encoded_where_they_leave() {
    let memory = Memory::new();
    let key = Declared::new(name("key"), Kind::Key).with_encoding(Encoding::Base64);
    let connection = builder("development", &memory)
        .declare([key])
        .connect()
        .await
        .unwrap();
    let bytes: Vec<u8> = (0..32)
        .map(|n: u8| n.wrapping_mul(151).wrapping_add(37))
        .collect();
    connection
        .put(
            &name("key"),
            &Secret::from_bytes(bytes.clone()),
            Expect::Absent,
        )
        .await
        .unwrap();
    assert_eq!(
        connection.read(&name("key")).await.unwrap().expose_bytes(),
        bytes
    );

    let raw = builder("development", &memory).connect().await.unwrap();
    let stored = raw.read(&name("key")).await.unwrap();
    assert_eq!(
        stored.expose_bytes(),
        Encoding::Base64
            .encode(&Secret::from_bytes(bytes))
            .expose_bytes()
    );
}

#[tokio::test]
async fn a_source_leads_to_another_name_or_id() {
    let memory = Memory::new().with("elsewhere", TOKEN).with("by/id", OTHER);
    let by_name = DeclaredSource::of_name(name("elsewhere"));
    let declared = [token("here").with_source(by_name)];
    let secrets = boot("production", &memory, &declared).await.unwrap();
    let secret = secrets.get("here").await.unwrap();
    assert!(secret.verify(TOKEN));
    assert_eq!(
        secret.metadata().name(),
        Some(&name("here")),
        "it keeps the application's name"
    );
}

#[tokio::test]
async fn a_default_is_for_development() {
    let declared = [Declared::new(name("db/password"), Kind::Password)
        .with_default(Secret::from_text("postgres"))];
    for (deployment, boots) in [
        ("development", true),
        ("staging", false),
        ("production", false),
    ] {
        let outcome = boot(deployment, &Memory::new(), &declared).await;
        assert_eq!(outcome.is_ok(), boots, "{deployment}: {outcome:?}");
        if let Ok(secrets) = outcome {
            assert!(secrets.get("db/password").await.unwrap().verify("postgres"));
            assert_eq!(secrets.health().status, HealthStatus::Degraded);
        }
    }
}

#[tokio::test]
async fn health_reports_what_is_due_for_rotation() {
    let memory = Memory::new().with("api/token", TOKEN);
    let declared = [token("api/token").with_rotate_after(Duration::from_nanos(1))];
    let secrets = boot("production", &memory, &declared).await.unwrap();
    let health = secrets.health();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert!(
        health
            .reasons
            .iter()
            .any(|reason| reason.contains("api/token")),
        "{:?}",
        health.reasons
    );
    let json = serde_json::to_string(&health).unwrap();
    assert!(json.contains("degraded") && !json.contains(TOKEN));
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let memory = Memory::new();
    let mut future = Box::pin(builder("development", &memory).detect());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.help().unwrap().contains("strongroom::blocking"));
        }
        other => panic!("{other:?}"),
    }
}
