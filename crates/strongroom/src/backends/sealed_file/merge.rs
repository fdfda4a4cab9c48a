//! Merging two changed copies of a file by name, as git's merge driver does.

use std::collections::BTreeSet;

use super::crypto::random_key;
use super::entries::DataKey;
use super::format::{self, Document};
use super::key::SlotKey;
use super::slots::{MAX_SLOTS, Slot};
use super::unlocked::{Unlocked, next_epoch};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::report::Finding;

/// What two copies of a sealed file merge to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Merged {
    /// A whole sealed file. Where there is a conflict it holds what our side had, or the value that
    /// one side changed and the other deleted.
    pub file: Vec<u8>,
    /// What a person must decide: the secrets and slots in conflict. Empty where everything merged.
    pub conflicts: Vec<Finding>,
}

/// Merges two copies of a sealed file that come from a common base, by name. `base` is empty where
/// there is none.
///
/// All three are opened with the key and their seals checked first. A slot that one side removed
/// stays removed, and nobody who was removed on either side knows the data key of the result. The
/// epoch is one more than the larger.
///
/// # Errors
/// [`ErrorKind::Conflict`] if they are not copies of one file; [`ErrorKind::Denied`] if the key does
/// not open all of them, or if both sides drew a new data key and the key given does not open every
/// slot that stays; and as [`SealedFile::open`](super::SealedFile::open).
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8], key: &SlotKey) -> Result<Merged> {
    let open = |bytes: &[u8]| Unlocked::open(Document::parse(bytes.to_vec())?, key);
    let (ours, theirs) = (open(ours)?, open(theirs)?);
    let base = (!base.is_empty()).then(|| open(base)).transpose()?;
    let sides = Sides { base, ours, theirs };
    let ids = [Some(&sides.ours), Some(&sides.theirs), sides.base.as_ref()];
    let id = sides.ours.document.id;
    if ids.into_iter().flatten().any(|side| side.document.id != id) {
        let message = "the copies to merge are of different sealed files";
        return Err(Error::new(ErrorKind::Conflict, message)
            .with_help("keep one of them, and copy the secrets of the other into it"));
    }
    let mut conflicts = Vec::new();
    let (data, slots) = sides.slots(key, &mut conflicts)?;
    let entries = sides.entries(&data, &mut conflicts)?;
    let epoch = sides.ours.document.epoch.max(sides.theirs.document.epoch);
    let file = format::compose(&data, next_epoch(epoch)?, &slots, &[&entries])?;
    Ok(Merged {
        file: file.into_bytes(),
        conflicts,
    })
}

struct Sides {
    base: Option<Unlocked>,
    ours: Unlocked,
    theirs: Unlocked,
}

/// The lines of a name on one side.
type Lines<'a> = (&'a str, Option<&'a str>);

