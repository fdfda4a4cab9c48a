//! The way to the server: its name, its port, TLS.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::tls;
use crate::backends::Connect;
use crate::backends::vault::settings::Settings;
use crate::error::{Error, ErrorKind};
use crate::examination::{Check, Diagnosis};

/// How long each step may take.
pub(super) const STEP: Duration = Duration::from_secs(5);

/// The most addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// Looks at the way; answers whether requests can take it.
pub(super) async fn look(
    connect: &Connect,
    settings: &Settings,
    diagnosis: &mut Diagnosis,
) -> bool {
    let host = connect.url.host().unwrap_or_default();
    let port = reqwest::Url::parse(&settings.base).ok();
    let port = port.and_then(|url| url.port_or_known_default());
    let addresses = match resolve(host, port.unwrap_or_default()).await {
        Ok((addresses, detail)) => {
            diagnosis.push(Check::ok("DNS", detail));
            addresses
        }
        Err(error) => {
            diagnosis.push(Check::error("DNS", &error));
            return false;
        }
    };
    let Some(stream) = dial(&addresses, diagnosis).await else {
        return false;
    };
    if settings.base.starts_with("http:") {
        diagnosis.push(if connect.url.is_loopback() {
            Check::ok("TLS", "plain http, to this machine")
        } else {
            Check::warning("TLS", "plain http: everybody on the way reads along")
                .with_help("use https: `vault://` in the address")
        });
        return true;
    }
    tls::look(connect, settings, stream, diagnosis).await
}

async fn resolve(host: &str, port: u16) -> Result<(Vec<SocketAddr>, String), Error> {
    if let Ok(address) = host.parse::<IpAddr>() {
        let detail = format!("{address} is an address, no name");
        return Ok((vec![SocketAddr::new(address, port)], detail));
    }
    let unknown = |what: String| {
        Error::new(ErrorKind::Transient, what)
            .with_help("check the host's name in the address, and this machine's DNS")
    };
    let found = timeout(STEP, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| unknown(format!("no answer about {host} came in time")))?;
    let found = found.map_err(|_| unknown(format!("no address is known for {host}")))?;
    let mut addresses: Vec<_> = found.collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(unknown(format!("no address is known for {host}")));
    }
    let shown: Vec<_> = addresses
        .iter()
        .map(|found| found.ip().to_string())
        .collect();
    Ok((addresses, format!("{host} is {}", shown.join(", "))))
}

/// Connects to every address, and keeps the connection that was there first.
async fn dial(addresses: &[SocketAddr], diagnosis: &mut Diagnosis) -> Option<TcpStream> {
    let mut dialling = JoinSet::new();
    for address in addresses.iter().take(MOST_ADDRESSES).copied() {
        dialling.spawn(async move {
            let began = Instant::now();
            let dialled = timeout(STEP, TcpStream::connect(address)).await;
            let dialled = match dialled {
                Ok(Ok(stream)) => Ok((stream, began.elapsed())),
                Ok(Err(error)) => Err(error.kind().to_string()),
                Err(_) => Err("no answer came in time".to_owned()),
            };
            (address, dialled)
        });
    }
    let mut first = None;
    let mut failures = Vec::new();
    while let Some(dialled) = dialling.join_next().await {
        match dialled {
            Ok((address, Ok((stream, took)))) => {
                first.get_or_insert((address, stream, took));
            }
            Ok((address, Err(what))) => failures.push(format!("{address}: {what}")),
            Err(_) => {}
        }
    }
    let failures = failures.join(", ");
    let Some((address, stream, took)) = first else {
        let error = Error::new(ErrorKind::Transient, format!("no connection: {failures}"));
        let help = "check that the server runs, the port in the address, and the firewalls between";
        diagnosis.push(Check::error("TCP", &error.with_help(help)));
        return None;
    };
    let detail = format!("{address} accepts connections ({} ms)", took.as_millis());
    diagnosis.push(if failures.is_empty() {
        Check::ok("TCP", detail)
    } else {
        Check::warning("TCP", format!("{detail}, but {failures}"))
            .with_help("some of the addresses that DNS has for the host don't answer")
    });
    Some(stream)
}
