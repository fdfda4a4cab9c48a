//! What is to become of each secret.

use serde::Serialize;

use super::{Entry, OnConflict};
use crate::run_key::Tag;

/// What is to become of one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Create,
    Overwrite,
    /// The same value is there.
    Equal,
    /// Another value is there, and stays.
    Skip,
    /// Another value is there, and nothing is written at all.
    Conflict,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Overwrite => "overwrite",
            Self::Equal => "equal, nothing to do",
            Self::Skip => "differs, skip",
            Self::Conflict => "differs, conflict",
        }
    }
}

/// One secret, and what is to become of it.
pub(super) struct Step {
    pub(super) entry: Entry,
    pub(super) action: Action,
    pub(super) tag: Tag,
    /// What was there when the plan was made.
    pub(super) former: Option<Tag>,
    pub(super) done: bool,
}

impl Step {
    pub(super) fn new(entry: Entry, tag: Tag, former: Option<Tag>, rule: OnConflict) -> Self {
        let action = match &former {
            None => Action::Create,
            Some(former) if *former == tag => Action::Equal,
            Some(_) => rule.into(),
        };
        Self {
            entry,
            action,
            tag,
            former,
            done: false,
        }
    }

    pub(super) fn is_to_write(&self) -> bool {
        matches!(self.action, Action::Create | Action::Overwrite)
    }
}
