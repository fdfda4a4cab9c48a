//! Who did what to which secret, and when: recorded as events that nobody can change unnoticed.
//!
//! Each event is one of the class "API Activity" (6003) of the Open Cybersecurity Schema Framework. It
//! goes to `tracing`, target `strongroom::audit`, and, where the manifest has a section `audit`, to a
//! file of JSON lines. Each line has a number and a code, HMAC-SHA256 of the code before and the line, so
//! that no line can be changed, removed or moved without the key. Any number of processes may write one
//! file. docs/audit.md specifies the format, and says what it proves and what it doesn't.
//!
//! Here is what reads it: [`verify`] and [`read`].
//!
//! ```no_run
//! use std::path::Path;
//! use strongroom::{Secret, audit};
//!
//! # fn main() -> strongroom::Result<()> {
//! # let text = Secret::from_text("");
//! let key = audit::Key::from_text(&text)?;
//! let verified = audit::verify(Path::new("/var/log/app/audit.jsonl"), &key, None)?;
//! println!("{} events, head {}", verified.events, verified.head);
//! # Ok(()) }
//! ```

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::rails::GuardRails;
use crate::secret::Secret;

mod chain;
mod ends;
mod event;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod head;
mod identity;
mod key;
mod line;
mod query;
mod settings;
mod sink;
#[cfg(test)]
mod tests;
mod verify;

pub use head::Head;
pub use key::Key;
pub use line::Anchor;
pub use query::{Entry, Filter, read};
pub use verify::{Note, Verified, verify, verify_in_order};

pub(crate) use event::{Event, Operation, Outcome};
pub(crate) use settings::{HEAD_EVERY, KeySource, LogSettings, MAX_BYTES, Reads, Settings};

use crate::backends::{Journal, key_file};
use chain::{Chain, Record};
use identity::Identity;
use sink::Sink;

/// Where a log lies that a manifest asks for, and where its key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Log {
    /// The file that grows. Those that were set aside lie beside it.
    pub path: PathBuf,
    /// The key's file; `None` where the key is a secret of the provider.
    pub key_file: Option<PathBuf>,
    /// The secret that is the key, of the chosen provider.
    pub key_secret: Option<SecretName>,
}

/// What records events.
pub(crate) struct Audit {
    settings: Settings,
    env: Arc<Env>,
    rails: GuardRails,
    in_place: bool,
    identity: Identity,
    sink: OnceLock<Sink>,
    /// What happened before the log was opened: its key may be a secret, too.
    early: Mutex<Vec<Record>>,
}

impl Audit {
    /// Records as the settings say. The log is opened by [`open`](Self::open); what happens before is
    /// written then.
    pub(crate) fn new(
        settings: Settings,
        env: Arc<Env>,
        rails: GuardRails,
        in_place: bool,
    ) -> Self {
        Self {
            identity: Identity::of_process(settings.service.as_deref()),
            settings,
            env,
            rails,
            in_place,
            sink: OnceLock::new(),
            early: Mutex::default(),
        }
    }

    /// Tells everything to `tracing`, and nothing to a file.
    pub(crate) fn traced() -> Self {
        let rails = GuardRails::new(crate::env::Deployment::Undeclared, []);
        Self::new(Settings::default(), Arc::new(Env::empty()), rails, true)
    }

    /// Returns the secret that is the key of the log, if it is one.
    pub(crate) fn key_secret(&self) -> Option<&SecretName> {
        match &self.settings.log.as_ref()?.key {
            KeySource::Secret(name) => Some(name),
            KeySource::File(_) => None,
        }
    }

    /// Opens the log, if there is to be one, with this key or the one of the key file. Blocks.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`], [`ErrorKind::Malformed`] and [`ErrorKind::Policy`] about the key,
    /// [`ErrorKind::Integrity`] if what is there is no log or one of another key, and, where it fails
    /// closed, whatever keeps it from being written; else that is told, and counted.
    pub(crate) fn open(&self, key: Option<&Secret>) -> Result<()> {
        let Some(log) = &self.settings.log else {
            return Ok(());
        };
        if self.sink.get().is_some() {
            return Ok(());
        }
        let key = match (&log.key, key) {
            (KeySource::File(path), _) => key_file((&self.env, &self.rails), path, no_key)
                .and_then(|text| Key::from_text(&text).map_err(|error| in_file(path, &error)))?,
            (KeySource::Secret(name), Some(secret)) => {
                Key::from_text(secret).map_err(|error| error.with_name(name))?
            }
            // Whoever works without a connection has no such key.
            (KeySource::Secret(_), None) => return Ok(()),
        };
        let journal = Journal::new(&log.path)?;
        let journal = journal.judged_by(Arc::clone(&self.env), self.rails.clone());
        let mut chain = Chain::new(journal, key, log.clone(), self.identity.clone());
        if let Err(error) = chain.check() {
            let may_pass = error.kind() == ErrorKind::Transient;
            if self.settings.fail_closed || !may_pass {
                return Err(unrecorded(&error));
            }
        }
        let sink = Sink::new(chain, self.identity.clone(), log.head_every, self.in_place)?;
        // Under the lock: nothing may be kept for later any more, nor get ahead of what was.
        let mut early = self.early();
        let sink = self.sink.get_or_init(|| sink);
        sink.write_soon(std::mem::take(&mut *early));
        Ok(())
    }

