//! What `strongroom doctor` looks at on the way to the declared secrets, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use super::settings::{KvVersion, Settings};
use super::{store, trust};
use crate::backends::Connect;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::{Check, Diagnosis, Examining};
use crate::name::SecretName;

mod access;
pub(super) mod certificate;
mod network;
mod policy;
pub(super) mod server;
mod tls;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(45);

/// A path that declared secrets are read from.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    path: String,
    /// An engine makes the secret when the path is read: it is the whole path, mount included.
    lent: bool,
}

/// The declared names that each path serves.
type Wanted = BTreeMap<Place, Vec<SecretName>>;

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
fn wanted(connect: &Connect, settings: &Settings, diagnosis: &mut Diagnosis) -> Wanted {
    let mut wanted = Wanted::new();
    for declared in connect.declared.iter() {
        let name = declared.name.clone();
        let lent = declared.source.as_ref().is_some_and(|source| source.lease);
        match store::Place::of(settings, &declared.target()) {
            Ok(store::Place { path, .. }) => {
                wanted.entry(Place { path, lent }).or_default().push(name);
            }
            Err(error) => diagnosis.push(Check::error(format!("secret `{name}`"), &error)),
        }
    }
    wanted
}

impl Place {
    /// The path of the request that reads it.
    fn read_path(&self, settings: &Settings, generation: KvVersion) -> String {
        let (mount, path) = (&settings.mount, &self.path);
        match (self.lent, generation) {
            (true, _) => path.clone(),
            (false, KvVersion::V1) => format!("{mount}/{path}"),
            (false, KvVersion::V2) => format!("{mount}/data/{path}"),
        }
    }

    /// The path that tells its earlier versions, where it has them.
    fn history_path(&self, settings: &Settings, generation: KvVersion) -> Option<String> {
        let has_history = generation == KvVersion::V2 && !self.lent;
        has_history.then(|| format!("{}/metadata/{}", settings.mount, self.path))
    }
}

fn joined(names: &[SecretName]) -> String {
    let names: Vec<_> = names.iter().map(SecretName::as_str).collect();
    names.join(", ")
}
