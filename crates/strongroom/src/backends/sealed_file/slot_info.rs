//! Slots as users see them: one that is to be made, and what can be seen of those that are there.

use std::time::SystemTime;

use super::cost::Argon2Cost;
use super::fields;
use super::key::SlotKey;
use super::slots::Slot;

/// A slot that is to be made.
#[derive(Debug, Clone)]
pub struct NewSlot {
    pub(super) label: String,
    pub(super) key: SlotKey,
    pub(super) cost: Argon2Cost,
}

impl NewSlot {
    /// Makes a slot for a key. The label tells people whose it is: one to 64 of `[A-Za-z0-9._-]`.
    pub fn new(label: impl Into<String>, key: SlotKey) -> Self {
        Self {
            label: label.into(),
            key,
            cost: Argon2Cost::default(),
        }
    }

    /// Sets what it costs to try a passphrase. Raw keys have no cost.
    #[must_use]
    pub fn with_cost(mut self, cost: Argon2Cost) -> Self {
        self.cost = cost;
        self
    }
}

/// What can be seen of a slot without a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotInfo {
    /// Sixteen hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub label: String,
    /// Its type: `raw`, `passphrase`, or one that this version does not know.
    pub kind: String,
    /// When it was added.
    pub created: Option<SystemTime>,
}

impl SlotInfo {
    pub(super) fn of(slot: &Slot) -> Self {
        Self {
            id: slot.id.clone(),
            label: slot.label.clone(),
            kind: slot.kind.clone(),
            created: fields::time(slot.created),
        }
    }
}
