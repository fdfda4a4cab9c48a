//! `cargo xtask servers`: the servers that tests talk to, OpenBao and moto, on loopback only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::workspace::Workspace;

mod install;
mod process;
mod start;

use process::Server;

/// The token that may do everything on the shared OpenBao.
const ROOT_TOKEN: &str = "root";

/// Runs the chore, and returns the exit code of the command if it ran one.
pub(crate) fn run(args: &[&str]) -> Result<ExitCode> {
    let target_dir = Workspace::load()?.target_dir;
    match args {
        [] => {
            let servers = Servers::start(&target_dir)?;
            for (name, value) in servers.variables() {
                println!("export {name}={}", quoted(&value));
            }
            eprintln!("The servers run until standard input ends, or until Ctrl-C.");
            // A terminal that is gone is an end too.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            Ok(ExitCode::SUCCESS)
        }
        ["install"] => {
            let installed = install::install(&target_dir)?;
            eprintln!("{}", installed.remark);
            Ok(ExitCode::SUCCESS)
        }
        ["--", program, args @ ..] => {
            let servers = Servers::start(&target_dir)?;
            let mut command = Command::new(program);
            command.args(args).envs(servers.variables());
            let status = command.status();
            let status = status.map_err(|error| format!("can't start `{program}`: {error}"))?;
            // A command that a signal ended has no code.
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
        _ => Err("`servers` takes nothing, `install`, or `-- COMMAND`".to_owned()),
    }
}

/// The running servers, which end when this is dropped, and when this process dies.
pub(crate) struct Servers {
    bao: PathBuf,
    vault: Server,
    aws: Server,
    // Dropped last: the servers write here.
    _dir: RunDir,
}

impl Servers {
    /// Installs what is not installed yet, and starts the servers.
    pub(crate) fn start(target_dir: &Path) -> Result<Self> {
        let installed = install::install(target_dir)?;
        let dir = RunDir::create(target_dir)?;
        // Both at once: moto takes a second to load.
        let moto = start::spawn_moto(&installed.python, &dir.0)?;
        let vault = start::openbao(&installed.bao, &dir.0)?;
        let aws = start::moto(moto)?;
        Ok(Self {
            bao: installed.bao,
            vault,
            aws,
            _dir: dir,
        })
    }

    /// Returns the variables by which tests find the servers.
    pub(crate) fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("STRONGROOM_TEST_BAO", self.bao.display().to_string()),
            ("STRONGROOM_TEST_VAULT_ADDR", self.vault.address()),
            ("STRONGROOM_TEST_VAULT_TOKEN", ROOT_TOKEN.to_owned()),
            ("STRONGROOM_TEST_AWS_ENDPOINT", self.aws.address()),
        ]
    }
}

/// What the servers write: their logs and their home.
struct RunDir(PathBuf);

impl RunDir {
    fn create(target_dir: &Path) -> Result<Self> {
        // Two runs at a time don't share one.
        let run = format!("servers/run/{}", std::process::id());
        let dir = target_dir.join(run);
        fs::create_dir_all(dir.join("home"))
            .map_err(|error| format!("can't create {dir:?}: {error}"))?;
        Ok(Self(dir))
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What is left behind is small, and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Quotes a value for a shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn arguments_that_mean_nothing_are_refused() {
        for args in [&["start"][..], &["--"], &["install", "--"]] {
            assert!(run(args).unwrap_err().contains("takes"), "{args:?}");
        }
    }
}
