//! What a reading that came back changes.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{MOST_UNDECLARED, Supervisor, Waiter};
use crate::error::{Error, ErrorKind};
use crate::events::EventKind;
use crate::live::Terms;
use crate::metrics;
use crate::name::SecretName;
use crate::refresh::derived::Update;
use crate::refresh::duplicates;
use crate::refresh::entry::Entry;
use crate::refresh::flight::{Answer, Landed};
use crate::refresh::gate::concerns_provider;
use crate::refresh::settings::{pause_asked_for, random};
use crate::refresh::table::Landing;
use crate::secret::{Secret, Source};

/// A name whose reading counts.
struct Arrival {
    name: SecretName,
    answer: Answer,
    /// When it was in force.
    at: Duration,
    waiters: Vec<Waiter>,
}

/// When things of one landing happened, and happen next: the same for all of it.
struct Times {
    began: Duration,
    now: Duration,
    /// The pause of a provider that fails as a whole.
    provider_pause: Option<Duration>,
    random: u32,
}

impl Supervisor {
    pub(super) fn land(&mut self, landed: Landed) {
        let now = self.clock.now();
        let mut arrivals = Vec::new();
        for (name, answer) in landed.answers {
            if let Landing::Counts(waiters) = self.table.land(&name, now) {
                arrivals.push(Arrival {
                    name,
                    answer,
                    at: landed.began,
                    waiters,
                });
            }
        }
        self.refuse_duplicates(&mut arrivals);
        self.keep_documents_whole(&mut arrivals);
        let provider = landed.provider.clone();
        let times = self.times(landed.provider, landed.began, now, &arrivals);
        let alone = Self::fall_back_on_writes(&mut arrivals);
        let took = now.saturating_sub(landed.began);
        metrics::reading(provider.as_deref(), times.provider_pause.is_some(), took);

        let store = Arc::clone(&self.store);
        let Some(applying) = store.applying() else {
            return;
        };
        let mut heard = HashSet::new();
        let mut changed = HashSet::new();
        let mut added = Vec::new();
        let mut answers = Vec::new();
        for arrival in arrivals {
            let Arrival {
                name,
                answer,
                at,
                waiters,
            } = arrival;
            let terms = self.terms(at);
            let outcome = match store.find(name.as_str()) {
                Some(entry) => self
                    .update(&entry, answer, terms, &times, &mut changed)
                    .map(|()| entry)
                    .inspect(|entry| {
                        heard.insert(entry.name.clone());
                    }),
                None => self.admit(&name, answer, terms, &times).inspect(|entry| {
                    if self.may_hold(&name, &waiters, added.len()) {
                        let due = self.due(entry, &times);
                        self.table.hold(&name, due);
                        self.families.add(&entry.document, &name);
                        entry.status().due = Some(due);
                        added.push(Arc::clone(entry));
                    }
                }),
            };
            self.own.remove(&name);
            answers.push((outcome, waiters));
        }
        store.insert(added);
        drop(applying);
        // No version of its document is known that it belongs to: types wait for the next reading.
        changed.retain(|name| !alone.contains(name));
        heard.retain(|name| !alone.contains(name));
        self.alone.extend(alone);
        heard.extend(changed.iter().cloned());
        self.update_derived(&heard, &changed);
        self.count_states();
        self.landings.notify_one();
        for (outcome, waiters) in answers {
            for waiter in waiters {
                waiter.answer(outcome.as_ref());
            }
        }
    }

    fn count_states(&self) {
        if !metrics::are_counted() {
            return;
        }
        let mut states = metrics::States::default();
        for entry in self.store.all().iter() {
            let state = match entry.live.with(|_| ()) {
                Err(_) => &mut states.unusable,
                Ok(()) if entry.live.is_stale() => &mut states.stale,
                Ok(()) => &mut states.fresh,
            };
            *state = state.saturating_add(1);
        }
        metrics::states(states);
    }

