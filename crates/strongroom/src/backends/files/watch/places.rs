//! Following a path link by link, and noting where a change of it would show.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};

/// How many links one path may lead through.
const MAX_LINKS: usize = 40;

/// The directories in which changes show, and the files themselves.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) directories: BTreeMap<PathBuf, Interest>,
    /// A file that is mounted by itself, or that has two names, changes without its directory.
    pub(super) files: BTreeSet<PathBuf>,
}

/// Which entries of a directory matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) names: BTreeSet<OsString>,
    /// Every entry may hold a secret that isn't hidden.
    pub(super) secrets: bool,
    /// Files and links are here, not only directories on the way to them.
    pub(super) needed: bool,
}

impl Interest {
    pub(super) fn concerns(&self, name: &OsStr) -> bool {
        self.names.contains(name) || (self.secrets && !is_hidden(name))
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.secrets |= other.secrets;
        self.needed |= other.needed;
    }
}

/// Entries that begin with a dot are no secrets.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// A symbolic link, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) at: PathBuf,
    pub(super) target: PathBuf,
}

/// Where a path led.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) links: Vec<Link>,
    /// What is at its end, by a path without links. `None` if nothing is there, or if the backend
    /// would not follow it.
    pub(super) end: Option<(PathBuf, Metadata)>,
}

enum Step {
    Root,
    Up,
    Down(OsString),
}

impl Places {
    fn note(&mut self, dir: &Path, name: &OsStr, needed: bool) {
        let interest = self.directories.entry(dir.to_owned()).or_default();
        interest.names.insert(name.to_owned());
        interest.needed |= needed;
    }

    /// Follows `path` from the directory `start`, which has no links in its own path. Nothing
    /// outside `root`, where there is one, is looked at.
    pub(super) fn follow(&mut self, start: &Path, root: Option<&Path>, path: &Path) -> Trail {
        let mut links = Vec::new();
        let end = self.walk(start, root, path, &mut links);
        Trail { links, end }
    }

    fn walk(
        &mut self,
        start: &Path,
        root: Option<&Path>,
        path: &Path,
        links: &mut Vec<Link>,
    ) -> Option<(PathBuf, Metadata)> {
        let mut at = start.to_owned();
        let mut ahead: Vec<Step> = steps(path).collect();
        while let Some(step) = ahead.pop() {
            let name = match step {
                Step::Root if root.is_some() => return None,
                Step::Root => {
                    at = PathBuf::from("/");
                    continue;
                }
                Step::Up if root == Some(at.as_path()) => return None,
                Step::Up => {
                    at.pop();
                    continue;
                }
                Step::Down(name) => name,
            };
            let here = at.join(&name);
            let found = std::fs::symlink_metadata(&here).ok();
            let is_directory = found.as_ref().is_some_and(Metadata::is_dir);
            self.note(&at, &name, !is_directory);
            let found = found?;
            if is_directory {
                at = here;
            } else if found.is_symlink() {
                let target = std::fs::read_link(&here).ok()?;
                ahead.extend(steps(&target));
                links.push(Link { at: here, target });
                if links.len() > MAX_LINKS {
                    return None;
                }
            } else {
                return ahead.is_empty().then_some((here, found));
            }
        }
        let metadata = std::fs::symlink_metadata(&at).ok()?;
        Some((at, metadata))
    }
}

/// The steps of a path, the last one first.
fn steps(path: &Path) -> impl Iterator<Item = Step> {
    path.components().rev().filter_map(|part| match part {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}
