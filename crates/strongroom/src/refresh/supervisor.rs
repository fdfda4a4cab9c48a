//! The one task that keeps everything fresh.
//!
//! It alone plans readings and puts values in force; the rest of the program sends it commands. What
//! may take long or go wrong runs in tasks of its own, so that nothing ends it but the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;

use super::entry::Entry;
use super::families::Families;
use super::flight::{self, Answer, Landed, Wanted};
use super::gate::Gate;
use super::is_snapshot;
use super::settings::{Settings, random};
use super::store::Store;
use super::table::{Background, Reported, Table};
use crate::clock::Clock;
use crate::connection::{Connection, Document};
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{EventKind, Teller};
use crate::live::Terms;
use crate::name::SecretName;
use crate::provider::SecretProvider;
use crate::secret::Secret;
use crate::snapshot;

mod landing;
mod overlaps;

/// The shortest time between two readings that reports of rejected values lead to.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The most undeclared secrets that are held. Further ones are read each time.
const MOST_UNDECLARED: usize = 1_024;

/// How long notices of one provider are gathered.
const GATHER: Duration = Duration::from_millis(50);

/// What the supervisor is asked for.
pub(super) enum Command {
    /// A value that is not held, or not handed out any more.
    Read {
        name: SecretName,
        own: Option<Arc<Declared>>,
        /// Whether it is held however many others are.
        keep: bool,
        reply: oneshot::Sender<Result<Arc<Entry>>>,
    },
    /// A reading from now on, of everything that is held below a prefix.
    Refresh {
        prefix: Arc<str>,
        done: mpsc::Sender<()>,
    },
    /// A reading, since these were refused where they are used.
    Rejected {
        names: Vec<SecretName>,
        done: mpsc::Sender<()>,
    },
    /// Something may have changed at this provider.
    Changed(Option<String>),
    WriteBegan(SecretName),
    /// With what was written, if that is known, and whom to tell that it is in force.
    WriteEnded {
        name: SecretName,
        written: Option<Written>,
    },
}

/// What this program wrote.
pub(super) struct Written {
    pub(super) secret: Secret,
    /// When the write began: somebody else may have replaced it before it ended.
    pub(super) began: Duration,
    /// Dropped when it is in force.
    pub(super) done: mpsc::Sender<()>,
}

/// Whoever waits for a reading. Dropping [`Done`](Self::Done) tells that it is over.
enum Waiter {
    Read {
        keep: bool,
        reply: oneshot::Sender<Result<Arc<Entry>>>,
    },
    Done(#[allow(dead_code, reason = "what is told is its drop")] mpsc::Sender<()>),
    /// What was just written: it is in force whatever the reading brings.
    Written(Written),
}

pub(super) struct Supervisor {
    connection: Connection,
    store: Arc<Store>,
    settings: Settings,
    clock: Clock,
    teller: Teller,
    commands: mpsc::UnboundedReceiver<Command>,
    table: Table<Waiter>,
    /// When to look for former values that are out of force.
    overlap_ends: BTreeSet<Duration>,
    own: HashMap<SecretName, Arc<Declared>>,
    /// Written by this program, and not read again since: types wait for the reading.
    alone: HashSet<SecretName>,
    families: Families,
    gates: HashMap<Option<String>, Gate>,
    flights: JoinSet<Landed>,
    /// What is under way, for a reading that ends without an answer.
    flying: HashMap<Id, (Option<String>, Vec<SecretName>, Duration)>,
    /// Tells whoever keeps the snapshot that readings came back.
    landings: Arc<Notify>,
    /// Wait for the notices of providers, and keep the snapshot. They end with this.
    watchers: JoinSet<()>,
}

impl Supervisor {
    /// Takes over what was read from `began` on.
    pub(super) fn new(
        connection: Connection,
        store: Arc<Store>,
        clock: Clock,
        teller: Teller,
        commands: mpsc::UnboundedReceiver<Command>,
        began: Duration,
    ) -> Self {
        let settings = connection.cache();
        let mut supervisor = Self {
            connection,
            store,
            settings,
            clock,
            teller,
            commands,
            table: Table::new(),
            overlap_ends: BTreeSet::new(),
            own: HashMap::new(),
            alone: HashSet::new(),
            families: Families::default(),
            gates: HashMap::new(),
            flights: JoinSet::new(),
            flying: HashMap::new(),
            landings: Arc::default(),
            watchers: JoinSet::new(),
        };
        let random = random();
        let soon = began.saturating_add(settings.pause_after(1, random));
        for entry in supervisor.store.all().iter() {
            let is_old = entry.live.held().is_some_and(|held| is_snapshot(&held));
            let until = entry.live.terms().map_or(began, |terms| terms.until);
            let left = until.saturating_sub(began);
            let due = match is_old {
                true => soon,
                false => began.saturating_add(settings.refresh_after(left, random)),
            };
            supervisor.table.hold(&entry.name, due);
            supervisor.families.add(&entry.document, &entry.name);
            entry.status().due = Some(due);
        }
        supervisor
    }

