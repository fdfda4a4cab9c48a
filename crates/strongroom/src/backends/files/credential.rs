//! Files that hold a credential of ours: a token, a password, a private key.

use std::path::Path;

use zeroize::Zeroizing;

use super::guard::{Guard, the_directory};
use super::read;
use crate::backends::Connect;
use crate::error::Result;

/// The most bytes that such a file may have.
pub(in crate::backends) const MAX_BYTES: usize = 64 * 1024;

/// Reads a credential's file; `None` if there is none. Who else can read it is checked first.
pub(in crate::backends) fn read(
    connect: &Connect,
    path: &Path,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let shown = path.display();
    // It may be linked to from anywhere, as platforms do it.
    let Some((real, mut opened)) = read::open_path(path, &shown)? else {
        return Ok(None);
    };
    let dir = real.parent().unwrap_or(&real);
    let guard = Guard::new(&connect.env, &connect.rails, dir);
    guard.key_file(&opened, &shown)?;
    guard.directory_and_parent(dir, the_directory, None)?;
    opened.read(MAX_BYTES, &shown).map(Some)
}
