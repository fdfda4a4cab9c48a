use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::example;

/// Kills the service if a test fails while it runs.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    /// Starts it on a free port; returns where it listens, and what it prints from then on.
    fn start(dir: &Path) -> (Self, String, BufReader<ChildStdout>) {
        let mut command = example("boot", dir);
        command
            .args(["--serve", "--port", "0"])
            .stdout(Stdio::piped());
        let mut service = Self(command.spawn().unwrap());
        let mut printed = BufReader::new(service.0.stdout.take().unwrap());
        let mut line = String::new();
        while printed.read_line(&mut line).unwrap() > 0 {
            if let Some(rest) = line.strip_prefix("listening on http://") {
                let address = rest.split(' ').next().unwrap().to_owned();
                return (service, address, printed);
            }
            line.clear();
        }
        panic!("it ended without listening");
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn it_serves_one_word_of_health_and_stops_when_told() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let (mut service, address, mut printed) = Service::start(dir.path());
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        let response = get(&address, "/health");
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        // Files on a disk are no way to run for long, and development says so.
        let words = [r#"{"status":"ready"}"#, r#"{"status":"degraded"}"#];
        assert!(words.contains(&body), "{response}");
        assert!(get(&address, "/").starts_with("HTTP/1.1 404 "));

        kill_process(Pid::from_child(&service.0), signal).unwrap();
        let mut rest = String::new();
        printed.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "stopped\n");
        assert!(service.0.wait().unwrap().success());
    }
}
