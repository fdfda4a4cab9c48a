//! TLS: the handshake as every request makes it, and the certificates that the server showed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::certificate;
use super::network::STEP;
use crate::backends::Connect;
use crate::backends::vault::settings::{Settings, wrong};
use crate::backends::vault::tls::Tls;
use crate::backends::vault::transport::tls_failed;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::{Check, Diagnosis};

/// Makes one handshake, and judges the certificates; answers whether requests can be made.
pub(super) async fn look(
    connect: &Connect,
    settings: &Settings,
    stream: TcpStream,
    diagnosis: &mut Diagnosis,
) -> bool {
    let mut seen = Vec::new();
    let outcome = shake_hands(connect, settings, stream, &mut seen).await;
    let fine = outcome.is_ok();
    diagnosis.push(match outcome {
        Ok(check) => check,
        Err(error) => Check::error("TLS", &error),
    });
    let now = SystemTime::now();
    let certificates = seen
        .iter()
        .map(|seen| certificate::judge("certificate", seen, now));
    diagnosis.checks.extend(certificates);
    // What can't be read has failed the handshake.
    let ours = Tls::read(connect).and_then(|tls| tls.client_chain());
    let ours = ours.unwrap_or_default();
    let ours = ours.iter().take(1);
    let ours = ours.map(|ours| certificate::judge("client certificate", ours, now));
    diagnosis.checks.extend(ours);
    fine
}

async fn shake_hands(
    connect: &Connect,
    settings: &Settings,
    stream: TcpStream,
    seen: &mut Vec<CertificateDer<'static>>,
) -> Result<Check> {
    let tls = Tls::read(connect)?;
    let host = connect.url.host().unwrap_or_default();
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let server_name = ServerName::try_from(name.clone());
    let server_name = server_name.map_err(|_| wrong("the host has no name of TLS"))?;
    let watching = Arc::new(Watching {
        judge: tls.verifier(connect)?,
        seen: Mutex::default(),
    });
    let verifier = Arc::clone(&watching);
    let config = tls.config_with(connect, verifier)?;
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = timeout(STEP, connector.connect(server_name, stream)).await;
    seen.append(&mut watching.seen.lock().unwrap_or_else(PoisonError::into_inner));
    let ended = |what: &str| {
        let message = format!("{}: {what}", settings.shown);
        Error::new(ErrorKind::Transient, message)
            .with_help("check that the server speaks TLS at this address, and what stands between")
    };
    let shaken = shaken.map_err(|_| ended("the TLS handshake did not end in time"))?;
    let stream = shaken.map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(error) => tls_failed(&settings.shown, error),
            None => ended(&format!("the TLS handshake broke off: {}", error.kind())),
        }
    })?;
    let (_, connection) = stream.get_ref();
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS 1.3",
    };
    Ok(if tls.is_unchecked() {
        Check::warning(
            "TLS",
            format!("{version}, and the certificate is not checked"),
        )
        .with_help("name the private authority's file in VAULT_CACERT or `?ca_file=` instead")
    } else {
        let chain = "the certificate leads to a trusted authority";
        Check::ok("TLS", format!("{version}, {chain} and is for {name}"))
    })
}

/// Judges as the usual verifier does, and remembers what it was shown.
#[derive(Debug)]
struct Watching {
    judge: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            chain.map(|shown| shown.clone().into_owned()).collect();
        self.judge
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
