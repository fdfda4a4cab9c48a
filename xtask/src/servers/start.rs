//! How each of the servers is started.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::ROOT_TOKEN;
use super::process::Server;
use crate::Result;
use crate::workspace::root;

/// How often another port is tried after somebody else was faster.
const TRIES: usize = 5;

/// Starts OpenBao in development mode: in memory, unsealed, with a root token.
pub(super) fn openbao(bao: &Path, dir: &Path) -> Result<Server> {
    let mut tries = 1;
    loop {
        let port = free_port()?;
        let token = format!("-dev-root-token-id={ROOT_TOKEN}");
        let listen = format!("-dev-listen-address=127.0.0.1:{port}");
        let args = ["server", "-dev", "-dev-no-store-token", &token, &listen];
        let mut server = Server::spawn("openbao", bao, &args, dir)?;
        match server.wait_for("Development mode should NOT be used") {
            Ok(_) => {
                server.wait_for_answer(port, "/v1/sys/health")?;
                return Ok(server);
            }
            Err(_) if server.log().contains("address already in use") && tries < TRIES => {
                tries = tries.saturating_add(1);
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Starts moto, and does not wait.
pub(super) fn spawn_moto(python: &Path, dir: &Path) -> Result<Server> {
    let script = root().join("xtask/servers/secrets_manager.py");
    Server::spawn("moto", python, &[&script.to_string_lossy()], dir)
}

/// Waits for moto, which chose its port itself.
pub(super) fn moto(mut server: Server) -> Result<Server> {
    let behind = server.wait_for("listening on ")?;
    let port = behind.lines().next().and_then(|port| port.parse().ok());
    let port = port.ok_or("moto does not tell its port")?;
    server.wait_for_answer(port, "/moto-api/")?;
    Ok(server)
}

/// Finds a port that is free, and the next one too, where OpenBao listens for its cluster.
fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let Ok(first) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) else {
            break;
        };
        let port = first
            .local_addr()
            .map_err(|error| error.to_string())?
            .port();
        let next = port.checked_add(1);
        if next.is_some_and(|next| TcpListener::bind((Ipv4Addr::LOCALHOST, next)).is_ok()) {
            return Ok(port);
        }
    }
    Err("no two free ports on 127.0.0.1".to_owned())
}
