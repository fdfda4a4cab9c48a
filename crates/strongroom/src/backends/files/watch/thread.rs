//! The thread of a watch: it looks, tells, and waits for the next notice or the next look.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

#[cfg(not(target_os = "linux"))]
use super::elsewhere::Notices;
#[cfg(target_os = "linux")]
use super::linux::Notices;
use super::settling::Settling;
use super::snapshot::Snapshot;
use super::{Shared, Subject};

/// How often is looked where notices come: some changes have none.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// How often is looked where none come. With the time that a change has to rest it is seen within a
/// second.
const POLL: Duration = Duration::from_millis(400);
/// How many times longer than the looking itself is waited before the next look.
const LEISURE: u32 = 20;
/// The same where notices would have it look at once.
const BREATH: u32 = 4;
/// How often the places are looked up again because they moved meanwhile.
const ROUNDS: usize = 8;

/// Runs until the watch is closed.
pub(super) fn run(shared: &Shared) {
    let mut source = Source::open(shared);
    let mut settling = Settling::default();
    let mut incomplete_since = None;
    while !shared.is_closed() {
        let begun = Instant::now();
        let subjects = shared.state().subjects.clone();
        let snapshot = source.look(shared, &subjects);
        let now = Instant::now();
        let mut changed = false;
        let outcome = {
            let mut state = shared.state();
            if state.subjects.len() != subjects.len() {
                continue;
            }
            settling.compare(&mut state.told, &snapshot.files, now)
        };
        changed |= outcome.changed;
        if let Some(path) = outcome.restless {
            warn_restless(shared, &subjects, &path);
        }
        if snapshot.incomplete && is_due(shared, &mut incomplete_since, now) {
            changed = true;
        }
        if changed {
            shared.changes.notify_one();
        }
        let looking = now.saturating_duration_since(begun);
        let interval = source.interval(shared);
        let interval = interval.max(looking.saturating_mul(LEISURE));
        let until = now.checked_add(interval).unwrap_or(now);
        let until = outcome.again.map_or(until, |again| again.min(until));
        if let Source::Notices(notices) = &mut source {
            notices.pause(looking.saturating_mul(BREATH));
        }
        source.wait(shared, until, &mut settling);
    }
    // The other end of the pipe is gone with the source.
    shared.waker().pipe = None;
}

/// What can't be looked at may have changed: that is told once for each long interval.
fn is_due(shared: &Shared, since: &mut Option<Instant>, now: Instant) -> bool {
    if since.is_none() {
        tracing::warn!(
            provider = %shared.address,
            "the directory can't be listed, or holds too much: its secrets are read again every \
             {} seconds, changed or not", LOOK.as_secs()
        );
    }
    let is_due = since.is_none_or(|since| now.saturating_duration_since(since) >= LOOK);
    if is_due {
        *since = Some(now);
    }
    is_due
}

fn warn_restless(shared: &Shared, subjects: &[Subject], path: &Path) {
    let is_shown = !subjects.contains(&Subject::Anywhere(path.to_owned()));
    let file = is_shown.then(|| path.display().to_string());
    tracing::warn!(
        provider = %shared.address, file,
        "a file never stops changing: it is read again when it does; write to another file, and \
         rename that over it"
    );
}

/// What ends the waiting between two looks.
pub(super) enum Source {
    Notices(Notices),
    Polling,
}

impl Source {
    pub(super) fn open(shared: &Shared) -> Self {
        if shared.polled {
            return Self::Polling;
        }
        match Notices::open() {
            Ok((notices, waker)) => {
                shared.waker().pipe = Some(waker);
                Self::Notices(notices)
            }
            Err(reason) => {
                let mut source = Self::Polling;
                source.give_up(shared, &reason);
                source
            }
        }
    }

    /// Takes a snapshot, in places that are all watched: what changes after it gives notice.
    pub(super) fn look(&mut self, shared: &Shared, subjects: &[Subject]) -> Snapshot {
        let mut snapshot = Snapshot::take(subjects);
        for _ in 0..ROUNDS {
            let Self::Notices(notices) = self else {
                return snapshot;
            };
            match notices.watch(&snapshot.places) {
                Ok(false) => return snapshot,
                Ok(true) => {}
                Err(reason) => self.give_up(shared, &reason),
            }
            snapshot = Snapshot::take(subjects);
        }
        snapshot
    }

    fn interval(&self, shared: &Shared) -> Duration {
        match self {
            Self::Notices(notices) if !notices.is_partial() => shared.look,
            _ => POLL,
        }
    }

    /// Waits for something to look at, and no longer than `until`.
    fn wait(&mut self, shared: &Shared, until: Instant, settling: &mut Settling) {
        while !shared.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match self {
                // Returning too early costs a look.
                Self::Polling => return std::thread::park_timeout(left),
                Self::Notices(notices) => match notices.wait(left, settling) {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(reason) => return self.give_up(shared, &reason),
                },
            }
        }
    }

    /// Polls from now on.
    pub(super) fn give_up(&mut self, shared: &Shared, reason: &dyn Display) {
        *self = Self::Polling;
        shared.waker().pipe = None;
        if cfg!(target_os = "linux") {
            tracing::warn!(
                provider = %shared.address, %reason,
                "files are looked at every {} milliseconds, since nobody gives notice of changes",
                POLL.as_millis()
            );
        }
    }
}
