//! One batch: directories are opened once, documents are read once, one generation answers.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cap_std::fs::{Dir, MetadataExt as _};

use super::super::document::MAX_DOCUMENT_BYTES;
use super::Directory;
use crate::backends::files::GENERATION;
use crate::backends::files::failure::{failure, is_absence};
use crate::backends::files::guard::the_directory;
use crate::backends::files::json::Tree;
use crate::backends::files::read::{self, Opened};
use crate::error::{Error, Result};
use crate::name::SecretName;
use crate::secret::Provenance;

/// A directory as this batch sees it: `path` beneath `base`.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) base: Rc<Dir>,
    pub(super) path: PathBuf,
    /// The target of the `..data` link that led here.
    pub(super) generation: Option<Rc<str>>,
}

/// A `..data` link that was followed.
struct Link {
    base: Rc<Dir>,
    path: PathBuf,
    target: PathBuf,
}

/// A JSON document, read once.
pub(super) struct Document {
    pub(super) tree: Tree,
    pub(super) file: Opened,
    pub(super) provenance: Provenance,
}

pub(super) struct Batch<'a> {
    pub(super) directory: &'a Directory,
    folders: HashMap<String, Folder>,
    documents: HashMap<String, Option<Rc<Document>>>,
    links: Vec<Link>,
    /// A generation was gone before it was opened: what was read by way of the links of its keys
    /// may be of several.
    torn: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn open(directory: &'a Directory) -> Result<Self> {
        let mut batch = Self {
            directory,
            folders: HashMap::new(),
            documents: HashMap::new(),
            links: Vec::new(),
            torn: false,
        };
        let base = Rc::new(read::open_root(&directory.path)?);
        let root = Folder {
            base,
            path: PathBuf::new(),
            generation: None,
        };
        let root = batch.enter(root, "")?;
        batch.folders.insert(String::new(), root);
        Ok(batch)
    }

    /// Reports whether what was read may be used: nothing was swapped, or each generation was held
    /// open all the time and `complete` says that nothing was missed for the swap.
    pub(super) fn is_settled(&self, complete: bool) -> bool {
        (complete && !self.torn) || !self.was_swapped()
    }

    /// Reports whether a generation that this batch reads from is no longer the current one.
    fn was_swapped(&self) -> bool {
        self.links
            .iter()
            .any(|link| match link.base.read_link_contents(&link.path) {
                Ok(target) => target != link.target,
                Err(_) => true,
            })
    }

    pub(super) fn shown(&self, path: &str) -> PathBuf {
        self.directory.path.join(path)
    }

    /// Returns the directory at `path` beneath the root.
    pub(super) fn folder(&mut self, path: &str) -> Result<Folder> {
        if let Some(folder) = self.folders.get(path) {
            return Ok(folder.clone());
        }
        let (parent, last) = split(path);
        let mut folder = self.folder(parent)?;
        folder.path.push(last);
        let folder = self.enter(folder, path)?;
        self.folders.insert(path.to_owned(), folder.clone());
        Ok(folder)
    }

    /// Follows the `..data` link of a directory, where it has one, and checks the directory.
    fn enter(&mut self, folder: Folder, shown: &str) -> Result<Folder> {
        let looked = match folder.path.as_os_str().is_empty() {
            true => folder.base.dir_metadata(),
            false => folder.base.metadata(&folder.path),
        };
        if let Ok(metadata) = looked
            && metadata.is_dir()
        {
            let guard = &self.directory.guard;
            let shown = the_directory(&self.shown(shown));
            guard.directory(metadata.mode(), &shown, None)?;
        }
        let path = folder.path.join(GENERATION);
        let target = match folder.base.read_link_contents(&path) {
            Ok(target) => target,
            // No such entry, or no link.
            Err(error) if is_absence(&error) || error.kind() == io::ErrorKind::InvalidInput => {
                return Ok(folder);
            }
            Err(error) => {
                let shown = self.shown(shown).join(GENERATION);
                return Err(failure("look at", &shown.display(), error));
            }
        };
        let opened = folder.base.open_dir(folder.path.join(&target));
        let generation = target.to_string_lossy().into();
        // Noted before it is used, so that a failure is known for what a swap did.
        self.links.push(Link {
            base: Rc::clone(&folder.base),
            path,
            target,
        });
        let base = match opened {
            Ok(base) => Rc::new(base),
            // The names beneath are then absent, or the batch starts again if it was a swap.
            Err(error) if is_absence(&error) => {
                self.torn = true;
                return Ok(folder);
            }
            Err(error) => {
                let shown = self.shown(shown).join(GENERATION);
                return Err(failure("open", &shown.display(), error));
            }
        };
        Ok(Folder {
            base,
            path: PathBuf::new(),
            generation: Some(generation),
        })
    }

    pub(super) fn open_file(&mut self, path: &str) -> Result<Option<(Folder, Opened)>> {
        let (parent, name) = split(path);
        let folder = self.folder(parent)?;
        let opened = read::open(
            &folder.base,
            &folder.path.join(name),
            &self.shown(path).display(),
        )?;
        Ok(opened.map(|opened| (folder, opened)))
    }

    /// Reads the JSON document at `path`, once for the batch.
    pub(super) fn document(
        &mut self,
        path: &str,
        name: &SecretName,
    ) -> Result<Option<Rc<Document>>> {
        if let Some(document) = self.documents.get(path) {
            return Ok(document.clone());
        }
        let shown = self.shown(path);
        let document = match self.open_file(path)? {
            None => None,
            Some((_, mut file)) => {
                let guard = &self.directory.guard;
                let provenance = guard.file(&file, &shown.display(), Some(name))?;
                let text = file.read(MAX_DOCUMENT_BYTES, &shown.display())?;
                let tree = Tree::parse(text).map_err(|fault| fault.in_file(&shown))?;
                Some(Rc::new(Document {
                    tree,
                    file,
                    provenance,
                }))
            }
        };
        self.documents.insert(path.to_owned(), document.clone());
        Ok(document)
    }
}

/// Splits a path into its directory and its last part.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// An error of the file system on something inside the root.
pub(super) fn io_failure<'a>(
    doing: &'a str,
    shown: &'a Path,
) -> impl Fn(io::Error) -> Error + use<'a> {
    move |error| failure(doing, &shown.display(), error)
}
