//! What the cases are written with.

use std::sync::Arc;

use super::Harness;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Expect, Put, Reply, Request, SecretProvider, Target};
use crate::secret::{Secret, Version};

/// How one case ends.
pub(super) type Verdict = std::result::Result<(), Stop>;

/// Why a case ends before its end. Never holds a value: what the suite writes may be real.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(String),
    Skipped(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(format!("unexpected error ({}): {error}", error.kind()))
    }
}

pub(super) fn fail<T>(problem: impl Into<String>) -> std::result::Result<T, Stop> {
    Err(Stop::Failed(problem.into()))
}

pub(super) fn skip<T>(reason: impl Into<String>) -> std::result::Result<T, Stop> {
    Err(Stop::Skipped(reason.into()))
}

pub(super) fn ensure(holds: bool, problem: impl Into<String>) -> Verdict {
    if holds { Ok(()) } else { fail(problem) }
}

pub(super) const A: SecretName = SecretName::from_static("alpha/one");
pub(super) const B: SecretName = SecretName::from_static("beta/two");
pub(super) const NOWHERE: SecretName = SecretName::from_static("nowhere/at-all");

pub(super) fn text(value: &str) -> Secret {
    Secret::from_text(value)
}

/// Opens a provider that holds `A` and `B`.
pub(super) async fn two(
    harness: &dyn Harness,
) -> std::result::Result<Arc<dyn SecretProvider>, Stop> {
    let held = [(A, text("value of a")), (B, text("value of b"))];
    Ok(harness.open(&held).await?)
}

/// Opens an empty provider, where the backend can be written.
pub(super) async fn empty_writable(
    harness: &dyn Harness,
) -> std::result::Result<Arc<dyn SecretProvider>, Stop> {
    let provider = harness.open(&[]).await?;
    match provider.describe().writable {
        true => Ok(provider),
        false => skip("the backend is read-only"),
    }
}

/// Asks for one answer.
pub(super) async fn ask(
    provider: &dyn SecretProvider,
    request: impl Into<Request>,
) -> std::result::Result<Result<Reply>, Stop> {
    let mut answers = provider.fetch(&[request.into()]).await;
    match (answers.pop(), answers.len()) {
        (Some(answer), 0) => Ok(answer),
        (_, more) => fail(format!(
            "one request got {} answers",
            if more == 0 { 0 } else { more.saturating_add(1) }
        )),
    }
}

/// Reads one value.
pub(super) async fn read(
    provider: &dyn SecretProvider,
    request: impl Into<Request>,
) -> std::result::Result<Secret, Stop> {
    value_of(ask(provider, request).await?)
}

pub(super) fn value_of(answer: Result<Reply>) -> std::result::Result<Secret, Stop> {
    match answer? {
        Reply::Value(secret) => Ok(secret),
        Reply::Unchanged => {
            fail("Unchanged, to a request that knew no version or not the current one")
        }
    }
}

/// Says where two values part, without showing either.
pub(super) fn same(found: &[u8], wanted: &[u8], what: &str) -> Verdict {
    if found == wanted {
        return Ok(());
    }
    let equal = found.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    fail(format!(
        "{what}: {} bytes came back for {}, alike up to byte {equal}",
        found.len(),
        wanted.len()
    ))
}

/// Demands that `name` holds exactly `value`.
pub(super) async fn holds(
    provider: &dyn SecretProvider,
    name: &SecretName,
    value: &[u8],
    what: &str,
) -> Verdict {
    let secret = read(provider, name.clone()).await?;
    same(secret.expose_bytes(), value, what)
}

/// Demands that `name` is absent.
pub(super) async fn is_absent(
    provider: &dyn SecretProvider,
    name: &SecretName,
    what: &str,
) -> Verdict {
    refused(
        ask(provider, name.clone()).await?,
        &[ErrorKind::Absent],
        what,
    )
    .map(|_| ())
}

/// Demands an error of one of these kinds.
pub(super) fn refused<T>(
    result: Result<T>,
    kinds: &[ErrorKind],
    what: &str,
) -> std::result::Result<Error, Stop> {
    let wanted: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    let wanted = wanted.join(" or ");
    match result {
        Ok(_) => fail(format!("{what}: succeeded; it should be {wanted}")),
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => fail(format!("{what}: {}, should be {wanted}", error.kind())),
    }
}

pub(super) async fn put(
    provider: &dyn SecretProvider,
    name: &SecretName,
    value: &Secret,
    expect: Expect,
) -> Result<Option<Version>> {
    let put = Put::new(Target::new(name.clone()), value.clone()).with_expect(expect);
    provider.put(&put).await
}

pub(super) async fn delete(
    provider: &dyn SecretProvider,
    name: &SecretName,
    expect: Expect,
) -> Result<()> {
    provider.delete(&Target::new(name.clone()), &expect).await
}

/// Writes whatever is there, and returns the version that a read then gives.
pub(super) async fn write(
    provider: &dyn SecretProvider,
    name: &SecretName,
    value: &str,
) -> std::result::Result<Option<Version>, Stop> {
    let said = put(provider, name, &text(value), Expect::Any).await?;
    let read = read(provider, name.clone())
        .await?
        .metadata()
        .version()
        .cloned();
    ensure(
        said.is_none() || said == read,
        "put returned another version than a read gives",
    )?;
    Ok(read)
}

/// Writes, and skips the case where the backend has no versions.
pub(super) async fn write_version(
    provider: &dyn SecretProvider,
    name: &SecretName,
    value: &str,
) -> std::result::Result<Version, Stop> {
    match write(provider, name, value).await? {
        Some(version) => Ok(version),
        None => skip("the backend has no versions"),
    }
}
