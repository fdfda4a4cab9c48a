//! TLS and proxies, on the way to the stand-in for AWS, which speaks neither.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use strongroom::{Env, Error, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::account::Account;
use super::{get, name};

const HERE: &str = "127.0.0.1";
const NAME: &str = "secrets.test";

/// An authority that nobody knows but who is told.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Starts a listener that ends TLS, with a certificate for this machine and for `NAME`.
async fn tls(account: &Account, authority: &CertifiedIssuer<'static, KeyPair>) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let names = [HERE.to_owned(), NAME.to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let upstream = account.endpoint.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            tokio::spawn(async move {
                // Who refuses the certificate ends the connection.
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                let mut server = TcpStream::connect(upstream).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// Starts a proxy that connects to one server, whatever it is asked for, and keeps what it was asked.
async fn proxy(server: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, asked)
}

async fn read(account: &Account, env: Env) -> Result<String, Error> {
    let provider = super::open(&account.address(), env).await?;
    let secret = get(&*provider, name("a")).await?;
    Ok(secret.expose_str().unwrap().to_owned())
}

fn at(account: &Account, endpoint: impl std::fmt::Display, bundle: &Path) -> Env {
    account
        .env()
        .with_var("AWS_ENDPOINT_URL", format!("https://{endpoint}"))
        .with_var("AWS_CA_BUNDLE", bundle)
}

#[tokio::test]
async fn a_private_authority_is_believed_where_the_bundle_names_it() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "value").await;
    let (ours, theirs) = (authority(), authority());
    let server = tls(&account, &ours).await;
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("ca.pem");
    // Bundles of systems hold what no library can use, beside what counts.
    let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in [
        ours.as_ref().pem(),
        format!(
            "# ours\n{unusable}{}{}",
            theirs.as_ref().pem(),
            ours.as_ref().pem()
        ),
    ] {
        std::fs::write(&bundle, text).unwrap();
        assert_eq!(
            read(&account, at(&account, server, &bundle)).await.unwrap(),
            "value"
        );
    }
    // Relative to the working directory, as any file.
    let relative = at(&account, server, Path::new("ca.pem")).with_working_dir(dir.path());
    assert!(read(&account, relative).await.is_ok());
    std::fs::write(&bundle, theirs.as_ref().pem()).unwrap();
    account.calls().await;
    let with_theirs = at(&account, server, &bundle);
    for env in [
        with_theirs.clone(),
        with_theirs.without_var("AWS_CA_BUNDLE"),
    ] {
        let error = read(&account, env).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(
            error.to_string().contains("certificate is refused"),
            "{error}"
        );
        assert!(error.help().unwrap().contains("AWS_CA_BUNDLE"), "{error:?}");
    }
    assert_eq!(account.calls().await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_bundle_that_can_t_be_used_is_said_before_anything_is_sent() {
    let Some(account) = Account::new() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("ca.pem");
    let env = at(&account, "127.0.0.1:9", &bundle);
    let begin = "-----BEGIN CERTIFICATE-----";
    let end = "-----END CERTIFICATE-----";
    for text in [
        None,
        Some(String::new()),
        Some("canary".to_owned()),
        Some(begin.to_owned()),
        Some(format!("{begin}\ncanary!\n{end}\n")),
        Some(format!("{begin}\nAAAA\n{end}\n")),
    ] {
        if let Some(text) = &text {
            std::fs::write(&bundle, text).unwrap();
        }
        let error = read(&account, env.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text:?}: {error:?}");
        assert!(error.to_string().contains("AWS_CA_BUNDLE"), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_server() {
    let Some(account) = Account::new() else {
        return;
    };
    let plain = account.endpoint.strip_prefix("http://").unwrap();
    let env = account
        .env()
        .with_var("AWS_ENDPOINT_URL", format!("https://{plain}"));
    let error = read(&account, env).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains("TLS failed"), "{error}");
}

#[tokio::test]
async fn https_goes_through_the_proxy_and_plain_http_does_not() {
    let Some(account) = Account::new() else {
        return;
    };
    account.create("a", "value").await;
    let authority = authority();
    let server = tls(&account, &authority).await;
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("ca.pem");
    std::fs::write(&bundle, authority.as_ref().pem()).unwrap();
    let (proxy, asked) = proxy(server).await;
    let env = at(&account, NAME, &bundle);
    // Nothing else knows the way to that name.
    for (variable, value) in [
        ("HTTPS_PROXY", format!("http://us%65r:pass@{proxy}")),
        ("https_proxy", proxy.to_string()),
    ] {
        let env = env.clone().with_var(variable, value);
        assert_eq!(read(&account, env).await.unwrap(), "value");
    }
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    assert!(
        asked[0].starts_with("CONNECT secrets.test:443 "),
        "{asked:?}"
    );
    let named = |head: &str| {
        head.to_ascii_lowercase()
            .contains("proxy-authorization: basic")
    };
    assert_eq!(
        asked.iter().map(|head| named(head)).collect::<Vec<_>>(),
        [true, false]
    );

    let nobody = env.with_var("HTTPS_PROXY", "http://user:canary@127.0.0.1:9");
    let error = read(&account, nobody.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    // What the proxy is not for is asked without it.
    let direct = nobody
        .with_var("AWS_ENDPOINT_URL", format!("https://{server}"))
        .with_var("NO_PROXY", "other.test, 127.0.0.1");
    assert!(read(&account, direct).await.is_ok());
    let plain = account.env().with_var("HTTPS_PROXY", "http://127.0.0.1:9");
    assert!(read(&account, plain.clone()).await.is_ok());
    for bad in ["http://us er:canary@proxy", "ftp://canary", "http://"] {
        let env = plain.clone().with_var("HTTPS_PROXY", bad);
        let error = read(&account, env).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bad}: {error:?}");
        assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
