//! What the manifest's section `audit` says.

use std::path::PathBuf;
use std::time::Duration;

use crate::name::SecretName;

/// What is recorded, and where.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) reads: Reads,
    /// Whether what can't be recorded is refused.
    pub(crate) fail_closed: bool,
    /// What the service is called in its events.
    pub(crate) service: Option<String>,
    pub(crate) log: Option<LogSettings>,
}

/// Which hand-outs are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reads {
    /// The first of each version.
    #[default]
    First,
    /// All of them.
    Every,
}

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    pub(crate) path: PathBuf,
    pub(crate) key: KeySource,
    /// How large the file gets before it is set aside.
    pub(crate) max_bytes: u64,
    /// How old the file gets before it is set aside.
    pub(crate) max_age: Option<Duration>,
    /// How many files are kept that were set aside; all of them where nothing is said.
    pub(crate) keep: Option<u64>,
    /// How long files are kept that were set aside.
    pub(crate) keep_for: Option<Duration>,
    /// After how many events the head of the chain is logged.
    pub(crate) head_every: u64,
    /// Whether each write waits until the disk has it.
    pub(crate) sync: bool,
}

/// Where the key of the chain comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    File(PathBuf),
    /// A secret of the chosen provider.
    Secret(SecretName),
}

pub(crate) const MAX_BYTES: u64 = 64 * 1024 * 1024;
pub(crate) const HEAD_EVERY: u64 = 1_000;