    /// Builds what depends on these anew.
    pub(super) fn update_derived(
        &mut self,
        heard: &HashSet<SecretName>,
        changed: &HashSet<SecretName>,
    ) {
        for derived in self.store.derived() {
            // What a type's own code does, its drop included, must not end the refresh of everything.
            let update = catch_unwind(AssertUnwindSafe(|| derived.update(heard, changed)));
            match update.unwrap_or(Update::Current) {
                Update::Current => {}
                Update::Unused => self.store.forget(&derived),
                Update::Unbuilt(reason) => {
                    for name in derived
                        .names()
                        .iter()
                        .filter(|name| changed.contains(*name))
                    {
                        let reason = reason.clone();
                        self.teller.tell(name, EventKind::Refused { reason });
                    }
                }
            }
        }
        if !changed.is_empty() {
            self.note_overlap();
        }
    }

    /// Decides how the provider does, and when what arrived is read again.
    fn times(
        &mut self,
        provider: Option<String>,
        began: Duration,
        now: Duration,
        arrivals: &[Arrival],
    ) -> Times {
        let random = random();
        let failed = |arrival: &Arrival| match &arrival.answer {
            Answer::Failed(error) if concerns_provider(error.kind()) => {
                Some(pause_asked_for(error))
            }
            _ => None,
        };
        let asked: Option<Vec<_>> = arrivals.iter().map(failed).collect();
        let provider_pause = match asked.and_then(|asked| asked.into_iter().max()) {
            Some(asked) => {
                let gate = self.gates.entry(provider).or_default();
                Some(gate.close(&self.settings, now, random, asked))
            }
            None => {
                self.gates.remove(&provider);
                None
            }
        };
        Times {
            began,
            now,
            provider_pause,
            random,
        }
    }

    /// Returns when to read again what was just confirmed: before it is stale, and before it ends.
    fn due(&self, entry: &Entry, times: &Times) -> Duration {
        let until = entry.live.terms().map_or(times.began, |terms| terms.until);
        let left = until.saturating_sub(times.began);
        let due = self.settings.refresh_after(left, times.random);
        let soonest = self.settings.pause_after(1, times.random);
        let due = times.began.saturating_add(due);
        due.max(times.now.saturating_add(soonest))
    }

