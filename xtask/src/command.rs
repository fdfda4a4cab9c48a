//! Running other programs, from the root of the workspace and without standard input.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::workspace::root;

/// Makes a cargo command. Each that resolves dependencies says `--locked` among its arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    program("cargo", args)
}

pub(crate) fn program(program: impl AsRef<Path>, args: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// Returns the platform that is built for. Naming it keeps flags away from build scripts and macros.
pub(crate) fn host() -> Result<String> {
    let about = output(program("rustc", &["--version", "--verbose"]))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc doesn't tell its host".to_owned())
}

/// Runs a command whose output goes to the terminal.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let shown = show(&command);
    eprintln!("+ {shown}");
    let status = command
        .status()
        .map_err(|error| format!("can't start `{shown}`: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("`{shown}` failed: {status}")),
    }
}

/// Runs a command, and fails if it has not ended in time.
pub(crate) fn run_within(mut command: Command, limit: Duration) -> Result<()> {
    let shown = show(&command);
    eprintln!("+ {shown}");
    let cannot = |error| format!("can't run `{shown}`: {error}");
    let mut child = command.spawn().map_err(cannot)?;
    let started = Instant::now();
    loop {
        match child.try_wait().map_err(cannot)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("`{shown}` failed: {status}")),
            None if started.elapsed() > limit => {
                child.kill().and_then(|()| child.wait()).map_err(cannot)?;
                return Err(format!("`{shown}` did not end within {limit:?}"));
            }
            None => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Runs a command and returns what it wrote to standard output.
pub(crate) fn output(mut command: Command) -> Result<String> {
    let shown = show(&command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("can't start `{shown}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{shown}` wrote something but text"))
}

/// Reports whether a command can be run at all and succeeds. Shows nothing.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        // Writing to a String can't fail.
        let _ = write!(shown, " {}", arg.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named() {
        let failure = run(cargo(&["no-such-command"])).unwrap_err();
        assert!(
            failure.starts_with("`cargo no-such-command` failed"),
            "{failure}"
        );
        let failure = output(program("no-such-program", &[])).unwrap_err();
        assert!(
            failure.starts_with("can't start `no-such-program`"),
            "{failure}"
        );
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let failure = run_within(program("sleep", &["600"]), Duration::ZERO).unwrap_err();
        assert!(failure.contains("did not end"), "{failure}");
        run_within(cargo(&["--version"]), Duration::from_secs(60)).unwrap();
    }
}
