//! Which name is read when, and who waits for it: one reading of a name at a time, whoever asks.
//!
//! Nothing here waits, spawns or looks at a clock, so that every order of events can be tried.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::error::Error;
use crate::name::SecretName;

/// Names whose readings are due within so short a time are read together.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// How long after a failure stopped being the answer it is forgotten that there was one.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The agenda. `W` is whoever waits for a reading.
pub(super) struct Table<W> {
    slots: HashMap<SecretName, Slot<W>>,
    agenda: BTreeSet<(Duration, SecretName)>,
}

struct Slot<W> {
    /// Whether a value is held, which is read again and again.
    held: bool,
    due: Option<Duration>,
    flight: Option<Flight>,
    writers: u32,
    /// Answered by the reading under way, or else by the next one.
    waiting: Vec<W>,
    /// Answered by a reading that is not under way yet.
    later: Vec<W>,
    /// Readings that failed in a row.
    failures: u32,
    /// Until when the last failure answers for the backend.
    refused: Option<(Duration, Error)>,
    /// When a report last led to a reading.
    reported: Option<Duration>,
    /// Whether the next reading is for a report.
    for_report: bool,
}

/// A reading under way.
#[derive(Default)]
struct Flight {
    /// Something may have changed since it began: it counts, and another one follows.
    again: bool,
    /// A write began since: what comes back may be older than what was written.
    void: bool,
}

/// What becomes of a name that is due and that nobody waits for.
pub(super) enum Background {
    Read,
    /// Its provider is failing: not before then.
    Postpone(Duration),
    /// Nobody needs it any more.
    Drop,
}

/// What becomes of a report of a refused value.
pub(super) enum Reported<W> {
    /// It leads to a reading.
    Leads,
    /// It is answered by a reading that another one led to.
    Joins,
    /// The last reading for a report was a moment ago: there is no news.
    Recent(W),
}

/// What a reading that came back is good for.
pub(super) enum Landing<W> {
    /// It counts, and these waited for it.
    Counts(Vec<W>),
    /// It may be older than a write, and is read again.
    Void,
}

