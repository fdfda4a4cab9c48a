//! Deletions, and what they expect to find.

use super::check::{
    A, B, NOWHERE, Verdict, delete, empty_writable, ensure, holds, is_absent, refused, skip, write,
    write_version,
};
use super::{Case, Harness};
use crate::error::ErrorKind;
use crate::provider::Expect;

pub(super) const CASES: &[Case] = &[
    Case::new("a deleted secret is Absent, and the others stay", |h| {
        Box::pin(deletes(h))
    }),
    Case::new("deleting what is not there is Absent", |h| {
        Box::pin(deletes_nothing(h))
    }),
    Case::new("a deletion that expects another state is a Conflict", |h| {
        Box::pin(deletes_expected(h))
    }),
    Case::new(
        "a deleted secret can be made again, as another version",
        |h| Box::pin(made_again(h)),
    ),
];

async fn deletes(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    write(&*provider, &A, "first").await?;
    write(&*provider, &B, "second").await?;
    delete(&*provider, &A, Expect::Any).await?;
    is_absent(&*provider, &A, "a deleted secret").await?;
    holds(&*provider, &B, b"second", "another secret").await
}

async fn deletes_nothing(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    write(&*provider, &A, "first").await?;
    let outcome = delete(&*provider, &NOWHERE, Expect::Any).await;
    refused(outcome, &[ErrorKind::Absent], "deleting what never was")?;
    delete(&*provider, &A, Expect::Any).await?;
    let outcome = delete(&*provider, &A, Expect::Any).await;
    refused(outcome, &[ErrorKind::Absent], "deleting twice").map(|_| ())
}

async fn deletes_expected(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    let first = write_version(&*provider, &A, "first").await?;
    let second = write_version(&*provider, &A, "second").await?;
    match delete(&*provider, &A, Expect::Version(first)).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return skip("the backend can't compare before it deletes");
        }
        outcome => refused(
            outcome,
            &[ErrorKind::Conflict],
            "deleting a version that is gone",
        )?,
    };
    let outcome = delete(&*provider, &A, Expect::Absent).await;
    refused(
        outcome,
        &[ErrorKind::Conflict],
        "deleting what is expected not to be there",
    )?;
    holds(&*provider, &A, b"second", "after a Conflict").await?;
    delete(&*provider, &A, Expect::Version(second)).await?;
    is_absent(&*provider, &A, "a deleted secret").await
}

async fn made_again(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    let before = write(&*provider, &A, "first").await?;
    delete(&*provider, &A, Expect::Any).await?;
    super::versions::let_the_clock_tick().await;
    let after = write(&*provider, &A, "first").await?;
    holds(&*provider, &A, b"first", "a value made again").await?;
    ensure(
        before.is_none() || before != after,
        "it has the version of the one that was deleted",
    )
}
