//! What a program says that it is and can do.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::answer;
use super::object::{Problem, broken};

/// What a program may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Describe,
    Fetch,
    Put,
    Delete,
    List,
    Health,
    Versions,
    Restore,
    Promote,
    Discard,
}

impl Operation {
    /// Every operation, in the order of the protocol's page.
    pub(super) const ALL: [Self; 10] = [
        Self::Describe,
        Self::Fetch,
        Self::Put,
        Self::Delete,
        Self::List,
        Self::Health,
        Self::Versions,
        Self::Restore,
        Self::Promote,
        Self::Discard,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Fetch => "fetch",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Health => "health",
            Self::Versions => "versions",
            Self::Restore => "restore",
            Self::Promote => "promote",
            Self::Discard => "discard",
        }
    }
}

/// The answer to `describe`.
#[derive(Debug, Clone)]
pub(super) struct Introduction {
    /// What the program calls itself.
    pub(super) name: String,
    /// Its own version.
    pub(super) version: String,
    operations: BTreeSet<Operation>,
}

impl Introduction {
    pub(super) fn read(text: Zeroizing<Vec<u8>>) -> Result<Self, Problem> {
        let said = answer::whole(text, &["name", "version", "operations"])?;
        let (Some(name), Some(version)) = (said.word("name", 64)?, said.word("version", 64)?)
        else {
            return broken("lacks the program's name or version");
        };
        let mut operations = BTreeSet::from([Operation::Describe]);
        for item in said.list("operations", Operation::ALL.len())? {
            // No operation's name has a character that JSON escapes.
            let word = item.get().trim_matches('"');
            let known = Operation::ALL.iter().find(|known| known.as_str() == word);
            match known {
                Some(known) if operations.insert(*known) => {}
                _ => {
                    return broken(
                        "lists an operation twice, or one that the protocol doesn't know",
                    );
                }
            }
        }
        if !operations.contains(&Operation::Fetch) {
            return broken("doesn't list the operation `fetch`, without which nothing can be read");
        }
        let can = |operation| operations.contains(&operation);
        if can(Operation::Promote) != can(Operation::Discard) {
            return broken("lists one of `promote` and `discard` without the other");
        }
        Ok(Self {
            name,
            version,
            operations,
        })
    }

    pub(super) fn can(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.can(Operation::Put) && self.can(Operation::Delete)
    }

    /// Returns the words of what it can do.
    pub(super) fn operations(&self) -> String {
        let words: Vec<_> = self.operations.iter().map(|one| one.as_str()).collect();
        words.join(", ")
    }
}
