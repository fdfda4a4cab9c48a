//! The files of a tree, looked at on all cores.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{DirEntry, WalkBuilder, WalkState};
use rustix::fs::OFlags;
use rustix::io::Errno;
use strongroom::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::content::Examiner;
use super::finding::{Finding, Place};
use super::git::Git;
use super::gitignore::{Ignored, goes_into_image};
use super::looked::{Looked, Reason};
use super::secret_files;
use crate::context::Context;
use crate::files;

/// What is looked at in a tree.
pub(super) struct Tree<'a> {
    pub(super) examiner: &'a Examiner,
    pub(super) with_ignored: bool,
    /// The most bytes of one file.
    pub(super) most: usize,
}

/// What the walk notes on its way, where it passes something by.
#[derive(Default)]
struct Passed {
    ignored: u64,
    /// Ignored files whose names are those of secrets.
    candidates: Vec<PathBuf>,
}

impl Tree<'_> {
    /// Looks at everything below a path.
    pub(super) fn look(
        &self,
        root: &Path,
        context: &Context<'_>,
        done: &(dyn Fn() + Sync),
    ) -> Result<Looked> {
        let here = context.env.working_dir();
        let root = here.join(root);
        let root = std::fs::canonicalize(&root).map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("can't scan {}", self.examiner.shown(&root)),
            )
            .with_help("name a folder or a file that is there")
            .with_source(error)
        })?;
        let here = std::fs::canonicalize(here).unwrap_or_else(|_| here.to_owned());
        let mut looked = Looked::default();
        let tracked = tracked_though_ignored(context, &root, &mut looked);
        let ignored = Arc::new(Ignored::new(tracked));
        let top = if root.is_dir() {
            root.as_path()
        } else {
            root.parent().unwrap_or(&root)
        };
        ignored.enter_root(top);
        let passed = Arc::new(Mutex::new(Passed::default()));
        let walk = self.walk(&root, &ignored, &passed);
        let looked = Mutex::new(looked);
        walk.build_parallel().run(|| {
            let mut buffer = Zeroizing::new(Vec::new());
            let (looked, here) = (&looked, &here);
            Box::new(move |entry| {
                match entry {
                    Ok(entry) => self.entry(&entry, here, &mut buffer, looked),
                    Err(error) => {
                        let kind = error
                            .io_error()
                            .map_or(io::ErrorKind::Other, io::Error::kind);
                        let path = failed_path(&error).unwrap_or(Path::new("?"));
                        let path = self.examiner.shown(relative(path, here));
                        lock(looked).skip(path, Reason::of(kind));
                    }
                }
                done();
                WalkState::Continue
            })
        });
        let mut looked = looked.into_inner().unwrap_or_else(PoisonError::into_inner);
        let passed = std::mem::take(&mut *lock(&passed));
        looked.ignored = passed.ignored;
        self.judge_ignored(&passed.candidates, top, &here, &mut looked);
        Ok(looked)
    }

    fn walk(
        &self,
        root: &Path,
        ignored: &Arc<Ignored>,
        passed: &Arc<Mutex<Passed>>,
    ) -> WalkBuilder {
        let (ignored, passed) = (Arc::clone(ignored), Arc::clone(passed));
        let with_ignored = self.with_ignored;
        let mut walk = WalkBuilder::new(root);
        walk.standard_filters(false).follow_links(false);
        walk.threads(std::thread::available_parallelism().map_or(1, usize::from));
        walk.filter_entry(move |entry| {
            let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
            if entry.file_name() == ".git" {
                return false;
            }
            if !ignored.is_ignored(entry.path(), is_dir) {
                return true;
            }
            let is_looked_at = with_ignored || (is_dir && ignored.has_tracked(entry.path()));
            let mut passed = lock(&passed);
            if !is_looked_at {
                passed.ignored = passed.ignored.saturating_add(1);
            }
            if !is_dir && secret_files::may_be_secret(&entry.file_name().to_string_lossy()) {
                passed.candidates.push(entry.path().to_owned());
            }
            is_looked_at
        });
        walk
    }

    fn entry(
        &self,
        entry: &DirEntry,
        here: &Path,
        buffer: &mut Zeroizing<Vec<u8>>,
        looked: &Mutex<Looked>,
    ) {
        let Some(kind) = entry.file_type() else {
            return;
        };
        if kind.is_dir() {
            return;
        }
        let path = relative(entry.path(), here);
        let outcome = if kind.is_symlink() {
            Err(Reason::Link)
        } else if kind.is_file() {
            read(entry.path(), self.most, buffer)
        } else {
            Err(Reason::Special)
        };
        match outcome {
            Ok(()) => {
                let examined = self.examiner.examine(path, &Place::Tree, buffer);
                let mut looked = lock(looked);
                looked.files = looked.files.saturating_add(1);
                looked.add(examined, buffer.len());
            }
            Err(reason) => {
                let path = self.examiner.shown(path);
                lock(looked).skip(path, reason);
            }
        }
    }

    /// What git ignores is no secret that ships, unless an image is built here that would hold it.
    fn judge_ignored(&self, candidates: &[PathBuf], top: &Path, here: &Path, looked: &mut Looked) {
        let mut buffer = Zeroizing::new(Vec::new());
        for path in candidates {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let shown = self.examiner.shown(relative(path, here));
            let is_its =
                |finding: &Finding| finding.path == shown && finding.rule == secret_files::RULE;
            looked.findings.retain(|finding| !is_its(finding));
            let contexts = path
                .ancestors()
                .skip(1)
                .take_while(|dir| dir.starts_with(top));
            let mut contexts = contexts.filter(|context| goes_into_image(context, path));
            let is_secret = contexts.next().is_some()
                && read(path, self.most, &mut buffer).is_ok()
                && secret_files::is_secret(&name, &buffer);
            if is_secret {
                let tag = self.examiner.tagger().tag(secret_files::IN_IMAGE, b"");
                looked.findings.push(Finding {
                    path: shown,
                    place: Place::Tree,
                    line: 0,
                    column: 0,
                    rule: secret_files::IN_IMAGE,
                    secret: None,
                    form: None,
                    tag,
                });
            }
        }
    }
}

