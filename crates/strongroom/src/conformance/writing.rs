//! Writes, and what they expect to find.

use std::sync::Arc;

use super::check::{
    A, B, NOWHERE, Stop, Verdict, delete, empty_writable, ensure, fail, holds, is_absent, put,
    read, refused, skip, text, two, write, write_version,
};
use super::{Case, Harness};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::Expect;
use crate::secret::Version;

pub(super) const CASES: &[Case] = &[
    Case::new("a read-only backend refuses writes as Unsupported", |h| {
        Box::pin(read_only(h))
    }),
    Case::new("a write replaces the value, and no other", |h| {
        Box::pin(replaces(h))
    }),
    Case::new("a write that expects nothing creates only", |h| {
        Box::pin(creates_only(h))
    }),
    Case::new(
        "a write that expects a version replaces only that one",
        |h| Box::pin(compares(h)),
    ),
    Case::new("of several writers that expect nothing, one creates", |h| {
        Box::pin(one_creates(h))
    }),
    Case::new(
        "of several writers that expect one version, one replaces it",
        |h| Box::pin(one_replaces(h)),
    ),
];

async fn read_only(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    if provider.describe().writable {
        return skip("the backend can be written");
    }
    let unsupported = [ErrorKind::Unsupported];
    for name in [A, NOWHERE] {
        for expect in [
            Expect::Any,
            Expect::Absent,
            Expect::Version(Version::new("1")),
        ] {
            let written = put(&*provider, &name, &text("new"), expect.clone()).await;
            refused(written, &unsupported, "put")?;
            let deleted = delete(&*provider, &name, expect).await;
            refused(deleted, &unsupported, "delete")?;
        }
    }
    holds(&*provider, &A, b"value of a", "after refused writes").await?;
    is_absent(&*provider, &NOWHERE, "after refused writes").await
}

async fn replaces(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    write(&*provider, &A, "first").await?;
    write(&*provider, &B, "second").await?;
    write(&*provider, &A, "third, and longer").await?;
    holds(
        &*provider,
        &A,
        b"third, and longer",
        "the value written last",
    )
    .await?;
    write(&*provider, &A, "4").await?;
    holds(&*provider, &A, b"4", "a shorter value").await?;
    holds(&*provider, &B, b"second", "another secret").await
}

async fn creates_only(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    expecting(put(&*provider, &A, &text("first"), Expect::Absent).await)?;
    holds(&*provider, &A, b"first", "a value that was created").await?;
    let again = put(&*provider, &A, &text("second"), Expect::Absent).await;
    refused(again, &[ErrorKind::Conflict], "creating what is there")?;
    holds(&*provider, &A, b"first", "after a Conflict").await
}

async fn compares(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    let first = write_version(&*provider, &A, "first").await?;
    let expect = Expect::Version(first.clone());
    expecting(put(&*provider, &A, &text("second"), expect.clone()).await)?;
    holds(
        &*provider,
        &A,
        b"second",
        "a value that replaced the expected version",
    )
    .await?;
    let second = read(&*provider, A).await?.metadata().version().cloned();
    let stale = put(&*provider, &A, &text("third"), expect.clone()).await;
    refused(
        stale,
        &[ErrorKind::Conflict],
        "replacing a version that is gone",
    )?;
    holds(&*provider, &A, b"second", "after a Conflict").await?;
    let after = read(&*provider, A).await?.metadata().version().cloned();
    ensure(after == second, "a Conflict changed the version")?;
    let nothing = put(&*provider, &NOWHERE, &text("x"), expect).await;
    refused(
        nothing,
        &[ErrorKind::Conflict],
        "replacing a version of what is not there",
    )?;
    is_absent(&*provider, &NOWHERE, "after a Conflict").await
}

async fn one_creates(harness: &dyn Harness) -> Verdict {
    for round in 0..8 {
        let name = SecretName::parse(format!("race/round-{round}"))?;
        race(harness, &name, Expect::Absent).await?;
    }
    Ok(())
}

async fn one_replaces(harness: &dyn Harness) -> Verdict {
    race(
        harness,
        &A,
        Expect::Version(Version::new("to be read first")),
    )
    .await
}

/// Lets several writers of different values meet; the winner's value must stay.
async fn race(harness: &dyn Harness, name: &SecretName, expect: Expect) -> Verdict {
    let provider = empty_writable(harness).await?;
    let expect = match expect {
        Expect::Version(_) => Expect::Version(write_version(&*provider, name, "before").await?),
        expect => expect,
    };
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (provider, name, expect) = (Arc::clone(&provider), name.clone(), expect.clone());
        let value = format!("value of writer {writer}");
        writers.spawn(async move {
            let outcome = put(&*provider, &name, &text(&value), expect).await;
            outcome.map(|_| value)
        });
    }
    let mut winners = Vec::new();
    while let Some(done) = writers.join_next().await {
        let Ok(outcome) = done else {
            return fail("a writer panicked");
        };
        match outcome {
            Ok(value) => winners.push(value),
            Err(error) => loser(error)?,
        }
    }
    match winners.as_slice() {
        [value] => holds(&*provider, name, value.as_bytes(), "the winner's value").await,
        _ => fail(format!(
            "{} of 8 writers won, each by the same expectation",
            winners.len()
        )),
    }
}

fn loser(error: Error) -> Verdict {
    let error = expecting::<Error>(match error.kind() {
        ErrorKind::Unsupported => Err(error),
        _ => Ok(error),
    })?;
    refused::<()>(Err(error), &[ErrorKind::Conflict], "a loser").map(|_| ())
}

/// Skips the case where the backend can't compare before it writes; that it says so is enough.
fn expecting<T>(written: Result<T>) -> std::result::Result<T, Stop> {
    match written {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            skip("the backend can't compare before it writes")
        }
        written => Ok(written?),
    }
}
