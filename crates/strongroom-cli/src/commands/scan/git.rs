//! Git, asked so that what stands in a repository of others makes it run nothing.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strongroom::{Env, Error, ErrorKind, Result};

/// What the environment of git holds of ours: where it finds programs, and the user's own settings, of
/// which `safe.directory` is one.
const KEPT: &[&str] = &["PATH", "HOME", "XDG_CONFIG_HOME"];

/// What it holds besides. A repository can't change what stands here.
const SET: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    // A repository that lacks objects would have them fetched, by a program that it names.
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    // Either would show another history than the one that is published.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_GRAFT_FILE", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
];

/// Settings by which a repository could name a program.
const OVERRIDDEN: &[&str] = &[
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.alternateRefsCommand=",
    "core.sshCommand=false",
    "core.askPass=",
    "credential.helper=",
    "diff.external=",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
    "gpg.program=false",
    "uploadpack.packObjectsHook=",
];

/// One repository.
#[derive(Debug, Clone)]
pub(super) struct Git<'a> {
    env: &'a Env,
    dir: PathBuf,
}

impl<'a> Git<'a> {
    /// Finds the repository that a path lies in; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if there is one, and git can't be started or refuses to read it.
    pub(super) fn of(env: &'a Env, path: &Path) -> Result<Option<Self>> {
        let path = env.working_dir().join(path);
        let path = std::fs::canonicalize(&path).unwrap_or(path);
        let dir = match path.is_dir() {
            true => path.as_path(),
            false => path.parent().unwrap_or(&path),
        };
        if !dir.ancestors().any(is_repository) {
            return Ok(None);
        }
        let git = Self {
            env,
            dir: dir.to_owned(),
        };
        git.ask(&["rev-parse", "--git-dir"])?;
        Ok(Some(git))
    }

    /// Returns where the repository keeps its objects: two work trees can share them.
    pub(super) fn storage(&self) -> Result<String> {
        let lines = self.ask(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        Ok(String::from_utf8_lossy(&lines).trim_end().to_owned())
    }

    /// Returns the folder that was asked for.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Asks for everything that a command prints.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let answer = self.command(arguments).output();
        let answer = answer.map_err(not_started)?;
        match answer.status.success() {
            true => Ok(answer.stdout),
            false => Err(self.refused(arguments)),
        }
    }

    /// Starts a command whose output is read while it runs.
    pub(super) fn start(&self, arguments: &[&str], input: Stdio) -> Result<Running> {
        let mut command = self.command(arguments);
        let child = command.stdin(input).stdout(Stdio::piped()).spawn();
        Ok(Running {
            child: child.map_err(not_started)?,
            refused: self.refused(arguments),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        for name in KEPT {
            if let Ok(Some(value)) = self.env.var(name) {
                command.env(name, value);
            }
        }
        command.envs(SET.iter().copied());
        command.args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"]);
        for setting in OVERRIDDEN {
            command.args(["-c", setting]);
        }
        command.arg("-C").arg(&self.dir).args(arguments);
        // What it says quotes the repository.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn refused(&self, arguments: &[&str]) -> Error {
        let command = arguments.first().copied().unwrap_or_default();
        let dir = self.dir.display();
        Error::new(ErrorKind::Config, format!("git {command} fails in {dir}")).with_help(
            "see what `git status` says there; a repository that belongs to somebody else has to be \
             named in your own git configuration: git config --global --add safe.directory PATH",
        )
    }
}

/// A command of git that runs; it is ended when this is dropped.
pub(super) struct Running {
    child: Child,
    refused: Error,
}

impl Running {
    /// Hands its output over to another command.
    pub(super) fn output(&mut self) -> Stdio {
        self.child
            .stdout
            .take()
            .map_or_else(Stdio::null, Stdio::from)
    }

    /// Takes its standard input.
    pub(super) fn input(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// Takes its output, to be read here.
    pub(super) fn reader(&mut self) -> BufReader<Box<dyn std::io::Read + Send>> {
        let output: Box<dyn std::io::Read + Send> = match self.child.stdout.take() {
            Some(output) => Box::new(output),
            None => Box::new(std::io::empty()),
        };
        BufReader::with_capacity(1 << 16, output)
    }

    /// Calls for each line of its output, without the end of the line, and waits for its end.
    pub(super) fn each_line(mut self, mut act: impl FnMut(&[u8])) -> Result<()> {
        let mut reader = self.reader();
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) => return self.finish(),
                Ok(_) => act(line.strip_suffix(b"\n").unwrap_or(&line)),
                Err(_) => return Err(self.refused.clone()),
            }
        }
    }

    /// Waits for its end, which has to be a good one.
    pub(super) fn finish(mut self) -> Result<()> {
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(self.refused.clone()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_repository(dir: &Path) -> bool {
    let is_bare = || {
        let has = |name: &str| dir.join(OsStr::new(name)).exists();
        has("HEAD") && has("objects") && has("refs")
    };
    dir.join(".git").symlink_metadata().is_ok() || is_bare()
}

fn not_started(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Config, "git can't be started")
        .with_help("history is read through the program `git`, which must be on PATH")
        .with_source(error)
}
