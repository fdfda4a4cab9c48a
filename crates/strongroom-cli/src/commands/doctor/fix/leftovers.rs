//! Files that a crash left behind while they were written: they may hold values.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, open, statat, unlinkat};

use super::{Fix, Places};

/// The age from which nobody is writing it any more.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

pub(super) fn fix(places: &Places, dry_run: bool) -> Vec<Fix> {
    let all = places.guarded.iter().chain(&places.plain);
    let mut dirs: Vec<PathBuf> = Vec::new();
    for path in all {
        let dir = match path.is_dir() {
            true => Some(path.as_path()),
            false => path.parent(),
        };
        dirs.extend(dir.map(Path::to_owned));
    }
    dirs.sort();
    dirs.dedup();
    dirs.iter().flat_map(|dir| beneath(dir, dry_run)).collect()
}

fn beneath(dir: &Path, dry_run: bool) -> Vec<Fix> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_ours));
    let mut names: Vec<_> = named.map(|entry| entry.file_name()).collect();
    names.sort();
    let fix = |name: std::ffi::OsString| {
        let path = dir.join(&name);
        let action = "left behind by a crash, is removed".to_owned();
        is_abandoned(dir, &name).then(|| {
            Fix::of(&path, action, dry_run, || match remove(dir, &name) {
                Ok(()) => Ok(()),
                Err(error) => Err(error.to_string()),
            })
        })
    };
    names.into_iter().filter_map(fix).collect()
}

/// The names that writers of the library and of `git-merge` give to what they write.
fn is_ours(name: &str) -> bool {
    let random = name
        .strip_prefix(".strongroom-")
        .and_then(|name| name.strip_suffix(".tmp"));
    let hex = |text: &str| text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    random.is_some_and(hex) || name.ends_with(".sealed.merged")
}

/// Reports whether it is a file of ours that nobody wrote to for long.
fn is_abandoned(dir: &Path, name: &std::ffi::OsStr) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(dir) = open(dir, flags, Mode::empty()) else {
        return false;
    };
    let Ok(there) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return false;
    };
    let changed = u64::try_from(there.st_mtime).unwrap_or(u64::MAX);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let before = now.unwrap_or_default().saturating_sub(ABANDONED).as_secs();
    FileType::from_raw_mode(there.st_mode) == FileType::RegularFile
        && there.st_uid == rustix::process::geteuid().as_raw()
        && changed < before
}

fn remove(dir: &Path, name: &std::ffi::OsStr) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Beneath the directory itself, where an entry is removed and no link followed.
    unlinkat(open(dir, flags, Mode::empty())?, name, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_writers_give_are_ours() {
        assert!(is_ours(".strongroom-0123456789abcdef.tmp"));
        assert!(is_ours("secrets.sealed.merged"));
        for other in [
            ".strongroom-.tmp",
            ".strongroom-notes-of-mine.tmp",
            ".strongroom.lock",
            "secrets.sealed",
            "a.tmp",
            "notes.merged",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
