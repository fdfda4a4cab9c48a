//! Everything that is held, as readers find it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arc_swap::{ArcSwap, Guard};

use super::derived::Derived;
use super::entry::Entry;
use crate::name::SecretName;

type Entries = HashMap<SecretName, Arc<Entry>>;

/// What is held. Readers take no lock; the supervisor alone adds and removes.
pub(crate) struct Store {
    /// What the boot read. It stays as it is until the end, so that finding it costs readers no more than
    /// the search, and what comes later costs no copy of it.
    booted: Entries,
    /// What was first read later: few, as services declare what they need.
    later: ArcSwap<Entries>,
    /// Held for writing while what belongs together is put in force.
    applying: RwLock<()>,
    derived: Mutex<Vec<Arc<dyn Derived>>>,
    closed: AtomicBool,
}

impl Store {
    pub(super) fn new(booted: Entries) -> Self {
        Self {
            booted,
            later: ArcSwap::default(),
            applying: RwLock::new(()),
            derived: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Returns everything held, as of now.
    pub(crate) fn all(&self) -> All<'_> {
        All {
            booted: &self.booted,
            later: self.later.load(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.with(name, Arc::clone)
    }

    /// Calls `f` with what is held under a name.
    pub(crate) fn with<R>(&self, name: &str, f: impl FnOnce(&Arc<Entry>) -> R) -> Option<R> {
        match self.booted.get(name) {
            Some(entry) => Some(f(entry)),
            None => self.later.load().get(name).map(f),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Keeps values that are read under this guard from belonging to different versions of one
    /// document.
    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.applying.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to put values in force that belong together; `None` after the end.
    pub(super) fn applying(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        let guard = self
            .applying
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        (!self.is_closed()).then_some(guard)
    }

    /// Adds what was not held.
    pub(super) fn insert(&self, added: Vec<Arc<Entry>>) {
        if !added.is_empty() {
            let mut later = Entries::clone(&self.later.load());
            later.extend(added.into_iter().map(|entry| (entry.name.clone(), entry)));
            self.later.store(Arc::new(later));
        }
    }

    /// Lets go of what was first read later than the boot.
    pub(super) fn remove(&self, names: &[SecretName]) {
        if !names.is_empty() {
            let mut later = Entries::clone(&self.later.load());
            for name in names {
                later.remove(name);
            }
            self.later.store(Arc::new(later));
        }
    }

    /// Gives a type's value to whoever keeps it up to date. After the end it is ended at once.
    pub(super) fn derive(&self, derived: Arc<dyn Derived>) {
        let mut all = self.all_derived();
        if self.is_closed() {
            derived.close();
        } else {
            all.push(derived);
        }
    }

    /// Returns each type's value. No lock is held while a type's own code runs, however long.
    pub(super) fn derived(&self) -> Vec<Arc<dyn Derived>> {
        self.all_derived().clone()
    }

    /// Lets go of a type's value.
    pub(super) fn forget(&self, derived: &Arc<dyn Derived>) {
        self.all_derived().retain(|one| !Arc::ptr_eq(one, derived));
    }

    /// Returns which names are part of a type that can't be built from them, and why.
    pub(crate) fn unbuilt(&self) -> BTreeMap<SecretName, String> {
        let all = self.derived();
        let unbuilt = all.iter().filter_map(|derived| {
            let reason = derived.unbuilt()?;
            Some(
                derived
                    .names()
                    .into_iter()
                    .map(move |name| (name, reason.clone())),
            )
        });
        unbuilt.flatten().collect()
    }

    fn all_derived(&self) -> MutexGuard<'_, Vec<Arc<dyn Derived>>> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything: handles answer Closed, and what is held here is wiped.
    pub(super) fn close(&self) {
        let applying = self
            .applying
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Release);
        for entry in self.all().iter() {
            entry.publisher.close();
        }
        self.later.store(Arc::default());
        drop(applying);
        let all = std::mem::take(&mut *self.all_derived());
        for derived in all {
            derived.close();
        }
    }
}

/// Everything held at one moment.
pub(crate) struct All<'a> {
    booted: &'a Entries,
    later: Guard<Arc<Entries>>,
}

impl All<'_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.booted.values().chain(self.later.values())
    }

    pub(crate) fn len(&self) -> usize {
        self.booted.len().saturating_add(self.later.len())
    }
}
