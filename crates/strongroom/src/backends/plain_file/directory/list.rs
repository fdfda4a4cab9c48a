//! Which names a directory holds.

use std::collections::BTreeSet;

use cap_std::fs::Metadata;

use super::batch::{Batch, io_failure};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;

/// How deep directories may be nested.
const MAX_DEPTH: usize = 16;
/// How many entries are looked at.
const MAX_ENTRIES: usize = 10_000;

pub(super) fn names(batch: &mut Batch<'_>) -> Result<BTreeSet<SecretName>> {
    let mut names = BTreeSet::new();
    let mut seen = 0_usize;
    let mut pending = vec![(String::new(), 0_usize)];
    while let Some((path, depth)) = pending.pop() {
        for (entry, metadata) in entries(batch, &path)? {
            seen = seen.saturating_add(1);
            if seen > MAX_ENTRIES {
                return Err(too_much(batch, &format!("more than {MAX_ENTRIES} entries")));
            }
            let entry = match path.as_str() {
                "" => entry,
                path => format!("{path}/{entry}"),
            };
            if metadata.is_dir() {
                if depth >= MAX_DEPTH {
                    let what = format!("directories nested more than {MAX_DEPTH} deep");
                    return Err(too_much(batch, &what));
                }
                pending.push((entry, depth.saturating_add(1)));
            } else if metadata.is_file() {
                // What is not spelled like a name can't be asked for by name.
                names.extend(SecretName::parse(without_suffix(&entry)).ok());
            }
        }
    }
    Ok(names)
}

/// A document is listed as the path that its fields share.
pub(super) fn without_suffix(path: &str) -> &str {
    path.strip_suffix(".json").unwrap_or(path)
}

/// The entries of one directory that are not hidden, symbolic links followed inside the root.
fn entries(batch: &mut Batch<'_>, path: &str) -> Result<Vec<(String, Metadata)>> {
    let folder = batch.folder(path)?;
    let shown = batch.shown(path);
    let at = match folder.path.as_os_str().is_empty() {
        true => ".".as_ref(),
        false => folder.path.as_path(),
    };
    let mut found = Vec::new();
    for entry in folder
        .base
        .read_dir(at)
        .map_err(io_failure("list", &shown))?
    {
        let entry = entry.map_err(io_failure("list", &shown))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        // A link that leads out of the root, or nowhere, is refused where it is read.
        if let Ok(metadata) = folder.base.metadata(folder.path.join(&name)) {
            found.push((name, metadata));
        }
        // One more than may be listed is enough to refuse it.
        if found.len() > MAX_ENTRIES {
            break;
        }
    }
    Ok(found)
}

fn too_much(batch: &Batch<'_>, what: &str) -> Error {
    let path = batch.shown("");
    let message = format!("{} holds {what}, too much to list", path.display());
    Error::new(ErrorKind::Unsupported, message)
        .with_help("point the address at a directory that holds secrets only")
}
