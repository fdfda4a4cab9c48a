//! Keeping the process's memory to itself: no core dumps, no debugger.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, ErrorKind, Result};

/// Keeps this process's memory from core dumps and from other processes of its user.
///
/// Call it first in `main`, before any secret is read. It lowers the limit of core files to 0 for good,
/// here and in every process that this one starts, and on Linux makes the process not dumpable: the kernel
/// then writes no core for it, also to no handler that cores are piped to, and neither a debugger nor
/// `/proc/PID/mem` shows it to a process without `CAP_SYS_PTRACE`. A program that this one starts is
/// dumpable again by its `exec`, and keeps the limit. Other systems have only the limit.
///
/// What it costs: `/proc/PID` belongs to root, so that tools of the same user see less of the process, and a
/// crash leaves nothing to look at. Root reads the memory anyway.
///
/// ```
/// strongroom::harden_process()?;
/// # Ok::<(), strongroom::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Denied`] if the system refuses either, as a filter of system calls may.
pub fn harden_process() -> Result<()> {
    set(Rlimit {
        current: Some(0),
        maximum: Some(0),
    })?;
    not_dumpable()
}

/// Does the same for a program that becomes another one by `exec`, whose core files are its own matter.
///
/// The limit can be restored by what this returns. Until the `exec` the process stays not dumpable, which
/// alone keeps the kernel from writing a core.
///
/// # Errors
/// As [`harden_process`].
pub fn harden_launcher() -> Result<CoreLimit> {
    let former = getrlimit(Resource::Core);
    set(Rlimit {
        current: Some(0),
        maximum: former.maximum,
    })?;
    not_dumpable()?;
    Ok(CoreLimit(former))
}

/// The limit of core files that a program had before [`harden_launcher`].
#[derive(Debug, Clone)]
pub struct CoreLimit(Rlimit);

impl CoreLimit {
    /// Sets the limit as it was, for the program that this one becomes.
    ///
    /// # Errors
    /// As [`harden_process`].
    pub fn restore(&self) -> Result<()> {
        set(self.0)
    }
}

fn set(limit: Rlimit) -> Result<()> {
    setrlimit(Resource::Core, limit).map_err(|error| refused("the limit of core files", error))
}

fn not_dumpable() -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| refused("that the process is not dumpable", error))?;
    }
    Ok(())
}

fn refused(what: &str, error: rustix::io::Errno) -> Error {
    Error::new(
        ErrorKind::Denied,
        format!("the system refuses to set {what}"),
    )
    .with_help("a filter of system calls (seccomp) may stand in the way: allow setrlimit and prctl")
    .with_source(std::io::Error::from(error))
}
