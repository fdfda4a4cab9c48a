//! Document mode: one file that holds all secrets.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cap_std::fs::Dir;
use zeroize::Zeroizing;

use super::dotenv::Dotenv;
use super::guard::Guard;
use super::read::{self, Opened};
use super::spelling::{self, Claims};
use super::{absent, check_expected, stages, write};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Expect, Put, Reply, Request, Stage, Target};
use crate::secret::{MAX_VALUE_BYTES, Metadata, Provenance, Secret, Version};

pub(super) mod json;
mod toml;
#[cfg(feature = "yaml")]
mod yaml;

use json::Tree;

/// The most bytes a document may have.
pub(super) const MAX_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;

/// The format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Dotenv,
    Json,
    Toml,
    Yaml,
}

impl Format {
    /// Tells the format by the file's name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if name == ".env" || name.starts_with(".env.") {
            return Some(Self::Dotenv);
        }
        match path.extension().and_then(OsStr::to_str)? {
            "env" => Some(Self::Dotenv),
            "yml" => Some(Self::Yaml),
            extension => extension.parse().ok(),
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "dotenv" => Ok(Self::Dotenv),
            "json" => Ok(Self::Json),
            "toml" => Ok(Self::Toml),
            "yaml" => Ok(Self::Yaml),
            _ => Err(Error::new(ErrorKind::Config, "not a format of plain files")
                .with_help("`format` is dotenv, json, toml, yaml or directory")),
        }
    }
}

/// What a parser found wrong, and where. Never the text it found it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: String,
    /// From 1.
    pub(super) line: usize,
    /// From 1; `None` where only the line is known.
    pub(super) column: Option<usize>,
}

impl Fault {
    /// Makes a fault of a place in `text`, given in bytes.
    pub(super) fn at(text: &[u8], offset: usize, what: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let column = before
            .len()
            .saturating_sub(start.map_or(0, |at| at.saturating_add(1)));
        Self {
            what: what.into(),
            line: line(before),
            column: Some(column.saturating_add(1)),
        }
    }

    pub(super) fn in_line(line: usize, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            line,
            column: None,
        }
    }

    pub(super) fn in_file(self, path: &Path) -> Error {
        let (path, line) = (path.display(), self.line);
        let place = match self.column {
            Some(column) => format!("{path}, line {line}, column {column}"),
            None => format!("{path}, line {line}"),
        };
        Error::new(ErrorKind::Malformed, format!("{place}: {}", self.what))
    }
}

/// The line that follows `before`, from 1.
pub(super) fn line(before: &[u8]) -> usize {
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    newlines.saturating_add(1)
}

/// Refuses a value that is larger than any secret may be.
pub(super) fn check_size(value: &[u8], shown: &Path) -> Result<()> {
    if value.len() > MAX_VALUE_BYTES {
        let message = format!(
            "the value in {} has {} bytes; {MAX_VALUE_BYTES} are the most",
            shown.display(),
            value.len()
        );
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    Ok(())
}

/// A parsed document.
enum Content {
    Tree(Tree),
    Dotenv(Dotenv),
}

impl Content {
    fn parse(format: Format, text: Zeroizing<Vec<u8>>) -> Result<Self, Fault> {
        Ok(match format {
            Format::Dotenv => Self::Dotenv(Dotenv::parse(text)?),
            Format::Json => Self::Tree(Tree::parse(text)?),
            Format::Toml => Self::Tree(toml::parse(&text)?),
            #[cfg(feature = "yaml")]
            Format::Yaml => Self::Tree(yaml::parse(&text)?),
            #[cfg(not(feature = "yaml"))]
            Format::Yaml => return Err(Fault::in_line(1, NO_YAML)),
        })
    }

    fn has(&self, way: &[&str]) -> bool {
        match (self, way) {
            (Self::Tree(tree), way) => tree.find(way).is_some(),
            (Self::Dotenv(dotenv), [key]) => dotenv.has(key),
            (Self::Dotenv(_), _) => false,
        }
    }

    fn value(&self, way: &[&str]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        match (self, way) {
            (Self::Tree(tree), way) => tree.value(way),
            (Self::Dotenv(dotenv), [key]) => Ok(dotenv.value(key).unwrap_or_default()),
            (Self::Dotenv(_), _) => Ok(Zeroizing::default()),
        }
    }
}

#[cfg(not(feature = "yaml"))]
const NO_YAML: &str = "this build of strongroom has no YAML parser";

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
            let message = format!("{NO_YAML}: it can't open {}", path.display());
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
        document.guard.directory_and_parent(dir)?;
        let snapshot = document.snapshot(&document.root()?)?;
        for target in document.claims.targets() {
            document
                .locate(&snapshot.content, target)
                .map_err(|error| error.with_name(&target.name))?;
        }
        Ok(document)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.format == Format::Dotenv
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
            Err(error) => {
                let fail =
                    |request: &Request| Err(super::repeat(error).with_name(&request.target.name));
                return wanted.iter().map(fail).collect();
            }
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
        check_size(&value, &self.path())?;
        let mut metadata = Metadata::new()
            .with_name(&target.name)
            .with_version(version)
            .with_provenance(snapshot.provenance.clone());
        if let Some(created) = snapshot.file.created() {
            metadata = metadata.with_created(created);
        }
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

    /// Writes one variable of a dotenv document; everything else keeps its bytes.
    pub(super) fn put(&self, put: &Put) -> Result<Version> {
        check_size(put.value.expose_bytes(), &self.path())?;
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
    pub(super) fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
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
        let lock = write::lock(&dir).map_err(|error| read::lock_failure(&self.dir, error))?;
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
            return Err(read::too_large(&self.path(), MAX_DOCUMENT_BYTES));
        }
        write::replace(dir, &self.name, text, Some(&old.metadata))
            .map(|metadata| read::version(&metadata, None))
            .map_err(|error| read::failure("write", &self.path(), error))
    }

    fn snapshot(&self, root: &Dir) -> Result<Snapshot> {
        let path = self.path();
        let Some(mut file) = read::open(root, Path::new(&self.name), &path)? else {
            return Err(read::gone(&path));
        };
        let graded = self.guard.file(&file.file, &file.metadata, &path, None)?;
        let text = file.read(MAX_DOCUMENT_BYTES, &path)?;
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

fn binary(path: &Path) -> Error {
    let message = format!(
        "{} holds text only, and the value is not UTF-8 text",
        path.display()
    );
    Error::new(ErrorKind::Malformed, message)
        .with_help("declare an `encoding` for the secret in the manifest, `base64` for example")
}
