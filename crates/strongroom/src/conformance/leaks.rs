//! No value and no credential shows in errors, descriptions, `Debug` output or logs.

use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::check::{A, B, NOWHERE, Verdict, delete, ensure, put, text};
use super::{Case, Harness};
use crate::error::{Error, ErrorKind};
use crate::name::SecretName;
use crate::provider::{Expect, Request, Stage, Target};
use crate::secret::{MAX_VALUE_BYTES, Secret, Version};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "no value shows in errors, descriptions, Debug output or logs",
        |h| Box::pin(values(h)),
    ),
    Case::new("a broken document is not quoted", |h| {
        Box::pin(broken_document(h))
    }),
];

// Neither is part of the other, nor of any name.
const CANARY: &str = "canary-q7Zx-5f1c09";
const NEW_CANARY: &str = "canary-new-W3kd-88e2";

async fn values(harness: &dyn Harness) -> Verdict {
    let log = Log::default();
    let shown = exercise(harness).with_subscriber(log.clone()).await?;
    check(harness, "what it shows", &shown)?;
    check(harness, "its log", &log.text())
}

/// Makes a provider do and fail all it can, and returns everything that it showed.
async fn exercise(harness: &dyn Harness) -> Result<String, super::check::Stop> {
    let mut shown = String::new();
    let held = [
        (A, text(CANARY)),
        (B, Secret::from_text(format!("{CANARY}-b"))),
    ];
    let provider = harness.open(&held).await?;
    let never = Version::new("a version that never was");
    let requests = [
        Request::from(A),
        Request::from(B),
        Request::from(NOWHERE),
        Request::from(A).with_stage(Stage::Previous),
        Request::from(A).with_stage(Stage::Exact(never.clone())),
        Request::from(SecretName::from_static("alpha/one#field")),
        Request::new(Target::new(A).with_id("no such id", Some("field".to_owned()))),
    ];
    for answer in provider.fetch(&requests).await {
        match answer {
            Ok(reply) => show(&mut shown, &reply),
            Err(error) => show_error(&mut shown, &error),
        }
    }
    let too_large = text(&CANARY.repeat(MAX_VALUE_BYTES));
    for (value, expect) in [
        (text(NEW_CANARY), Expect::Absent),
        (text(NEW_CANARY), Expect::Version(never.clone())),
        (too_large, Expect::Any),
        (text(NEW_CANARY), Expect::Any),
    ] {
        record(&mut shown, put(&*provider, &A, &value, expect).await);
    }
    record(
        &mut shown,
        delete(&*provider, &A, Expect::Version(never.clone())).await,
    );
    record(&mut shown, delete(&*provider, &NOWHERE, Expect::Any).await);
    record(&mut shown, provider.versions(&Target::new(A)).await);
    record(&mut shown, provider.promote(&Target::new(A), &never).await);
    record(&mut shown, provider.list("").await);
    record(&mut shown, provider.health().await);
    show(&mut shown, &provider.describe());
    show(&mut shown, &provider);
    record(&mut shown, provider.close().await);
    record(
        &mut shown,
        put(&*provider, &A, &text(NEW_CANARY), Expect::Any).await,
    );
    show(&mut shown, &provider);
    Ok(shown)
}

async fn broken_document(harness: &dyn Harness) -> Verdict {
    const FIELD: SecretName = SecretName::from_static("broken#password");
    let value = format!("{{\"password\": \"{CANARY}\", \"{CANARY}\": {CANARY}");
    let held = [(SecretName::from_static("broken"), text(&value))];
    let log = Log::default();
    let trial = async {
        let mut shown = String::new();
        let provider = harness.open(&held).await?;
        for answer in provider.fetch(&[FIELD.into()]).await {
            let Err(error) = answer else {
                return super::check::fail("a document without its end gave a field");
            };
            let kinds = [ErrorKind::Malformed, ErrorKind::Absent];
            let error = super::check::refused::<()>(Err(error), &kinds, "a broken document")?;
            show_error(&mut shown, &error);
        }
        Ok(shown)
    };
    let shown = trial.with_subscriber(log.clone()).await?;
    check(harness, "what it shows", &shown)?;
    check(harness, "its log", &log.text())
}

fn record<T: fmt::Debug>(shown: &mut String, outcome: crate::Result<T>) {
    match outcome {
        Ok(done) => show(shown, &done),
        Err(error) => show_error(shown, &error),
    }
}

fn show(shown: &mut String, thing: &dyn fmt::Debug) {
    // Writing to a `String` can't fail.
    let _ = writeln!(shown, "{thing:?} {thing:#?}");
}

fn show_error(shown: &mut String, error: &Error) {
    let _ = writeln!(shown, "{error} {error:?} {error:#?} {:?}", error.help());
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(shown, "{error} {error:?}");
        cause = error.source();
    }
}

/// Looks for each forbidden text as it is, as numbers, in hexadecimal and in base64.
fn check(harness: &dyn Harness, place: &str, text: &str) -> Verdict {
    use crate::declared::Encoding::{Base64, Hex};
    let credentials = harness.credentials();
    let values = [CANARY, NEW_CANARY].map(|value| (value, "a value"));
    let credentials = credentials
        .iter()
        .map(|text| (text.as_str(), "a credential"));
    for (forbidden, what) in values.into_iter().chain(credentials) {
        let numbers = format!("{:?}", forbidden.as_bytes());
        let mut forms = vec![
            forbidden.to_owned(),
            numbers.trim_matches(['[', ']']).to_owned(),
            format!("{:#?}", forbidden.as_bytes()).replace(['[', ']'], ""),
        ];
        for encoding in [Base64, Hex] {
            let encoded = encoding.encode(&Secret::from_text(forbidden));
            forms.push(encoded.expose_str()?.trim_end_matches('=').to_owned());
        }
        ensure(
            !forms.iter().any(|form| text.contains(form.trim())),
            format!("{what} stands in {place}"),
        )?;
    }
    Ok(())
}

/// Collects every event and span, at every level, of the task that it is given to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(text, "{field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
