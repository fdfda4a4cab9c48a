//! What it costs to ask for a secret by name that is held already.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure as count;
use secret_vault::SecretVaultNoEncryption;
use secret_vault::ring_encryption::SecretVaultRingAeadEncryption;
use secret_vault::{SecretVaultSnapshot as _, SecretVaultView as _};
use strongroom::{Declared, Env, Kind, Memory, SecretName, SecretsFactory};

use crate::Section;
use crate::measure::{Repeated, on_one_and_two_threads, repeated};
use crate::peers::{NAME, VALUE, aws_caching, secret_vault, vault_name};

pub fn section() -> Section {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let builder = SecretsFactory::builder()
        .env(Env::empty())
        .provider(Memory::new().with(NAME, VALUE))
        .declare([Declared::new(SecretName::from_static(NAME), Kind::Token)]);
    let secrets = runtime.block_on(builder.detect())?;
    let live = runtime.block_on(secrets.watch(NAME))?;
    let (aws, _) = aws_caching(Duration::ZERO)?;
    runtime.block_on(async {
        aws.get_secret_value(NAME, None, None, false)
            .await
            .map(drop)
    })?;
    let (plain, snapshot) = runtime.block_on(secret_vault(SecretVaultNoEncryption {}))?;
    let encryption = SecretVaultRingAeadEncryption::new()?;
    let (encrypted, _) = runtime.block_on(secret_vault(encryption))?;
    let name = vault_name();

    let actions: Vec<(&str, Repeated<'_>)> = vec![
        (
            "`strongroom`: `Secrets::get`",
            repeated(|| {
                let secret = ready(black_box(&secrets).get(black_box(NAME)));
                let secret = secret.and_then(Result::ok);
                check(secret.as_ref().map(|secret| secret.expose_bytes()));
            }),
        ),
        (
            "`strongroom`: `LiveSecret::with`, of a handle that was asked for once",
            repeated(|| {
                let looked_at = black_box(&live).with(|secret| check(Some(secret.expose_bytes())));
                assert!(looked_at.is_ok());
            }),
        ),
        (
            "`aws_secretsmanager_caching`: `get_secret_value`",
            repeated(|| {
                let secret = ready(aws.get_secret_value(black_box(NAME), None, None, false));
                let secret = secret.and_then(Result::ok);
                let text = secret
                    .as_ref()
                    .and_then(|secret| secret.secret_string.as_ref());
                check(text.map(|text| text.as_bytes()));
            }),
        ),
        (
            "`secret-vault`: `get_secret`",
            repeated(|| {
                let secret = ready(plain.get_secret(black_box(&name)));
                let secret = secret.and_then(Result::ok).flatten();
                check(
                    secret
                        .as_ref()
                        .map(|secret| secret.value.ref_sensitive_value().as_slice()),
                );
            }),
        ),
        (
            "`secret-vault`: `get_secret`, encrypted in memory",
            repeated(|| {
                let secret = ready(encrypted.get_secret(black_box(&name)));
                let secret = secret.and_then(Result::ok).flatten();
                check(
                    secret
                        .as_ref()
                        .map(|secret| secret.value.ref_sensitive_value().as_slice()),
                );
            }),
        ),
        (
            "`secret-vault`: `get_secret` of a snapshot, which is never refreshed",
            repeated(|| {
                let secret = snapshot.get_secret(black_box(&name));
                check(
                    secret
                        .ok()
                        .flatten()
                        .as_ref()
                        .map(|secret| secret.value.ref_sensitive_value().as_slice()),
                );
            }),
        ),
    ];
    let (titles, actions): (Vec<_>, Vec<_>) = actions.into_iter().unzip();
    // The first run may still set something up.
    actions.iter().for_each(|action| action(1));
    let allocations = actions.iter().map(|action| count(|| action(1)).count_total);
    let allocations: Vec<_> = allocations.collect();
    let measured = on_one_and_two_threads(&actions);
    let ours = *measured.first().ok_or("nothing was measured")?;
    let row = |((title, allocations), times): ((&&str, _), &crate::measure::Threads)| {
        format!(
            "| {title} | {:.0} ns | {:.1} | {:.0} ns | {:.1} | {allocations} |",
            times.one,
            times.one / ours.one,
            times.two,
            times.two / ours.two,
        )
    };
    let rows = titles.iter().zip(allocations).zip(&measured).map(row);
    let rows = rows.collect::<Vec<_>>().join("\n");
    Ok(format!(
        "\
## Asking for a secret that is held

The value of {} bytes under one name, looked at and dropped. `get` hands out a clone that shares the value; \
what it costs is mostly the counting of those clones and of the reader itself. Every \
source is in memory and is asked once, before. The fastest of many interleaved rounds; of two threads that \
ask for one name at the same time, the slower one.

| | one thread | times ours | each of two | times ours | allocations |
|---|---|---|---|---|---|
{rows}",
        VALUE.len()
    ))
}

fn check(found: Option<&[u8]>) {
    // A measurement of something that isn't there would be worth nothing.
    assert_eq!(black_box(found).map(<[u8]>::len), Some(VALUE.len()));
}

/// Polls once: what is held is there at once.
fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
