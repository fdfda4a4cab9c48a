//! How the server proves who it is, and how we do where it asks for a certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::settings::{self, wrong};
use super::variables;
use crate::backends::Connect;
use crate::backends::files::credential;
use crate::error::{Error, ErrorKind, Result};
use crate::rails::Rail;

/// What decides about TLS, as the address and the environment say it. Paths, never their content.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    roots: Roots,
    client: Option<(PathBuf, PathBuf)>,
    unchecked: bool,
    /// The name that the server's certificate must have, where it is not the host's.
    pub(super) server_name: Option<String>,
}

#[derive(Debug, Clone)]
enum Roots {
    System,
    File(PathBuf),
    Directory(PathBuf),
    Variable(String),
}

impl Tls {
    /// Reads the settings, and asks the guard rails where the check is switched off.
    ///
    /// # Errors
    /// [`ErrorKind::Policy`] if a guard rail refuses, [`ErrorKind::Config`] if a setting is wrong.
    pub(super) fn read(connect: &Connect) -> Result<Self> {
        let env = &connect.env;
        let unchecked = variables::skips_verification(env)?;
        if let Some(variable) = &unchecked {
            let sentence = format!("{variable} switches the check of the server's certificate off");
            connect
                .rails
                .check(Rail::CertificateCheckDisabled, &sentence, None)?;
        }
        let roots = if let Some(file) = settings::file(connect, "ca_file", "CACERT")? {
            Roots::File(file)
        } else if let Some((variable, _)) = variables::either(env, "CACERT_BYTES")? {
            Roots::Variable(variable)
        } else if let Some((_, dir)) = variables::either(env, "CAPATH")? {
            Roots::Directory(env.working_dir().join(dir))
        } else {
            Roots::System
        };
        let certificate = settings::file(connect, "client_cert", "CLIENT_CERT")?;
        let key = settings::file(connect, "client_key", "CLIENT_KEY")?;
        let client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    "a client certificate for Vault needs its file and its key's file",
                )
                .with_help(
                    "set both VAULT_CLIENT_CERT and VAULT_CLIENT_KEY, or `client_cert` and \
                     `client_key` in the address",
                ));
            }
        };
        let server_name = match connect.url.query("server_name") {
            Some(name) => Some(name),
            None => variables::value(env, "TLS_SERVER_NAME")?,
        };
        if let Some(name) = server_name {
            // An address instead of a name would be another server.
            let is_name = matches!(ServerName::try_from(name), Ok(ServerName::DnsName(_)));
            if !is_name || !is_name_in_url(name) {
                return Err(wrong("the TLS server name is no host name"));
            }
        }
        Ok(Self {
            roots,
            client,
            unchecked: unchecked.is_some(),
            server_name: server_name.map(str::to_owned),
        })
    }

    /// Reports whether the server may show any certificate.
    pub(super) fn is_unchecked(&self) -> bool {
        self.unchecked
    }

    /// Reads the certificate that we show, and those behind it; none where we show none.
    ///
    /// # Errors
    /// That of the file which can't be used.
    pub(super) fn client_chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        match &self.client {
            None => Ok(Vec::new()),
            Some((certificate, _)) => certificates(&certificate.display(), &public(certificate)?),
        }
    }

    /// Reports whether we show a certificate of our own.
    pub(super) fn has_client_certificate(&self) -> bool {
        self.client.is_some()
    }

    /// Reads the files, and makes what a client needs. Files are read anew each time.
    ///
    /// # Errors
    /// That of the file which can't be used.
    pub(super) fn config(&self, connect: &Connect) -> Result<ClientConfig> {
        self.config_with(connect, self.verifier(connect)?)
    }

    /// What judges the server's certificate.
    ///
    /// # Errors
    /// That of the file which can't be used.
    pub(super) fn verifier(&self, connect: &Connect) -> Result<Arc<dyn ServerCertVerifier>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        if self.unchecked {
            return Ok(Arc::new(Unchecked(provider)));
        }
        let roots = Arc::new(self.roots.load(connect)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        Ok(verifier.map_err(|_| wrong("TLS can't be set up"))?)
    }

    /// As [`config`](Self::config), with a verifier that asks the usual one.
    ///
    /// # Errors
    /// That of the file which can't be used.
    pub(super) fn config_with(
        &self,
        connect: &Connect,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // DANGER: the verifier is given: the usual one, or what a guard rail or the doctor asked
        // for
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong("TLS can't be set up"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some((certificate, key)) => {
                let chain = certificates(&certificate.display(), &public(certificate)?)?;
                let private = private_key(connect, key)?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|_| unusable(key, "is no key for the client certificate"))
            }
        }
    }
}