    /// Takes a change of several fields of one document up as a whole, or not at all.
    fn keep_documents_whole(&self, arrivals: &mut [Arrival]) {
        let mut documents: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, arrival) in arrivals.iter().enumerate() {
            let document = self.connection.document(&arrival.name);
            documents.entry(document).or_default().push(at);
        }
        for places in documents.into_values().filter(|places| places.len() > 1) {
            let bad = places.iter().find_map(|at| {
                let arrival = arrivals.get(*at)?;
                match &arrival.answer {
                    Answer::Refused(error) => Some((arrival.name.clone(), error.kind())),
                    Answer::Failed(error) if error.kind() != ErrorKind::Absent => {
                        Some((arrival.name.clone(), error.kind()))
                    }
                    _ => None,
                }
            });
            let Some((bad, kind)) = bad else {
                continue;
            };
            for at in places {
                if let Some(arrival) = arrivals.get_mut(at)
                    && matches!(arrival.answer, Answer::New(_))
                    && self.store.find(arrival.name.as_str()).is_some()
                {
                    let message = format!("it belongs to `{bad}`, which could not be taken up");
                    let error = Error::new(kind, message).with_name(&arrival.name);
                    arrival.answer = Answer::Refused(error);
                }
            }
        }
    }

    /// Refuses new values that another secret has already.
    fn refuse_duplicates(&self, arrivals: &mut [Arrival]) {
        let new = arrivals.iter().filter_map(|arrival| match &arrival.answer {
            Answer::New(secret) => Some((arrival.name.clone(), secret.clone())),
            _ => None,
        });
        let mut refusals = duplicates::refusals(&self.connection, &self.store, &new.collect());
        for arrival in arrivals {
            if let Some(error) = refusals.remove(&arrival.name) {
                arrival.answer = Answer::Refused(error);
            }
        }
    }

    /// Takes up what this program wrote where the reading after it brought nothing: the backend took it.
    /// Returns where.
    fn fall_back_on_writes(arrivals: &mut [Arrival]) -> HashSet<SecretName> {
        let mut alone = HashSet::new();
        for arrival in arrivals {
            let is_better = match &arrival.answer {
                Answer::Same(_) | Answer::New(_) => false,
                Answer::Refused(_) => true,
                Answer::Failed(error) => {
                    !matches!(error.kind(), ErrorKind::Absent | ErrorKind::Denied)
                }
            };
            let written = arrival
                .waiters
                .iter()
                .filter_map(Waiter::written)
                .next_back();
            if let Some(written) = written.filter(|_| is_better) {
                arrival.answer = Answer::New(written.secret.clone());
                arrival.at = written.began;
                alone.insert(arrival.name.clone());
            }
        }
        alone
    }

    /// Changes what is held as the answer says. An error is the answer to those who waited.
    fn update(
        &mut self,
        entry: &Arc<Entry>,
        answer: Answer,
        terms: Terms,
        times: &Times,
        changed: &mut HashSet<SecretName>,
    ) -> Result<(), Error> {
        entry.publisher.forget_what_is_over();
        let outcome = match answer {
            Answer::Same(renewed) => {
                entry.confirm(renewed, terms);
                // What the backend confirms may be past its own end.
                entry.live.with(|_| ())
            }
            Answer::New(secret) => {
                let version = secret.metadata().version().cloned();
                let overlap = self.settings.overlap;
                entry.publisher.publish_on(secret, terms, overlap);
                self.note_overlap();
                changed.insert(entry.name.clone());
                self.teller
                    .tell(&entry.name, EventKind::Rotated { version });
                entry.live.with(|_| ())
            }
            Answer::Refused(error) => {
                self.note_refusal(entry, &error);
                Err(error)
            }
            Answer::Failed(error) => {
                match error.kind() {
                    ErrorKind::Absent | ErrorKind::Denied => {
                        if self.withdraw(entry, error.kind()) {
                            changed.insert(entry.name.clone());
                        }
                    }
                    ErrorKind::Malformed => self.note_refusal(entry, &error),
                    _ => self.note_failure(entry, &error, times.now),
                }
                Err(error)
            }
        };
        let Err(error) = outcome else {
            if self.alone.remove(&entry.name) {
                changed.insert(entry.name.clone());
            }
            self.confirm(entry, times);
            return Ok(());
        };
        self.note_expiry(entry);
        let due = self.plan_after(&entry.name, &error, times);
        entry.status().due = Some(due);
        Err(error)
    }

    /// Holds a value for the first time, or says why not.
    fn admit(
        &mut self,
        name: &SecretName,
        answer: Answer,
        terms: Terms,
        times: &Times,
    ) -> Result<Arc<Entry>, Error> {
        let error = match answer {
            Answer::New(secret) | Answer::Same(Some(secret)) => {
                let own = self.own.get(name).cloned();
                let document = self.connection.document(name);
                let entry = Entry::new(name.clone(), document, secret, own, terms, &self.clock);
                return Ok(Arc::new(entry));
            }
            Answer::Same(None) => {
                let message = "the provider answered that nothing changed, but no version was held";
                Error::new(ErrorKind::Malformed, message).with_name(name)
            }
            Answer::Refused(error) | Answer::Failed(error) => error,
        };
        self.plan_after(name, &error, times);
        Err(error)
    }

    /// Plans the next reading after one that failed, and returns when it is.
    fn plan_after(&mut self, name: &SecretName, error: &Error, times: &Times) -> Duration {
        let failures = self.table.count_failure(name);
        let own_pause = self.settings.pause_after(failures, times.random);
        let own_pause = own_pause.max(pause_asked_for(error));
        let due = times
            .now
            .saturating_add(times.provider_pause.unwrap_or(own_pause));
        let refused_until = match error.kind() {
            ErrorKind::Absent => times.now.saturating_add(self.settings.negative_ttl),
            _ => due,
        };
        self.table.refuse(name, error.clone(), refused_until, due);
        due
    }

    /// Undeclared secrets are bounded in number; who holds a handle needs no bound of ours.
    fn may_hold(&self, name: &SecretName, waiters: &[Waiter], added: usize) -> bool {
        if self.connection.declaration(name.as_str()).is_some() {
            return true;
        }
        let keep = |waiter: &Waiter| matches!(waiter, Waiter::Read { keep: true, .. });
        let held = self.store.all().len().saturating_add(added);
        let most = self
            .connection
            .declared()
            .count()
            .saturating_add(MOST_UNDECLARED);
        held < most || waiters.iter().any(keep)
    }

    fn confirm(&mut self, entry: &Entry, times: &Times) {
        let due = self.due(entry, times);
        self.table.hold(&entry.name, due);
        let mut status = entry.status();
        let was_bad = status.failing.take().is_some() | status.refused.take().is_some();
        status.expired = false;
        let since = times.now.saturating_sub(times.began);
        let now = SystemTime::now();
        status.confirmed_at = now.checked_sub(since).unwrap_or(now);
        status.due = Some(due);
        drop(status);
        if was_bad {
            self.teller.tell(&entry.name, EventKind::Recovered);
        }
    }

    fn note_refusal(&self, entry: &Entry, error: &Error) {
        let reason = match error.report() {
            Some(report) => {
                let rules = report.violations().map(|finding| finding.message.as_str());
                rules.collect::<Vec<_>>().join("; ")
            }
            None => error.message().to_owned(),
        };
        let mut status = entry.status();
        let told = status.refused.as_ref() == Some(&reason);
        status.refused = Some(reason.clone());
        drop(status);
        if !told {
            self.teller.tell(&entry.name, EventKind::Refused { reason });
        }
    }

    fn note_failure(&self, entry: &Entry, error: &Error, now: Duration) {
        let reason = error.message().to_owned();
        let mut status = entry.status();
        let former = status.failing.replace((error.kind(), reason.clone()));
        drop(status);
        if former.is_none() {
            let error = error.kind();
            self.teller
                .tell(&entry.name, EventKind::Failing { error, reason });
        }
        let stale = entry.live.terms().filter(|terms| now >= terms.fresh);
        let held = entry.live.held();
        if let (Some(terms), Some(held)) = (stale, held)
            && held.metadata().source() == Source::Live
        {
            let metadata = held.metadata().clone().with_source(Source::Stale);
            let secret = Secret::clone(&held).with_metadata(metadata);
            entry.publisher.renew(secret, terms);
        }
    }

    /// Wipes what the backend no longer hands out. Reports whether there was something.
    fn withdraw(&self, entry: &Entry, error: ErrorKind) -> bool {
        if entry.live.held().is_none() {
            return false;
        }
        entry.publisher.withdraw(error);
        let mut status = entry.status();
        status.failing = Some((error, format!("no longer handed out: {error}")));
        status.refused = None;
        drop(status);
        self.teller
            .tell(&entry.name, EventKind::Withdrawn { error });
        true
    }

    /// Tells once that a value is no longer handed out.
    fn note_expiry(&self, entry: &Entry) {
        let stale = |error: Error| error.kind() == ErrorKind::Stale;
        if entry.live.with(|_| ()).is_err_and(stale) {
            let mut status = entry.status();
            let told = std::mem::replace(&mut status.expired, true);
            drop(status);
            if !told {
                self.teller.tell(&entry.name, EventKind::Expired);
            }
        }
    }
}
