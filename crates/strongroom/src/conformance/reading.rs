//! Batches, absence, known versions, documents.

use std::sync::Arc;

use super::check::{
    A, B, NOWHERE, Verdict, ask, ensure, holds, is_absent, read, refused, same, skip, text, two,
    value_of, write_version,
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
    Case::new("a value carries the name it was asked by", |h| {
        Box::pin(named(h))
    }),
    Case::new(
        "Unchanged answers only a request that knows the current version",
        |h| Box::pin(unchanged(h)),
    ),
    Case::new(
        "a read of another stage doesn't answer with the current value",
        |h| Box::pin(other_stages(h)),
    ),
    Case::new("names at the limits are found", |h| Box::pin(long_names(h))),
    Case::new(
        "names that differ in spelling alone are different secrets",
        |h| Box::pin(spellings(h)),
    ),
    Case::new("fields of one document come from one version of it", |h| {
        Box::pin(documents(h))
    }),
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

async fn named(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let secret = read(&*provider, A).await?;
    ensure(
        secret.metadata().name() == Some(&A),
        "the metadata has no or another name",
    )
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

async fn long_names(harness: &dyn Harness) -> Verdict {
    // 255 bytes, so that the longest name of all is absent beside it.
    let longest = SecretName::parse([&"segment/".repeat(31), "segment"].concat())?;
    let absent = SecretName::parse([longest.as_str(), "s"].concat())?;
    let names = [
        longest,
        SecretName::from_static("x"),
        SecretName::from_static("Mixed-Case/with.dots/and_more-9"),
        SecretName::from_static("0/-/_"),
    ];
    let held = names.map(|name| {
        let value = text(&format!("value of {name}"));
        (name, value)
    });
    let provider = harness.open(&held).await?;
    for (name, value) in &held {
        holds(
            &*provider,
            name,
            value.expose_bytes(),
            "a name at the limits",
        )
        .await?;
    }
    is_absent(&*provider, &absent, "a name of 256 bytes that is not there").await?;
    let one_segment = SecretName::parse("y".repeat(crate::MAX_NAME_BYTES))?;
    is_absent(
        &*provider,
        &one_segment,
        "one segment of 256 bytes that is not there",
    )
    .await
}

async fn spellings(harness: &dyn Harness) -> Verdict {
    if !harness.tells_spellings_apart() {
        return skip("the backend maps such names to one place");
    }
    let names = ["a/b", "A/b", "a.b", "a_b", "a-b", "a/b/c"].map(SecretName::from_static);
    let held = names.map(|name| {
        let value = text(&format!("value of {name}"));
        (name, value)
    });
    let provider = harness.open(&held).await?;
    for (name, value) in &held {
        holds(
            &*provider,
            name,
            value.expose_bytes(),
            "a name by its own spelling",
        )
        .await?;
    }
    is_absent(
        &*provider,
        &SecretName::from_static("a"),
        "the parent of a name",
    )
    .await
}

async fn documents(harness: &dyn Harness) -> Verdict {
    const DOCUMENT: SecretName = SecretName::from_static("account");
    const FIELDS: [SecretName; 2] = [
        SecretName::from_static("account#user"),
        SecretName::from_static("account#password"),
    ];
    let provider = harness.open(&[]).await?;
    let write = async |n: usize| {
        let value = format!("generation {n}");
        let keys = [("user", value.as_str()), ("password", value.as_str())];
        harness.write_document(&*provider, &DOCUMENT, &keys).await
    };
    match write(0).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return skip(error.to_string()),
        written => written?,
    }
    let missing = SecretName::from_static("account#missing");
    is_absent(&*provider, &missing, "a field that the document has not").await?;
    let writes = async {
        for n in 1..=20 {
            write(n).await?;
            tokio::task::yield_now().await;
        }
        Verdict::Ok(())
    };
    let reads = async {
        for _ in 0..20 {
            let answers = provider.fetch(&FIELDS.map(Request::from)).await;
            let mut values = Vec::new();
            for answer in answers {
                values.push(value_of(answer)?);
            }
            let [user, password] = values.as_slice() else {
                return super::check::fail("not two answers to two fields");
            };
            same(
                user.expose_bytes(),
                password.expose_bytes(),
                "two fields of one document",
            )?;
            let versions = [user, password].map(|secret| secret.metadata().version());
            ensure(
                versions.first() == versions.last(),
                "two versions of one document",
            )?;
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (wrote, read) = tokio::join!(writes, reads);
    wrote.and(read)
}
