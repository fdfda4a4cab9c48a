//! Where events go: to the end of the log at once where nothing has to be waited for; else to a thread,
//! which writes at once what came meanwhile.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::oneshot;

use super::chain::{Chain, Record};
use super::event::{Event, Operation, Outcome};
use super::head::Head;
use super::identity::Identity;
use super::line::Extras;
use crate::error::{Error, ErrorKind, Result};

/// How many batches may wait for the thread.
const WAITING: usize = 4_096;
/// How many batches are written at once.
const AT_ONCE: usize = 512;

/// Where the events of one log go.
pub(super) struct Sink {
    writer: Arc<Mutex<Writer>>,
    /// The way to the thread; `None` where whoever has an event may be kept waiting.
    queue: Option<SyncSender<Job>>,
    state: Arc<State>,
}

/// What the sink is like, for whoever looks.
#[derive(Default)]
struct State {
    problem: Mutex<Option<String>>,
    /// Events that never reached the writer.
    dropped: AtomicU64,
    /// Batches that were sent to the thread and are not written: nothing may get ahead of them.
    waiting: AtomicUsize,
}

struct Job {
    records: Vec<Record>,
    reply: Option<oneshot::Sender<Result<()>>>,
}

impl Sink {
    /// Begins to write. `in_place` does so on the calling thread.
    pub(super) fn new(
        chain: Chain,
        identity: Identity,
        head_every: u64,
        in_place: bool,
    ) -> Result<Self> {
        let state = Arc::<State>::default();
        let writer = Writer {
            chain,
            identity,
            head_every,
            lost: 0,
            state: Arc::clone(&state),
        };
        let writer = Arc::new(Mutex::new(writer));
        let queue = match in_place {
            true => None,
            false => Some(begin_thread(Arc::clone(&writer))?),
        };
        Ok(Self {
            writer,
            queue,
            state,
        })
    }

    /// Returns why events are not recorded at present.
    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.state.problem).clone()
    }

    /// Writes events, and returns when they are written. Blocks only where it may.
    pub(super) async fn write(&self, records: Vec<Record>) -> Result<()> {
        let Some(queue) = &self.queue else {
            return lock(&self.writer).write(&records);
        };
        if let Some(written) = self.write_at_once(&records) {
            return written;
        }
        let (reply, answer) = oneshot::channel();
        self.send(queue, records, Some(reply))?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Writes events soon. What failed is counted, and told.
    pub(super) fn write_soon(&self, records: Vec<Record>) {
        let _ = match &self.queue {
            None => lock(&self.writer).write(&records),
            Some(queue) => self
                .write_at_once(&records)
                .unwrap_or_else(|| self.send(queue, records, None)),
        };
    }

    /// Writes events if nothing has to be waited for, and none came before them that is not written.
    fn write_at_once(&self, records: &[Record]) -> Option<Result<()>> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        match self.state.waiting.load(Ordering::Acquire) {
            0 => writer.write_at_once(records),
            _ => None,
        }
    }

    fn send(
        &self,
        queue: &SyncSender<Job>,
        records: Vec<Record>,
        reply: Option<oneshot::Sender<Result<()>>>,
    ) -> Result<()> {
        self.state.waiting.fetch_add(1, Ordering::AcqRel);
        let (refused, error) = match queue.try_send(Job { records, reply }) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(job)) => (job, overflow()),
            Err(TrySendError::Disconnected(job)) => (job, ended()),
        };
        self.state.waiting.fetch_sub(1, Ordering::AcqRel);
        let count = u64::try_from(refused.records.len()).unwrap_or(u64::MAX);
        self.state.dropped.fetch_add(count, Ordering::Relaxed);
        self.state.note(&Err(error.clone()));
        Err(error)
    }
}

fn begin_thread(writer: Arc<Mutex<Writer>>) -> Result<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(WAITING);
    let thread = std::thread::Builder::new().name("strongroom-audit".to_owned());
    thread.spawn(move || run(&writer, &jobs)).map_err(|error| {
        Error::new(
            ErrorKind::Transient,
            "can't start the thread of the audit log",
        )
        .with_source(error)
    })?;
    Ok(sender)
}

