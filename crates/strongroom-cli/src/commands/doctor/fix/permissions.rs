//! Permissions that let others read a secret, or write what strongroom trusts.

use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::{Fix, Places};

/// How deep, and to how many entries, a directory of values is looked through.
const DEEPEST: usize = 8;
const MOST: usize = 10_000;

const OTHERS: u32 = 0o077;
const WORLD: u32 = 0o007;
const WRITERS: u32 = 0o022;

pub(super) fn fix(places: &Places, dry_run: bool) -> Vec<Fix> {
    let mut secret = Vec::new();
    for path in &places.secret {
        beneath(path, &places.working_dir, DEEPEST, &mut secret);
    }
    let secret = secret.iter().map(|path| (path, OTHERS));
    let guarded = places.guarded.iter().map(|path| (path, WRITERS));
    let mut fixes: Vec<Fix> = Vec::new();
    for (path, forbidden) in secret.chain(guarded) {
        if !fixes.iter().any(|known| known.path == *path) {
            fixes.extend(one(path, forbidden, dry_run));
        }
    }
    fixes
}

/// Adds a file, or a directory with all that is in it; no link is followed on the way.
fn beneath(path: &Path, working_dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    // Devices and descriptors are no files to mend.
    if path.starts_with("/dev") || path.starts_with("/proc") || found.len() >= MOST {
        return;
    }
    let is_dir = path.symlink_metadata().is_ok_and(|there| there.is_dir());
    // A folder in which everything else is, too, is no directory of secrets.
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if is_dir && real(working_dir).starts_with(real(path)) {
        return;
    }
    found.push(path.to_owned());
    if !is_dir || depth == 0 {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden {
            beneath(&entry.path(), working_dir, depth.saturating_sub(1), found);
        }
    }
}

fn one(path: &Path, forbidden: u32, dry_run: bool) -> Option<Fix> {
    let there = fs::metadata(path).ok()?;
    if !there.is_file() && !there.is_dir() {
        return None;
    }
    let mode = there.mode() & 0o7777;
    if mode & forbidden == 0 {
        return None;
    }
    let wanted = mode & !forbidden;
    let action = format!("mode {mode:04o} becomes {wanted:04o}");
    let opened = open(path);
    let (file, opened) = match opened.map_err(|error| why(path, &error)) {
        Ok(opened) => opened,
        Err(why) => return Some(Fix::left(path, action, why)),
    };
    match narrowed(&opened, forbidden) {
        Ok(Some(wanted)) => {
            let mode = opened.mode() & 0o7777;
            let action = format!("mode {mode:04o} becomes {wanted:04o}");
            // By the descriptor that was looked at: what the path leads to can change.
            Some(Fix::of(path, action, dry_run, || {
                file.set_permissions(Permissions::from_mode(wanted))
                    .map_err(|error| error.to_string())
            }))
        }
        Ok(None) => None,
        Err(why) => Some(Fix::left(path, action, why)),
    }
}

/// Opens a file or directory that no link leads to; a FIFO in its place doesn't hold it up.
fn open(path: &Path) -> std::io::Result<(File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?;
    let file = File::from(file);
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

fn why(path: &Path, error: &std::io::Error) -> String {
    match path.symlink_metadata() {
        Ok(there) if there.is_symlink() => {
            "it is a symbolic link: look at what it leads to".to_owned()
        }
        _ => format!("it can't be opened: {error}"),
    }
}

/// Returns the mode that it should have, or why it isn't ours to change; `None` where it has it.
fn narrowed(there: &Metadata, forbidden: u32) -> Result<Option<u32>, String> {
    if !there.is_file() && !there.is_dir() {
        return Err("it is neither a file nor a directory".to_owned());
    }
    if there.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user".to_owned());
    }
    if there.is_file() && there.nlink() > 1 {
        return Err(
            "it has several names (hard links), of which one may be meant for others".to_owned(),
        );
    }
    // Whoever gave it to another group than ours meant that group to read it.
    let foreign_group = there.gid() != rustix::process::getegid().as_raw();
    let forbidden = match forbidden == OTHERS && foreign_group {
        true => WORLD,
        false => forbidden,
    };
    let mode = there.mode() & 0o7777;
    let wanted = mode & !forbidden;
    Ok((wanted != mode).then_some(wanted))
}
