//! Requests to Vault: built by vaultrs, sent by a client of our own.
//!
//! That client follows no redirect (the token would follow too), reads no variable, has a limit of
//! time and of size for everything, and wipes the bodies that it sends and receives.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustify::Endpoint;
use rustls::CertificateError;
use zeroize::Zeroizing;

use super::answer::Answer;
use super::settings::{Settings, wrong};
use super::tls::Tls;
use crate::backends::Connect;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// The most connections that are kept open, and so the most requests in flight.
pub(super) const MAX_CONNECTIONS: usize = 32;

/// The most bytes of one answer.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
/// What a write answers, for later reads to send: a server that has not seen the write says 412.
const INDEX: HeaderName = HeaderName::from_static("x-vault-index");

/// A connection to one server, in one namespace.
pub(super) struct Transport {
    connect: Connect,
    settings: Settings,
    tls: Tls,
    http: ArcSwap<reqwest::Client>,
    index: Mutex<Option<HeaderValue>>,
    permits: tokio::sync::Semaphore,
}

impl Transport {
    /// Makes a client. Connects to nothing.
    ///
    /// # Errors
    /// That of the setting or file which can't be used.
    pub(super) fn new(connect: Connect, settings: Settings) -> Result<Self> {
        let tls = Tls::read(&connect)?;
        let http = client(&connect, &settings, &tls)?;
        Ok(Self {
            connect,
            settings,
            tls,
            http: ArcSwap::from_pointee(http),
            index: Mutex::new(None),
            permits: tokio::sync::Semaphore::new(MAX_CONNECTIONS),
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn connect(&self) -> &Connect {
        &self.connect
    }

    /// Reads a client certificate and its key again, for new connections. Without one, does nothing.
    ///
    /// # Errors
    /// That of the file which can't be used.
    pub(super) fn read_certificate_again(&self) -> Result<()> {
        if self.tls.has_client_certificate() {
            let http = client(&self.connect, &self.settings, &self.tls)?;
            self.http.store(Arc::new(http));
        }
        Ok(())
    }

    /// Sends one request, and returns whatever the server answers to it.
    ///
    /// # Errors
    /// [`ErrorKind::Transient`] if there was no whole answer, [`ErrorKind::Config`] if TLS can't
    /// be agreed on.
    pub(super) async fn send(
        &self,
        endpoint: &impl Endpoint,
        token: Option<&HeaderValue>,
    ) -> Result<Answer> {
        let unfit = || wrong("the request to Vault can't be built from its path");
        let (parts, body) = endpoint
            .request(self.base().as_str())
            .map_err(|_| unfit())?
            .into_parts();
        let body = Zeroizing::new(body);
        let path = parts.uri.path_and_query().ok_or_else(unfit)?;
        let path = path.as_str().trim_start_matches('/');
        let url = format!("{}v1/{path}", self.base());
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        if let Some(token) = token {
            headers.insert(TOKEN, token.clone());
        }
        if let Some(namespace) = &self.settings.namespace {
            let namespace = HeaderValue::from_str(namespace)
                .map_err(|_| wrong("the namespace has a character that it can't have"))?;
            headers.insert(NAMESPACE, namespace);
        }
        if let Some(index) = self.index().clone() {
            headers.insert(INDEX, index);
        }
        let request = self
            .http
            .load_full()
            .request(parts.method, url)
            .headers(headers)
            .body(Bytes::from_owner(body));
        // Never closed; were it, the request would only go out without waiting.
        let _permit = self.permits.acquire().await.ok();
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if let Some(index) = headers.get(INDEX) {
            *self.index() = Some(index.clone());
        }
        let body = self.body(response).await?;
        Ok(Answer::new(&self.settings.shown, status, &headers, body))
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address that requests go to: of the name that the certificate must have.
    fn base(&self) -> String {
        match &self.tls.server_name {
            None => self.settings.base.clone(),
            Some(name) => with_host(&self.settings.base, name),
        }
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Zeroizing<Vec<u8>>> {
        let expected = response.content_length().unwrap_or(4096);
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let mut body = Zeroizing::new(Vec::with_capacity(expected.min(MAX_ANSWER)));
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failed(&error))?
        {
            let length = body.len().saturating_add(chunk.len());
            if length > MAX_ANSWER {
                let message = format!("{} answered more than 8 MiB", self.settings.shown);
                return Err(Error::new(ErrorKind::Malformed, message));
            }
            if length > body.capacity() {
                // Growing in place would leave a copy of what came so far.
                let mut larger =
                    Zeroizing::new(Vec::with_capacity(length.saturating_mul(2).min(MAX_ANSWER)));
                larger.extend_from_slice(&body);
                body = larger;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        let failed = failed(&self.settings.shown, error);
        let over_tls = self.settings.base.starts_with("https");
        // A server that ends the connection at once may overtake its own refusal.
        if failed.help().is_none() && over_tls && !self.tls.has_client_certificate() {
            return failed.with_help(
                "if it ends so again and again, the server may want a client certificate: \
                 VAULT_CLIENT_CERT and VAULT_CLIENT_KEY",
            );
        }
        failed
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("address", &self.settings.shown)
            .finish_non_exhaustive()
    }
}

/// A header that shows nowhere, whose text is wiped when its last holder is gone.
///
/// # Errors
/// [`ErrorKind::Malformed`] if the text can't be a header, as one with a line break can't.
pub(super) fn token_header(token: &Secret) -> Result<HeaderValue> {
    // EXPOSES: the token to the header of Vault's requests, which is wiped
    let bytes = Zeroizing::new(token.expose_bytes().to_vec());
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes))
        .map_err(|_| Error::new(ErrorKind::Malformed, "the Vault token is no token"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn client(connect: &Connect, settings: &Settings, tls: &Tls) -> Result<reqwest::Client> {
    let real = connect.url.host().unwrap_or_default().to_owned();
    let resolver = Resolver {
        instead: tls.server_name.as_ref().map(|_| real),
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.timeout))
        .timeout(settings.timeout)
        .pool_max_idle_per_host(MAX_CONNECTIONS)
        .dns_resolver(Arc::new(resolver))
        .no_proxy()
        .tls_backend_preconfigured(tls.config(connect)?);
    if let Some(proxy) = &settings.proxy
        && !connect.url.is_loopback()
    {
        if tls.server_name.is_some() {
            // The proxy would look that name up, and may find another server.
            let message = format!("a TLS server name has no meaning with {}", proxy.variable);
            return Err(wrong(message).with_help("reach the server without the proxy"));
        }
        let unfit = || {
            wrong(format!("{} is no address of a proxy", proxy.variable))
                .with_help("for example http://proxy.internal:3128")
        };
        // The client would go without a proxy whose kind it doesn't know.
        let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
        if let Some((scheme, _)) = proxy.url.split_once("://")
            && !known.iter().any(|known| known.eq_ignore_ascii_case(scheme))
        {
            return Err(unfit());
        }
        let except = proxy
            .except
            .as_deref()
            .and_then(reqwest::NoProxy::from_string);
        builder = builder.proxy(
            reqwest::Proxy::all(proxy.url.as_str())
                .map_err(|_| unfit())?
                .no_proxy(except),
        );
    }
    builder
        .build()
        .map_err(|_| wrong("the client for Vault can't be set up"))
}

fn with_host(base: &str, name: &str) -> String {
    let parsed = reqwest::Url::parse(base).ok();
    let renamed = parsed.and_then(|mut url| url.set_host(Some(name)).is_ok().then_some(url));
    renamed.map_or_else(|| base.to_owned(), |url| url.to_string())
}

/// Asks the system for addresses; of the real host, where the certificate is for another name.
struct Resolver {
    instead: Option<String>,
}

/// The system knows no address for the host.
#[derive(Debug)]
struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address is known for the host")
    }
}

impl StdError for Unknown {}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match &self.instead {
            Some(host) => host.clone(),
            None => name.as_str().to_owned(),
        };
        Box::pin(async move {
            let host = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let found = tokio::net::lookup_host((host, 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|_| Unknown)?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What became of a request without a whole answer, in our words: a foreign message may quote.
fn failed(shown: &str, error: &reqwest::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(tls) = found.downcast_ref::<rustls::Error>() {
            return tls_failed(shown, tls);
        }
        if found.is::<Unknown>() {
            let message = format!("{shown}: no address is known for its host");
            return Error::new(ErrorKind::Transient, message)
                .with_no_effect()
                .with_help("check the host's name, and this machine's DNS");
        }
        let io = found.downcast_ref::<std::io::Error>();
        if let Some(inner) = io.and_then(std::io::Error::get_ref) {
            // An I/O error hides what it wraps from `source`.
            cause = Some(inner);
            continue;
        }
        if let Some(io) = io {
            let ended = Error::new(ErrorKind::Transient, format!("{shown}: {}", io.kind()))
                .with_help("check that the server runs, and that this machine can reach it");
            // Without a connection nothing was sent.
            return if error.is_connect() {
                ended.with_no_effect()
            } else {
                ended
            };
        }
        cause = found.source();
    }
    let what = if error.is_timeout() {
        "no answer came in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection ended before the whole answer came"
    };
    let ended = Error::new(ErrorKind::Transient, format!("{shown}: {what}"));
    if error.is_connect() {
        return ended.with_no_effect();
    }
    ended
}

/// What became of a TLS connection.
pub(super) fn tls_failed(shown: &str, error: &rustls::Error) -> Error {
    let error = match error {
        rustls::Error::InvalidCertificate(problem) => {
            let what = format!("{shown}: the server's certificate is refused: {problem}");
            return Error::new(ErrorKind::Config, what).with_help(remedy(problem));
        }
        rustls::Error::AlertReceived(alert) => {
            let what = format!("{shown}: the server refuses the TLS connection: {alert:?}");
            return Error::new(ErrorKind::Config, what).with_help(
                "it may want a client certificate: VAULT_CLIENT_CERT and VAULT_CLIENT_KEY",
            );
        }
        error => error,
    };
    Error::new(ErrorKind::Config, format!("{shown}: TLS failed: {error}")).with_help(
        "check that the server speaks TLS here; without TLS its address is vault+http://…",
    )
}

fn remedy(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "renew the server's certificate, or set this machine's clock right"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "correct the host, or give the certificate's own name in VAULT_TLS_SERVER_NAME or \
             `?server_name=`"
        }
        _ => "name the file of the authority that signed it in VAULT_CACERT or `?ca_file=`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Deployment, Env};
    use crate::rails::GuardRails;

    // The program chooses the tables behind it, and there are some that know no such name.
    #[test]
    fn a_host_of_other_letters_is_brought_to_ascii() {
        for (host, ascii) in [
            ("Bücher.example", "xn--bcher-kva.example"),
            ("日本語。example", "xn--wgv71a119e.example"),
            ("vault.internal", "vault.internal"),
        ] {
            let url = reqwest::Url::parse(&format!("https://{host}:8200/")).unwrap();
            assert_eq!(url.host_str(), Some(ascii));
        }
        // A name that mixes directions, and one that is no encoding of any.
        for host in ["a\u{5d0}.example", "xn--a.example"] {
            assert!(
                reqwest::Url::parse(&format!("https://{host}/")).is_err(),
                "{host}"
            );
        }
    }

    #[test]
    fn a_proxy_of_a_kind_that_would_be_left_out_is_refused() {
        for (proxy, fits) in [
            ("http://127.0.0.1:1", true),
            ("HTTPS://127.0.0.1:1", true),
            ("127.0.0.1:1", true),
            ("ftp://user:canary@127.0.0.1:1", false),
            ("htp://127.0.0.1:1", false),
        ] {
            let env = Env::empty().with_var("VAULT_PROXY_ADDR", proxy);
            let address = "vault+http://192.0.2.1/".parse().unwrap();
            let rails = GuardRails::new(Deployment::Development, []);
            let connect = Connect::new(address, env, rails);
            let settings = Settings::read(&connect).unwrap();
            match Transport::new(connect, settings) {
                Ok(_) => assert!(fits, "{proxy}"),
                Err(error) => {
                    assert!(!fits, "{proxy}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Config);
                    assert!(!format!("{error:?}").contains("canary"));
                }
            }
        }
    }
}
