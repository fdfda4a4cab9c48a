//! The ends of overlaps: former values are wiped then, not at whatever reading comes next.

use std::collections::HashSet;
use std::time::Duration;

use super::Supervisor;

impl Supervisor {
    /// Notes that values were just replaced.
    pub(super) fn note_overlap(&mut self) {
        if !self.settings.overlap.is_zero() {
            let end = self.clock.after(self.settings.overlap);
            self.overlap_ends.insert(end);
        }
    }

    /// Lets go of the former values whose overlap is over by now.
    pub(super) fn end_overlaps(&mut self, now: Duration) {
        let later = self
            .overlap_ends
            .split_off(&now.saturating_add(Duration::from_nanos(1)));
        let over = std::mem::replace(&mut self.overlap_ends, later);
        if over.is_empty() {
            return;
        }
        for entry in self.store.all().iter() {
            entry.publisher.forget_what_is_over();
        }
        // A type that hears of no value does the same.
        self.update_derived(&HashSet::new(), &HashSet::new());
    }
}