/// Reports whether a URL takes a text for a name too: it reads some, `0x7f000001` for one, as an
/// address.
fn is_name_in_url(name: &str) -> bool {
    let url = reqwest::Url::parse(&format!("https://{name}/"));
    url.is_ok_and(|url| {
        url.domain()
            .is_some_and(|host| host.eq_ignore_ascii_case(name))
    })
}

impl Roots {
    fn load(&self, connect: &Connect) -> Result<RootCertStore> {
        let mut found = Vec::new();
        match self {
            Self::System => {
                found = rustls_native_certs::load_native_certs().certs;
                if found.is_empty() {
                    return Err(
                        wrong("this machine has no certificates of public authorities").with_help(
                            "install them, or name the authority's file in VAULT_CACERT",
                        ),
                    );
                }
            }
            Self::File(file) => found.extend(certificates(&file.display(), &public(file)?)?),
            Self::Variable(variable) => {
                let text = connect.env.var(variable)?.unwrap_or_default();
                found.extend(certificates(variable, text.as_bytes())?);
            }
            Self::Directory(dir) => {
                let unreadable = |_| unusable(dir, "is no directory that can be read");
                for entry in std::fs::read_dir(dir).map_err(unreadable)? {
                    let path = entry.map_err(unreadable)?.path();
                    if path.is_file() {
                        found.extend(certificates(&path.display(), &public(&path)?)?);
                    }
                }
            }
        }
        let mut store = RootCertStore::empty();
        // A machine's own store may hold what this library can't use; a named file may not.
        let (added, ignored) = store.add_parsable_certificates(found);
        if added == 0 || (ignored > 0 && !matches!(self, Self::System)) {
            return Err(wrong(
                "the certificate of the authority for Vault can't be used",
            ));
        }
        Ok(store)
    }
}

fn public(path: &Path) -> Result<Vec<u8>> {
    let text = crate::env::read_text_file(path, credential::MAX_BYTES)
        .map_err(|_| unusable(path, "can't be read"))?;
    Ok(text.into_bytes())
}

fn certificates(shown: &dyn fmt::Display, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if found.is_empty() {
        return Err(wrong(format!("{shown} holds no certificate in PEM form")));
    }
    Ok(found)
}

fn private_key(connect: &Connect, path: &Path) -> Result<PrivateKeyDer<'static>> {
    let pem = credential::read(connect, path)?.ok_or_else(|| {
        Error::new(
            ErrorKind::Auth,
            format!("{} does not exist", path.display()),
        )
    })?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| unusable(path, "holds no private key in PEM form"))
}

fn unusable(path: &Path, what: &str) -> Error {
    wrong(format!("{} {what}", path.display()))
}

/// Takes every certificate: for the override that a guard rail let through, and nothing else.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Deployment, Env};
    use crate::provider_url::ProviderUrl;
    use crate::rails::GuardRails;

    /// Requests go to the URL of that name: an address in it would be asked in place of the server.
    #[test]
    fn a_server_name_is_no_address_in_any_spelling() {
        for (name, fits) in [
            ("vault.internal", true),
            ("Vault.Internal", true),
            ("127.0.0.1", false),
            ("127.1", false),
            ("0x7f000001", false),
            ("a.0x7f", false),
            ("0x7F.1", false),
            ("017700000001", false),
            ("2130706433", false),
            ("::1", false),
            ("a:1", false),
            ("a@b", false),
            ("", false),
        ] {
            let address = ProviderUrl::new("vault", "/").with_authority("h");
            let address = address.with_query("server_name", name);
            let rails = GuardRails::new(Deployment::Development, []);
            let read = Tls::read(&Connect::new(address, Env::empty(), rails));
            match read {
                Ok(_) => assert!(fits, "{name}"),
                Err(error) => assert!(!fits && error.kind() == ErrorKind::Config, "{name}"),
            }
        }
    }
}
