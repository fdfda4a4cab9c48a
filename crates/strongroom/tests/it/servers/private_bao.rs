//! An OpenBao of one test, which may seal, stop and restart it.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::VaultServer;

/// What a server runs under, so that it dies with the test, even with one that is killed.
const GUARD: &str = include_str!("../../../../../xtask/servers/guard.sh");
const ROOT_TOKEN: &str = "root";
const LONGEST_START: Duration = Duration::from_secs(60);
/// How often another port is tried after somebody else was faster.
const TRIES: usize = 5;

/// How the server is set up.
#[derive(Clone, PartialEq, Eq)]
enum Setup {
    Dev,
    DevTls,
    /// In development mode, with this configuration beside.
    DevWith(String),
    /// Neither initialised nor unsealed, with this storage.
    Config(&'static str),
}

/// A server that is killed when this is dropped.
pub(crate) struct PrivateBao {
    pub(crate) server: VaultServer,
    setup: Setup,
    port: u16,
    /// Given once the server is initialised.
    unseal_key: Option<String>,
    process: Option<Child>,
    dir: tempfile::TempDir,
}

impl PrivateBao {
    /// Starts a server in development mode: in memory, unsealed, over plain HTTP.
    pub(crate) fn dev() -> Option<Self> {
        let mut bao = Self::start_new(Setup::Dev)?;
        bao.unseal_key = Some(bao.logged("Unseal Key: "));
        Some(bao)
    }

    /// Starts a server in development mode over TLS, with a CA of its own; it asks for a certificate
    /// of the client, and does without.
    pub(crate) fn dev_tls() -> Option<Self> {
        let mut bao = Self::start_new(Setup::DevTls)?;
        bao.unseal_key = Some(bao.logged("Unseal Key: "));
        Some(bao)
    }

    /// Starts a server in development mode that listens in other ways too, as its configuration says.
    pub(crate) fn dev_with(config: &str) -> Option<Self> {
        Self::start_new(Setup::DevWith(config.to_owned()))
    }

    /// Starts a server in memory that is not initialised yet.
    pub(crate) fn uninitialised() -> Option<Self> {
        Self::start_new(Setup::Config("storage \"inmem\" {}"))
    }

    /// Starts a server, initialised and unsealed, that keeps what it holds when it is restarted.
    pub(crate) fn persistent() -> Option<Self> {
        // It elects itself; the default waits several seconds for others first.
        let storage = "storage \"raft\" {\n  path = \"data\"\n  node_id = \"one\"\n  \
                       performance_multiplier = 1\n}";
        let mut bao = Self::start_new(Setup::Config(storage))?;
        bao.initialise();
        bao.unseal();
        Some(bao)
    }

    /// Returns the one key that unseals the server.
    pub(crate) fn unseal_key(&self) -> &str {
        self.unseal_key.as_deref().expect("it is not initialised")
    }

    /// Returns where the certificates of a server with TLS are: `vault-ca.pem` and others.
    pub(crate) fn tls_dir(&self) -> PathBuf {
        self.dir.path().join("tls")
    }

    /// Initialises the server, and takes over its root token.
    pub(crate) fn initialise(&mut self) {
        let shares = ["-key-shares=1", "-key-threshold=1"];
        let answer = self
            .server
            .admin(&["operator", "init", shares[0], shares[1]]);
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        self.unseal_key = Some(text(&answer["unseal_keys_b64"][0]));
        self.server.token = text(&answer["root_token"]);
    }

    pub(crate) fn seal(&self) {
        self.server.admin(&["operator", "seal"]);
    }

    /// Unseals the server, and waits until it serves requests.
    pub(crate) fn unseal(&self) {
        let answer = self
            .server
            .admin(&["operator", "unseal", self.unseal_key()]);
        assert_eq!(answer["sealed"], false);
        let started = Instant::now();
        // A persistent one elects itself first.
        while let Err(failure) = self.server.try_admin(&["token", "lookup"], "") {
            assert!(started.elapsed() < LONGEST_START, "{failure}");
        }
    }

