//! The HTTP client under AWS's own: rustls with ring, the proxy and the CA that the environment
//! names, and no redirects.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_secretsmanager::config::{IntoShared as _, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::settings::{CONNECT_TIMEOUT, TIMEOUT, wrong};
use crate::backends::Connect;
use crate::env::{Env, read_text_file};
use crate::error::Result;

/// The most bytes of one answer.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

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
    Ok(Bounded(connector.into_shared()).into_shared())
}

/// Takes an answer's body up whole, of at most [`MAX_ANSWER`] bytes: AWS's client has no limit of its own.
#[derive(Debug)]
struct Bounded(SharedHttpConnector);

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            let whole = whole(body).await;
            *answer.body_mut() =
                whole.map_err(|unfit| ConnectorError::other(unfit.into(), None))?;
            Ok(answer)
        })
    }
}

/// Why an answer was not taken up.
#[derive(Debug)]
pub(super) enum Unfit {
    TooLarge,
    Cut,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the answer has more than 8 MiB",
            Self::Cut => "the answer did not come whole",
        })
    }
}

impl StdError for Unfit {}

/// Reads a body into a buffer that is wiped when the last holder is gone.
async fn whole(body: SdkBody) -> Result<SdkBody, Unfit> {
    let expected = body.content_length().unwrap_or(4096);
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    let mut stream = ByteStream::new(body);
    let mut read = Zeroizing::new(Vec::with_capacity(expected.min(MAX_ANSWER)));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Unfit::Cut)?;
        let length = read.len().saturating_add(chunk.len());
        if length > MAX_ANSWER {
            return Err(Unfit::TooLarge);
        }
        if length > read.capacity() {
            // Growing in place would leave a copy of what came so far.
            let room = length.saturating_mul(2).min(MAX_ANSWER);
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&read);
            read = larger;
        }
        read.extend_from_slice(&chunk);
    }
    Ok(SdkBody::from(Bytes::from_owner(read)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_bounded() {
        let body = |length: usize| SdkBody::from(vec![b'x'; length]);
        let taken = whole(body(MAX_ANSWER)).await.unwrap();
        assert_eq!(taken.bytes().unwrap().len(), MAX_ANSWER);
        let refused = whole(body(MAX_ANSWER + 1)).await.unwrap_err();
        assert!(refused.to_string().contains("8 MiB"), "{refused}");
        assert_eq!(
            whole(SdkBody::empty()).await.unwrap().bytes(),
            Some(&[][..])
        );
    }
}
