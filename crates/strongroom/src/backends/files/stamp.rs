//! Whether a file is still the same one, unchanged.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Which file it was, and when it was last changed: the same stamp, the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends) struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(in crate::backends) fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
