//! The writer of a log: continues the chain that is there, whoever wrote it, under the lock.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::ends::{Header, Remains, last_line, not_a_log};
use super::event::{Event, Operation, Outcome};
use super::head::Head;
use super::identity::Identity;
use super::key::{ChainKey, Key};
use super::line::{self, Extras, FORMAT};
use super::settings::LogSettings;
use crate::backends::{Growing, Journal, Locked, Look};
use crate::error::{Error, ErrorKind, Result};
use crate::random;

/// An event as JSON, and what its line says besides.
pub(super) type Record = (Vec<u8>, Extras);

/// The writer of a log.
pub(super) struct Chain {
    journal: Journal,
    key: Key,
    settings: LogSettings,
    identity: Identity,
    /// The file as this process left it.
    state: Option<State>,
    /// The newest event that this process knows of, to notice when it is gone.
    known: Option<Head>,
}

/// The file that is appended to, and where its chain stands.
struct State {
    file: Growing,
    chain: [u8; 16],
    key: ChainKey,
    /// The number of its first event.
    first: u64,
    begun: SystemTime,
    head: Head,
    torn: Option<Remains>,
}

impl Chain {
    pub(super) fn new(
        journal: Journal,
        key: Key,
        settings: LogSettings,
        identity: Identity,
    ) -> Self {
        Self {
            journal,
            key,
            settings,
            identity,
            state: None,
            known: None,
        }
    }

    /// Looks whether events could be appended, and begins the log if there is none.
    pub(super) fn check(&mut self) -> Result<()> {
        let locked = self.journal.lock()?;
        let look = self.journal.look()?;
        self.catch_up(&locked, look)?;
        match self.state {
            Some(_) => Ok(()),
            None => self.append_locked(&locked, look, &[]).map(drop),
        }
    }

