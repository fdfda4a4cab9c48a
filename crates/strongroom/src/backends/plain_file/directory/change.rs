//! Writing and deleting in a directory.

use std::path::Path;

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use zeroize::Zeroizing;

use super::super::document::MAX_DOCUMENT_BYTES;
use super::super::spelling;
use super::Directory;
use super::batch::{Batch, io_failure, split};
use super::lookup::{Content, Located, missing};
use crate::backends::files::expected::check_expected;
use crate::backends::files::failure::{failure, is_absence, lock_failure, too_large};
use crate::backends::files::json::{self, Tree};
use crate::backends::files::write::{self, Lock};
use crate::backends::files::{is_kubernetes_volume, read, value};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Expect, Put, Target};
use crate::secret::{Secret, Version};

impl Directory {
    /// Writes one secret: over the file that holds it, or as a new nested file.
    pub(in super::super) fn put(&self, put: &Put) -> Result<Version> {
        // EXPOSES: only its length is looked at
        value::check_size(put.value.expose_bytes(), &self.path.display())?;
        self.check()?;
        let root = read::open_root(&self.path)?;
        let _lock = self.lock(&root)?;
        let mut batch = Batch::open(self)?;
        let located = batch.locate(&put.target)?;
        let found = located.as_ref().map(Located::version);
        check_expected(&put.expect, found.as_ref())?;
        let (path, field) = match &located {
            Some(located) => {
                let spelling = located.spelling.clone();
                (spelling.path, spelling.field)
            }
            None => new_place(&put.target)?,
        };
        let content = match &field {
            // EXPOSES: to the content of its file, which is wiped once it is written
            None => value::content(put.value.expose_bytes()),
            Some(field) => {
                let document = batch.document(&path, &put.target.name)?;
                let tree = document.as_ref().map(|document| &document.tree);
                with_field(&batch.shown(&path), tree, field, Some(&put.value))?.unwrap_or_default()
            }
        };
        self.write(&mut batch, &root, &path, &content)
    }

    /// Deletes one secret, and the directories that are empty without it.
    pub(in super::super) fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let root = read::open_root(&self.path)?;
        let _lock = self.lock(&root)?;
        let mut batch = Batch::open(self)?;
        let Some(located) = batch.locate(target)? else {
            return Err(missing(&self.path, target));
        };
        check_expected(expect, Some(&located.version()))?;
        let path = located.spelling.path.clone();
        if let (Content::Field(document), Some(field)) = (&located.content, &located.spelling.field)
        {
            let rest = with_field(&batch.shown(&path), Some(&document.tree), field, None)?;
            if let Some(rest) = rest {
                return self.write(&mut batch, &root, &path, &rest).map(drop);
            }
        }
        let shown = self.path.join(&path);
        let (parent, name) = split(&path);
        let dir = self.parent(&mut batch, &root, &path)?;
        write::remove(&dir, name).map_err(io_failure("delete", &shown))?;
        let mut parent = parent;
        // Stops at the first that still holds something.
        while !parent.is_empty() && root.remove_dir(parent).is_ok() {
            (parent, _) = split(parent);
        }
        Ok(())
    }

    fn lock(&self, root: &Dir) -> Result<Lock> {
        if is_kubernetes_volume(&self.path) {
            return Err(read_only(&self.path));
        }
        write::lock(root).map_err(|error| lock_failure(&self.path.display(), error))
    }

    fn write(
        &self,
        batch: &mut Batch<'_>,
        root: &Dir,
        path: &str,
        content: &[u8],
    ) -> Result<Version> {
        let shown = self.path.join(path);
        let (_, name) = split(path);
        let dir = self.parent(batch, root, path)?;
        let old = read::open(&dir, Path::new(name), &shown.display())?;
        let old = old.as_ref().map(|old| &old.metadata);
        let written = write::replace(&dir, name, content, old);
        let metadata = written.map_err(io_failure("write", &shown))?;
        Ok(read::version(&metadata, None))
    }

    /// Opens the directory that holds `path`, making it where it is missing.
    fn parent(&self, batch: &mut Batch<'_>, root: &Dir, path: &str) -> Result<Dir> {
        let shown = self.path.join(path);
        let (parent, name) = split(path);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        if !parent.is_empty() {
            root.create_dir_with(parent, &builder)
                .map_err(|error| beneath_a_file(&shown, error))?;
        }
        if batch.folder(parent)?.generation.is_some() {
            return Err(read_only(&shown));
        }
        let dir = match parent {
            "" => root.try_clone(),
            parent => root.open_dir(parent),
        };
        let dir = dir.map_err(io_failure("open", &shown))?;
        match dir.symlink_metadata(name) {
            Ok(metadata) if metadata.is_symlink() => Err(read_only(&shown)),
            Err(error) if !is_absence(&error) => Err(failure("look at", &shown.display(), error)),
            _ => Ok(dir),
        }
    }
}

/// A document with one field changed, if it can still be read afterwards.
fn with_field(
    shown: &Path,
    tree: Option<&Tree>,
    field: &str,
    value: Option<&Secret>,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let changed = json::with_field(tree, field, value).map_err(|fault| fault.in_file(shown))?;
    match &changed {
        Some(text) if text.len() > MAX_DOCUMENT_BYTES => {
            Err(too_large(&shown.display(), MAX_DOCUMENT_BYTES))
        }
        _ => Ok(changed),
    }
}

/// The file that a new secret gets: nested, or its field in a new document.
fn new_place(target: &Target) -> Result<(String, Option<String>)> {
    let place = spelling::files(target)?.into_iter().next();
    place
        .map(|place| (place.path, place.field))
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "the name has no file"))
}

fn read_only(path: &Path) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{} is behind a symbolic link, as in a mount of Kubernetes, and can't be written",
            path.display()
        ),
    )
    .with_help("change the secret where the mount comes from, or write to the link's target")
}

fn beneath_a_file(path: &Path, error: std::io::Error) -> Error {
    if matches!(
        error.kind(),
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists
    ) {
        return Error::new(
            ErrorKind::Unsupported,
            format!(
                "{} can't be created: a file stands in its way",
                path.display()
            ),
        )
        .with_help("a file can't hold further secrets; rename one of the two");
    }
    failure("create the directory of", &path.display(), error)
}
