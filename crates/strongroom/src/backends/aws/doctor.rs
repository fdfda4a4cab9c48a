//! What `strongroom doctor` looks at on the way to the declared secrets, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use super::client::Client;
use super::place::Place;
use super::settings::Settings;
use super::store::{Access, Answered, Store};
use crate::backends::Connect;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::{Check, Diagnosis, Examining};
use crate::name::SecretName;

mod policy;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(45);

/// By how much the clocks may differ before it is said.
const SKEW: Duration = Duration::from_secs(30);

/// By how much they may differ before AWS refuses every signature.
const REFUSED_SKEW: Duration = Duration::from_secs(5 * 60);

/// The secrets of AWS that declared ones are read from, each with their names.
type Wanted = BTreeMap<String, Vec<SecretName>>;

/// Looks at the settings, the credentials, the service, and what we may do. Reads no secret.
pub(super) fn examine(connect: Connect) -> Examining {
    Box::pin(async move {
        let mut diagnosis = Diagnosis::new();
        let looked = tokio::time::timeout(TIMEOUT, look(&connect, &mut diagnosis)).await;
        let looked = looked.unwrap_or_else(|_| {
            let seconds = TIMEOUT.as_secs();
            let message =
                format!("the checks did not end within {seconds}s; the rest is not known");
            Err(("time", Error::new(ErrorKind::Transient, message)))
        });
        if let Err((subject, error)) = looked {
            diagnosis.push(Check::error(subject, &error));
        }
        diagnosis
    })
}

/// Fails with what makes all further steps meaningless, and the subject that it belongs to.
async fn look(connect: &Connect, diagnosis: &mut Diagnosis) -> Result<(), (&'static str, Error)> {
    let settings = Settings::read(connect).await;
    let settings = settings.map_err(|error| ("settings", error))?;
    let wanted = wanted(connect, &settings, diagnosis);
    diagnosis.policy = Some(policy::write(&settings, &wanted, &[]));
    let from = format!("{}, from {}", settings.region, settings.region_from);
    diagnosis.push(Check::ok("region", from));
    if let Some(endpoint) = &settings.endpoint {
        let detail = format!(
            "{}, from {}, instead of AWS's own",
            endpoint.url, endpoint.from
        );
        diagnosis.push(Check::ok("endpoint", detail));
    }
    let client = Client::new(connect, &settings).map_err(|error| ("settings", error))?;
    let from = client.chain.describe().await;
    let from = from.map_err(|error| ("credentials", error))?;
    diagnosis.push(Check::ok("credentials", format!("of {from}")));
    let store = Arc::new(Store::new(client, settings.clone()));
    if !service(&store, diagnosis).await {
        return Ok(());
    }
    let keys = access(&store, &wanted, diagnosis).await;
    diagnosis.policy = Some(policy::write(&settings, &wanted, &keys));
    Ok(())
}

fn wanted(connect: &Connect, settings: &Settings, diagnosis: &mut Diagnosis) -> Wanted {
    let mut wanted = Wanted::new();
    for declared in connect.declared.iter() {
        let name = declared.name.clone();
        match Place::of(settings, &declared.target()) {
            Ok(place) => wanted.entry(place.id).or_default().push(name),
            Err(error) => diagnosis.push(Check::error(format!("secret `{name}`"), &error)),
        }
    }
    wanted
}

/// Asks the service; answers whether it takes our credentials.
async fn service(store: &Store, diagnosis: &mut Diagnosis) -> bool {
    let began = std::time::Instant::now();
    let Answered { outcome, date } = store.ping().await;
    let taken = began.elapsed().as_secs_f64() * 1000.0;
    if let Some(theirs) = date {
        diagnosis.push(clock(theirs, SystemTime::now()));
    }
    match outcome {
        Ok(()) => {
            let detail = format!("it takes our credentials, and answered in {taken:.1} ms");
            diagnosis.push(Check::ok("service", detail));
            true
        }
        Err(error) => {
            diagnosis.push(Check::error("service", &error));
            false
        }
    }
}

fn clock(theirs: SystemTime, ours: SystemTime) -> Check {
    let (differs, which) = match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    // A header tells whole seconds.
    let seconds = differs.as_secs();
    let detail = format!("ours is {seconds} s {which} AWS's");
    let help = "set it by NTP: AWS refuses what is signed more than 5 minutes off";
    match differs {
        differs if differs <= SKEW => {
            Check::ok("clock", format!("within {} s of AWS's", seconds.max(1)))
        }
        differs if differs <= REFUSED_SKEW => Check::warning("clock", detail).with_help(help),
        _ => Check::failed("clock", detail).with_help(help),
    }
}

/// Asks for each secret whether it is there and whether we may read it, and returns the KMS keys of
/// your own that encrypt them.
async fn access(store: &Arc<Store>, wanted: &Wanted, diagnosis: &mut Diagnosis) -> Vec<String> {
    let mut running = JoinSet::new();
    for id in wanted.keys().cloned() {
        let store = Arc::clone(store);
        running.spawn(async move {
            let access = store.access(&id).await;
            (id, access)
        });
    }
    let mut found = BTreeMap::new();
    while let Some(access) = running.join_next().await {
        found.extend(access);
    }
    let mut keys = Vec::new();
    for (id, names) in wanted {
        let Some(access) = found.remove(id) else {
            continue;
        };
        let mut names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let subject = format!("access to {}", names.join(", "));
        diagnosis.push(judge(&subject, id, &access));
        keys.extend(access.key);
    }
    if wanted.len() > 1 {
        diagnosis.push(match store.may_read_many().await {
            Ok(true) => Check::ok("batch", "20 secrets are read in one call"),
            Ok(false) => Check::warning("batch", "BatchGetSecretValue is not allowed")
                .with_help("secrets are read one by one; `strongroom doctor --policy` allows it"),
            Err(error) => Check::error("batch", &error),
        });
    }
    keys.sort();
    keys.dedup();
    keys
}

fn judge(subject: &str, id: &str, access: &Access) -> Check {
    if let Err(error) = &access.readable {
        return Check::error(subject, error);
    }
    match &access.key {
        None => Check::ok(subject, format!("we may read `{id}`")),
        Some(key) => Check::ok(
            subject,
            format!(
                "we may read `{id}`; whether `kms:Decrypt` on its key {key} is allowed shows at a \
                 read only: `strongroom validate`"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examination::CheckOutcome;

    #[test]
    fn a_clock_that_aws_would_refuse_fails() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (theirs, outcome, said) in [
            (1_000_000, CheckOutcome::Ok, "within 1 s"),
            (999_960, CheckOutcome::Warning, "40 s ahead of"),
            (1_000_299, CheckOutcome::Warning, "299 s behind"),
            (1_000_301, CheckOutcome::Failed, "301 s behind"),
        ] {
            let check = clock(SystemTime::UNIX_EPOCH + Duration::from_secs(theirs), ours);
            assert_eq!(check.outcome, outcome, "{}", check.detail);
            assert!(check.detail.contains(said), "{}", check.detail);
        }
    }
}
