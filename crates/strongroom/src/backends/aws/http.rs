//! The HTTP client under AWS's own: rustls with ring, the proxy and the CA that the environment
//! names, and no redirects.

use aws_sdk_secretsmanager::config::{IntoShared as _, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use base64ct::{Base64, Encoding as _};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::settings::{CONNECT_TIMEOUT, TIMEOUT, wrong};
use crate::backends::Connect;
use crate::env::{Env, read_text_file};
use crate::error::Result;

/// The most bytes of a file of certificates.
const MAX_CERTIFICATES: usize = 1024 * 1024;

/// Makes the one pool of connections that everything of this provider shares.
///
/// # Errors
/// [`ErrorKind::Config`](crate::ErrorKind::Config) that names the variable which can't be used.
pub(super) fn connector(connect: &Connect) -> Result<SharedHttpConnector> {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(TIMEOUT)
        .build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .proxy_config(proxy(&connect.env)?)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls(&connect.env)?)
        .build();
    Ok(connector.into_shared())
}

/// Hands the pool to a client of the SDK, which would build its own, and read variables for it.
pub(super) fn client(connector: SharedHttpConnector) -> SharedHttpClient {
    http_client_fn(move |_, _| connector.clone())
}

fn tls(env: &Env) -> Result<TlsContext> {
    let unusable = |what: &str| wrong(format!("AWS_CA_BUNDLE {what}"));
    let trust = match env.var("AWS_CA_BUNDLE")? {
        None => TrustStore::default(),
        Some(path) => {
            let path = env.working_dir().join(path);
            let pem = read_text_file(&path, MAX_CERTIFICATES).map_err(|error| {
                unusable(&format!("names {}: {}", path.display(), error.kind()))
            })?;
            authorities(&pem).ok_or_else(|| {
                unusable("names a file without certificates in PEM form, or a damaged one")
            })?
        }
    };
    let context = tls::TlsContext::builder().with_trust_store(trust).build();
    context.map_err(|_| unusable("names a file whose certificates can't be used"))
}

/// The certificates of a file, without those that nothing can be verified by: AWS's client panics on
/// the first that it can't use.
fn authorities(pem: &str) -> Option<TrustStore> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().ok()?;
    let usable = |certificate: &&CertificateDer<'static>| {
        RootCertStore::empty().add((*certificate).clone()).is_ok()
    };
    let usable: Vec<_> = certificates.iter().filter(usable).collect();
    let trust = |trust: TrustStore, certificate: &&CertificateDer<'static>| {
        let text = Base64::encode_string(certificate);
        trust.with_pem_certificate(format!(
            "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
        ))
    };
    (!usable.is_empty()).then(|| usable.iter().fold(TrustStore::empty(), trust))
}

/// The proxy for https. What is plain http goes to this machine, or to the platform's own address.
fn proxy(env: &Env) -> Result<ProxyConfig> {
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let Some(url) = env.var(variable)? else {
            continue;
        };
        // Its own message quotes the address, which may hold a password.
        let unusable = || wrong(format!("{variable} is not the address of a proxy"));
        let url = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let proxy = ProxyConfig::https(url).map_err(|_| unusable())?;
        for variable in ["NO_PROXY", "no_proxy"] {
            if let Some(rules) = env.var(variable)? {
                return Ok(proxy.no_proxy(rules));
            }
        }
        return Ok(proxy);
    }
    Ok(ProxyConfig::disabled())
}
