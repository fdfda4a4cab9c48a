//! One batch: directories are opened once, documents are read once, one generation answers.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cap_std::fs::{Dir, MetadataExt as _};

use super::super::document::json::Tree;
use super::super::document::{self, MAX_DOCUMENT_BYTES};
use super::super::read::{self, Opened};
use super::super::spelling::{self, FileSpelling};
use super::super::{absent, stages};
use super::Directory;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Reply, Request, Stage, Target};
use crate::report::Finding;
use crate::secret::{MAX_VALUE_BYTES, Metadata, Provenance, Secret, Version};

/// Kubernetes' link to the directory that holds the current generation.
pub(super) const GENERATION: &str = "..data";

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
    provenance: Provenance,
}

/// Where a secret was found.
pub(super) struct Located {
    pub(super) spelling: FileSpelling,
    pub(super) folder: Folder,
    pub(super) content: Content,
}

pub(super) enum Content {
    File(Opened),
    Field(Rc<Document>),
}

impl Located {
    pub(super) fn file(&self) -> &Opened {
        match &self.content {
            Content::File(file) => file,
            Content::Field(document) => &document.file,
        }
    }

    pub(super) fn version(&self) -> Version {
        read::version(&self.file().metadata, self.folder.generation.as_deref())
    }
}

pub(super) struct Batch<'a> {
    pub(super) directory: &'a Directory,
    folders: HashMap<String, Folder>,
    documents: HashMap<String, Option<Rc<Document>>>,
    links: Vec<Link>,
}

