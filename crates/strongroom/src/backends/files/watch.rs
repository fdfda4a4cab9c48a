//! Noticing that files changed: by inotify where it can be had, and by looking at their stamps.
//!
//! The directories are watched, not the files, since a file is replaced more often than written:
//! by a rename, by a link that is swapped, by removing and making it again. Whatever the notices
//! say, only a difference of the stamps is a change. A [`Watch`] has a thread from the first wait
//! for a change on, and until it is closed or dropped.

use std::fmt;
use std::io::{PipeWriter, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::error::{Error, ErrorKind, Result};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "a part of it is for notices only")
)]
mod places;
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "a part of it is for notices only")
)]
mod settling;
mod snapshot;
mod thread;

#[cfg(test)]
mod tests;

use snapshot::{Files, Snapshot};

/// What is watched. Nothing is looked at that its backend wouldn't read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends) enum Subject {
    /// Every secret in and beneath a directory.
    Directory(PathBuf),
    /// One file, which may be a link to another one in or beneath its directory.
    Document(PathBuf),
    /// One file, behind whatever links. Its path is never shown.
    Anywhere(PathBuf),
}

/// Tells when files change.
pub(in crate::backends) struct Watch(Arc<Shared>);

struct Shared {
    /// What warnings call the provider.
    address: String,
    state: Mutex<State>,
    waker: Mutex<Waker>,
    /// Holds one change until somebody takes it.
    changes: Notify,
    closed: AtomicBool,
    /// For tests: no notices, as on a system that has none.
    polled: bool,
    /// How often is looked where notices come.
    look: Duration,
}

#[derive(Default)]
struct State {
    subjects: Vec<Subject>,
    /// The files as they were when a change was last told, or before they were first read.
    told: Files,
    /// Somebody waits for changes.
    wanted: bool,
}

/// How the thread is woken: parked, or waiting for the pipe.
#[derive(Default)]
struct Waker {
    thread: Option<Thread>,
    pipe: Option<PipeWriter>,
}

impl Watch {
    /// Watches nothing yet. `address` is what warnings call the provider.
    pub(in crate::backends) fn new(address: impl Into<String>) -> Self {
        Self::with(address.into(), false, thread::LOOK)
    }

    fn with(address: String, polled: bool, look: Duration) -> Self {
        Self(Arc::new(Shared {
            address,
            state: Mutex::default(),
            waker: Mutex::default(),
            changes: Notify::new(),
            closed: AtomicBool::new(false),
            polled,
            look,
        }))
    }

    /// Watches this too, from now on: called before it is first read, it loses no later change.
    pub(in crate::backends) fn add(&self, subject: Subject) {
        if self.0.state().subjects.contains(&subject) {
            return;
        }
        let mut now = Snapshot::take(std::slice::from_ref(&subject)).files;
        let wanted = {
            let mut state = self.0.state();
            if state.subjects.contains(&subject) {
                // Somebody else was faster, and may have read something older.
                self.0.changes.notify_one();
                return;
            }
            state.told.append(&mut now);
            state.subjects.push(subject);
            state.wanted
        };
        if wanted && let Err(error) = self.start() {
            tracing::warn!(provider = %self.0.address, %error, "changes of files go unnoticed");
        }
        self.0.wake();
    }

    /// Waits for a change since the last one that was told; `false` if the watch was closed.
    ///
    /// Several changes are told as one, and each to one caller. Dropping the future loses none.
    pub(in crate::backends) async fn changed(&self) -> Result<bool> {
        let change = self.0.changes.notified();
        if self.0.is_closed() {
            return Ok(false);
        }
        let is_needed = {
            let mut state = self.0.state();
            state.wanted = true;
            !state.subjects.is_empty()
        };
        if is_needed {
            self.start()?;
        }
        change.await;
        Ok(!self.0.is_closed())
    }

    /// Ends the waiting and the thread.
    pub(in crate::backends) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.changes.notify_waiters();
        self.0.wake();
    }

    /// Starts the thread, unless it runs.
    fn start(&self) -> Result<()> {
        let mut waker = self.0.waker();
        if waker.thread.is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        let named = std::thread::Builder::new().name("strongroom-watch".into());
        let spawned = named.spawn(move || thread::run(&shared)).map_err(|error| {
            Error::new(
                ErrorKind::Transient,
                "can't start the thread that watches files",
            )
            .with_help("the process or its user has too many threads")
            .with_source(error)
        })?;
        waker.thread = Some(spawned.thread().clone());
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waker(&self) -> MutexGuard<'_, Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let waker = self.waker();
        if let Some(thread) = &waker.thread {
            thread.unpark();
        }
        if let Some(mut pipe) = waker.pipe.as_ref() {
            // A thread that is gone needs no waking.
            let _ = pipe.write(&[0]);
        }
    }
}
