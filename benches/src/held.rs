//! What it costs to hold very many secrets: memory, and the refresh.

use std::error::Error;
use std::fs;
use std::time::Duration;

use allocation_counter::measure as count;
use async_trait::async_trait;
use strongroom::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Target,
};
use strongroom::{
    Declared, Env, ErrorKind, Kind, Metadata, Secret, SecretName, Secrets, SecretsFactory, Version,
};

use crate::Section;

const SECRETS: usize = 100_000;
const BYTES: usize = 64;
const ROUNDS: usize = 7;
const IDLE: Duration = Duration::from_secs(5);

pub fn section() -> Section {
    // One thread, so that what it allocates and how long it runs is all there is.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    let names = names()?;
    let before = resident()?;
    let mut booted = None;
    let mut boot = Duration::ZERO;
    let allocated = count(|| {
        let began = processor_time().unwrap_or_default();
        booted = Some(runtime.block_on(boot_with(&names)));
        boot = processor_time().unwrap_or_default().saturating_sub(began);
    });
    let secrets = booted.ok_or("no boot")??;
    let resident = resident()?.saturating_sub(before);

    let mut refresh = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = processor_time()?;
        runtime.block_on(secrets.refresh())?;
        refresh = refresh.min(processor_time()?.saturating_sub(began));
    }
    // The last refresh may still have to let go of what it read.
    runtime.block_on(async { tokio::time::sleep(IDLE).await });
    let began = processor_time()?;
    runtime.block_on(async { tokio::time::sleep(IDLE).await });
    let idle = processor_time()?.saturating_sub(began);
    let began = processor_time()?;
    let health = secrets.health();
    let health_time = processor_time()?.saturating_sub(began);
    if health.secrets.len() != SECRETS || health.status != strongroom::HealthStatus::Ready {
        return Err(format!("not all is held: {:?}", health.reasons).into());
    }
    runtime.block_on(secrets.shutdown())?;

    let each = |bytes: u64| bytes / SECRETS as u64;
    let per_name = |time: Duration| time.as_nanos() / SECRETS as u128;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(format!(
        "\
## Holding {SECRETS} secrets

Declared secrets of {BYTES} bytes each, from a source in memory whose values have versions, on one thread. The \
memory is what the boot leaves allocated: value, name, declaration, metadata, handle, and the plan of \
its refresh. Times are the processor's. Nothing changed between the refreshes, of which the fastest of \
{ROUNDS} counts; a tick is the once-a-second look at the clock while nothing is due.

| | in all | for each secret |
|---|---|---|
| allocated | {:.1} MB | {} bytes |
| resident more than before | {:.1} MB | {} bytes |
| the boot, which checks each value's strength | {:.0} ms | {} ns |
| one refresh of everything | {:.0} ms | {} ns |
| the health report | {:.0} ms | {} ns |
| one tick | {:.3} ms | |",
        allocated.bytes_current as f64 / 1e6,
        each(allocated.bytes_current.unsigned_abs()),
        resident as f64 / 1e6,
        each(resident),
        milliseconds(boot),
        per_name(boot),
        milliseconds(refresh),
        per_name(refresh),
        milliseconds(health_time),
        per_name(health_time),
        milliseconds(idle) / IDLE.as_secs_f64(),
    ))
}

fn names() -> strongroom::Result<Vec<SecretName>> {
    let name = |n| SecretName::parse(format!("tenants/{n:06}/api-token"));
    (0..SECRETS).map(name).collect()
}

async fn boot_with(names: &[SecretName]) -> strongroom::Result<Secrets> {
    let declare = |name: &SecretName| Declared::new(name.clone(), Kind::Token);
    let builder = SecretsFactory::builder()
        .env(Env::empty())
        .provider(Made)
        .declare(names.iter().map(declare));
    builder.detect().await
}

/// Makes the value of each name when it is asked for it, and holds none.
#[derive(Debug)]
struct Made;

#[async_trait]
impl SecretProvider for Made {
    fn describe(&self) -> Description {
        Description::new("made", "made:", false)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<strongroom::Result<Reply>> {
        let version = Version::new("1");
        let reply = |request: &Request| match &request.known {
            Some(known) if *known == version => Ok(Reply::Unchanged),
            _ => {
                let metadata = Metadata::new().with_version(version.clone());
                let value = value(&request.target.name);
                Ok(Reply::Value(value.with_metadata(metadata)))
            }
        };
        wanted.iter().map(reply).collect()
    }

    async fn put(&self, _: &Put) -> strongroom::Result<Option<Version>> {
        Err(read_only())
    }

    async fn delete(&self, _: &Target, _: &Expect) -> strongroom::Result<()> {
        Err(read_only())
    }

    async fn list(&self, _: &str) -> strongroom::Result<Vec<SecretName>> {
        Ok(Vec::new())
    }

    async fn health(&self) -> strongroom::Result<ProviderHealth> {
        Ok(ProviderHealth::ready())
    }

    async fn close(&self) -> strongroom::Result<()> {
        Ok(())
    }
}

fn read_only() -> strongroom::Error {
    strongroom::Error::new(ErrorKind::Unsupported, "it is made, not written")
}

/// Makes 64 characters that differ from name to name and look as a token does.
fn value(name: &SecretName) -> Secret {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mac =
        Hmac::<sha2::Sha256>::new_from_slice(b"bench").map(|mac| mac.chain_update(name.as_str()));
    let digest = mac
        .map(|mac| mac.finalize().into_bytes().to_vec())
        .unwrap_or_default();
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    debug_assert_eq!(text.len(), BYTES);
    Secret::from_text(text)
}

/// The time that this thread ran, by the kernel's account.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let account = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = account.split_whitespace().next().ok_or("no account")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn resident() -> Result<u64, Box<dyn Error>> {
    const PAGE: u64 = 4_096;
    let pages = fs::read_to_string("/proc/self/statm")?;
    let resident = pages.split_whitespace().nth(1).ok_or("no pages")?;
    Ok(resident.parse::<u64>()? * PAGE)
}
