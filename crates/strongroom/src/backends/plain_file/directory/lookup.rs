//! Finding one secret in a directory, and reading it.

use std::path::Path;
use std::rc::Rc;

use super::super::spelling::{self, FileSpelling};
use super::super::{absent, stages};
use super::batch::{Batch, Document, Folder, split};
use crate::backends::files::read::{self, Opened};
use crate::backends::files::value;
use crate::error::{Error, Result};
use crate::name::SecretName;
use crate::provider::{Reply, Request, Stage, Target};
use crate::secret::{Secret, Version};

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

impl Batch<'_> {
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

    /// Finds the one of the spellings that is there, and refuses two.
    fn only(
        &mut self,
        spellings: impl IntoIterator<Item = FileSpelling>,
        target: &Target,
    ) -> Result<Option<Located>> {
        let mut found: Option<Located> = None;
        for spelling in spellings {
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
        Ok(found)
    }

    /// Finds the one file that holds a secret.
    pub(super) fn locate(&mut self, target: &Target) -> Result<Option<Located>> {
        let mut found = self.only(spelling::files(target)?, target)?;
        if found.is_none() && target.id.is_none() && target.name.field().is_none() {
            // A secret of fields, asked for as a whole.
            let documents = spelling::documents(&target.name).into_iter();
            let whole = documents.map(|path| FileSpelling { path, field: None });
            found = self.only(whole, target)?;
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
        let path = self.shown(&located.spelling.path);
        let shown = path.display();
        let guard = &self.directory.guard;
        let provenance = match &located.content {
            Content::Field(document) => document.provenance.clone(),
            Content::File(file) => guard.file(file, &shown, Some(&target.name))?,
        };
        if request.known.as_ref() == Some(&located.version()) {
            return Ok(Reply::Unchanged);
        }
        let value = match (&mut located.content, &located.spelling.field) {
            (Content::File(file), _) => value::read(file, &shown, &target.name, guard)?,
            (Content::Field(document), Some(field)) => {
                let value = document.tree.value(&[field.as_str()]);
                let value = value.map_err(|fault| fault.in_file(&path))?;
                value::check_size(&value, &shown)?;
                value
            }
            (Content::Field(_), None) => return Err(missing(&self.directory.path, target)),
        };
        let (file, version) = (located.file(), located.version());
        let metadata = file.describe(&target.name, version, provenance.wipeable());
        Ok(Reply::Value(
            Secret::from_utf8_or_bytes(value).with_metadata(metadata),
        ))
    }
}

/// On a file system that ignores case, two spellings can be one file.
fn is_same_file(a: &Located, b: &Located) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |found: &Located| (found.file().metadata.dev(), found.file().metadata.ino());
    id(a) == id(b) && a.spelling.path.eq_ignore_ascii_case(&b.spelling.path)
}

pub(super) fn missing(root: &Path, target: &Target) -> Error {
    let spellings = spelling::in_directory(target).join(", ");
    absent(format!("{} holds none of {spellings}", root.display()))
        .with_help("create the file, or mount the secret under one of these names")
}