    /// Kills the server. Only a persistent one keeps what it holds.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            // The guard is called off while the process is not yet reaped: its number is still ours.
            let _ = process.stdin.as_mut().unwrap().write_all(b"\n");
            process.wait().unwrap();
        }
    }

    /// Lets go of the server without stopping it, as a test does that is killed.
    pub(super) fn let_go(mut self) -> Child {
        let mut process = self.process.take().unwrap();
        drop(process.stdin.take());
        process
    }

    /// Starts the stopped server again, at the same address. A persistent one is sealed then.
    pub(crate) fn start(&mut self) {
        let started = Instant::now();
        // Somebody's connection may have the port for a moment.
        while !self.try_start() {
            assert!(started.elapsed() < LONGEST_START, "{}", self.log());
        }
    }

    fn start_new(setup: Setup) -> Option<Self> {
        let program = super::bao()?;
        let dir = tempfile::tempdir().unwrap();
        for name in ["tls", "data"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let server = VaultServer::new(program, String::new(), ROOT_TOKEN.to_owned());
        let mut bao = Self {
            server,
            setup,
            port: 0,
            unseal_key: None,
            process: None,
            dir,
        };
        for _ in 0..TRIES {
            bao.port = free_port();
            let mut scheme = "http";
            if bao.setup == Setup::DevTls {
                scheme = "https";
                bao.server.ca = Some(bao.tls_dir().join("vault-ca.pem"));
            }
            bao.server.address = format!("{scheme}://127.0.0.1:{}", bao.port);
            if bao.try_start() {
                return Some(bao);
            }
        }
        panic!("no port was free: {}", bao.log());
    }

    /// Starts the process, and waits until it serves; false if its port is taken.
    fn try_start(&mut self) -> bool {
        let output = File::create(self.log_file()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]);
        command.arg(&self.server.bao).arg("server");
        let path = strongroom::Env::process();
        let path = path.var("PATH").unwrap().unwrap_or_default();
        command.env_clear().env("PATH", path);
        command
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .args(self.arguments())
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let mut process = command.spawn().unwrap();
        let started = Instant::now();
        loop {
            let ended = process.try_wait().unwrap();
            let log = self.log();
            // An answer on the port alone would not do: it may be another server's.
            if log.contains(self.ready()) {
                self.process = Some(process);
                return true;
            }
            if ended.is_some() && log.contains("address already in use") {
                return false;
            }
            let waited = started.elapsed();
            assert!(ended.is_none() && waited < LONGEST_START, "{log}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn arguments(&self) -> Vec<String> {
        let listen = format!("127.0.0.1:{}", self.port);
        let dev = |mode: &str| {
            vec![
                mode.to_owned(),
                "-dev-no-store-token".to_owned(),
                format!("-dev-root-token-id={ROOT_TOKEN}"),
                format!("-dev-listen-address={listen}"),
            ]
        };
        match &self.setup {
            Setup::Dev => dev("-dev"),
            Setup::DevWith(config) => {
                fs::write(self.dir.path().join("server.hcl"), config).unwrap();
                let mut args = dev("-dev");
                args.push("-config=server.hcl".to_owned());
                args
            }
            Setup::DevTls => {
                let mut args = dev("-dev-tls");
                args.push("-dev-tls-cert-dir=tls".to_owned());
                args
            }
            Setup::Config(storage) => {
                let cluster = self.port.checked_add(1).unwrap();
                let config = format!(
                    "{storage}\napi_addr = \"http://{listen}\"\n\
                     cluster_addr = \"http://127.0.0.1:{cluster}\"\n\
                     listener \"tcp\" {{\n  address = \"{listen}\"\n  tls_disable = true\n}}\n"
                );
                fs::write(self.dir.path().join("server.hcl"), config).unwrap();
                vec!["-config=server.hcl".to_owned()]
            }
        }
    }

    fn ready(&self) -> &'static str {
        match self.setup {
            Setup::Dev | Setup::DevTls | Setup::DevWith(_) => "Development mode should NOT be used",
            Setup::Config(_) => "OpenBao server started!",
        }
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap()).into_owned()
    }

    /// Returns what follows these words in a line of the log.
    fn logged(&self, words: &str) -> String {
        let log = self.log();
        let line = log.lines().find_map(|line| line.strip_prefix(words));
        line.unwrap_or_else(|| panic!("no `{words}` in {log}"))
            .to_owned()
    }
}

impl Drop for PrivateBao {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Finds a port that is free, and the next one too, where the server listens for its cluster.
pub(crate) fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let next = port.checked_add(1);
        if next.is_some_and(|next| TcpListener::bind((Ipv4Addr::LOCALHOST, next)).is_ok()) {
            return port;
        }
    }
}
