//! A directory, an environment of a few variables, and the command in it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use strongroom::Env;
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

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        self
    }

    /// Makes a directory with these permission bits, where the platform has them.
    pub(crate) fn dir_of_mode(self, path: &str, mode: u32) -> Self {
        let path = self.path(path);
        std::fs::create_dir_all(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        self
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Prepares the command; nothing of the environment of the tests gets through but `PATH`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let path = Env::process().var("PATH").unwrap().unwrap_or("").to_owned();
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("TMPDIR", self.path("tmp"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path());
        command
    }

    /// Prepares another program, in the same directory and environment.
    pub(crate) fn other(&self, program: &str, arguments: &[&str]) -> Command {
        let ours = self.command(&[]);
        let variables = ours.get_envs();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(variables.filter_map(|(name, value)| Some((name, value?))))
            .current_dir(self.dir.path());
        command
    }

    /// Runs a script of the shell.
    pub(crate) fn shell(&self, script: &str) -> Ran {
        Ran(self.other("sh", &["-c", script]).output().unwrap())
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
        let output = child.wait_with_output().unwrap();
        #[cfg(unix)]
        crate::schemas::check(arguments, &output.stdout);
        Ran(output)
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

/// Finds the example's command, which cargo builds beside the tests unless it is told to build one
/// of them alone.
pub(crate) fn own_backend() -> PathBuf {
    let strongroom = PathBuf::from(env!("CARGO_BIN_EXE_strongroom"));
    let path = strongroom.with_file_name("examples").join("own_backend");
    let path = path.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "first `cargo build -p strongroom-cli --examples`"
    );
    path
}