impl<W> Table<W> {
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::new(),
            agenda: BTreeSet::new(),
        }
    }

    /// Returns when something is due next.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.agenda.first().map(|(due, _)| *due)
    }

    /// Lets somebody wait for a reading, the one under way if there is one; unless the last one failed
    /// so lately that its error is the answer.
    pub(super) fn want(&mut self, name: &SecretName, who: W, now: Duration) -> Option<(W, Error)> {
        let slot = self.slot(name);
        if let Some((until, error)) = &slot.refused
            && slot.flight.is_none()
            && now < *until
        {
            return Some((who, error.clone()));
        }
        slot.waiting.push(who);
        self.hurry(name, now);
        None
    }

    /// Lets somebody wait for a reading that begins from now on.
    pub(super) fn want_newer(&mut self, name: &SecretName, who: W, now: Duration) {
        let slot = self.slot(name);
        if slot.flight.is_some() {
            slot.later.push(who);
        } else {
            slot.waiting.push(who);
            self.hurry(name, now);
        }
    }

    /// Lets somebody wait for the reading that reports lead to: one within `interval`, however many
    /// report and whatever else is read meanwhile.
    pub(super) fn report(
        &mut self,
        name: &SecretName,
        who: W,
        now: Duration,
        interval: Duration,
    ) -> Reported<W> {
        let slot = self.slot(name);
        let next = if slot.flight.is_some() {
            &mut slot.later
        } else {
            &mut slot.waiting
        };
        if slot.for_report {
            next.push(who);
            return Reported::Joins;
        }
        let recent = |last: Duration| now < last.saturating_add(interval);
        if slot.reported.is_some_and(recent) {
            if slot.flight.is_none() && slot.waiting.is_empty() {
                return Reported::Recent(who);
            }
            slot.waiting.push(who);
            return Reported::Joins;
        }
        next.push(who);
        slot.reported = Some(now);
        slot.for_report = true;
        self.hurry(name, now);
        Reported::Leads
    }

    /// Plans a reading from now on, although nobody waits for it: something may have changed.
    pub(super) fn touch(&mut self, name: &SecretName, now: Duration) {
        if let Some(slot) = self.slots.get_mut(name) {
            slot.refused = None;
            if let Some(flight) = &mut slot.flight {
                // What is under way may have been answered before the change.
                flight.again = true;
            } else {
                self.hurry(name, now);
            }
        }
    }

    /// Takes what is due off the agenda: these readings are under way from now on.
    ///
    /// Where something is due, what is due within a tick comes along. `background` decides about held
    /// names that nobody waits for.
    pub(super) fn launch(
        &mut self,
        now: Duration,
        mut background: impl FnMut(&SecretName) -> Background,
    ) -> Vec<SecretName> {
        let mut launched = Vec::new();
        if self.next_due().is_none_or(|due| due > now) {
            return launched;
        }
        let horizon = now.saturating_add(TICK);
        while self.next_due().is_some_and(|due| due <= horizon) {
            let Some((_, name)) = self.agenda.pop_first() else {
                break;
            };
            let Some(slot) = self.slots.get_mut(&name) else {
                continue;
            };
            slot.due = None;
            if slot.waiting.is_empty() {
                if !slot.held {
                    self.slots.remove(&name);
                    continue;
                }
                match background(&name) {
                    Background::Postpone(until) if until > horizon => {
                        self.plan(&name, until);
                        continue;
                    }
                    Background::Drop => {
                        self.slots.remove(&name);
                        continue;
                    }
                    Background::Read | Background::Postpone(_) => {}
                }
            }
            slot.fly();
            launched.push(name);
        }
        launched
    }

    /// Takes a held name along that is due later, unless it is under way. Reports whether it comes.
    pub(super) fn launch_along(&mut self, name: &SecretName) -> bool {
        let Some(slot) = self.slots.get_mut(name) else {
            return false;
        };
        if !slot.held || slot.flight.is_some() || slot.writers > 0 {
            return false;
        }
        if let Some(due) = slot.due.take() {
            self.agenda.remove(&(due, name.clone()));
        }
        slot.fly();
        true
    }

    /// Ends the reading of a name.
    pub(super) fn land(&mut self, name: &SecretName, now: Duration) -> Landing<W> {
        let Some(slot) = self.slots.get_mut(name) else {
            return Landing::Counts(Vec::new());
        };
        let flight = slot.flight.take().unwrap_or_default();
        if flight.void {
            let later = std::mem::take(&mut slot.later);
            slot.waiting.extend(later);
            self.hurry(name, now);
            return Landing::Void;
        }
        let later = std::mem::take(&mut slot.later);
        let waited = std::mem::replace(&mut slot.waiting, later);
        if flight.again || !slot.waiting.is_empty() {
            self.hurry(name, now);
        }
        Landing::Counts(waited)
    }

    /// Notes that a value is held, to be read again at `due` at the latest.
    pub(super) fn hold(&mut self, name: &SecretName, due: Duration) {
        let slot = self.slot(name);
        slot.held = true;
        slot.failures = 0;
        slot.refused = None;
        self.plan_if_idle(name, due);
    }

    /// Notes a failure, and returns how many there were in a row.
    pub(super) fn count_failure(&mut self, name: &SecretName) -> u32 {
        let slot = self.slot(name);
        slot.failures = slot.failures.saturating_add(1);
        slot.failures
    }

    /// Plans the next reading after a failure, whose error is the answer until `refused_until`.
    pub(super) fn refuse(
        &mut self,
        name: &SecretName,
        error: Error,
        refused_until: Duration,
        due: Duration,
    ) {
        let slot = self.slot(name);
        slot.refused = Some((refused_until, error));
        // What is not held is not read by itself: then it is forgotten.
        let due = if slot.held {
            due
        } else {
            refused_until.saturating_add(FORGET_AFTER)
        };
        self.plan_if_idle(name, due);
    }

    /// Returns every name that is held, read, or remembered as not to be had.
    pub(super) fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.slots.keys()
    }

    /// A write begins: readings under way may be older than it, and none begins until it ends.
    pub(super) fn begin_write(&mut self, name: &SecretName) {
        let slot = self.slot(name);
        slot.writers = slot.writers.saturating_add(1);
        slot.void();
        if let Some(due) = slot.due.take() {
            self.agenda.remove(&(due, name.clone()));
        }
    }

    /// A write ended: what is there now is read.
    pub(super) fn end_write(&mut self, name: &SecretName, now: Duration) {
        let slot = self.slot(name);
        slot.writers = slot.writers.saturating_sub(1);
        slot.refused = None;
        slot.void();
        self.hurry(name, now);
    }

    fn slot(&mut self, name: &SecretName) -> &mut Slot<W> {
        self.slots.entry(name.clone()).or_default()
    }

    /// Plans a reading now, unless one is under way or has to wait for a write.
    fn hurry(&mut self, name: &SecretName, now: Duration) {
        if let Some(slot) = self.slots.get(name)
            && slot.flight.is_none()
            && slot.writers == 0
            && slot.due.is_none_or(|due| due > now)
        {
            self.plan(name, now);
        }
    }

    /// Plans a reading, unless one is planned earlier already.
    fn plan_if_idle(&mut self, name: &SecretName, due: Duration) {
        if let Some(slot) = self.slots.get(name)
            && slot.flight.is_none()
            && slot.writers == 0
            && slot.due.is_none_or(|planned| planned > due)
        {
            self.plan(name, due);
        }
    }

    fn plan(&mut self, name: &SecretName, due: Duration) {
        if let Some(slot) = self.slots.get_mut(name) {
            if let Some(former) = slot.due.replace(due) {
                self.agenda.remove(&(former, name.clone()));
            }
            self.agenda.insert((due, name.clone()));
        }
    }
}

impl<W> Default for Slot<W> {
    fn default() -> Self {
        Self {
            held: false,
            due: None,
            flight: None,
            writers: 0,
            waiting: Vec::new(),
            later: Vec::new(),
            failures: 0,
            refused: None,
            reported: None,
            for_report: false,
        }
    }
}

impl<W> Slot<W> {
    fn fly(&mut self) {
        self.flight = Some(Flight::default());
        self.for_report = false;
    }

    fn void(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.void = true;
        }
    }
}

#[cfg(test)]
mod tests;
