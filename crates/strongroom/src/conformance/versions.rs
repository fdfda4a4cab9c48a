//! Versions, stages, and bringing back what was deleted. Each is optional; none may pretend.

use std::time::{Duration, SystemTime};

use super::check::{
    A, NOWHERE, Stop, Verdict, ask, delete, empty_writable, ensure, fail, holds, read, refused,
    same, skip, text, two, write_version,
};
use super::{Case, Harness};
use crate::error::{ErrorKind, Result};
use crate::provider::{Expect, Put, Request, Stage, Target};
use crate::secret::Version;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "each write gives another version, whatever the value",
        |h| Box::pin(versions_are_new(h)),
    ),
    Case::new("the previous value is the former one", |h| {
        Box::pin(previous(h))
    }),
    Case::new(
        "the history begins with the current version, and can be read",
        |h| Box::pin(history(h)),
    ),
    Case::new("a pending value waits until it is promoted", |h| {
        Box::pin(pending(h))
    }),
    Case::new("pending values are read and written, or neither", |h| {
        Box::pin(pending_both_ways(h))
    }),
    Case::new("a pending value can be discarded", |h| {
        Box::pin(discarded(h))
    }),
    Case::new("an overlap is kept or refused", |h| Box::pin(overlap(h))),
    Case::new("a deleted secret is restored whole", |h| {
        Box::pin(restore(h))
    }),
    Case::new("optional methods find nothing where nothing is", |h| {
        Box::pin(nothing(h))
    }),
];

/// A file system's clock may stand still for 10 ms, and versions may be made of its times. Two
/// writes in one tick are not what the cases that wait here are about.
pub(super) async fn let_the_clock_tick() {
    tokio::time::sleep(Duration::from_millis(25)).await;
}

async fn versions_are_new(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    let mut seen = Vec::new();
    for value in ["first-value", "other-value", "first-value"] {
        let version = write_version(&*provider, &A, value).await?;
        ensure(
            !seen.contains(&version),
            "a version came twice, though a write lies between",
        )?;
        ensure(
            !version.as_str().contains(value),
            "the version holds the value",
        )?;
        seen.push(version);
        let_the_clock_tick().await;
    }
    Ok(())
}

async fn previous(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    let first = write_version(&*provider, &A, "first").await?;
    let second = write_version(&*provider, &A, "second").await?;
    let kinds = [ErrorKind::Absent, ErrorKind::Unsupported];
    for (stage, value) in [
        (Stage::Previous, "first"),
        (Stage::Exact(first), "first"),
        (Stage::Exact(second), "second"),
    ] {
        let what = format!("stage {stage:?}");
        match ask(&*provider, Request::from(A).with_stage(stage)).await? {
            Ok(answer) => {
                let secret = super::check::value_of(Ok(answer))?;
                same(secret.expose_bytes(), value.as_bytes(), &what)?;
            }
            Err(error) => refused::<()>(Err(error), &kinds, &what).map(|_| ())?,
        }
    }
    holds(&*provider, &A, b"second", "the current value").await
}

async fn history(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    let mut written = Vec::new();
    for value in ["first", "second", "third"] {
        written.push((write_version(&*provider, &A, value).await?, value));
    }
    let history = optional(
        provider.versions(&Target::new(A)).await,
        "keeps no versions",
    )?;
    let listed: Vec<_> = history.iter().map(|info| &info.version).collect();
    let newest_first = written.iter().rev().map(|(version, _)| version);
    // A backend may keep fewer than were written, yet never in another order.
    ensure(
        !listed.is_empty() && newest_first.take(listed.len()).eq(listed.iter().copied()),
        "the history is not the versions that were written, newest first",
    )?;
    for info in history.iter().filter(|info| info.readable) {
        let Some((_, value)) = written.iter().find(|(version, _)| *version == info.version) else {
            return fail("the history has a version that nobody wrote");
        };
        let exactly = Request::from(A).with_stage(Stage::Exact(info.version.clone()));
        let secret = read(&*provider, exactly).await?;
        same(
            secret.expose_bytes(),
            value.as_bytes(),
            "a version of the history",
        )?;
    }
    Ok(())
}

