//! Where values stand in a process's memory: counted from outside, while they are held and after.
//!
//! A child process holds a canary that it got from its backend alone; this process reads all of its
//! memory. `docs/memory.md` tells what each count is made of.

mod backends;
mod canary;
mod child;
mod copies;
mod harden;
#[cfg(feature = "locked-memory")]
mod locked;
mod rotation;
mod servers;

use canary::{Canary, NAME};
use child::Holder;
use copies::Copies;

/// What of a canary stood in a process while it was held, and after it was dropped.
struct Counted {
    live: Copies,
    after: Copies,
}

impl Counted {
    /// Has a process hold the canary, and counts. `None` where this system lets no process read another.
    fn of(holder: Holder, canary: &Canary) -> Option<Self> {
        let mut holder = holder.live();
        let live = Copies::find(holder.id(), canary)?;
        holder.order("drop", "dropped");
        let after = Copies::find(holder.id(), canary)?;
        Some(Self { live, after })
    }

    #[track_caller]
    fn assert(&self, what: &str, live: usize, after: usize) {
        self.show(what);
        assert_eq!(self.live.count(), live, "{what}, held:\n{}", self.live);
        assert_eq!(
            self.after.count(),
            after,
            "{what}, dropped:\n{}",
            self.after
        );
    }

    /// As [`assert`](Self::assert), where what remains is others' to overwrite or not.
    #[cfg(any(feature = "aws", feature = "vault"))]
    #[track_caller]
    fn assert_at_most(&self, what: &str, live: usize, after: usize) {
        self.show(what);
        assert!(self.live.count() >= 1, "{what}: the value was not found");
        assert!(self.live.count() <= live, "{what}, held:\n{}", self.live);
        assert!(
            self.after.count() <= after,
            "{what}, dropped:\n{}",
            self.after
        );
    }

    /// Says what was counted; `docs/memory.md` holds the numbers.
    fn show(&self, what: &str) {
        let (live, after) = (self.live.count(), self.after.count());
        println!(
            "{what}: {live} while held, {after} after\n{}\n{}",
            self.live, self.after
        );
    }
}
