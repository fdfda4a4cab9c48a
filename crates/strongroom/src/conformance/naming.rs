//! Names at their limits, their spellings, their fields.

use super::check::{
    A, Verdict, ensure, fail, holds, is_absent, read, same, skip, text, two, value_of,
};
use super::{Case, Harness};
use crate::error::ErrorKind;
use crate::name::SecretName;
use crate::provider::Request;

pub(super) const CASES: &[Case] = &[
    Case::new("a value carries the name it was asked by", |h| {
        Box::pin(named(h))
    }),
    Case::new("names at the limits are found", |h| Box::pin(long_names(h))),
    Case::new(
        "names that differ in spelling alone are different secrets",
        |h| Box::pin(spellings(h)),
    ),
    Case::new("a name with a field is a secret of its own", |h| {
        Box::pin(fields(h))
    }),
    Case::new("fields of one document come from one version of it", |h| {
        Box::pin(documents(h))
    }),
];

async fn named(harness: &dyn Harness) -> Verdict {
    let provider = two(harness).await?;
    let secret = read(&*provider, A).await?;
    ensure(
        secret.metadata().name() == Some(&A),
        "the metadata has no or another name",
    )
}

async fn long_names(harness: &dyn Harness) -> Verdict {
    let longest = SecretName::parse([&"segment/".repeat(31), "segments"].concat())?;
    let absent = SecretName::parse([&"segment/".repeat(31), "sediment"].concat())?;
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
                return fail("not two answers to two fields");
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

async fn fields(harness: &dyn Harness) -> Verdict {
    let names = ["account#user", "account#pass.word-1"].map(SecretName::from_static);
    let held = names.map(|name| {
        let value = text(&format!("value of {name}"));
        (name, value)
    });
    let provider = match harness.open(&held).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return skip("the backend can't be given a single field");
        }
        provider => provider?,
    };
    for (name, value) in &held {
        holds(
            &*provider,
            name,
            value.expose_bytes(),
            "a name with a field",
        )
        .await?;
    }
    let other = SecretName::from_static("account#other");
    is_absent(&*provider, &other, "a field that is not there").await
}