async fn pending(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    write_version(&*provider, &A, "first").await?;
    let put = Put::new(Target::new(A), text("second")).with_stage(Stage::Pending);
    let Some(version) = optional(provider.put(&put).await, "has no pending values")? else {
        return fail("a pending value without a version can't be promoted");
    };
    holds(
        &*provider,
        &A,
        b"first",
        "the current value, while another is pending",
    )
    .await?;
    let at = async |stage| read(&*provider, Request::from(A).with_stage(stage)).await;
    same(
        at(Stage::Pending).await?.expose_bytes(),
        b"second",
        "the pending value",
    )?;
    provider.promote(&Target::new(A), &version).await?;
    holds(&*provider, &A, b"second", "the promoted value").await?;
    same(
        at(Stage::Previous).await?.expose_bytes(),
        b"first",
        "the value before",
    )?;
    let never = Version::new("a version that never was");
    let kinds = [ErrorKind::Absent, ErrorKind::Malformed];
    let promoted = provider.promote(&Target::new(A), &never).await;
    refused(promoted, &kinds, "promoting a version that never was")?;
    holds(&*provider, &A, b"second", "after a refused promotion").await
}

/// A rotation asks for the pending value to find out whether the backend has stages.
async fn pending_both_ways(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    super::check::write(&*provider, &A, "first").await?;
    let request = || Request::from(A).with_stage(Stage::Pending);
    let before = ask(&*provider, request()).await?;
    let has_stages = match &before {
        Ok(_) => return fail("a pending value, where none was written"),
        Err(error) => error.kind() != ErrorKind::Unsupported,
    };
    if has_stages {
        refused(before, &[ErrorKind::Absent], "reading what is not pending")?;
    }
    let put = Put::new(Target::new(A), text("second")).with_stage(Stage::Pending);
    match provider.put(&put).await {
        Err(error) if error.kind() == ErrorKind::Unsupported && has_stages => {
            fail("a pending value is read as Absent, and writing it is Unsupported")
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            holds(&*provider, &A, b"first", "after a refused pending value").await
        }
        Err(error) => Err(error.into()),
        Ok(_) if has_stages => Ok(()),
        Ok(_) => fail("a pending value is written, and reading it is Unsupported"),
    }
}

async fn discarded(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    let first = write_version(&*provider, &A, "first").await?;
    let target = Target::new(A);
    let put = Put::new(target.clone(), text("second")).with_stage(Stage::Pending);
    let Some(version) = optional(provider.put(&put).await, "has no pending values")? else {
        return fail("a pending value without a version can't be discarded");
    };
    let conflict = [ErrorKind::Conflict];
    let current = provider.discard(&target, &first).await;
    refused(current, &conflict, "discarding the current version")?;
    provider.discard(&target, &version).await?;
    let pending = ask(&*provider, Request::from(A).with_stage(Stage::Pending)).await?;
    refused(pending, &[ErrorKind::Absent], "reading what was discarded")?;
    let again = provider.discard(&target, &version).await;
    refused(again, &conflict, "discarding what is not pending")?;
    holds(
        &*provider,
        &A,
        b"first",
        "after a pending value was discarded",
    )
    .await
}

async fn overlap(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    super::check::write(&*provider, &A, "first").await?;
    let kept = Duration::from_secs(3600);
    let put = Put::new(Target::new(A), text("second")).with_overlap(kept);
    match provider.put(&put).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            holds(&*provider, &A, b"first", "after a refused overlap").await?;
            return skip("the backend can't keep the former value for a time");
        }
        Err(error) => return Err(error.into()),
    }
    let previous = read(&*provider, Request::from(A).with_stage(Stage::Previous)).await?;
    same(previous.expose_bytes(), b"first", "the former value")?;
    let ends = previous.metadata().expires();
    let left = ends.and_then(|ends| ends.duration_since(SystemTime::now()).ok());
    let nearly = kept.saturating_sub(Duration::from_secs(120));
    ensure(
        left.is_some_and(|left| (nearly..=kept).contains(&left)),
        "the former value doesn't end when its overlap does",
    )
}

async fn restore(harness: &dyn Harness) -> Verdict {
    let provider = empty_writable(harness).await?;
    super::check::write(&*provider, &A, "first").await?;
    delete(&*provider, &A, Expect::Any).await?;
    let restored = provider.restore(&Target::new(A)).await;
    optional(restored, "can't restore what was deleted")?;
    holds(&*provider, &A, b"first", "a restored secret").await
}

async fn nothing(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let (target, version) = (Target::new(NOWHERE), Version::new("1"));
    let kinds = [ErrorKind::Absent, ErrorKind::Unsupported];
    refused(provider.versions(&target).await, &kinds, "versions")?;
    refused(provider.restore(&target).await, &kinds, "restore")?;
    refused(provider.promote(&target, &version).await, &kinds, "promote")?;
    let kinds = [kinds.as_slice(), &[ErrorKind::Conflict]].concat();
    refused(provider.discard(&target, &version).await, &kinds, "discard")?;
    super::check::is_absent(&*provider, &NOWHERE, "after all that").await
}

fn optional<T>(outcome: Result<T>, without: &str) -> std::result::Result<T, Stop> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            skip(format!("the backend {without}"))
        }
        outcome => Ok(outcome?),
    }
}