    /// Runs until it is aborted, or nobody can send a command any more.
    pub(super) async fn run(mut self, notices: mpsc::UnboundedSender<Command>) {
        for (key, provider) in self.connection.providers() {
            let notices = notices.downgrade();
            self.watchers.spawn(listen(key, provider, notices));
        }
        drop(notices);
        if let Some(snapshot) = self.connection.snapshot() {
            let snapshot = Arc::clone(snapshot);
            let (connection, store) = (self.connection.clone(), Arc::clone(&self.store));
            let landings = Arc::clone(&self.landings);
            let keeping = snapshot::keep(snapshot, connection, store, landings);
            self.watchers.spawn(keeping);
        }
        loop {
            let wake = self.time_to_wake();
            tokio::select! {
                command = self.commands.recv() => {
                    let Some(command) = command else {
                        return;
                    };
                    self.take(command);
                    // Those who ask at one time are answered by one reading.
                    while let Ok(command) = self.commands.try_recv() {
                        self.take(command);
                    }
                }
                Some(landed) = self.flights.join_next_with_id() => self.catch(landed),
                () = wait(wake) => {}
            }
            self.end_overlaps(self.clock.now());
            self.launch();
        }
    }

    /// Returns after how long to go on, though nothing happens.
    fn time_to_wake(&self) -> Option<Duration> {
        let look = self.clock.look();
        let now = self.clock.now();
        let next_end = self.overlap_ends.first().copied();
        let due = self.table.next_due().into_iter().chain(next_end).min();
        let due = due.map(|due| due.saturating_sub(now));
        match (look, due) {
            (Some(look), Some(due)) => Some(look.min(due)),
            (look, due) => look.or(due),
        }
    }

    fn take(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Read {
                name,
                own,
                keep,
                reply,
            } => self.want(name, own, Waiter::Read { keep, reply }, now),
            Command::Refresh { prefix, done } => {
                for entry in self.store.all().iter() {
                    if entry.name.as_str().starts_with(&*prefix) {
                        self.table
                            .want_newer(&entry.name, Waiter::Done(done.clone()), now);
                    }
                }
            }
            Command::Rejected { names, done } => {
                for name in names {
                    let waiter = Waiter::Done(done.clone());
                    match self.table.report(&name, waiter, now, REPORT_INTERVAL) {
                        Reported::Leads => self.teller.tell(&name, EventKind::Rejected),
                        Reported::Joins => {}
                        // Dropping it tells that there is no news.
                        Reported::Recent(waiter) => drop(waiter),
                    }
                }
            }
            Command::Changed(provider) => {
                self.gates.remove(&provider);
                let names: Vec<_> = self.table.names().cloned().collect();
                for name in names {
                    if self.document(&name).provider == provider {
                        self.table.touch(&name, now);
                    }
                }
            }
            Command::WriteBegan(name) => {
                self.table.begin_write(&name);
                for sibling in self.other_fields(&name) {
                    self.table.begin_write(&sibling);
                }
            }
            Command::WriteEnded { name, written } => {
                let others = self.other_fields(&name);
                self.table.end_write(&name, now);
                for sibling in &others {
                    self.table.end_write(sibling, now);
                }
                match written {
                    // They may have changed too: what was written is taken up with them.
                    Some(written) if !others.is_empty() => {
                        self.table.want_newer(&name, Waiter::Written(written), now);
                    }
                    Some(written) => self.put_in_force(&name, written),
                    None => {}
                }
            }
        }
    }

    fn want(
        &mut self,
        name: SecretName,
        own: Option<Arc<Declared>>,
        waiter: Waiter,
        now: Duration,
    ) {
        // It may have arrived since it was asked for.
        if let (Some(entry), Waiter::Read { .. }) = (self.store.find(name.as_str()), &waiter)
            && entry.live.with(|_| ()).is_ok()
        {
            waiter.answer(Ok(&entry));
            return;
        }
        if let Some((waiter, error)) = self.table.want(&name, waiter, now) {
            waiter.answer(Err(&error));
            return;
        }
        if let Some(own) = own {
            self.own.insert(name, own);
        }
    }

    /// Starts every reading that is due: one for each provider.
    fn launch(&mut self) {
        let now = self.clock.now();
        let mut dropped = Vec::new();
        let decide = |name: &SecretName| {
            if let Some(entry) = self.store.find(name.as_str())
                && self.connection.declaration(name.as_str()).is_none()
                && entry.is_idle()
                && entry.status().failing.is_none()
            {
                dropped.push(entry);
                return Background::Drop;
            }
            if self.gates.is_empty() {
                return Background::Read;
            }
            let provider = self.connection.document(name).provider;
            match self.gates.get(&provider) {
                Some(gate) if gate.is_closed(now) => Background::Postpone(gate.opens_at()),
                _ => Background::Read,
            }
        };
        let launched = self.table.launch(now, decide);
        self.let_go(&dropped, now);
        if launched.is_empty() {
            return;
        }
        let mut batches: BTreeMap<Option<String>, Vec<Wanted>> = BTreeMap::new();
        for (name, document) in self.with_siblings(launched) {
            let wanted = Wanted {
                held: self.store.find(name.as_str()),
                own: self.own_terms(&name),
                name,
            };
            batches.entry(document.provider).or_default().push(wanted);
        }
        for (provider, wanted) in batches {
            let names = wanted.iter().map(|wanted| wanted.name.clone()).collect();
            let reading = flight::read(self.connection.clone(), provider.clone(), wanted, now);
            let id = self.flights.spawn(reading).id();
            self.flying.insert(id, (provider, names, now));
        }
    }

