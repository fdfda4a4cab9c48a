//! The provider: secrets are entries, and `path#field` is a key of the JSON object in one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::store::SealedFile;
use super::unlocked::Unlocked;
use crate::backends::files::batch::repeat;
use crate::backends::files::blocking::blocking;
use crate::backends::files::expected::check_expected;
use crate::backends::files::fault::Fault;
use crate::backends::files::json;
use crate::backends::files::watch::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, SecretProvider, Stage, Target,
    VersionInfo,
};
use crate::secret::{Metadata, Secret, Version};

/// A sealed file as a provider.
pub(super) struct Provider {
    address: String,
    file: Arc<SealedFile>,
    watch: Watch,
    block_in_place: bool,
    closed: AtomicBool,
}

impl Provider {
    pub(super) fn new(
        address: String,
        file: SealedFile,
        watch: Watch,
        block_in_place: bool,
    ) -> Self {
        Self {
            address,
            file: Arc::new(file),
            watch,
            block_in_place,
            closed: AtomicBool::new(false),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SealedFile) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.closed.load(Ordering::Acquire) {
            return Err(self.closed_error());
        }
        let file = Arc::clone(&self.file);
        blocking(self.block_in_place, move || work(&file)).await
    }

    fn closed_error(&self) -> Error {
        Error::new(ErrorKind::Closed, format!("{} was closed", self.address))
    }

