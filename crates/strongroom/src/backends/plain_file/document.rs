//! Document mode: one file that holds all secrets.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;

use super::claims::Claims;
use super::spelling;
use super::{absent, stages};
use crate::backends::files::batch::fail_all;
use crate::backends::files::failure::gone;
use crate::backends::files::guard::{Guard, the_directory};
use crate::backends::files::read::{self, Opened};
use crate::backends::files::value;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Reply, Request, Stage, Target};
use crate::secret::{Provenance, Secret};

mod change;
mod content;
pub(crate) mod entries;
mod format;
#[cfg(any(test, fuzzing))]
pub(in crate::backends) mod fuzzing;
mod toml;
#[cfg(feature = "yaml")]
mod yaml;

use content::Content;
pub(super) use format::Format;

/// The most bytes a document may have.
pub(super) const MAX_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// A file that holds all secrets.
#[derive(Debug)]
pub(super) struct DocumentFile {
    dir: PathBuf,
    name: String,
    format: Format,
    guard: Guard,
    claims: Claims,
}

/// One reading of the file.
struct Snapshot {
    content: Content,
    file: Opened,
    provenance: Provenance,
}

impl DocumentFile {
    /// Opens the file, and refuses declared names that would share a key.
    pub(super) fn open(path: &Path, format: Format, guard: Guard, claims: Claims) -> Result<Self> {
        #[cfg(not(feature = "yaml"))]
        if format == Format::Yaml {
            let message = format!("{}: it can't open {}", content::NO_YAML, path.display());
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_help("compile strongroom with its cargo feature `yaml`"));
        }
        let (Some(dir), Some(Some(name))) = (path.parent(), path.file_name().map(OsStr::to_str))
        else {
            let message = format!("{} is not the path of a file", path.display());
            return Err(Error::new(ErrorKind::Config, message));
        };
        let document = Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            format,
            guard,
            claims,
        };
        document
            .guard
            .directory_and_parent(dir, the_directory, None)?;
        let snapshot = document.snapshot(&document.root()?)?;
        for target in document.claims.targets() {
            document
                .locate(&snapshot.content, target)
                .map_err(|error| error.with_name(&target.name))?;
        }
        Ok(document)
    }

    /// Checks that the document can be read and parsed, and passes the guard rails.
    pub(super) fn check(&self) -> Result<()> {
        self.snapshot(&self.root()?).map(drop)
    }

    /// Reads many secrets from one reading of the document.
    pub(super) fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let snapshot = self.root().and_then(|root| self.snapshot(&root));
        let snapshot = match &snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => return fail_all(wanted, error),
        };
        let fetch = |request: &Request| {
            let reply = self.answer(snapshot, request);
            reply.map_err(|error| error.with_name(&request.target.name))
        };
        wanted.iter().map(fetch).collect()
    }

    fn answer(&self, snapshot: &Snapshot, request: &Request) -> Result<Reply> {
        if request.stage != Stage::Current {
            return Err(stages());
        }
        let target = &request.target;
        let Some(way) = self.locate(&snapshot.content, target)? else {
            return Err(self.missing(target));
        };
        let version = read::version(&snapshot.file.metadata, None);
        if request.known.as_ref() == Some(&version) {
            return Ok(Reply::Unchanged);
        }
        let way: Vec<_> = way.iter().map(String::as_str).collect();
        let value = snapshot.content.value(&way);
        let value = value.map_err(|fault| fault.in_file(&self.path()))?;
        value::check_size(&value, &self.path().display())?;
        let provenance = snapshot.provenance.clone();
        let metadata = snapshot.file.describe(&target.name, version, provenance);
        let secret = Secret::from_utf8_or_bytes(value);
        Ok(Reply::Value(secret.with_metadata(metadata)))
    }

    /// Finds the one key that holds a secret.
    fn locate(&self, content: &Content, target: &Target) -> Result<Option<Vec<String>>> {
        let mut found: Option<Vec<String>> = None;
        for way in spelling::keys(target) {
            let keys: Vec<_> = way.iter().map(String::as_str).collect();
            if !content.has(&keys) {
                continue;
            }
            if let Some(first) = &found {
                let quoted = |way: &[String]| format!("the key `{}`", spelling::shown(way));
                let place = self.path().display().to_string();
                return Err(spelling::ambiguous(&quoted(first), &quoted(&way), &place));
            }
            found = Some(way);
        }
        if let Some(way) = &found {
            let key = spelling::shown(way);
            let shown = format!("the key `{key}` of {}", self.path().display());
            self.claims.check(&target.name, &key, &shown)?;
        }
        Ok(found)
    }

    /// Lists the names that the keys spell, declared ones as they are declared.
    pub(super) fn list(&self) -> Result<Vec<SecretName>> {
        let snapshot = self.snapshot(&self.root()?)?;
        let keys = match &snapshot.content {
            Content::Tree(tree) => tree.leaves(),
            Content::Dotenv(dotenv) => dotenv.keys().map(str::to_owned).collect(),
        };
        let names = keys.iter().filter_map(|key| SecretName::parse(key).ok());
        let find = |target: &Target| {
            let found = self.locate(&snapshot.content, target).ok()?;
            found.map(|way| way.join("/"))
        };
        Ok(self.claims.rename(names.collect(), find))
    }

    fn snapshot(&self, root: &Dir) -> Result<Snapshot> {
        let path = self.path();
        let shown = path.display();
        let Some(mut file) = read::open(root, Path::new(&self.name), &shown)? else {
            return Err(gone(&shown));
        };
        let graded = self.guard.file(&file, &shown, None)?;
        let text = file.read(MAX_DOCUMENT_BYTES, &shown)?;
        let content = Content::parse(self.format, text).map_err(|fault| fault.in_file(&path))?;
        // The parsers of TOML and YAML make copies of their own.
        let provenance = match self.format {
            Format::Dotenv | Format::Json => graded.wipeable(),
            Format::Toml | Format::Yaml => graded,
        };
        Ok(Snapshot {
            content,
            file,
            provenance,
        })
    }

    fn root(&self) -> Result<Dir> {
        read::open_root(&self.dir)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    fn missing(&self, target: &Target) -> Error {
        let spellings = spelling::in_document(target).join("`, `");
        let path = self.path();
        absent(format!(
            "{} holds none of the keys `{spellings}`",
            path.display()
        ))
        .with_help("add one of these keys")
    }
}
