//! What a test sets up on a server, through OpenBao's own client.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// An OpenBao that answers somewhere, and a token for it.
#[derive(Clone, Debug)]
pub(crate) struct VaultServer {
    pub(crate) address: String,
    pub(crate) token: String,
    pub(crate) namespace: Option<String>,
    /// The certificate that signed the server's own, if it speaks TLS.
    pub(crate) ca: Option<PathBuf>,
    pub(super) bao: PathBuf,
}

impl VaultServer {
    pub(super) fn new(bao: PathBuf, address: String, token: String) -> Self {
        Self {
            address,
            token,
            namespace: None,
            ca: None,
            bao,
        }
    }

    /// Returns the same server, asked with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the same server, asked in a namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..self.clone()
        }
    }

    /// Runs a command of the client, such as `["secrets", "enable", "-path=a", "kv-v2"]`.
    ///
    /// Returns its answer, or null where it answers with words.
    #[track_caller]
    pub(crate) fn admin(&self, args: &[&str]) -> Value {
        self.admin_with_input(args, "")
    }

    /// Runs a command whose argument `-` stands for this input, such as a policy.
    #[track_caller]
    pub(crate) fn admin_with_input(&self, args: &[&str], input: &str) -> Value {
        match self.try_admin(args, input) {
            Ok(answer) => answer,
            Err(failure) => panic!("bao {args:?}: {failure}"),
        }
    }

    /// Runs a command that may fail, and returns the client's own message if it does.
    pub(crate) fn try_admin(&self, args: &[&str], input: &str) -> Result<Value, String> {
        let mut command = Command::new(&self.bao);
        // The client looks for settings of the user, and finds none.
        command
            .args(args)
            .env_clear()
            .env("HOME", env!("CARGO_TARGET_TMPDIR"))
            .env("BAO_ADDR", &self.address)
            .env("BAO_TOKEN", &self.token)
            .env("BAO_FORMAT", "json")
            // A test wants the first answer.
            .env("BAO_MAX_RETRIES", "0");
        if let Some(namespace) = &self.namespace {
            command.env("BAO_NAMESPACE", namespace);
        }
        if let Some(ca) = &self.ca {
            command.env("BAO_CACERT", ca);
        }
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that reads no input may have ended before.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        match serde_json::from_slice(&output.stdout) {
            // `status` tells that a server is sealed by its answer, and by its exit code too.
            Ok(answer) => Ok(answer),
            Err(_) if output.status.success() => Ok(Value::Null),
            Err(_) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
