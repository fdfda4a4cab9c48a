//! Describing, health, dropped calls, closing.

use std::time::Duration;

use super::check::{
    A, B, Verdict, ask, delete, ensure, fail, holds, put, read, refused, same, text, two, write,
};
use super::{Case, Harness};
use crate::error::ErrorKind;
use crate::provider::{Expect, Put, Request, Target};
use crate::provider_url::ProviderUrl;

pub(super) const CASES: &[Case] = &[
    Case::new("the description is an address, and stays the same", |h| {
        Box::pin(describes(h))
    }),
    Case::new(
        "the description says truly whether it can be written",
        |h| Box::pin(writable(h)),
    ),
    Case::new("an open provider is healthy", |h| Box::pin(healthy(h))),
    Case::new("a dropped call leaves the provider usable", |h| {
        Box::pin(dropped(h))
    }),
    Case::new("a dropped write happened as a whole or not at all", |h| {
        Box::pin(dropped_write(h))
    }),
    Case::new("a closed provider answers Closed", |h| Box::pin(closes(h))),
    Case::new(
        "two providers share no secrets that one was not given",
        |h| Box::pin(apart(h)),
    ),
];

async fn describes(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let before = provider.describe();
    let Ok(url) = before.address.parse::<ProviderUrl>() else {
        return fail("the address is no provider address; one with a credential never is");
    };
    ensure(
        url.base_scheme() == before.scheme,
        "the address has another scheme",
    )?;
    read(&*provider, A).await?;
    provider.close().await?;
    let after = provider.describe();
    ensure(
        (before.scheme, before.address, before.writable)
            == (after.scheme, after.address, after.writable),
        "the description changed",
    )
}

async fn writable(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let written = put(&*provider, &A, &text("new value"), Expect::Any).await;
    match provider.describe().writable {
        true => {
            written?;
            holds(&*provider, &A, b"new value", "what was written").await
        }
        false => {
            refused(
                written,
                &[ErrorKind::Unsupported],
                "a write, though it says read-only",
            )?;
            holds(&*provider, &A, b"value of a", "what was there").await
        }
    }
}

async fn healthy(harness: &dyn Harness) -> Verdict {
    two(harness).await?.health().await?;
    Ok(())
}

/// How long a call runs before it is dropped: not past its first wait, a little, a little more.
const MOMENTS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_micros(300),
    Duration::from_millis(3),
];

async fn dropped(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    for moment in MOMENTS {
        let cut = async |call: std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>| {
            let _ = tokio::time::timeout(moment, call).await;
        };
        cut(Box::pin(async {
            drop(provider.fetch(&[A, B].map(Request::from)).await)
        }))
        .await;
        cut(Box::pin(async { drop(provider.list("").await) })).await;
        cut(Box::pin(async { drop(provider.health().await) })).await;
        cut(Box::pin(async { drop(provider.changed().await) })).await;
        holds(&*provider, &A, b"value of a", "after a dropped call").await?;
        holds(&*provider, &B, b"value of b", "after a dropped call").await?;
    }
    Ok(())
}

async fn dropped_write(harness: &dyn Harness) -> Verdict {
    let provider = super::check::empty_writable(harness).await?;
    let (old, new) = ("o".repeat(10_000), "n".repeat(60_000));
    for moment in MOMENTS {
        write(&*provider, &A, &old).await?;
        let put = Put::new(Target::new(A), text(&new));
        let _ = tokio::time::timeout(moment, provider.put(&put)).await;
        let found = read(&*provider, A).await?;
        if !found.verify(&old) {
            same(
                found.expose_bytes(),
                new.as_bytes(),
                "the value after a dropped write",
            )?;
        }
        write(&*provider, &B, "another").await?;
        holds(
            &*provider,
            &B,
            b"another",
            "another secret after a dropped write",
        )
        .await?;
    }
    Ok(())
}

async fn closes(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    provider.close().await?;
    let again = provider.close().await;
    ensure(again.is_ok(), "closing a second time failed")?;
    let closed = [ErrorKind::Closed];
    refused(ask(&*provider, A).await?, &closed, "fetch")?;
    let answers = provider.fetch(&[A, B].map(Request::from)).await;
    ensure(answers.len() == 2, "not one answer for each request")?;
    refused(provider.list("").await, &closed, "list")?;
    refused(provider.health().await, &closed, "health")?;
    // A backend that can never be written may say that first.
    let closed = match provider.describe().writable {
        true => vec![ErrorKind::Closed],
        false => vec![ErrorKind::Closed, ErrorKind::Unsupported],
    };
    let written = put(&*provider, &A, &text("x"), Expect::Any).await;
    refused(written, &closed, "put")?;
    refused(delete(&*provider, &A, Expect::Any).await, &closed, "delete").map(|_| ())
}

async fn apart(harness: &dyn Harness) -> Verdict {
    let one = two(harness).await?;
    let other = harness.open(&[]).await?;
    super::check::is_absent(&*other, &A, "a secret of another store").await?;
    other.close().await?;
    holds(
        &*one,
        &A,
        b"value of a",
        "after another provider was closed",
    )
    .await
}
