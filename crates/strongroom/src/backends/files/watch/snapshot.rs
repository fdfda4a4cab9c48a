//! How the watched files are at one moment, told by their stamps.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::Subject;
use super::places::{Link, Places, is_hidden};
use crate::backends::files::GENERATION;
use crate::backends::files::stamp::Stamp;

/// How deep directories are looked at, and how many entries in all.
const MAX_DEPTH: usize = 16;
const MAX_ENTRIES: usize = 10_000;

/// The files that are there, by the paths that their backend asks for.
pub(super) type Files = BTreeMap<PathBuf, Mark>;

/// One file, and the way to it. While the mark stays the same, so does the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) links: Vec<Link>,
    /// Its path without links.
    pub(super) real: PathBuf,
    stamp: Stamp,
}

#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) files: Files,
    pub(super) places: Places,
    /// Some of it can't be listed, or is too much.
    pub(super) incomplete: bool,
    seen: usize,
}

/// A directory that is being looked at.
struct Folder<'a> {
    root: &'a Path,
    real: PathBuf,
    shown: PathBuf,
    links: Vec<Link>,
    depth: usize,
}

impl Snapshot {
    pub(super) fn take(subjects: &[Subject]) -> Self {
        let mut snapshot = Self::default();
        for subject in subjects {
            match subject {
                Subject::Directory(path) => snapshot.directory(path),
                Subject::Document(path) => snapshot.document(path),
                Subject::Anywhere(path) => {
                    let trail = snapshot.places.follow(Path::new("/"), None, path);
                    snapshot.file(path.clone(), trail.links, trail.end);
                }
            }
        }
        snapshot
    }

    fn file(&mut self, shown: PathBuf, links: Vec<Link>, end: Option<(PathBuf, Metadata)>) {
        if let Some((real, metadata)) = end
            && !metadata.is_dir()
        {
            self.places.files.insert(real.clone());
            let stamp = Stamp::of(&metadata);
            self.files.insert(shown, Mark { links, real, stamp });
        }
    }

    /// The path of a directory by the operator's word, without links, with those that led there.
    fn root(&mut self, path: &Path) -> Option<(PathBuf, Vec<Link>)> {
        let trail = self.places.follow(Path::new("/"), None, path);
        let (real, _) = trail.end.filter(|(_, metadata)| metadata.is_dir())?;
        Some((real, trail.links))
    }

    fn document(&mut self, path: &Path) {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return;
        };
        let Some((root, mut links)) = self.root(dir) else {
            return;
        };
        let trail = self.places.follow(&root, Some(&root), Path::new(name));
        links.extend(trail.links);
        self.file(path.to_owned(), links, trail.end);
    }

    fn directory(&mut self, path: &Path) {
        let Some((root, links)) = self.root(path) else {
            return;
        };
        self.folder(Folder {
            root: &root,
            real: root.clone(),
            shown: path.to_owned(),
            links,
            depth: 0,
        });
    }

    fn folder(&mut self, mut folder: Folder<'_>) {
        self.watch_entries(&folder.real);
        let generation = folder.real.join(GENERATION);
        if generation.is_symlink() {
            let (root, name) = (Some(folder.root), Path::new(GENERATION));
            let trail = self.places.follow(&folder.real, root, name);
            if let Some((real, metadata)) = trail.end
                && metadata.is_dir()
            {
                self.watch_entries(&real);
                folder.real = real;
                folder.links.extend(trail.links);
            }
        }
        let entries = match std::fs::read_dir(&folder.real) {
            Ok(entries) => entries,
            Err(error) => {
                self.incomplete |= error.kind() == std::io::ErrorKind::PermissionDenied;
                return;
            }
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if is_hidden(&name) {
                continue;
            }
            self.seen = self.seen.saturating_add(1);
            if self.seen > MAX_ENTRIES {
                self.incomplete = true;
                return;
            }
            self.entry(&folder, &name);
        }
    }

    fn watch_entries(&mut self, real: &Path) {
        let interest = self.places.directories.entry(real.to_owned());
        let interest = interest.or_default();
        (interest.secrets, interest.needed) = (true, true);
        interest.names.insert(GENERATION.into());
    }

    fn entry(&mut self, folder: &Folder<'_>, name: &OsStr) {
        let (at, mut links) = (folder.real.join(name), folder.links.clone());
        let end = match std::fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_symlink() => {
                let (root, name) = (Some(folder.root), Path::new(name));
                let trail = self.places.follow(&folder.real, root, name);
                links.extend(trail.links);
                trail.end
            }
            Ok(metadata) => Some((at, metadata)),
            Err(_) => None,
        };
        let shown = folder.shown.join(name);
        match end {
            Some((_, metadata)) if metadata.is_dir() && folder.depth >= MAX_DEPTH => {
                self.incomplete = true;
            }
            Some((real, metadata)) if metadata.is_dir() => self.folder(Folder {
                root: folder.root,
                real,
                shown,
                links,
                depth: folder.depth.saturating_add(1),
            }),
            end => self.file(shown, links, end),
        }
    }
}
