//! Finding one secret in a directory, and reading it.

use std::path::Path;
use std::rc::Rc;

use zeroize::Zeroizing;

use super::super::document;
use super::super::read::{self, Opened};
use super::super::spelling::{self, FileSpelling};
use super::super::{absent, stages};
use super::batch::{Batch, Document, Folder, split};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Reply, Request, Stage, Target};
use crate::report::Finding;
use crate::secret::{MAX_VALUE_BYTES, Metadata, Secret, Version};

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
    ) -> Result<Zeroizing<Vec<u8>>> {
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

pub(super) fn missing(root: &Path, target: &Target) -> Error {
    let spellings = spelling::in_directory(target).join(", ");
    absent(format!("{} holds none of {spellings}", root.display()))
        .with_help("create the file, or mount the secret under one of these names")
}
