//! What `strongroom doctor` looks at on the way to the declared secrets, step by step.

use std::time::Duration;

use super::settings::{KvVersion, Settings};
use super::store::Place;
use super::trust;
use crate::backends::Connect;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::{Check, Diagnosis, Examining};
use crate::name::SecretName;

mod access;
mod certificate;
mod network;
mod policy;
mod server;
mod tls;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(45);

/// A declared secret, and where it stands.
struct Wanted {
    name: SecretName,
    place: Place,
}

/// Looks at one Vault: the way there, the server, our login, and what we may do. Reads no secret.
pub(super) fn examine(connect: Connect) -> Examining {
    Box::pin(async move {
        let mut diagnosis = Diagnosis::new();
        let looked = tokio::time::timeout(TIMEOUT, look(&connect, &mut diagnosis)).await;
        let looked = looked.unwrap_or_else(|_| {
            let seconds = TIMEOUT.as_secs();
            let message =
                format!("the checks did not end within {seconds}s; the rest is not known");
            let late = Error::new(ErrorKind::Transient, message);
            Err(("time", late))
        });
        if let Err((subject, error)) = looked {
            diagnosis.push(Check::error(subject, &error));
        }
        diagnosis
    })
}

/// Fails with what makes all further steps meaningless, and the subject that it belongs to.
async fn look(connect: &Connect, diagnosis: &mut Diagnosis) -> Result<(), (&'static str, Error)> {
    let settings = Settings::read(connect).map_err(|error| ("settings", error))?;
    let wanted = wanted(connect, &settings, diagnosis);
    diagnosis.policy = Some(policy::write(&settings, settings.kv, &wanted));
    trust::check(connect, &settings.base).map_err(|error| ("trust", error))?;
    if let Some(proxy) = settings
        .proxy
        .as_ref()
        .filter(|_| !connect.url.is_loopback())
    {
        let detail = format!(
            "requests go through the proxy that {} names, so DNS and TLS are not looked at",
            proxy.variable
        );
        diagnosis.push(Check::ok("proxy", detail));
    } else if !network::look(connect, &settings, diagnosis).await {
        return Ok(());
    }
    if !server::look(connect, &settings, diagnosis).await? {
        return Ok(());
    }
    let generation = access::look(connect, &settings, &wanted, diagnosis).await?;
    diagnosis.policy = Some(policy::write(&settings, generation, &wanted));
    Ok(())
}

/// Where each declared secret stands.
fn wanted(connect: &Connect, settings: &Settings, diagnosis: &mut Diagnosis) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for declared in connect.declared.iter() {
        let name = declared.name.clone();
        match Place::of(settings, &declared.target()) {
            Ok(place) => wanted.push(Wanted { name, place }),
            Err(error) => diagnosis.push(Check::error(format!("secret `{name}`"), &error)),
        }
    }
    wanted
}

/// The path by which Vault reads what stands at a place of a mount.
fn read_path(settings: &Settings, generation: KvVersion, path: &str) -> String {
    match generation {
        KvVersion::V1 => format!("{}/{path}", settings.mount),
        KvVersion::V2 => format!("{}/data/{path}", settings.mount),
    }
}