    async fn run_on<T: Send + 'static>(
        &self,
        target: &Target,
        work: impl FnOnce(&SealedFile, Place<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let target = target.clone();
        self.run(move |file| {
            let done = Place::of(&target).and_then(|place| work(file, place));
            done.map_err(|error| error.with_name(&target.name))
        })
        .await
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedFile")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SecretProvider for Provider {
    fn describe(&self) -> Description {
        Description::new("sealed", &self.address, true)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        let requests = wanted.to_vec();
        let answers = self.run(move |file| {
            // All answers come from one state of the file.
            let unlocked = file.read()?;
            let answer = |request: &Request| {
                let reply = answer(&unlocked, request);
                reply.map_err(|error| error.with_name(&request.target.name))
            };
            Ok(requests.iter().map(answer).collect())
        });
        match answers.await {
            Ok(answers) => answers,
            Err(error) => wanted
                .iter()
                .map(|request| Err(repeat(&error).with_name(&request.target.name)))
                .collect(),
        }
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        if put.stage != Stage::Current {
            return Err(no_pending().with_name(&put.target.name));
        }
        let (value, expect, overlap) = (put.value.clone(), put.expect.clone(), put.overlap);
        self.run_on(&put.target, move |file, place| {
            file.change(|unlocked| {
                let found = place.version(unlocked)?;
                check_expected(&expect, found.as_ref())?;
                match place.field {
                    None => unlocked.with_value(place.entry, &value, overlap),
                    Some(field) => {
                        let document = place.with_field(unlocked, field, Some(&value))?;
                        let document = Secret::from_bytes(document.unwrap_or_default());
                        unlocked.with_value(place.entry, &document, overlap)
                    }
                }
            })
            .map(Some)
        })
        .await
    }

    async fn delete(&self, target: &Target, expect: &Expect) -> Result<()> {
        let expect = expect.clone();
        self.run_on(target, move |file, place| {
            file.change(|unlocked| {
                let found = place.version(unlocked)?;
                let Some(found) = found else {
                    return Err(absent(&place));
                };
                check_expected(&expect, Some(&found))?;
                let rest = match place.field {
                    None => None,
                    Some(field) => place.with_field(unlocked, field, None)?,
                };
                Ok(match rest {
                    None => (unlocked.with_lines(place.entry, "")?, ()),
                    Some(rest) => {
                        let (text, _) =
                            unlocked.with_value(place.entry, &Secret::from_bytes(rest), None)?;
                        (text, ())
                    }
                })
            })
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let prefix = prefix.to_owned();
        self.run(move |file| {
            let mut names = file.list()?;
            names.retain(|name| name.as_str().starts_with(&prefix));
            Ok(names)
        })
        .await
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.run(|file| file.read().map(drop)).await?;
        Ok(ProviderHealth::ready())
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.watch.close();
        Ok(())
    }

    /// Returns after the file was replaced, by our own writes too. Each change is told to one of
    /// several callers.
    async fn changed(&self) -> Result<()> {
        match self.watch.changed().await? {
            true => Ok(()),
            false => Err(self.closed_error()),
        }
    }

    async fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        self.run_on(target, |file, place| file.read()?.versions(place.entry))
            .await
    }

    async fn promote(&self, target: &Target, version: &Version) -> Result<()> {
        let version = version.clone();
        self.run_on(target, move |file, place| {
            file.change_if(|unlocked| Ok((unlocked.with_promoted(place.entry, &version)?, ())))
        })
        .await
    }
}

fn answer(unlocked: &Unlocked, request: &Request) -> Result<Reply> {
    if request.stage == Stage::Pending {
        return Err(no_pending());
    }
    let place = Place::of(&request.target)?;
    let version = unlocked.version(place.entry, &request.stage)?;
    if request.known.as_ref() == Some(&version) && place.version(unlocked)?.is_some() {
        return Ok(Reply::Unchanged);
    }
    let found = unlocked.read(place.entry, &request.stage)?;
    let metadata = found.metadata().clone().with_name(&request.target.name);
    let found = match place.field {
        None => found,
        Some(field) => place.field(&found, field)?,
    };
    Ok(Reply::Value(found.with_metadata(metadata)))
}

/// What a target means: an entry, or a key of the JSON object in one.
struct Place<'a> {
    entry: &'a str,
    field: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(target: &'a Target) -> Result<Self> {
        let Some(id) = target.id.as_deref() else {
            let (entry, field) = (target.name.path(), target.name.field());
            return Ok(Self { entry, field });
        };
        // An id is an entry's name: nothing else is there to be identified.
        let is_entry = SecretName::is_valid(id) && !id.contains('#');
        let field = target.field.as_deref();
        is_entry
            .then_some(Self { entry: id, field })
            .ok_or_else(|| {
                let message = "the `id` in the secret's source is no name of an entry";
                Error::new(ErrorKind::Absent, message)
                    .with_help("an entry of a sealed file has the name of a secret")
            })
    }

    /// The version of what is there; `None` where nothing is.
    fn version(&self, unlocked: &Unlocked) -> Result<Option<Version>> {
        let found = unlocked.current(self.entry)?;
        let (Some(_), Some(field)) = (&found, self.field) else {
            return Ok(found);
        };
        let tree = self.tree(&unlocked.read(self.entry, &Stage::Current)?)?;
        Ok(found.filter(|_| tree.find(&[field]).is_some()))
    }

    fn field(&self, entry: &Secret, field: &str) -> Result<Secret> {
        let tree = self.tree(entry)?;
        if tree.find(&[field]).is_none() {
            return Err(absent(self));
        }
        let value = tree.value(&[field]).map_err(|fault| self.fault(fault))?;
        Ok(Secret::from_utf8_or_bytes(value).with_metadata(Metadata::new()))
    }

    /// The entry's JSON object with one field set or taken out; `None` where nothing is left.
    fn with_field(
        &self,
        unlocked: &Unlocked,
        field: &str,
        value: Option<&Secret>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let tree = match unlocked.current(self.entry)? {
            None => None,
            Some(_) => Some(self.tree(&unlocked.read(self.entry, &Stage::Current)?)?),
        };
        json::with_field(tree.as_ref(), field, value).map_err(|fault| self.fault(fault))
    }

    fn tree(&self, entry: &Secret) -> Result<json::Tree> {
        // EXPOSES: to a parsed document, which is wiped
        let text = Zeroizing::new(entry.expose_bytes().to_vec());
        json::Tree::parse(text).map_err(|fault| {
            self.fault(fault)
                .with_help("a name with `#field` needs an entry that is a JSON object")
        })
    }

    fn fault(&self, fault: Fault) -> Error {
        fault.in_file(Path::new(&format!("the entry `{}`", self.entry)))
    }
}

fn no_pending() -> Error {
    let message = "a sealed file holds no pending values";
    Error::new(ErrorKind::Unsupported, message)
}

fn absent(place: &Place<'_>) -> Error {
    let message = match place.field {
        None => format!("there is no entry `{}`", place.entry),
        Some(field) => format!("the entry `{}` has no key `{field}`", place.entry),
    };
    Error::new(ErrorKind::Absent, message)
}
