//! What the examples have in common: serving on loopback until they are told to stop.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;

/// Serves on this port of 127.0.0.1 until Ctrl-C or SIGTERM, and lets running requests finish.
///
/// Prints the address, which tells the port where `port` is 0. Handlers find the client's in
/// [`ConnectInfo`](axum::extract::ConnectInfo).
///
/// # Errors
/// Whatever the system answers to listening, a port that is taken for example.
pub async fn serve(port: u16, app: Router) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let stop = stop_signal()?;
    println!(
        "listening on http://{} (Ctrl-C stops it)",
        listener.local_addr()?
    );
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stop)
    .await?;
    println!("stopped");
    Ok(())
}

/// Listens for Ctrl-C and, where there are such signals, SIGTERM.
///
/// The handlers are in place when this returns; the future completes at the first signal.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Without a handler nothing but the end of the process stops it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
