//! A snapshot of the last values that the backend confirmed, so that a service can start while its
//! backend can't be reached: an encrypted file, off unless the manifest asks for it.
//!
//! [`keeping`] writes it while a service runs, [`stand_in`] uses it at a boot, [`content`] is what it
//! says. An old snapshot that somebody puts back is a valid one: what bounds that is the time when it
//! was taken, which is sealed in it, and the age that the manifest allows.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::backends::Bundle;
use crate::error::{Error, ErrorKind, Result};
use crate::report::Finding;

mod content;
mod keeping;
mod stand_in;
#[cfg(test)]
mod tests;

use content::Content;
pub(crate) use content::Origin;
pub(crate) use keeping::keep;
pub(crate) use stand_in::{Answers, stand_in, started};

/// The rule of findings about a snapshot.
pub(crate) const RULE: &str = "snapshot";

/// The longest that a snapshot can be used.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How far ahead of this machine's clock the one may have been that a snapshot was taken by.
const AHEAD: Duration = Duration::from_secs(60);

/// What the manifest's section `snapshot` says.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) max_age: Duration,
}

/// The snapshot of one service.
#[derive(Debug)]
pub(crate) struct Snapshot {
    file: Bundle,
    origin: Origin,
    max_age: Duration,
    /// Why the last writing failed.
    problem: Mutex<Option<String>>,
}

impl Snapshot {
    pub(crate) fn new(file: Bundle, origin: Origin, max_age: Duration) -> Self {
        Self {
            file,
            origin,
            max_age,
            problem: Mutex::default(),
        }
    }

    /// Looks whether a snapshot could be written here. What keeps it from that stops a boot if it is
    /// a place that others reach; otherwise it is a warning, since the backend may work.
    pub(crate) async fn check(&self) -> Option<(ErrorKind, Finding)> {
        let outcome = self.file.check().await;
        self.note(&outcome);
        let error = outcome.err()?;
        let (message, help) = (error.to_string(), error.help().unwrap_or_default());
        let finding = match error.kind() {
            ErrorKind::Config | ErrorKind::Policy => {
                Finding::violation(None, RULE, format!("the snapshot: {message}"), help)
            }
            _ => Finding::warning(None, RULE, format!("no snapshot is kept: {message}"), help),
        };
        Some((error.kind(), finding))
    }

    /// Returns how long values are handed out that came from a snapshot taken then.
    pub(crate) fn ends(&self, taken: SystemTime) -> SystemTime {
        // One that was taken by a clock a little ahead of this one gets no longer for it.
        let taken = taken.min(SystemTime::now());
        // A time that can't be added to has long passed.
        taken.checked_add(self.max_age).unwrap_or(taken)
    }

    /// Returns why no snapshot is kept at present.
    pub(crate) fn problem(&self) -> Option<String> {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.clone()
    }

    /// Notes how a writing went. Reports whether this is news.
    fn note(&self, outcome: &Result<()>) -> bool {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let now = outcome.as_ref().err().map(Error::to_string);
        let news = problem.is_none() && now.is_some();
        *problem = now;
        news
    }

    async fn write(&self, content: &Content) -> Result<()> {
        self.file.write(content.to_entries()?).await
    }

    /// Reads the snapshot, if it may be used at this time.
    async fn read(&self, now: SystemTime) -> Result<Content> {
        let content = Content::from_entries(&self.file.read().await?)?;
        if content.origin != self.origin {
            let message = "it was taken of another profile, deployment or provider";
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("give each service and each profile a snapshot of its own"));
        }
        check_age(content.taken, self.max_age, now)?;
        Ok(content)
    }
}

fn check_age(taken: SystemTime, max_age: Duration, now: SystemTime) -> Result<()> {
    let shown = humantime::format_rfc3339_seconds;
    let age = match now.duration_since(taken) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() <= AHEAD => Duration::ZERO,
        Err(_) => {
            let message = format!(
                "it was taken in the future ({}, and it is {} here): the clock or the file is wrong",
                shown(taken),
                shown(now)
            );
            return Err(Error::new(ErrorKind::Config, message)
                .with_help("correct the clock, or remove the file if the clock is right"));
        }
    };
    if age < max_age {
        return Ok(());
    }
    let message = format!(
        "it is too old: taken {} ago, and `snapshot.max_age` is {}",
        in_minutes(age),
        humantime::format_duration(max_age)
    );
    Err(Error::new(ErrorKind::Stale, message)
        .with_help("the backend has to be reached; older values are not used"))
}

/// A length of time for people.
pub(crate) fn in_minutes(time: Duration) -> humantime::FormattedDuration {
    let seconds = time.as_secs();
    let seconds = match seconds.checked_rem(60) {
        Some(rest) if seconds >= 60 => seconds.saturating_sub(rest),
        _ => seconds,
    };
    humantime::format_duration(Duration::from_secs(seconds))
}
