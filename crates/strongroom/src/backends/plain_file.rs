//! Plain files: a directory of files, or one dotenv, JSON, TOML or YAML document.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::files::batch::fail_all;
use super::files::blocking::blocking;
use super::files::confinement::Confinement;
use super::files::expected::check_no_overlap;
use super::files::failure::failure;
use super::files::guard::Guard;
use super::files::watch::{Subject, Watch};
use super::{Backend, Connect};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Stage, Target,
};
use crate::provider_url::ProviderUrl;
use crate::secret::Version;

mod claims;
mod detect;
mod directory;
mod document;
mod dotenv;
mod spelling;

#[cfg(any(test, fuzzing))]
pub(super) use document::fuzzing;

#[cfg(test)]
mod tests;

use claims::Claims;
use directory::Directory;
pub(crate) use document::entries as document_entries;
use document::{DocumentFile, Format};

pub(super) const BACKEND: Backend = Backend::new("file", "plain file", |connect| {
    Box::pin(async move {
        let provider = blocking(connect.block_in_place, move || open(&connect)).await?;
        Ok(Arc::new(provider) as Arc<dyn SecretProvider>)
    })
})
.with_url_keys(&["format"])
.with_detect(detect::detect);

/// What the path of an address leads to.
#[derive(Debug)]
enum Store {
    Directory(Directory),
    Document(DocumentFile),
}

fn open(connect: &Connect) -> Result<PlainFile> {
    let path = path(connect)?;
    let address = connect.url.to_string();
    let watch = Watch::new(&address);
    let mut dir = path.as_path();
    let store = match format(&connect.url, &path)? {
        None => {
            watch.add(Subject::Directory(path.clone()));
            let guard = Guard::new(&connect.env, &connect.rails, &path);
            let claims = Claims::new(&connect.declared, spelling::in_directory);
            Store::Directory(Directory::open(path.clone(), guard, claims)?)
        }
        Some(format) => {
            watch.add(Subject::Document(path.clone()));
            dir = path.parent().unwrap_or(&path);
            let guard = Guard::new(&connect.env, &connect.rails, dir);
            let claims = Claims::new(&connect.declared, spelling::in_document);
            Store::Document(DocumentFile::open(&path, format, guard, claims)?)
        }
    };
    Ok(PlainFile {
        address,
        store: Arc::new(store),
        confinement: Confinement::new(connect, dir),
        watch,
        block_in_place: connect.block_in_place,
        closed: AtomicBool::new(false),
    })
}

/// The absolute path of the address, so that a later change of directory moves nothing.
fn path(connect: &Connect) -> Result<PathBuf> {
    let wrong = |message: &str| {
        Error::new(ErrorKind::Config, message)
            .with_help("write `file:PATH`, for example `file:/run/secrets` or `file:.env`")
    };
    if connect.url.authority().is_some_and(|host| !host.is_empty()) {
        return Err(wrong(
            "the address of a plain file has no host: `file://name` names a host, not a path",
        ));
    }
    if connect.url.path().is_empty() {
        return Err(wrong("the address of a plain file names no path"));
    }
    let path = connect.resolve(connect.url.path());
    std::path::absolute(&path).map_err(|error| failure("resolve", &path.display(), error))
}

/// Decides between a directory (`None`) and a document, and the document's format.
fn format(url: &ProviderUrl, path: &Path) -> Result<Option<Format>> {
    let missing = |what: &str| {
        Error::new(ErrorKind::Config, format!("{} {what}", path.display()))
            .with_help("create it, or correct the path in the provider's address")
    };
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            missing("does not exist: there is no such directory or file")
        }
        _ => failure("look at", &path.display(), error),
    })?;
    let wanted = url.query("format").map(|word| match word {
        "directory" => Ok(None),
        word => word.parse().map(Some),
    });
    match (wanted.transpose()?, metadata.is_dir()) {
        (None | Some(None), true) => Ok(None),
        (Some(None), false) => Err(missing("is not a directory")),
        (Some(Some(_)), true) => Err(missing("is a directory, not a document")),
        (Some(Some(format)), false) => Ok(Some(format)),
        (None, false) => Format::of(path).map(Some).ok_or_else(|| {
            let name = path.display();
            Error::new(
                ErrorKind::Config,
                format!("the name of {name} tells no document format"),
            )
            .with_help("add `?format=dotenv`, `json`, `toml` or `yaml` to the address")
        }),
    }
}

struct PlainFile {
    address: String,
    store: Arc<Store>,
    confinement: Confinement,
    watch: Watch,
    block_in_place: bool,
    closed: AtomicBool,
}

impl fmt::Debug for PlainFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainFile")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl PlainFile {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.closed.load(Ordering::Acquire) {
            return Err(self.closed_error());
        }
        let store = Arc::clone(&self.store);
        blocking(self.block_in_place, move || work(&store)).await
    }

    fn closed_error(&self) -> Error {
        Error::new(ErrorKind::Closed, format!("{} was closed", self.address))
    }
}

#[async_trait]
impl SecretProvider for PlainFile {
    fn describe(&self) -> Description {
        let writable = match &*self.store {
            Store::Directory(directory) => directory.is_writable(),
            Store::Document(document) => document.is_writable(),
        };
        Description::new("file", &self.address, writable)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let requests = wanted.to_vec();
        let answers = self.run(move |store| {
            Ok(match store {
                Store::Directory(directory) => directory.fetch(&requests),
                Store::Document(document) => document.fetch(&requests),
            })
        });
        match answers.await {
            Ok(answers) => answers,
            Err(error) => fail_all(wanted, &error),
        }
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let (put, confinement) = (put.clone(), self.confinement.clone());
        self.run(move |store| {
            let name = put.target.name.clone();
            let allowed = match put.stage {
                Stage::Current => check_no_overlap(&put, "a plain file holds the current one only"),
                _ => Err(stages()),
            };
            let allowed = allowed.and_then(|()| confinement.check());
            let written = allowed.and_then(|()| match store {
                Store::Directory(directory) => directory.put(&put),
                Store::Document(document) => document.put(&put),
            });
            written.map(Some).map_err(|error| error.with_name(&name))
        })
        .await
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let (target, expect) = (target.clone(), expect.clone());
        let confinement = self.confinement.clone();
        self.run(move |store| {
            let deleted = confinement.check().and_then(|()| match store {
                Store::Directory(directory) => directory.delete(&target, &expect),
                Store::Document(document) => document.delete(&target, &expect),
            });
            deleted.map_err(|error| error.with_name(&target.name))
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let prefix = prefix.to_owned();
        self.run(move |store| {
            let names = match store {
                Store::Directory(directory) => directory.list(),
                Store::Document(document) => document.list(),
            }?;
            Ok(names
                .into_iter()
                .filter(|name| name.as_str().starts_with(&prefix))
                .collect())
        })
        .await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.run(|store| match store {
            Store::Directory(directory) => directory.check(),
            Store::Document(document) => document.check(),
        })
        .await?;
        Ok(ProviderHealth::ready())
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.watch.close();
        Ok(())
    }

    /// Returns after a change of the files, our own writes included. Each change is told to one of
    /// several callers.
    async fn changed(&self) -> Result<()> {
        match self.watch.changed().await? {
            true => Ok(()),
            false => Err(self.closed_error()),
        }
    }
}

fn stages() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "plain files hold the current version only",
    )
}

fn absent(message: String) -> Error {
    Error::new(ErrorKind::Absent, message)
}