impl<'a> Batch<'a> {
    pub(super) fn open(directory: &'a Directory) -> Result<Self> {
        let mut batch = Self {
            directory,
            folders: HashMap::new(),
            documents: HashMap::new(),
            links: Vec::new(),
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

    /// Reports whether a generation that this batch reads from is no longer the current one.
    pub(super) fn was_swapped(&self) -> bool {
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
            guard.directory(metadata.mode(), &self.shown(shown))?;
        }
        let path = folder.path.join(GENERATION);
        let Ok(target) = folder.base.read_link_contents(&path) else {
            return Ok(folder);
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
            // The names beneath are then absent, and the batch starts again if it was a swap.
            Err(error) if read::is_absence(&error) => return Ok(folder),
            Err(error) => {
                let shown = self.shown(shown).join(GENERATION);
                return Err(read::failure("open", &shown, error));
            }
        };
        Ok(Folder {
            base,
            path: PathBuf::new(),
            generation: Some(generation),
        })
    }

    fn open_file(&mut self, path: &str) -> Result<Option<(Folder, Opened)>> {
        let (parent, name) = split(path);
        let folder = self.folder(parent)?;
        let opened = read::open(&folder.base, &folder.path.join(name), &self.shown(path))?;
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
                let provenance = guard.file(&file.file, &file.metadata, &shown, Some(name))?;
                let text = file.read(MAX_DOCUMENT_BYTES, &shown)?;
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

    fn at(&mut self, spelling: FileSpelling, name: &SecretName) -> Result<Option<Located>> {
        let found = match &spelling.field {
            None => self
                .open_file(&spelling.path)?
                .map(|(folder, file)| (folder, Content::File(file))),
            Some(field) => match self.document(&spelling.path, name)? {
                Some(document) if document.tree.find(&[field.as_str()]).is_some() => {
                    let (parent, _) = split(&spelling.path);
                    Some((self.folder(parent)?, Content::Field(document)))
                }
                _ => None,
            },
        };
        Ok(found.map(|(folder, content)| Located {
            spelling,
            folder,
            content,
        }))
    }

    /// Finds the one file that holds a secret.
    pub(super) fn locate(&mut self, target: &Target) -> Result<Option<Located>> {
        let mut found: Option<Located> = None;
        for spelling in spelling::files(target)? {
            let Some(next) = self.at(spelling, &target.name)? else {
                continue;
            };
            match &found {
                Some(first) if !is_same_file(first, &next) => {
                    return Err(spelling::ambiguous(
                        &first.spelling.path,
                        &next.spelling.path,
                        &self.directory.path.display().to_string(),
                    ));
                }
                Some(_) => {}
                None => found = Some(next),
            }
        }
        if found.is_none() && target.id.is_none() && target.name.field().is_none() {
            // A secret of fields, asked for as a whole.
            for path in spelling::documents(&target.name) {
                if let Some((folder, file)) = self.open_file(&path)? {
                    let field = None;
                    found = Some(Located {
                        spelling: FileSpelling { path, field },
                        folder,
                        content: Content::File(file),
                    });
                    break;
                }
            }
        }
        if let Some(found) = &found {
            let FileSpelling { path, field } = &found.spelling;
            let spelling = match field {
                Some(field) => format!("{path}#{field}"),
                None => path.clone(),
            };
            let shown = self.shown(path).display().to_string();
            self.directory
                .claims
                .check(&target.name, &spelling, &shown)?;
        }
        Ok(found)
    }

    pub(super) fn fetch(&mut self, request: &Request) -> Result<Reply> {
        if request.stage != Stage::Current {
            return Err(stages());
        }
        let target = &request.target;
        let Some(mut located) = self.locate(target)? else {
            return Err(missing(&self.directory.path, target));
        };
        let shown = self.shown(&located.spelling.path);
        let provenance = match &located.content {
            Content::Field(document) => document.provenance.clone(),
            Content::File(file) => {
                let guard = &self.directory.guard;
                guard.file(&file.file, &file.metadata, &shown, Some(&target.name))?
            }
        };
        if request.known.as_ref() == Some(&located.version()) {
            return Ok(Reply::Unchanged);
        }
        let value = match (&mut located.content, &located.spelling.field) {
            (Content::File(file), _) => self.value(file, &shown, &target.name)?,
            (Content::Field(document), Some(field)) => {
                let value = document.tree.value(&[field.as_str()]);
                value.map_err(|fault| fault.in_file(&shown))?
            }
            (Content::Field(_), None) => return Err(missing(&self.directory.path, target)),
        };
        document::check_size(&value, &shown)?;
        let mut metadata = Metadata::new()
            .with_name(&target.name)
            .with_version(located.version())
            .with_provenance(provenance.wipeable());
        if let Some(created) = located.file().created() {
            metadata = metadata.with_created(created);
        }
        Ok(Reply::Value(
            Secret::from_utf8_or_bytes(value).with_metadata(metadata),
        ))
    }

    /// Reads a value, less the newline that editors and `echo` put at the end of a text.
    fn value(
        &self,
        file: &mut Opened,
        shown: &Path,
        name: &SecretName,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        // The newline, of one byte or two, is not part of the value.
        let limit = MAX_VALUE_BYTES.saturating_add(2);
        let mut value = file
            .read(limit, shown)
            .map_err(|error| match error.kind() {
                ErrorKind::Malformed => read::too_large(shown, MAX_VALUE_BYTES),
                _ => error,
            })?;
        if std::str::from_utf8(&value).is_ok()
            && let Some(text) = value.strip_suffix(b"\n")
        {
            let length = text.strip_suffix(b"\r").unwrap_or(text).len();
            value.truncate(length);
            if value.ends_with(b"\n") {
                let message = format!("{} ends in more than one newline", shown.display());
                let help = "only the last is taken away; take the others out of the file";
                let finding = Finding::warning(Some(name), "trailing-newline", message, help);
                self.directory.guard.say(finding);
            }
        }
        Ok(value)
    }
}

/// On a file system that ignores case, two spellings can be one file.
fn is_same_file(a: &Located, b: &Located) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |found: &Located| (found.file().metadata.dev(), found.file().metadata.ino());
    id(a) == id(b) && a.spelling.path.eq_ignore_ascii_case(&b.spelling.path)
}

/// Splits a path into its directory and its last part.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub(super) fn missing(root: &Path, target: &Target) -> Error {
    let spellings = spelling::in_directory(target).join(", ");
    absent(format!("{} holds none of {spellings}", root.display()))
        .with_help("create the file, or mount the secret under one of these names")
}

/// An error of the file system on something inside the root.
pub(super) fn io_failure<'a>(
    doing: &'a str,
    shown: &'a Path,
) -> impl Fn(io::Error) -> Error + use<'a> {
    move |error| read::failure(doing, shown, error)
}
