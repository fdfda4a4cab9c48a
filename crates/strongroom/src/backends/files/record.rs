//! Records that are kept in a directory of the user's: what was seen, what is trusted.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::{failure, read, write};
use crate::env::is_own;
use crate::error::{Error, ErrorKind, Result};

/// Replaces the record `name` of `directory` by what `change` answers, unless that is nothing. Nobody else
/// changes a record there meanwhile, and a crash leaves the old one or the new one. The directory is made
/// where there is none, for its owner alone.
///
/// # Errors
/// [`ErrorKind::Policy`] if somebody else owns the place, what `change` fails with, and whatever writing
/// fails with.
pub(crate) fn replace_record(
    directory: &Path,
    name: &str,
    change: impl FnOnce() -> Result<Option<String>>,
) -> Result<()> {
    // In a home that somebody else owns, links could lead what is written anywhere.
    let there = directory
        .ancestors()
        .find_map(|above| Some((above, above.metadata().ok()?)));
    if let Some((above, metadata)) = there
        && !is_own(&metadata)
    {
        return Err(foreign(above));
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(directory)
        .map_err(|error| failure::failure("create", &directory.display(), error))?;
    let root = read::open_root(directory)?;
    let _lock =
        write::lock(&root).map_err(|error| failure::lock_failure(&directory.display(), error))?;
    let Some(text) = change()? else {
        return Ok(());
    };
    write::replace(&root, name, text.as_bytes(), None)
        .map_err(|error| failure::failure("write", &directory.join(name).display(), error))?;
    Ok(())
}

/// The error where a record, or the place for it, belongs to another user.
pub(crate) fn foreign(path: &Path) -> Error {
    let message = format!("{} belongs to another user", path.display());
    Error::new(ErrorKind::Policy, message)
        .with_help("under sudo, set HOME to that user's; else look at what it is, and chown it")
}