    /// Appends events, in one write. Returns the head that they make.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<Head> {
        let locked = self.journal.lock()?;
        let look = self.journal.look()?;
        self.append_locked(&locked, look, records)
    }

    /// Appends events if that is a matter of one write to the memory of the system: nobody else holds the
    /// lock, the file is the one that was written last, it goes on, and no disk is waited for. Else it does
    /// nothing, and returns `None`.
    pub(super) fn append_at_once(&mut self, records: &[Record]) -> Option<Result<Head>> {
        let state = self.state.as_ref().filter(|_| !self.settings.sync)?;
        let locked = self.journal.lock_at_once()?;
        let look = self.journal.look().ok()??;
        if state.file.identity != look.identity || self.is_due(state, look.len) {
            return None;
        }
        Some(self.append_locked(&locked, Some(look), records))
    }

    pub(super) fn known(&self) -> Option<Head> {
        self.known
    }

    fn append_locked(
        &mut self,
        locked: &Locked,
        look: Option<Look>,
        records: &[Record],
    ) -> Result<Head> {
        let appended = self.catch_up_and_append(locked, look, records);
        if appended.is_err() {
            // What is there now has to be looked at.
            self.state = None;
        }
        appended
    }

    fn catch_up_and_append(
        &mut self,
        locked: &Locked,
        look: Option<Look>,
        records: &[Record],
    ) -> Result<Head> {
        self.catch_up(locked, look)?;
        let cut = self.cut();
        let size = records
            .iter()
            .map(|(event, _)| event.len().saturating_add(256));
        let mut out = Vec::with_capacity(size.sum());
        let is_due = |state: &State| self.is_due(state, state.file.len);
        let is_due = self.state.as_ref().is_some_and(is_due);
        let mut removed = Vec::new();
        let mut state = match self.state.take() {
            Some(state) if !is_due => state,
            former => {
                let (state, header) = self.next_file(former)?;
                out = header;
                removed = self.expired(state.first)?;
                state
            }
        };
        let mut own = Vec::new();
        own.extend(cut.map(|expected| self.cut_event(expected)));
        own.extend(removed.last().map(|(_, through)| self.removal(*through)));
        if let Some(remains) = state.torn.take() {
            // Whatever it is, no line of ours may be joined to it.
            if !remains.ends_line {
                out.push(b'\n');
            }
            own.extend(records.iter().cloned());
            if let Some((_, extras)) = own.first_mut() {
                extras.torn = remains.said;
            }
            state.write(&mut out, &own)?;
        } else {
            state.write(&mut out, &own)?;
            state.write(&mut out, records)?;
        }
        state
            .file
            .append(&out, self.settings.sync, self.journal.path())?;
        for (path, _) in removed {
            // Retention that failed now is tried again with the next file.
            let _ = std::fs::remove_file(path);
        }
        self.known = Some(state.head);
        let head = state.head;
        self.state = Some(state);
        Ok(head)
    }

    /// Brings the state up to what the file is now. None is left where there is no file to continue.
    fn catch_up(&mut self, _locked: &Locked, look: Option<Look>) -> Result<()> {
        let Some(look) = look else {
            self.state = None;
            return Ok(());
        };
        if let Some(state) = &mut self.state
            && state.file.identity == look.identity
        {
            if state.file.len == look.len {
                return Ok(());
            }
            // Others appended, or somebody cut it: where we left off, our own code has to be.
            let path = self.journal.path();
            let (left, head) = (state.file.len, state.head);
            state.file.len = look.len;
            let from = left.saturating_sub(128);
            let before = state.file.read(from, left.saturating_sub(from), path)?;
            let ends_ours = before
                .strip_suffix(b"\"}}\n")
                .is_some_and(|rest| rest.ends_with(head.mac_text().as_bytes()));
            let tail = last_line(&mut state.file, path)?;
            if let (true, Some((newest, torn))) = (ends_ours, tail) {
                (state.head, state.torn) = (newest, torn);
                return Ok(());
            }
        }
        self.state = self.open()?;
        Ok(())
    }

    /// Opens the file that is there. One without a single line is as good as none, but for its bytes.
    fn open(&self) -> Result<Option<State>> {
        let path = self.journal.path();
        let Some(mut file) = self.journal.open()? else {
            return Ok(None);
        };
        let Some((head, torn)) = last_line(&mut file, path)? else {
            return Ok(None);
        };
        let header = Header::of(&mut file, path)?.ok_or_else(|| not_a_log(path))?;
        let key = self.key.of_chain(&header.chain);
        let code = key.code(&header.previous, &header.authenticated);
        if !header.head.has(code.as_ref()) {
            let message = format!("{} was begun with another key, or changed", path.display());
            return Err(Error::new(ErrorKind::Integrity, message).with_help(
                "give the key that it was begun with; or, to begin a new log with a new key, move \
                 away the file and those beside it that were set aside",
            ));
        }
        Ok(Some(State {
            file,
            chain: header.chain,
            key,
            first: header.head.seq,
            begun: header.begun,
            head,
            torn,
        }))
    }

    /// Makes the next file of the chain, or the first one of a new chain. Returns it with its first line.
    fn next_file(&self, former: Option<State>) -> Result<(State, Vec<u8>)> {
        let path = self.journal.path();
        // What can't be continued stays where it is, with what a crash left in it.
        let (file, torn) = match (&former, self.journal.open()?) {
            (None, Some(mut file)) => {
                let torn = Remains::of(&file.read(0, file.len, path)?);
                (file, torn)
            }
            (Some(former), _) => {
                self.journal.set_aside(former.first)?;
                (self.journal.create(Some(&former.file))?, None)
            }
            (None, None) => (self.journal.create(None)?, None),
        };
        let (chain, head) = match former {
            Some(former) => (former.chain, former.head),
            None => self.last_aside()?.map_or_else(begin, Ok)?,
        };
        let key = self.key.of_chain(&chain);
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let event =
            Event::new(Operation::LogOpen, Outcome::Success).of_file(name.unwrap_or_default());
        let (begun, mut out) = (event.at, Vec::new());
        let mut extras = Extras {
            format: Some(FORMAT.to_owned()),
            chain: Some(base16ct::lower::encode_string(&chain)),
            previous: Some(head.mac_text()),
            ..Extras::default()
        };
        if let Some(remains) = torn {
            if !remains.ends_line {
                out.push(b'\n');
            }
            extras.torn = remains.said;
        }
        let mut state = State {
            file,
            chain,
            key,
            first: head.seq.saturating_add(1),
            begun,
            head,
            torn: None,
        };
        state.write(&mut out, &[(event.to_json(&self.identity), extras)])?;
        Ok((state, out))
    }

    /// Returns the chain and the head of the newest file that was set aside.
    fn last_aside(&self) -> Result<Option<([u8; 16], Head)>> {
        let Some((_, path)) = self.journal.aside()?.pop() else {
            return Ok(None);
        };
        let Some(mut file) = Journal::open_aside(&path)? else {
            return Ok(None);
        };
        let header = Header::of(&mut file, &path)?;
        let tail = last_line(&mut file, &path)?;
        match (header, tail) {
            (Some(header), Some((head, _))) => Ok(Some((header.chain, head))),
            _ => Err(not_a_log(&path)),
        }
    }

    fn is_due(&self, state: &State, len: u64) -> bool {
        let is_old = self.settings.max_age.is_some_and(|most| {
            SystemTime::now()
                .duration_since(state.begun)
                .is_ok_and(|age| age >= most)
        });
        // What a crash left is said in the file that it lies in.
        state.torn.is_none() && (len >= self.settings.max_bytes || is_old)
    }

    /// Returns the files that retention no longer keeps, the oldest first, each with the number of its
    /// last event.
    fn expired(&self, current: u64) -> Result<Vec<(PathBuf, u64)>> {
        if self.settings.keep.is_none() && self.settings.keep_for.is_none() {
            return Ok(Vec::new());
        }
        let aside = self.journal.aside()?;
        let count = u64::try_from(aside.len()).unwrap_or(u64::MAX);
        let surplus = self
            .settings
            .keep
            .map_or(0, |keep| count.saturating_sub(keep));
        let next = aside
            .iter()
            .skip(1)
            .map(|(first, _)| *first)
            .chain([current]);
        let all = aside.iter().zip(next).zip(0_u64..);
        let expired = all.take_while(|(((_, path), _), at)| {
            *at < surplus
                || self
                    .settings
                    .keep_for
                    .is_some_and(|most| is_older(path, most))
        });
        Ok(expired
            .map(|(((_, path), next), _)| (path.clone(), next.saturating_sub(1)))
            .collect())
    }

    /// Returns the event that this process knows of and the log no longer has.
    fn cut(&self) -> Option<Head> {
        let now = self.state.as_ref().map(|state| state.head);
        let now = match now {
            Some(now) => Some(now),
            // A file that was just set aside by a process that died.
            None => self.last_aside().ok().flatten().map(|(_, head)| head),
        };
        self.known
            .filter(|known| now.is_none_or(|now| now.seq < known.seq))
    }

    fn cut_event(&self, expected: Head) -> Record {
        tracing::error!(
            target: "strongroom::audit", log = %self.journal.path().display(),
            "the audit log was cut: it had event {}", expected.seq
        );
        let integrity = Outcome::Failure(ErrorKind::Integrity.as_str());
        let event = Event::new(Operation::LogCut, integrity).with(Extras {
            expected: Some(expected.to_string()),
            ..Extras::default()
        });
        (event.to_json(&self.identity), event.extras)
    }

    fn removal(&self, through: u64) -> Record {
        let event = Event::new(Operation::LogRemove, Outcome::Success).with(Extras {
            removed_through: Some(through),
            ..Extras::default()
        });
        (event.to_json(&self.identity), event.extras)
    }
}

impl State {
    /// Appends lines to `out`, and moves the head.
    fn write(&mut self, out: &mut Vec<u8>, records: &[Record]) -> Result<()> {
        for (event, extras) in records {
            let head = line::write(out, (event, extras), &self.head, &self.key);
            self.head = head.ok_or_else(|| {
                let message = "an event can't be written as a line of the audit log";
                Error::new(ErrorKind::Malformed, message)
            })?;
        }
        Ok(())
    }
}

/// Draws the id of a new chain.
fn begin() -> Result<([u8; 16], Head)> {
    Ok((random::array()?, Head::NONE))
}

fn is_older(path: &std::path::Path, most: Duration) -> bool {
    let modified = Journal::open_aside(path)
        .ok()
        .flatten()
        .and_then(|file| file.modified());
    modified.is_some_and(|modified| {
        SystemTime::now()
            .duration_since(modified)
            .is_ok_and(|age| age > most)
    })
}
