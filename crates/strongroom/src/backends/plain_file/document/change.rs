//! Writing and deleting in a document, which only dotenv can.

use std::path::Path;

use cap_std::fs::Dir;

use super::super::dotenv::Dotenv;
use super::super::spelling;
use super::content::Content;
use super::{DocumentFile, Format, MAX_DOCUMENT_BYTES};
use crate::backends::files::expected::check_expected;
use crate::backends::files::failure::{failure, lock_failure, too_large};
use crate::backends::files::read::{self, Opened};
use crate::backends::files::{value, write};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Expect, Put, Target};
use crate::secret::Version;

impl DocumentFile {
    pub(in super::super) fn is_writable(&self) -> bool {
        self.format == Format::Dotenv
    }

    /// Writes one variable of a dotenv document; everything else keeps its bytes.
    pub(in super::super) fn put(&self, put: &Put) -> Result<Version> {
        // EXPOSES: only its length is looked at
        value::check_size(put.value.expose_bytes(), &self.path().display())?;
        // EXPOSES: to the new text of its document, which is wiped once it is written
        let Ok(value) = std::str::from_utf8(put.value.expose_bytes()) else {
            return Err(binary(&self.path()));
        };
        let (dir, _lock) = self.lock()?;
        let (mut dotenv, found, file) = self.editable(&dir, &put.target)?;
        let current = found.as_ref().map(|_| read::version(&file.metadata, None));
        check_expected(&put.expect, current.as_ref())?;
        let key = match (found, &put.target.id) {
            (Some(key), _) => key,
            (None, Some(id)) => id.clone(),
            (None, None) => spelling::variable(&put.target.name),
        };
        dotenv
            .set(&key, value)
            .map_err(|what| Error::new(ErrorKind::Unsupported, what))?;
        self.write(&dir, &dotenv, &file)
    }

    /// Deletes one variable of a dotenv document, with its line.
    pub(in super::super) fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let (dir, _lock) = self.lock()?;
        let (mut dotenv, found, file) = self.editable(&dir, target)?;
        let Some(key) = found else {
            return Err(self.missing(target));
        };
        check_expected(expect, Some(&read::version(&file.metadata, None)))?;
        let removed = dotenv.remove(&key);
        removed.map_err(|fault| fault.in_file(&self.path()))?;
        self.write(&dir, &dotenv, &file).map(drop)
    }

    fn lock(&self) -> Result<(Dir, write::Lock)> {
        if !self.is_writable() {
            let message = format!("{} is read-only", self.path().display());
            return Err(Error::new(ErrorKind::Unsupported, message).with_help(
                "of the documents only dotenv can be written; \
                 edit the file, or use a directory or a sealed file",
            ));
        }
        let dir = self.root()?;
        let linked = dir.symlink_metadata(&self.name);
        if linked.is_ok_and(|metadata| metadata.is_symlink()) {
            let message = format!("{} is a symbolic link", self.path().display());
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_help("name the file that it leads to"));
        }
        let lock = write::lock(&dir).map_err(|error| lock_failure(&self.dir.display(), error))?;
        Ok((dir, lock))
    }

    fn editable(&self, dir: &Dir, target: &Target) -> Result<(Dotenv, Option<String>, Opened)> {
        let snapshot = self.snapshot(dir)?;
        let found = self.locate(&snapshot.content, target)?;
        let key = found.and_then(|way| way.into_iter().next());
        match snapshot.content {
            Content::Dotenv(dotenv) => Ok((dotenv, key, snapshot.file)),
            Content::Tree(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "the document is read-only",
            )),
        }
    }

    fn write(&self, dir: &Dir, dotenv: &Dotenv, old: &Opened) -> Result<Version> {
        let text = dotenv.text();
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(too_large(&self.path().display(), MAX_DOCUMENT_BYTES));
        }
        write::replace(dir, &self.name, text, Some(&old.metadata))
            .map(|metadata| read::version(&metadata, None))
            .map_err(|error| failure("write", &self.path().display(), error))
    }
}

fn binary(path: &Path) -> Error {
    let message = format!(
        "{} holds text only, and the value is not UTF-8 text",
        path.display()
    );
    Error::new(ErrorKind::Malformed, message)
        .with_help("declare an `encoding` for the secret in the manifest, `base64` for example")
}