    /// Returns why events are not recorded at present.
    pub(crate) fn problem(&self) -> Option<String> {
        self.sink.get().and_then(Sink::problem)
    }

    /// Reports whether every hand-out is recorded, not only the first of each version.
    pub(crate) fn records_every_read(&self) -> bool {
        self.settings.reads == Reads::Every
    }

    /// Reports whether what can't be recorded is refused.
    pub(crate) fn fails_closed(&self) -> bool {
        self.settings.fail_closed
    }

    /// Records events of one access, and returns when they are recorded.
    ///
    /// # Errors
    /// Where it fails closed, that they could not be recorded: [`ErrorKind::Transient`] if that may
    /// pass, else [`ErrorKind::Integrity`] or [`ErrorKind::Config`].
    pub(crate) async fn record(&self, events: Vec<Event>) -> Result<()> {
        let Some(records) = self.records(events) else {
            return Ok(());
        };
        let Some((sink, records)) = self.opened(records) else {
            return Ok(());
        };
        match sink.write(records).await {
            Err(error) if self.settings.fail_closed => Err(unrecorded(&error)),
            _ => Ok(()),
        }
    }

    /// Records an event soon. That it could not be recorded is told and counted.
    pub(crate) fn note(&self, event: Event) {
        let records = self.records(vec![event]);
        if let Some((sink, records)) = records.and_then(|records| self.opened(records)) {
            sink.write_soon(records);
        }
    }

    /// Returns when everything that was noted is recorded.
    pub(crate) async fn flush(&self) {
        if let Some(sink) = self.sink.get() {
            // An empty batch is answered behind all that were sent before it.
            let _ = sink.write(Vec::new()).await;
        }
    }

    /// Tells events to `tracing`; returns them as records if there is a log.
    fn records(&self, events: Vec<Event>) -> Option<Vec<Record>> {
        for event in &events {
            event.trace();
        }
        self.settings.log.as_ref()?;
        let record = |event: Event| (event.to_json(&self.identity), event.extras);
        Some(events.into_iter().map(record).collect())
    }

    /// Returns where records go, or keeps them until that is opened.
    fn opened(&self, records: Vec<Record>) -> Option<(&Sink, Vec<Record>)> {
        if self.sink.get().is_none() {
            let mut early = self.early();
            // It may have been opened meanwhile.
            if self.sink.get().is_none() {
                early.extend(records);
                return None;
            }
        }
        Some((self.sink.get()?, records))
    }

    fn early(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit")
            .field("settings", &self.settings)
            .field("sink", &self.sink.get())
            .finish_non_exhaustive()
    }
}

/// What a backend tells of a state that could be rolled back: recorded once each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Anchors {
    audit: Option<Arc<Audit>>,
    last: Arc<Mutex<Option<Anchor>>>,
}

impl Anchors {
    pub(crate) fn of(audit: &Arc<Audit>) -> Self {
        Self {
            audit: Some(Arc::clone(audit)),
            last: Arc::default(),
        }
    }

    /// Records that something was seen in, or brought into, this state.
    pub(crate) fn note(&self, subject: String, epoch: u64, seal: &[u8; 32]) {
        let Some(audit) = &self.audit else {
            return;
        };
        let anchor = Anchor {
            subject,
            epoch,
            seal: base16ct::lower::encode_string(seal),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&anchor) {
            *last = Some(anchor.clone());
            audit.note(Event::anchor(anchor));
        }
    }
}

fn unrecorded(error: &Error) -> Error {
    let kind = match error.kind() {
        kind @ (ErrorKind::Transient
        | ErrorKind::Integrity
        | ErrorKind::Auth
        | ErrorKind::Policy) => kind,
        // It says nothing of the secret: neither that it is absent, nor that it is denied.
        _ => ErrorKind::Config,
    };
    let failed = Error::new(
        kind,
        format!("it can't be recorded in the audit log: {error}"),
    );
    match error.help() {
        Some(help) => failed.with_help(help),
        None => failed,
    }
}

fn no_key(path: &std::path::Path) -> Error {
    let message = format!("the key's file {} does not exist", path.display());
    Error::new(ErrorKind::Auth, message).with_help(
        "make one that the service's user alone can read: \
         `(umask 077; openssl rand -hex 32 > FILE)`",
    )
}

fn in_file(path: &std::path::Path, error: &Error) -> Error {
    let located = Error::new(error.kind(), format!("{}: {error}", path.display()));
    located.with_help(error.help().unwrap_or_default())
}
