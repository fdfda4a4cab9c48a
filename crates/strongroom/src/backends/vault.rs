//! HashiCorp Vault and OpenBao (feature `vault`).

use super::{Backend, Class, Probe, Strength};
use crate::env::{Deployment, Env};
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;
use crate::rails::Rail;

#[cfg(feature = "vault")]
mod answer;
#[cfg(feature = "vault")]
mod doctor;
#[cfg(all(feature = "vault", any(test, fuzzing)))]
pub(super) mod fuzzing;
#[cfg(feature = "vault")]
mod kv;
#[cfg(feature = "vault")]
mod leases;
#[cfg(feature = "vault")]
mod login;
#[cfg(feature = "vault")]
mod provider;
#[cfg(feature = "vault")]
mod raw;
#[cfg(feature = "vault")]
mod session;
#[cfg(feature = "vault")]
mod settings;
#[cfg(feature = "vault")]
mod store;
#[cfg(feature = "vault")]
mod tls;
#[cfg(feature = "vault")]
mod transport;
#[cfg(feature = "vault")]
mod trust;
mod variables;

pub(super) const BACKEND: Backend = Backend::new("vault", "HashiCorp Vault / OpenBao", open)
    .with_url_keys(URL_KEYS)
    .with_credentials(CREDENTIALS)
    .remote()
    .with_strength(Strength::Authenticated)
    .with_leases()
    .with_detect(detect)
    .with_doctor(examine);

/// The variables that hold a credential, or lead to one.
const CREDENTIALS: &[&str] = &[
    "BAO_TOKEN",
    "VAULT_TOKEN",
    "BAO_TOKEN_PATH",
    "VAULT_TOKEN_PATH",
    "BAO_ROLE_ID",
    "VAULT_ROLE_ID",
    "BAO_SECRET_ID",
    "VAULT_SECRET_ID",
    "BAO_JWT",
    "VAULT_JWT",
    "BAO_CLIENT_CERT",
    "VAULT_CLIENT_CERT",
    "BAO_CLIENT_KEY",
    "VAULT_CLIENT_KEY",
    // Their addresses may hold a password.
    "BAO_PROXY_ADDR",
    "VAULT_PROXY_ADDR",
    "BAO_HTTP_PROXY",
    "VAULT_HTTP_PROXY",
];

/// The keys that the query of an address may have.
const URL_KEYS: &[&str] = &[
    "mount",
    "prefix",
    "namespace",
    "kv",
    "auth",
    "auth_mount",
    "role",
    "role_id",
    "secret_id_file",
    "wrapped_by",
    "jwt_file",
    "username",
    "password_file",
    "token_file",
    "iam_server_id",
    "sts_region",
    "ca_file",
    "client_cert",
    "client_key",
    "server_name",
];

#[cfg(not(feature = "vault"))]
fn open(connect: super::Connect) -> super::Opening {
    super::not_in_this_build(
        &connect,
        "Vault backend",
        "build it with the cargo feature `vault`",
    )
}

#[cfg(not(feature = "vault"))]
fn examine(connect: super::Connect) -> crate::examination::Examining {
    super::examine_by_opening(connect, open)
}

#[cfg(feature = "vault")]
use doctor::examine;

#[cfg(feature = "vault")]
fn open(connect: super::Connect) -> super::Opening {
    Box::pin(async move {
        let settings = settings::Settings::read(&connect)?;
        trust::check(&connect, &settings.base)?;
        let declared = std::sync::Arc::clone(&connect.declared);
        let transport = std::sync::Arc::new(transport::Transport::new(connect, settings)?);
        let session =
            std::sync::Arc::new(session::Session::new(std::sync::Arc::clone(&transport))?);
        let settings = transport.settings().clone();
        let provider = provider::Provider::new(session, settings, &declared);
        Ok(std::sync::Arc::new(provider) as std::sync::Arc<dyn crate::provider::SecretProvider>)
    })
}

/// `VAULT_ADDR`, or OpenBao's own `BAO_ADDR`.
fn detect(env: &Env, _: Deployment) -> Result<Vec<Probe>> {
    ["VAULT_ADDR", "BAO_ADDR"]
        .into_iter()
        .map(|variable| {
            let Some(address) = env.var(variable)? else {
                return Ok(Probe::nothing(Class::Marker, variable, "not set"));
            };
            let mut probe = Probe::found(Class::Marker, variable, url(variable, address)?);
            if let Some(skip) = variables::skips_verification(env)? {
                let sentence = format!("{skip} switches the check of the server's certificate off");
                probe = probe.with_rail(Rail::CertificateCheckDisabled, sentence);
            }
            Ok(probe)
        })
        .collect()
}

/// `https://host:8200` as `vault://host:8200/`; plain http keeps its own scheme, so that it shows.
fn url(variable: &str, address: &str) -> Result<ProviderUrl> {
    let wrong = || {
        Error::new(
            ErrorKind::Config,
            format!("{variable} is not an http or https address"),
        )
        .with_help("for example https://vault.internal:8200")
    };
    let (scheme, rest) = address.split_once("://").ok_or_else(wrong)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => "vault",
        "http" => "vault+http",
        _ => return Err(wrong()),
    };
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', '@']) {
        return Err(wrong());
    }
    format!("{scheme}://{host}/").parse().map_err(|_| wrong())
}
