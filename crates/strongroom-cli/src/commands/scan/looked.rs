//! What was looked at, what was found there, and what was left out.

use std::io;

use strongroom::ErrorKind;

use super::content::Examined;
use super::finding::Finding;

/// What was looked at, and what came of it.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    pub(super) files: u64,
    /// Objects of the history.
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) allowed: usize,
    /// How many files and folders `.gitignore` named.
    pub(super) ignored: u64,
    pub(super) skipped: Vec<Skipped>,
    /// What was left out as a whole, as a sentence for people.
    pub(super) notes: Vec<String>,
}

/// What was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Skipped {
    pub(super) reason: Reason,
    pub(super) path: String,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    TooLarge,
    Link,
    /// A pipe, a socket, a device.
    Special,
    /// It may not be read.
    Denied,
    /// It can't be read.
    Unreadable,
    /// An object that the repository doesn't have.
    Missing,
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Link => "link",
            Self::Special => "special",
            Self::Denied => "denied",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
        }
    }

    /// Says it of so many.
    pub(super) fn describe(self, count: usize) -> String {
        let (one, many) = match self {
            Self::TooLarge => (
                "file too large (--max-size)",
                "files too large (--max-size)",
            ),
            Self::Link => ("symbolic link", "symbolic links"),
            Self::Special => ("pipe, socket or device", "pipes, sockets or devices"),
            Self::Denied => ("file that may not be read", "files that may not be read"),
            Self::Unreadable => ("file that can't be read", "files that can't be read"),
            Self::Missing => (
                "object that the repository lacks",
                "objects that the repository lacks",
            ),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }

    /// The kind of error, where the scan could not judge for this reason.
    pub(super) fn inconclusive(self) -> Option<ErrorKind> {
        match self {
            Self::TooLarge | Self::Link | Self::Special => None,
            Self::Denied => Some(ErrorKind::Denied),
            Self::Unreadable | Self::Missing => Some(ErrorKind::Transient),
        }
    }

    pub(super) fn of(error: io::ErrorKind) -> Self {
        match error {
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Unreadable,
        }
    }
}

impl Looked {
    pub(super) fn add(&mut self, examined: Examined, bytes: usize) {
        self.findings.extend(examined.findings);
        self.allowed = self.allowed.saturating_add(examined.allowed);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn skip(&mut self, path: String, reason: Reason) {
        self.skipped.push(Skipped { reason, path });
    }

    /// Says why the scan could not judge, if it could not.
    pub(super) fn inconclusive(&self) -> Option<ErrorKind> {
        let reasons = self.skipped.iter();
        reasons
            .filter_map(|skipped| skipped.reason.inconclusive())
            .next()
    }

    /// Joins what another part of the scan came to.
    pub(super) fn join(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.files = self.files.saturating_add(other.files);
        self.objects = self.objects.saturating_add(other.objects);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.allowed = self.allowed.saturating_add(other.allowed);
        self.ignored = self.ignored.saturating_add(other.ignored);
        self.skipped.extend(other.skipped);
        self.notes.extend(other.notes);
    }
}
