//! Secrets by name: a name is a field of what its path holds, `value` where it names none.

use std::sync::Arc;

use super::kv::{self, Document, Kv, Read};
use super::session::Session;
use super::settings::{self, KvVersion, Settings, wrong};
use crate::backends::files::expected::{check_expected, check_no_overlap};
use crate::backends::files::value::check_size;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Expect, Put, Reply, Request, Stage, Target, VersionInfo};
use crate::secret::{Metadata, Provenance, Version};

mod list;

/// The field that a name without one means.
pub(super) const VALUE: &str = "value";

/// How often a write that expects nothing starts again because another came between.
const ATTEMPTS: usize = 32;

/// What stands behind the names of one address.
pub(super) struct Store {
    settings: Settings,
    kv: Kv,
    /// Without versions, only this keeps two writes of this process apart.
    writing: tokio::sync::Mutex<()>,
}

/// Where a secret stands: a path, and a field of what it holds.
pub(super) struct Place {
    pub(super) path: String,
    pub(super) field: String,
}

impl Place {
    /// Says where a secret stands.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the `id` of its source can't be a path.
    pub(super) fn of(settings: &Settings, target: &Target) -> Result<Self> {
        let (path, field) = match &target.id {
            // An id is the path itself: what stands before names does not stand before it.
            Some(id) => {
                let path = settings::path("the `id` in the secret's source", id)?;
                if path.is_empty() {
                    return Err(wrong("the `id` in the secret's source is empty"));
                }
                (path, target.field.as_deref())
            }
            None => (
                beneath(&settings.prefix, target.name.path()),
                target.name.field(),
            ),
        };
        let field = field.unwrap_or(VALUE).to_owned();
        Ok(Self { path, field })
    }
}

/// The path of a name, or of a folder of names.
fn beneath(prefix: &str, name: &str) -> String {
    let parts = [prefix, name].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}

