//! What a reading that came back changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{MOST_UNDECLARED, Supervisor, Waiter};
use crate::error::{Error, ErrorKind};
use crate::events::EventKind;
use crate::metrics;
use crate::name::SecretName;
use crate::policy;
use crate::refresh::derived::Update;
use crate::refresh::entry::Entry;
use crate::refresh::flight::{Answer, Landed};
use crate::refresh::gate::concerns_provider;
use crate::refresh::settings::random;
use crate::refresh::table::Landing;
use crate::secret::{Secret, Source};

/// A name whose reading counts.
struct Arrival {
    name: SecretName,
    answer: Answer,
    waiters: Vec<Waiter>,
}

/// When things of one landing happened, and happen next: the same for all of it.
struct Times {
    began: Duration,
    now: Duration,
    /// The next reading of what was confirmed.
    due: Duration,
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
                    waiters,
                });
            }
        }
        self.keep_documents_whole(&mut arrivals);
        self.refuse_duplicates(&mut arrivals);
        let provider = landed.provider.clone();
        let times = self.times(landed.provider, landed.began, now, &arrivals);
        let took = now.saturating_sub(landed.began);
        metrics::reading(provider.as_deref(), times.provider_pause.is_some(), took);

        let store = Arc::clone(&self.store);
        let Some(applying) = store.applying() else {
            return;
        };
        let read: HashSet<_> = arrivals.iter().map(|a| a.name.clone()).collect();
        let mut changed = HashSet::new();
        let mut added = Vec::new();
        let mut answers = Vec::new();
        for arrival in arrivals {
            let Arrival {
                name,
                answer,
                waiters,
            } = arrival;
            let outcome = match store.find(name.as_str()) {
                Some(entry) => self
                    .update(&entry, answer, &times, &mut changed)
                    .map(|()| entry),
                None => self.admit(&name, answer, &times).inspect(|entry| {
                    if self.may_hold(&name, &waiters, added.len()) {
                        self.table.hold(&name, times.due);
                        self.families.add(&entry.document, &name);
                        entry.status().due = Some(times.due);
                        added.push(Arc::clone(entry));
                    }
                }),
            };
            self.own.remove(&name);
            answers.push((outcome, waiters));
        }
        store.insert(added);
        drop(applying);
        self.update_derived(&read, &changed);
        self.count_states();
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
    pub(super) fn update_derived(&self, read: &HashSet<SecretName>, changed: &HashSet<SecretName>) {
        let store = Arc::clone(&self.store);
        store.retain_derived(|derived| {
            let unbuilt = match derived.update(read, changed) {
                Update::Unused => return false,
                Update::Kept => return true,
                Update::Built => None,
                Update::Unbuilt(error) => Some(format!("its type can't be built: {error}")),
            };
            for name in derived.names() {
                if let Some(entry) = store.find(name.as_str()) {
                    entry.status().unbuilt.clone_from(&unbuilt);
                }
                if let Some(reason) = unbuilt.clone().filter(|_| changed.contains(&name)) {
                    self.teller.tell(&name, EventKind::Refused { reason });
                }
            }
            true
        });
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
        let failed = |arrival: &Arrival| matches!(&arrival.answer, Answer::Failed(error) if concerns_provider(error.kind()));
        let provider_pause = if !arrivals.is_empty() && arrivals.iter().all(failed) {
            let gate = self.gates.entry(provider).or_default();
            Some(gate.close(&self.settings, now, random))
        } else {
            self.gates.remove(&provider);
            None
        };
        let soonest = now.saturating_add(self.settings.pause_after(1, random));
        Times {
            began,
            now,
            due: began
                .saturating_add(self.settings.refresh_after(random))
                .max(soonest),
            provider_pause,
            random,
        }
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
        let mut values = HashMap::new();
        for arrival in arrivals.iter() {
            if let Answer::New(secret) = &arrival.answer {
                values.insert(arrival.name.clone(), secret.clone());
            }
        }
        if values.is_empty() {
            return;
        }
        let new: HashSet<_> = values.keys().cloned().collect();
        for entry in self.store.all().iter() {
            if let Some(held) = entry.live.held() {
                let name = entry.name.clone();
                values.entry(name).or_insert_with(|| Secret::clone(&held));
            }
        }
        let declared = values.iter().filter_map(|(name, secret)| {
            let declared = self.connection.declaration(name.as_str())?;
            Some((declared, secret))
        });
        let declared: Vec<_> = declared.collect();
        let mut findings = policy::check_duplicates(&declared);
        findings.retain(|finding| finding.name.as_ref().is_some_and(|name| new.contains(name)));
        for arrival in arrivals {
            let own = |finding: &&crate::Finding| finding.name.as_ref() == Some(&arrival.name);
            if let Some(finding) = findings.iter().find(own) {
                let error = Error::new(ErrorKind::Policy, finding.message.clone());
                arrival.answer = Answer::Refused(error.with_name(&arrival.name));
            }
        }
    }

    /// Changes what is held as the answer says. An error is the answer to those who waited.
    fn update(
        &mut self,
        entry: &Arc<Entry>,
        answer: Answer,
        times: &Times,
        changed: &mut HashSet<SecretName>,
    ) -> Result<(), Error> {
        let terms = self.terms(times.began);
        let error = match answer {
            Answer::Same(renewed) => {
                entry.confirm(renewed, terms);
                self.confirm(entry, times);
                return Ok(());
            }
            Answer::New(secret) => {
                let version = secret.metadata().version().cloned();
                let overlap = self.settings.overlap;
                entry.publisher.publish_on(secret, terms, overlap);
                changed.insert(entry.name.clone());
                self.teller
                    .tell(&entry.name, EventKind::Rotated { version });
                self.confirm(entry, times);
                return Ok(());
            }
            Answer::Refused(error) => {
                self.note_refusal(entry, &error);
                error
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
                error
            }
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
        times: &Times,
    ) -> Result<Arc<Entry>, Error> {
        let error = match answer {
            Answer::New(secret) | Answer::Same(Some(secret)) => {
                let own = self.own.get(name).cloned();
                let terms = self.terms(times.began);
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
        self.table.hold(&entry.name, times.due);
        let mut status = entry.status();
        let was_bad = status.failing.take().is_some() | status.refused.take().is_some();
        status.expired = false;
        status.confirmed_at = SystemTime::now();
        status.due = Some(times.due);
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