impl Sides {
    /// Chooses the data key of the result, and the slots that wrap it.
    fn slots(&self, key: &SlotKey, conflicts: &mut Vec<Finding>) -> Result<(DataKey, Vec<Slot>)> {
        let staying = self.staying();
        let all_stay = |side: &Unlocked| {
            let mut slots = side.document.slots.iter();
            slots.all(|slot| staying.contains(slot.id.as_str()))
        };
        let (ours_fit, theirs_fit) = (all_stay(&self.ours), all_stay(&self.theirs));
        let as_base = |side: &Unlocked| {
            let base = self.base.as_ref();
            base.is_some_and(|base| same_key(&base.data, &side.data))
        };
        let same = same_key(&self.ours.data, &self.theirs.data);
        // A side that drew a new data key did so to shut somebody out: going back would let them in.
        let main = match (as_base(&self.ours), as_base(&self.theirs)) {
            _ if same => (ours_fit && theirs_fit).then_some(&self.ours),
            (false, true) => ours_fit.then_some(&self.ours),
            (true, false) => theirs_fit.then_some(&self.theirs),
            _ if ours_fit => Some(&self.ours),
            _ => theirs_fit.then_some(&self.theirs),
        };
        let file = self.ours.document.id;
        let data_key = match main {
            Some(side) => side.data.key.clone(),
            None => random_key()?,
        };
        let data = DataKey::new(file, data_key);
        let mut slots = Vec::new();
        for id in &staying {
            let on = |side: &'_ Unlocked| {
                let found = side.document.slots.iter().find(|slot| slot.id == *id);
                found
                    .cloned()
                    .map(|slot| (slot, same_key(&side.data, &data)))
            };
            let (found, other) = (on(&self.ours), on(&self.theirs));
            let wrapped = [&found, &other]
                .into_iter()
                .flatten()
                .find(|(_, fits)| *fits);
            if let Some((slot, _)) = wrapped {
                slots.push(slot.clone());
                continue;
            }
            let Some((slot, _)) = found.or(other) else {
                continue;
            };
            if slot.open(file, key)?.is_some() {
                slots.push(slot.wrap_again(file, &data.key, key)?);
            } else if main.is_some() {
                let label = &slot.label;
                let message = format!(
                    "the slot `{label}` was added on one side, and the data key changed on the other"
                );
                let help = format!("add it again: `strongroom key add {label}`");
                let finding = Finding::violation(None, "slot-added", message, help);
                conflicts.push(finding);
            } else {
                return Err(both_rotated(&slot));
            }
        }
        if slots.len() > MAX_SLOTS {
            let message = "together the two sides have more than 8 slots";
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_help("remove slots on one side, then merge again"));
        }
        Ok((data, slots))
    }

    /// The ids of the slots that neither side removed.
    fn staying(&self) -> BTreeSet<&str> {
        let ids = |side: &'_ Unlocked| -> BTreeSet<String> {
            side.document
                .slots
                .iter()
                .map(|slot| slot.id.clone())
                .collect()
        };
        let (ours, theirs) = (ids(&self.ours), ids(&self.theirs));
        let base = self.base.as_ref().map(ids).unwrap_or_default();
        let slots = self.ours.document.slots.iter();
        let slots = slots.chain(&self.theirs.document.slots);
        slots
            .map(|slot| slot.id.as_str())
            .filter(|id| !base.contains(*id) || (ours.contains(*id) && theirs.contains(*id)))
            .collect()
    }

    fn entries(&self, data: &DataKey, conflicts: &mut Vec<Finding>) -> Result<String> {
        let names = self.ours.document.names();
        let names: BTreeSet<&str> = names.chain(self.theirs.document.names()).collect();
        let mut entries = String::new();
        for name in names {
            let base = self.base.as_ref().and_then(|b| b.document.lines_of(name));
            let ours = self.ours.document.lines_of(name);
            let theirs = self.theirs.document.lines_of(name);
            let (was, is, other) = (state(base), state(ours), state(theirs));
            let chosen = if is == other || other == was {
                ours.map(|lines| (&self.ours, lines))
            } else if is == was {
                theirs.map(|lines| (&self.theirs, lines))
            } else {
                conflicts.push(changed_by_both(&SecretName::parse(name)?));
                let kept = ours.map(|lines| (&self.ours, lines));
                kept.or_else(|| theirs.map(|lines| (&self.theirs, lines)))
            };
            let Some((side, (current, previous))) = chosen else {
                continue;
            };
            for line in [Some(current), previous].into_iter().flatten() {
                if same_key(&side.data, data) {
                    entries.push_str(line);
                    entries.push('\n');
                } else {
                    entries.push_str(&format::entry(line)?.seal_again(&side.data, data)?);
                }
            }
        }
        Ok(entries)
    }
}

/// What tells two states of a name apart: everything but how it is encrypted, which changes with
/// the data key.
fn state(lines: Option<Lines<'_>>) -> Option<(String, String)> {
    let leading = |line: &str| line.rsplitn(4, ' ').nth(3).unwrap_or_default().to_owned();
    lines.map(|(current, previous)| {
        let previous = previous.map(leading).unwrap_or_default();
        (leading(current), previous)
    })
}

fn same_key(a: &DataKey, b: &DataKey) -> bool {
    use ctutils::CtEq as _;
    a.key.ct_eq(&*b.key).to_bool()
}

fn changed_by_both(name: &SecretName) -> Finding {
    let help = format!("decide which value holds: `strongroom set {name}` writes it");
    let message = "both sides changed it";
    Finding::violation(Some(name), "changed-by-both", message, help)
}

fn both_rotated(slot: &Slot) -> Error {
    let message = format!(
        "both sides drew a new data key, and the key given does not open the slot `{}`",
        slot.label
    );
    Error::new(ErrorKind::Denied, message).with_help(
        "keep one side's file, then set there what the other changed and remove its slots again",
    )
}
