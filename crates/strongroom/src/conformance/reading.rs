//! Batches, absence, known versions.

use std::sync::Arc;

use super::check::{
    A, B, NOWHERE, Verdict, ask, ensure, holds, read, refused, same, skip, text, two, value_of,
    write_version,
};
use super::{Case, Harness};
use crate::error::ErrorKind;
use crate::name::SecretName;
use crate::provider::{Reply, Request, Stage};
use crate::secret::{Secret, Version};

pub(super) const CASES: &[Case] = &[
    Case::new("an empty batch gets no answers", |h| {
        Box::pin(empty_batch(h))
    }),
    Case::new("answers come in the order asked", |h| Box::pin(order(h))),
    Case::new("an absent secret is Absent and fails alone", |h| {
        Box::pin(absent(h))
    }),
    Case::new("a repeated request is answered each time", |h| {
        Box::pin(repeated(h))
    }),
    Case::new("a hundred names fit in one batch", |h| Box::pin(hundred(h))),
    Case::new("many reads at one time all succeed", |h| {
        Box::pin(many_reads(h))
    }),
    Case::new(
        "Unchanged answers only a request that knows the current version",
        |h| Box::pin(unchanged(h)),
    ),
    Case::new(
        "a read of another stage doesn't answer with the current value",
        |h| Box::pin(other_stages(h)),
    ),
];

async fn empty_batch(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let answers = provider.fetch(&[]).await;
    ensure(answers.is_empty(), format!("{} answers", answers.len()))
}

async fn order(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    for names in [[A, B], [B, A]] {
        let wanted = names.clone().map(Request::from);
        let answers = provider.fetch(&wanted).await;
        ensure(
            answers.len() == 2,
            format!("{} answers to two requests", answers.len()),
        )?;
        for (name, answer) in names.iter().zip(answers) {
            let value: &[u8] = if *name == A {
                b"value of a"
            } else {
                b"value of b"
            };
            same(
                value_of(answer)?.expose_bytes(),
                value,
                "the answer at its place",
            )?;
        }
    }
    Ok(())
}

async fn absent(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let answers = provider.fetch(&[A, NOWHERE, B].map(Request::from)).await;
    ensure(
        answers.len() == 3,
        format!("{} answers to three requests", answers.len()),
    )?;
    for (at, answer) in answers.into_iter().enumerate() {
        if at == 1 {
            let error = refused(answer, &[ErrorKind::Absent], "a secret that is not there")?;
            let named =
                error.name() == Some(&NOWHERE) || error.to_string().contains(NOWHERE.as_str());
            ensure(named, "the error doesn't name the secret")?;
        } else {
            value_of(answer)?;
        }
    }
    Ok(())
}

async fn repeated(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let answers = provider.fetch(&[A, B, A].map(Request::from)).await;
    ensure(
        answers.len() == 3,
        format!("{} answers to three requests", answers.len()),
    )?;
    for (answer, value) in answers
        .into_iter()
        .zip(["value of a", "value of b", "value of a"])
    {
        same(
            value_of(answer)?.expose_bytes(),
            value.as_bytes(),
            "a repeated request",
        )?;
    }
    Ok(())
}

async fn hundred(harness: &dyn Harness) -> Verdict {
    let name = |n: usize| SecretName::parse(format!("many/n{n:03}"));
    let held: Vec<(SecretName, Secret)> = (0..100)
        .map(|n| Ok((name(n)?, text(&format!("value {n}")))))
        .collect::<crate::Result<_>>()?;
    let provider = harness.open(&held).await?;
    let wanted: Vec<_> = held
        .iter()
        .rev()
        .map(|(name, _)| name.clone().into())
        .collect();
    let answers = provider.fetch(&wanted).await;
    ensure(
        answers.len() == 100,
        format!("{} answers to a hundred requests", answers.len()),
    )?;
    for (answer, (_, value)) in answers.into_iter().zip(held.iter().rev()) {
        same(
            value_of(answer)?.expose_bytes(),
            value.expose_bytes(),
            "one of a hundred",
        )?;
    }
    Ok(())
}

async fn many_reads(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let provider = Arc::clone(&provider);
        reads.spawn(async move { holds(&*provider, &A, b"value of a", "a concurrent read").await });
    }
    while let Some(done) = reads.join_next().await {
        done.unwrap_or_else(|_| super::check::fail("a concurrent read panicked"))?;
    }
    Ok(())
}

async fn unchanged(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let unknown = Request::from(A).with_known(Version::new("a version that never was"));
    same(
        read(&*provider, unknown).await?.expose_bytes(),
        b"value of a",
        "an unknown version",
    )?;
    let Some(version) = read(&*provider, A).await?.metadata().version().cloned() else {
        return skip("the backend has no versions");
    };
    let known = Request::from(A).with_known(version.clone());
    let answer = ask(&*provider, known.clone()).await??;
    ensure(
        matches!(answer, Reply::Unchanged),
        "the current version is known, and a value came",
    )?;
    let nowhere = Request::from(NOWHERE).with_known(version);
    refused(
        ask(&*provider, nowhere).await?,
        &[ErrorKind::Absent],
        "absent, whatever is known",
    )?;
    if provider.describe().writable {
        let new = write_version(&*provider, &A, "another value").await?;
        ensure(
            known.known.as_ref() != Some(&new),
            "a write left the version as it was",
        )?;
        same(
            read(&*provider, known).await?.expose_bytes(),
            b"another value",
            "after a write",
        )?;
    }
    Ok(())
}

async fn other_stages(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let never = Version::new("a version that never was");
    for stage in [Stage::Previous, Stage::Pending, Stage::Exact(never)] {
        let request = Request::from(A).with_stage(stage.clone());
        let kinds = [ErrorKind::Absent, ErrorKind::Unsupported];
        let what = format!("{stage:?} of a secret written once");
        refused(ask(&*provider, request).await?, &kinds, &what)?;
    }
    Ok(())
}
