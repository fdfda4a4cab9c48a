//! Names that a provider lists.

use super::check::{A, NOWHERE, Verdict, delete, ensure, skip, text, write};
use super::{Case, Harness};
use crate::error::ErrorKind;
use crate::name::SecretName;
use crate::provider::{Expect, SecretProvider};
use crate::secret::Secret;

pub(super) const CASES: &[Case] = &[
    Case::new("an empty store lists nothing", |h| Box::pin(empty(h))),
    Case::new("a list is sorted, complete and without repetition", |h| {
        Box::pin(sorted(h))
    }),
    Case::new("a list keeps to its prefix, which is plain text", |h| {
        Box::pin(prefixed(h))
    }),
    Case::new("a list follows writes and deletions", |h| {
        Box::pin(follows(h))
    }),
];

// Not in the order of their names, nor of their variables.
const NAMES: [&str; 6] = [
    "data/z",
    "data/base/one",
    "database/two",
    "database/password",
    "Upper",
    "alone",
];

fn held() -> Vec<(SecretName, Secret)> {
    NAMES
        .into_iter()
        .map(|name| (SecretName::from_static(name), text("value")))
        .collect()
}

async fn empty(harness: &dyn Harness) -> Verdict {
    let provider = harness.open(&[]).await?;
    lists(&*provider, "", &[]).await
}

async fn sorted(harness: &dyn Harness) -> Verdict {
    let provider = harness.open(&held()).await?;
    lists(&*provider, "", &NAMES).await
}

async fn prefixed(harness: &dyn Harness) -> Verdict {
    let provider = harness.open(&held()).await?;
    for prefix in [
        "data",
        "data/",
        "database/p",
        "alone",
        "alone/",
        "upper",
        "nowhere/",
        "/",
        ".",
    ] {
        let wanted: Vec<_> = NAMES
            .into_iter()
            .filter(|name| name.starts_with(prefix))
            .collect();
        lists(&*provider, prefix, &wanted).await?;
    }
    Ok(())
}

async fn follows(harness: &dyn Harness) -> Verdict {
    // Names that the store was opened with: a backend may list others by its own spelling.
    let held = [(A, text("first")), (NOWHERE, text("second"))];
    let provider = harness.open(&held).await?;
    if !provider.describe().writable {
        return skip("the backend is read-only");
    }
    write(&*provider, &A, "third").await?;
    lists(&*provider, "", &[A.as_str(), NOWHERE.as_str()]).await?;
    delete(&*provider, &NOWHERE, Expect::Any).await?;
    lists(&*provider, "", &[A.as_str()]).await?;
    write(&*provider, &NOWHERE, "fourth").await?;
    lists(&*provider, "", &[A.as_str(), NOWHERE.as_str()]).await
}

/// Demands exactly these names, in bytewise order. A backend that can't list at all says so.
async fn lists(provider: &dyn SecretProvider, prefix: &str, wanted: &[&str]) -> Verdict {
    let found = match provider.list(prefix).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return skip("the backend can't list");
        }
        found => found?,
    };
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    let found: Vec<_> = found.iter().map(SecretName::as_str).collect();
    ensure(
        found == wanted,
        format!("prefix {prefix:?} lists {found:?}, should be {wanted:?}"),
    )
}