    /// Lets go of what nobody uses.
    fn let_go(&mut self, unused: &[Arc<Entry>], now: Duration) {
        let names: Vec<_> = unused.iter().map(|entry| entry.name.clone()).collect();
        self.store.remove(&names);
        for entry in unused {
            // Somebody may have found it just before.
            if entry.publisher.is_held_beside(1) || Arc::strong_count(entry) > 1 {
                self.table.hold(&entry.name, now);
                self.store.insert(vec![Arc::clone(entry)]);
            } else {
                self.families.remove(&entry.document, &entry.name);
            }
        }
    }

    /// Returns what else is held of the document of a name.
    fn other_fields(&self, name: &SecretName) -> Vec<SecretName> {
        let document = self.document(name);
        let fields = self.families.siblings(&document);
        fields.filter(|field| *field != name).cloned().collect()
    }

    /// Adds what belongs to the same documents: it comes from one version only if it is read together.
    fn with_siblings(&mut self, launched: Vec<SecretName>) -> Vec<(SecretName, Document)> {
        let mut all = Vec::new();
        for name in launched {
            let document = self.document(&name);
            for sibling in self.families.siblings(&document) {
                if self.table.launch_along(sibling) {
                    all.push((sibling.clone(), document.clone()));
                }
            }
            all.push((name, document));
        }
        all
    }

    fn document(&self, name: &SecretName) -> Document {
        match self.store.find(name.as_str()) {
            Some(entry) => entry.document.clone(),
            None => self.connection.document(name),
        }
    }

    fn own_terms(&self, name: &SecretName) -> Option<Arc<Declared>> {
        let held = self.store.find(name.as_str());
        let held = held.and_then(|entry| entry.own.clone());
        held.or_else(|| self.own.get(name).cloned())
    }

    /// Takes a reading that came back, in whatever way it ended.
    fn catch(&mut self, landed: Result<(Id, Landed), JoinError>) {
        let landed = match landed {
            Ok((id, landed)) => {
                self.flying.remove(&id);
                landed
            }
            Err(error) => {
                let Some((provider, names, began)) = self.flying.remove(&error.id()) else {
                    return;
                };
                let failed = |name: SecretName| {
                    let message = "reading it ended without an answer";
                    let error = Error::new(ErrorKind::Malformed, message).with_name(&name);
                    (name, Answer::Failed(error))
                };
                Landed {
                    provider,
                    began,
                    answers: names.into_iter().map(failed).collect(),
                }
            }
        };
        self.land(landed);
    }

    /// Puts a value in force that was just written.
    fn put_in_force(&mut self, name: &SecretName, written: Written) {
        let Some(entry) = self.store.find(name.as_str()) else {
            return;
        };
        if let Some(_applying) = self.store.applying() {
            let terms = self.terms(written.began);
            let version = written.secret.metadata().version().cloned();
            entry
                .publisher
                .publish_on(written.secret, terms, self.settings.overlap);
            self.teller.tell(name, EventKind::Rotated { version });
        }
        self.update_derived(
            &HashSet::from([name.clone()]),
            &HashSet::from([name.clone()]),
        );
        drop(written.done);
    }

    /// Returns how long a value is handed out that was in force at this moment.
    fn terms(&self, confirmed: Duration) -> Terms {
        Terms {
            until: confirmed.saturating_add(self.settings.max_stale),
            fresh: confirmed.saturating_add(self.settings.ttl),
        }
    }
}

impl Waiter {
    fn written(&self) -> Option<&Written> {
        match self {
            Self::Written(written) => Some(written),
            Self::Read { .. } | Self::Done(_) => None,
        }
    }

    fn answer(self, answer: Result<&Arc<Entry>, &Error>) {
        if let Self::Read { reply, .. } = self {
            let answer = match answer {
                Ok(entry) => Ok(Arc::clone(entry)),
                Err(error) => Err(error.clone()),
            };
            // Whoever asked may have stopped waiting.
            let _ = reply.send(answer);
        }
    }
}

/// Passes a provider's notices on, until it has no more or nobody listens.
async fn listen(
    key: Option<String>,
    provider: Arc<dyn SecretProvider>,
    notices: mpsc::WeakUnboundedSender<Command>,
) {
    while provider.changed().await.is_ok() {
        let Some(notices) = notices.upgrade() else {
            return;
        };
        if notices.send(Command::Changed(key.clone())).is_err() {
            return;
        }
        drop(notices);
        sleep(GATHER).await;
    }
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}