impl Store {
    pub(super) fn new(session: Arc<Session>, settings: Settings) -> Self {
        Self {
            kv: Kv::new(session, &settings),
            settings,
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// Says where a secret stands.
    ///
    /// # Errors
    /// As [`Place::of`].
    pub(super) fn place(&self, target: &Target) -> Result<Place> {
        Place::of(&self.settings, target)
    }

    /// The path of a name, or of a folder of names.
    fn path(&self, name: &str) -> String {
        beneath(&self.settings.prefix, name)
    }

    /// Finds out the version of the mount, unless it is known.
    pub(super) async fn find_generation(&self) -> Result<()> {
        self.kv.generation().await.map(drop)
    }

    /// Reads one version of a path, from which any number of fields is then taken.
    pub(super) async fn read(&self, path: &str, stage: &Stage) -> Result<Document> {
        let version = self.number(path, stage).await?;
        self.document(path, version).await
    }

    pub(super) async fn put(&self, put: &Put) -> Result<Option<Version>> {
        let place = self.place(&put.target)?;
        if put.stage != Stage::Current {
            let message = "Vault's key-value store holds no pending values";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        check_no_overlap(put, "Vault keeps as many versions as the mount says")?;
        // EXPOSES: only its length is looked at
        check_size(put.value.expose_bytes(), &"the value")?;
        let generation = self.kv.generation().await;
        let _alone = match generation.map_err(Error::with_no_effect)? {
            KvVersion::V2 => None,
            KvVersion::V1 => {
                without_comparison(&put.expect)?;
                Some(self.writing.lock().await)
            }
        };
        for _ in 0..ATTEMPTS {
            let now = self.kv.read(&place.path, None).await;
            let (found, data, over) = match now.map_err(Error::with_no_effect)? {
                Read::Found(document) => {
                    let has_field = document.field(&place.field)?.is_some();
                    let over = document.version;
                    if over.is_none() && document.fields().iter().any(|other| *other != place.field)
                    {
                        return Err(without_versions(&place));
                    }
                    let data = document.with_field(&place.field, Some(&put.value))?;
                    let found = has_field.then(|| document.name_of_version()).flatten();
                    (found, data, over)
                }
                nothing => {
                    let data = kv::with_field(None, &place.field, Some(&put.value))?;
                    let over = match (nothing, self.kv.generation().await?) {
                        (_, KvVersion::V1) => None,
                        (Read::Gone(gone), KvVersion::V2) => Some(gone.version),
                        (_, KvVersion::V2) => Some(0),
                    };
                    (None, data, over)
                }
            };
            check_expected(&put.expect, found.as_ref())?;
            let data = data.unwrap_or_default();
            match self.kv.write(&place.path, &data, over).await? {
                Ok(version) => return Ok(version.map(|version| Version::new(version.to_string()))),
                // Another field may have changed meanwhile: what was expected is looked at again.
                Err(kv::Conflict) => continue,
            }
        }
        Err(contended())
    }

    pub(super) async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let place = self.place(target)?;
        let generation = self.kv.generation().await;
        let _alone = match generation.map_err(Error::with_no_effect)? {
            KvVersion::V2 => None,
            KvVersion::V1 => {
                without_comparison(expect)?;
                Some(self.writing.lock().await)
            }
        };
        for _ in 0..ATTEMPTS {
            let document = self.document(&place.path, None).await;
            let document = document.map_err(Error::with_no_effect)?;
            if document.field(&place.field)?.is_none() {
                return Err(self.no_field(&place, &document));
            }
            check_expected(expect, document.name_of_version().as_ref())?;
            match document.with_field(&place.field, None)? {
                // Exactly the version that was looked at: one that came meanwhile stays.
                None => return self.kv.delete(&place.path, document.version).await,
                Some(_) if document.version.is_none() => return Err(without_versions(&place)),
                Some(rest) => match self.kv.write(&place.path, &rest, document.version).await? {
                    Ok(_) => return Ok(()),
                    Err(kv::Conflict) => continue,
                },
            }
        }
        Err(contended())
    }

    /// Reads a version of what a path holds.
    async fn document(&self, path: &str, version: Option<u64>) -> Result<Document> {
        match self.kv.read(path, version).await? {
            Read::Found(document) => Ok(document),
            Read::Nothing => Err(self.nothing(path)),
            Read::Gone(gone) => {
                let version = gone.version;
                let gone_for = if gone.destroyed {
                    "destroyed"
                } else {
                    "deleted"
                };
                let message = format!(
                    "{}: version {version} of `{path}` was {gone_for}",
                    self.settings.shown
                );
                let error = Error::new(ErrorKind::Absent, message);
                Err(if gone.destroyed {
                    error
                } else {
                    error.with_help(format!(
                        "bring it back with `vault kv undelete -versions={version}`, or write a \
                         new value"
                    ))
                })
            }
        }
    }

    /// The history of a secret, newest first.
    pub(super) async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let place = self.place(target)?;
        self.demand_versions().await?;
        let history = self.kv.history(&place.path).await?;
        let history = history.filter(|history| history.iter().any(|past| past.readable));
        let history = history.ok_or_else(|| self.nothing(&place.path))?;
        let info = history.into_iter().map(|past| {
            let version = Version::new(past.version.to_string());
            VersionInfo::new(version, past.created, past.readable)
        });
        Ok(info.collect())
    }

    /// Brings back the newest version of a path, if it was deleted.
    pub(super) async fn restore(&self, target: &Target) -> Result<()> {
        let place = self.place(target)?;
        self.demand_versions().await?;
        match self.kv.read(&place.path, None).await? {
            Read::Gone(gone) if !gone.destroyed => {
                self.kv.undelete(&place.path, gone.version).await
            }
            _ => self.document(&place.path, None).await.map(drop),
        }
    }

    async fn demand_versions(&self) -> Result<()> {
        match self.kv.generation().await? {
            KvVersion::V2 => Ok(()),
            KvVersion::V1 => {
                let message = "version 1 of the key-value store holds the current value only";
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }

    fn nothing(&self, path: &str) -> Error {
        let message = format!("{}: there is nothing at `{path}`", self.settings.shown);
        Error::new(ErrorKind::Absent, message)
    }

    fn no_field(&self, place: &Place, document: &Document) -> Error {
        let (shown, path, field) = (&self.settings.shown, &place.path, &place.field);
        let message = format!("{shown}: `{path}` has no field `{field}`");
        let error = Error::new(ErrorKind::Absent, message);
        match document.fields().as_slice() {
            [] => error,
            fields => {
                let shown: Vec<_> = fields.iter().take(8).copied().collect();
                error.with_help(format!("its fields are: {}", shown.join(", ")))
            }
        }
    }

    /// The number of the version that a stage means; `None` for the newest.
    async fn number(&self, path: &str, stage: &Stage) -> Result<Option<u64>> {
        let no_such = || {
            let message = format!("`{path}` has no such version");
            Error::new(ErrorKind::Absent, message)
        };
        if *stage == Stage::Current {
            return Ok(None);
        }
        self.demand_versions().await?;
        match stage {
            Stage::Exact(version) => {
                // The server takes 0 for the newest.
                let number = version.as_str().parse().ok().filter(|number| *number > 0);
                number.map(Some).ok_or_else(no_such)
            }
            Stage::Previous => {
                let history = self.kv.history(path).await?.unwrap_or_default();
                let mut before = history.iter().skip(1).filter(|past| past.readable);
                before
                    .next()
                    .map(|past| Some(past.version))
                    .ok_or_else(no_such)
            }
            _ => {
                let message = "Vault's key-value store holds no pending values";
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }

    pub(super) fn reply(
        &self,
        place: &Place,
        document: &Document,
        request: &Request,
    ) -> Result<Reply> {
        let Some(value) = document.field(&place.field)? else {
            return Err(self.no_field(place, document));
        };
        // EXPOSES: only its length is looked at
        check_size(value.expose_bytes(), &format!("`{}`", place.path))?;
        let version = document.name_of_version();
        if version.is_some() && request.known == version {
            return Ok(Reply::Unchanged);
        }
        let mut metadata = Metadata::new()
            .with_name(&request.target.name)
            .with_provenance(Provenance::new());
        if let Some(version) = version {
            metadata = metadata.with_version(version);
        }
        if let Some(created) = document.created {
            metadata = metadata.with_created(created);
        }
        if let Some(ends) = document.ends {
            metadata = metadata.with_expires(ends);
        }
        Ok(Reply::Value(value.with_metadata(metadata)))
    }
}

/// Version 1 of the engine has nothing to compare a write with.
fn without_comparison(expect: &Expect) -> Result<()> {
    if *expect == Expect::Any {
        return Ok(());
    }
    let message = "version 1 of the key-value store can't compare before it writes";
    Err(Error::new(ErrorKind::Unsupported, message).with_help(UPGRADE))
}

/// Two writers of two fields would overwrite each other, and nobody would notice.
fn without_versions(place: &Place) -> Error {
    let message = format!(
        "`{}` holds other fields beside `{}`, and version 1 of the key-value store can't change one \
         of them without risk to the others",
        place.path, place.field
    );
    Error::new(ErrorKind::Unsupported, message).with_help(UPGRADE)
}

const UPGRADE: &str = "upgrade the mount: `vault kv enable-versioning MOUNT`";

fn contended() -> Error {
    let message = "other writers came first, again and again";
    Error::new(ErrorKind::Transient, message).with_help("try again when they are done")
}
