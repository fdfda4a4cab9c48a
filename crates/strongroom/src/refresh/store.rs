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
    entries: ArcSwap<Entries>,
    /// Held for writing while what belongs together is put in force.
    applying: RwLock<()>,
    derived: Mutex<Vec<Arc<dyn Derived>>>,
    closed: AtomicBool,
}

impl Store {
    pub(super) fn new(entries: Entries) -> Self {
        Self {
            entries: ArcSwap::from_pointee(entries),
            applying: RwLock::new(()),
            derived: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn entries(&self) -> Guard<Arc<Entries>> {
        self.entries.load()
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries.load().get(name).cloned()
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

    pub(super) fn insert(&self, added: Vec<Arc<Entry>>) {
        if !added.is_empty() {
            let mut entries = Entries::clone(&self.entries.load());
            entries.extend(added.into_iter().map(|entry| (entry.name.clone(), entry)));
            self.entries.store(Arc::new(entries));
        }
    }

    pub(super) fn remove(&self, names: &[SecretName]) {
        if !names.is_empty() {
            let mut entries = Entries::clone(&self.entries.load());
            for name in names {
                entries.remove(name);
            }
            self.entries.store(Arc::new(entries));
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
        for entry in self.entries.swap(Arc::default()).values() {
            entry.publisher.close();
        }
        drop(applying);
        let all = std::mem::take(&mut *self.all_derived());
        for derived in all {
            derived.close();
        }
    }
}
