//! A rotation: when the former value's bytes go.

use std::fs;
use std::time::{Duration, Instant};

use super::backends::{Room, write};
use super::{Canary, Copies, Holder};

/// A directory whose value was replaced once under a holder's hands.
struct Rotated {
    room: Room,
    former: Canary,
    holder: Holder,
}

impl Rotated {
    fn within(overlap: &str) -> Self {
        let mut room = Room::new();
        let path = room.dir.path().join("app_token");
        write(&path, room.canary.text());
        let holder = Holder::start(&format!("file:{}", room.dir.path().display()));
        let mut holder = holder.overlap(overlap).live();
        let former = std::mem::replace(&mut room.canary, Canary::draw());
        let next = room.dir.path().with_extension("next");
        write(&next, room.canary.text());
        fs::rename(next, path).unwrap();
        holder.order("rotated?", "rotated");
        Self {
            room,
            former,
            holder,
        }
    }

    fn copies(&self, canary: &Canary) -> Option<Copies> {
        Copies::find(self.holder.id(), canary)
    }

    /// Counts the former value's copies until there is none, and fails where that never comes.
    fn former_vanishes(&self) {
        let began = Instant::now();
        while let Some(left) = self.copies(&self.former)
            && left.count() > 0
        {
            assert!(began.elapsed() < Duration::from_secs(60), "{left}");
        }
    }
}

#[test]
fn during_an_overlap_both_values_stand_once_and_after_the_end_none_does() {
    let mut rotated = Rotated::within("10m");
    rotated.holder.order("release", "released");
    let (former, new) = (
        rotated.copies(&rotated.former),
        rotated.copies(&rotated.room.canary),
    );
    let (Some(former), Some(new)) = (former, new) else {
        return;
    };
    assert_eq!((former.count(), new.count()), (1, 1), "{former}\n{new}");
    rotated.holder.order("drop", "dropped");
    let (former, new) = (
        rotated.copies(&rotated.former),
        rotated.copies(&rotated.room.canary),
    );
    let (Some(former), Some(new)) = (former, new) else {
        return;
    };
    assert_eq!((former.count(), new.count()), (0, 0), "{former}\n{new}");
}

#[test]
fn when_its_overlap_ends_the_former_value_vanishes() {
    let mut rotated = Rotated::within("1s");
    rotated.holder.order("release", "released");
    rotated.former_vanishes();
    let Some(new) = rotated.copies(&rotated.room.canary) else {
        return;
    };
    assert_eq!(new.count(), 1, "{new}");
}

#[test]
fn a_clone_in_use_keeps_the_former_value_until_it_is_dropped() {
    let mut rotated = Rotated::within("0s");
    let Some(former) = rotated.copies(&rotated.former) else {
        return;
    };
    assert_eq!(former.count(), 1, "{former}");
    rotated.holder.order("release", "released");
    rotated.former_vanishes();
    let Some(new) = rotated.copies(&rotated.room.canary) else {
        return;
    };
    assert_eq!(new.count(), 1, "{new}");
}
