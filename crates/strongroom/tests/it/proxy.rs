//! A TCP proxy between a client and a server of a test, which can do what bad networks do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

#[cfg(test)]
#[path = "proxy/tests.rs"]
mod tests;

/// What happens to bytes on their way, on open connections too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Bytes take this long each way; any number of them is on its way at once.
    Latency(Duration),
    /// Every connection is reset, open ones at once and new ones as soon as they are made.
    Reset,
    /// Connections are made, and nothing arrives until the mode changes.
    BlackHole,
    /// A connection ends, without error, once this many bytes more have reached the client.
    CutAfter(usize),
}

/// A listener on a loopback port that hands each connection on to a server.
pub(crate) struct Proxy {
    address: SocketAddr,
    upstream: String,
    mode: watch::Sender<Mode>,
    connections: Arc<AtomicUsize>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy to a server, given as `HOST:PORT`, that passes everything on.
    pub(crate) async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = Self {
            address: listener.local_addr().unwrap(),
            upstream: upstream.to_owned(),
            mode: watch::Sender::new(Mode::Pass),
            connections: Arc::default(),
            accepting: None,
        };
        proxy.accept_from(listener);
        proxy
    }

    /// Returns where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Returns how many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Stops listening, and ends every connection.
    pub(crate) async fn take_down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Once it has ended, its listener and its connections are closed.
            let _ = accepting.await;
        }
    }

    /// Listens again, at the same address.
    pub(crate) async fn bring_up(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accept_from(listener);
    }

    fn accept_from(&mut self, listener: TcpListener) {
        let (upstream, mode) = (self.upstream.clone(), self.mode.subscribe());
        let connections = Arc::clone(&self.connections);
        self.accepting = Some(tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (upstream, mode) = (upstream.clone(), mode.clone());
                // How a connection ends is the business of its two ends.
                open.spawn(async move { drop(connect(client, &upstream, mode).await) });
            }
        }));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn connect(
    mut client: TcpStream,
    upstream: &str,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pass(from_client, to_server, mode.clone(), false);
    let back = pass(from_server, to_client, mode.clone(), true);
    let both = async { tokio::try_join!(there, back) };
    let reset = tokio::select! {
        _ = both => false,
        reset = mode.wait_for(|mode| *mode == Mode::Reset) => reset.is_ok(),
    };
    if reset {
        client.set_zero_linger()?;
    }
    Ok(())
}

/// Passes bytes on in one direction, until there are no more; an error ends both directions.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut mode: watch::Receiver<Mode>,
    to_client: bool,
) -> io::Result<()> {
    let (sender, mut queue) = mpsc::unbounded_channel();
    let latency = mode.clone();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            let delay = match *latency.borrow() {
                Mode::Latency(delay) => delay,
                _ => Duration::ZERO,
            };
            let bytes = buffer[..length].to_vec();
            // The end is as late as the bytes are.
            if sender.send((Instant::now() + delay, bytes)).is_err() || length == 0 {
                return io::Result::Ok(());
            }
        }
    };
    let write = async move {
        let (mut passed, mut last) = (0, Mode::Pass);
        while let Some((due, mut bytes)) = queue.recv().await {
            sleep_until(due).await;
            let now = mode.wait_for(|mode| *mode != Mode::BlackHole).await;
            let now = now.map_or(Mode::Pass, |mode| *mode);
            if now != last {
                (passed, last) = (0, now);
            }
            if let (Mode::CutAfter(most), true) = (now, to_client) {
                bytes.truncate(most - passed);
            }
            to.write_all(&bytes).await?;
            passed += bytes.len();
            if to_client && now == Mode::CutAfter(passed) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if bytes.is_empty() {
                to.shutdown().await?;
            }
        }
        Ok(())
    };
    tokio::try_join!(read, write)?;
    Ok(())
}