/// Writes what is sent, until nobody can send any more.
fn run(writer: &Mutex<Writer>, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut writer = lock(writer);
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(AT_ONCE));
        let records: Vec<_> = batch
            .iter_mut()
            .flat_map(|job| std::mem::take(&mut job.records))
            .collect();
        let outcome = writer.write(&records);
        let waiting = &writer.state.waiting;
        waiting.fetch_sub(batch.len(), Ordering::AcqRel);
        drop(writer);
        for reply in batch.into_iter().filter_map(|job| job.reply) {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(outcome.clone());
        }
    }
}

impl State {
    /// Notes how a writing went. Says it once an outage.
    fn note(&self, outcome: &Result<Head>) {
        let mut problem = lock(&self.problem);
        let now = outcome.as_ref().err().map(ToString::to_string);
        match (&*problem, &now) {
            (None, Some(now)) => {
                tracing::warn!(target: "strongroom::audit", "events can't be recorded: {now}");
            }
            (Some(_), None) => {
                tracing::info!(target: "strongroom::audit", "events are recorded again");
            }
            _ => {}
        }
        *problem = now;
    }
}

/// The one who appends.
struct Writer {
    chain: Chain,
    identity: Identity,
    head_every: u64,
    /// Events that could not be recorded since the last that was.
    lost: u64,
    state: Arc<State>,
}

impl Writer {
    fn write(&mut self, records: &[Record]) -> Result<()> {
        if records.is_empty() {
            // Whoever waits for the end gets the head of it.
            if let Some(head) = self.chain.known() {
                tell_head(head);
            }
            return Ok(());
        }
        let before = self.chain.known();
        self.lost = self
            .lost
            .saturating_add(self.state.dropped.swap(0, Ordering::Relaxed));
        let written = match self.lost {
            0 => self.chain.append(records),
            lost => {
                let mut all = vec![self.gap(lost)];
                all.extend(records.iter().cloned());
                self.chain.append(&all)
            }
        };
        self.conclude(before, written, records.len())
    }

    fn write_at_once(&mut self, records: &[Record]) -> Option<Result<()>> {
        // An empty batch is for whoever waits for the end, and a gap is to be recorded first.
        let is_gap = self.lost > 0 || self.state.dropped.load(Ordering::Relaxed) > 0;
        if records.is_empty() || is_gap {
            return None;
        }
        let before = self.chain.known();
        let written = self.chain.append_at_once(records)?;
        Some(self.conclude(before, written, records.len()))
    }

    fn conclude(
        &mut self,
        before: Option<Head>,
        written: Result<Head>,
        count: usize,
    ) -> Result<()> {
        self.state.note(&written);
        match written {
            Ok(head) => {
                self.lost = 0;
                self.tell(before, head);
                Ok(())
            }
            Err(error) => {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                self.lost = self.lost.saturating_add(count);
                Err(error)
            }
        }
    }

    /// Tells the head to another system, every so many events.
    fn tell(&self, before: Option<Head>, head: Head) {
        let round = |seq: u64| seq.checked_div(self.head_every);
        if round(before.map_or(0, |before| before.seq)) != round(head.seq) {
            tell_head(head);
        }
    }

    fn gap(&self, lost: u64) -> Record {
        let failed = Outcome::Failure(ErrorKind::Transient.as_str());
        let event = Event::new(Operation::LogGap, failed);
        let extras = Extras {
            lost: Some(lost),
            ..Extras::default()
        };
        (event.to_json(&self.identity), extras)
    }
}

fn tell_head(head: Head) {
    tracing::info!(target: "strongroom::audit::head", %head, "the audit log's head");
}

fn overflow() -> Error {
    Error::new(
        ErrorKind::Transient,
        "too many events wait for the audit log",
    )
}

fn ended() -> Error {
    Error::new(
        ErrorKind::Transient,
        "the thread of the audit log has ended",
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("problem", &self.problem())
            .finish_non_exhaustive()
    }
}
