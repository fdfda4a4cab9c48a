//! A directory, an environment of a few variables, and the command in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A value that passes every rule for a token.
pub(crate) const TOKEN: &str = "pX4v-Tz0qL9e_W2mR7kB1nY6cH3sJ8dF";

/// A working directory with an environment.
pub(crate) struct Room {
    dir: TempDir,
    program: PathBuf,
    variables: Vec<(String, String)>,
}

impl Room {
    /// Makes an empty directory in declared development, for `strongroom` itself.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            program: PathBuf::from(env!("CARGO_BIN_EXE_strongroom")),
            variables: Vec::new(),
        }
        .var("STRONGROOM_ENV", "development")
        .file("tmp/.keep", "")
    }

    /// The same for the example's command, with its notebook as the provider.
    pub(crate) fn with_notebook() -> Self {
        let mut room = Self::new().var("STRONGROOM_PROVIDER", "notebook:notes");
        room.program = own_backend();
        room
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        self
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Prepares the command; nothing of the environment of the tests gets through but `PATH`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", self.path("tmp"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir());
        command
    }

    /// Runs the command without input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// Runs the command with standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may end before it reads its input.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran(child.wait_with_output().unwrap())
    }
}

/// What a command did.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Demands an exit code.
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}{}", self.stdout(), self.stderr());
        self
    }
}

/// Finds the example's command, which cargo builds beside the tests.
pub(crate) fn own_backend() -> PathBuf {
    let strongroom = PathBuf::from(env!("CARGO_BIN_EXE_strongroom"));
    strongroom.with_file_name("examples").join("own_backend")
}
