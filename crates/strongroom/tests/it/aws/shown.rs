//! Nothing of a value or a credential shows, in no log of any crate either.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use strongroom::Secret;
use strongroom::provider::{Expect, Put, Request, Target};

use super::account::{Account, SECRET_KEY};
use super::name;

const VALUE: &str = "cnry-of-a-value-7Qx2mLp9Zr";
const TOKEN: &str = "cnry-of-a-session-token-44";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_value_and_no_credential_shows_in_logs_at_trace() {
    let Some(account) = Account::new() else {
        return;
    };
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // Every task of this runtime runs on this thread, those of the HTTP client too.
    let _guard = tracing::subscriber::set_default(subscriber);
    let env = account.env().with_var("AWS_SESSION_TOKEN", TOKEN);
    let mut shown = String::new();
    let provider = super::open(&account.address(), env).await.unwrap();
    for code in [
        None,
        Some("ExpiredTokenException"),
        Some("AccessDeniedException"),
        Some("InternalServiceError"),
        Some("DecryptionFailure"),
    ] {
        if let Some(code) = code {
            account
                .fault(json!({ "n": 99, "status": 400, "type": code }))
                .await;
        }
        for at in ["a", "b#field"] {
            let put = Put::new(Target::new(name(at)), Secret::from_text(VALUE));
            shown += &format!("{:?}", provider.put(&put).await);
        }
        let bytes = [VALUE.as_bytes(), &[0xff]].concat();
        let put = Put::new(Target::new(name("c")), Secret::from_bytes(bytes));
        shown += &format!("{:?}", provider.put(&put).await);
        let requests = ["a", "b", "b#field", "c"].map(|at| Request::from(name(at)));
        shown += &format!("{:?}", provider.fetch(&requests).await);
        shown += &format!("{:?}", provider.fetch(&requests[..1]).await);
        shown += &format!("{:?}", provider.versions(&Target::new(name("a"))).await);
        shown += &format!("{:?}", provider.list("").await);
        shown += &format!("{:?}", provider.health().await);
        shown += &format!(
            "{:?}",
            provider.delete(&Target::new(name("c")), &Expect::Any).await
        );
        shown += &format!("{provider:?} {:?}", provider.describe());
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        log.contains("hyper"),
        "the log is empty, and would prove nothing"
    );
    let numbers = |text: &str| {
        let bytes = format!("{:?}", &text.as_bytes()[..8]);
        bytes.trim_matches(['[', ']']).to_owned()
    };
    for canary in [VALUE, TOKEN, SECRET_KEY] {
        for form in [canary.to_owned(), canary[..12].to_owned(), numbers(canary)] {
            for (where_, text) in [("log", &log), ("errors", &shown)] {
                let line = text.lines().find(|line| line.contains(&form));
                assert!(line.is_none(), "{where_}: {}", line.unwrap_or_default());
            }
        }
    }
}
