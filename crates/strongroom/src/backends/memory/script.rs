//! What a test says shall go wrong, and what it can count.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::error::ErrorKind;

/// One method of [`SecretProvider`](crate::SecretProvider), as [`Memory`](crate::Memory) counts and
/// fails it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `fetch`, whatever the number of its requests.
    Fetch,
    /// `put`.
    Put,
    /// `delete`.
    Delete,
    /// `list`.
    List,
    /// `health`.
    Health,
    /// `close`.
    Close,
    /// `versions`.
    Versions,
    /// `restore`.
    Restore,
    /// `promote`.
    Promote,
    /// [`SecretProvider::discard`](crate::SecretProvider::discard).
    Discard,
}

/// How one call of [`Memory`](crate::Memory) goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It fails, and nothing happened: the error [says so](crate::Error::had_no_effect).
    Fail(ErrorKind),
    /// It happens, and its answer is lost on the way: the caller sees this failure.
    LoseAnswer(ErrorKind),
    /// It never returns, and nothing happens.
    Hang,
}

#[derive(Default)]
pub(super) struct Script {
    latency: Duration,
    next: BTreeMap<Operation, VecDeque<Fault>>,
    names: BTreeMap<String, ErrorKind>,
    calls: BTreeMap<Operation, usize>,
    under_way: usize,
    most_under_way: usize,
}

impl Script {
    pub(super) fn fail_next(&mut self, operation: Operation, fault: Fault) {
        self.next.entry(operation).or_default().push_back(fault);
    }

    pub(super) fn fail(&mut self, name: String, kind: ErrorKind) {
        self.names.insert(name, kind);
    }

    pub(super) fn heal(&mut self, name: &str) {
        self.names.remove(name);
    }

    pub(super) fn fault_of(&self, name: &str) -> Option<ErrorKind> {
        self.names.get(name).copied()
    }

    pub(super) fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    pub(super) fn calls(&self, operation: Operation) -> usize {
        self.calls.get(&operation).copied().unwrap_or_default()
    }

    pub(super) fn most_concurrent(&self) -> usize {
        self.most_under_way
    }

    /// Counts a call that begins, and says how it goes.
    pub(super) fn begin(&mut self, operation: Operation) -> (Duration, Option<Fault>) {
        let calls = self.calls.entry(operation).or_default();
        *calls = calls.saturating_add(1);
        self.under_way = self.under_way.saturating_add(1);
        self.most_under_way = self.most_under_way.max(self.under_way);
        let fault = self.next.get_mut(&operation).and_then(VecDeque::pop_front);
        (self.latency, fault)
    }

    pub(super) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}