/// Lists what git tracks although a rule ignores it: it ships, so it is looked at.
fn tracked_though_ignored(context: &Context<'_>, root: &Path, looked: &mut Looked) -> Vec<PathBuf> {
    let listed = Git::of(&context.env, root).and_then(|git| {
        let Some(git) = git else {
            return Ok(Vec::new());
        };
        let list = [
            "ls-files",
            "-z",
            "--cached",
            "--ignored",
            // Neither the user's settings nor the repository's name another file to read.
            "--exclude-per-directory=.gitignore",
        ];
        let names = git.ask(&list)?;
        let names = names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        Ok(names.map(|name| git.dir().join(as_path(name))).collect())
    });
    listed.unwrap_or_else(|error| {
        looked.notes.push(format!(
            "{error}: a file that git tracks although .gitignore names it was not looked at"
        ));
        Vec::new()
    })
}

fn as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// Reads a file as a whole. What is no file, a link among it, is not opened up.
fn read(path: &Path, most: usize, buffer: &mut Zeroizing<Vec<u8>>) -> Result<(), Reason> {
    buffer.clear();
    let file = files::open(path, OFlags::RDONLY | OFlags::NOFOLLOW);
    let (file, size) = file.map_err(|error| match Errno::from_io_error(&error) {
        None => Reason::Special,
        Some(Errno::LOOP) => Reason::Link,
        Some(_) => Reason::of(error.kind()),
    })?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > most {
        return Err(Reason::TooLarge);
    }
    fill(file, size, buffer).map_err(|error| Reason::of(error.kind()))
}

/// Fills the buffer, which moves only when it is empty: nothing is left behind.
fn fill(file: File, size: usize, buffer: &mut Zeroizing<Vec<u8>>) -> io::Result<()> {
    let needed = size.saturating_add(1);
    if buffer.capacity() < needed {
        *buffer = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
    }
    // A file that grows meanwhile is read as far as it was when it was opened.
    file.take(u64::try_from(needed).unwrap_or(u64::MAX))
        .read_to_end(buffer)?;
    Ok(())
}

fn relative<'p>(path: &'p Path, here: &Path) -> &'p Path {
    path.strip_prefix(here).unwrap_or(path)
}

fn failed_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            failed_path(err)
        }
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
