//! The entries, with their versions and stages.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::json;
use crate::backends::files::expected::check_no_overlap;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::{Expect, Put, Reply, Request, Stage, Target, VersionInfo};
use crate::secret::{MAX_VALUE_BYTES, Metadata, Provenance, Secret, Version};

#[derive(Default)]
pub(super) struct Store {
    entries: BTreeMap<String, Entry>,
    // One counter for all entries, so that an entry made again never repeats a version.
    last: u64,
}

#[derive(Default)]
struct Entry {
    // Oldest first.
    kept: Vec<Kept>,
    current: Option<Version>,
    previous: Option<Version>,
    /// When the previous one ends, where its writer said.
    previous_until: Option<SystemTime>,
    pending: Option<Version>,
    deleted: bool,
}

struct Kept {
    version: Version,
    created: SystemTime,
    value: Secret,
}

impl Store {
    pub(super) fn fetch(&self, request: &Request) -> Result<Reply> {
        let (entry, field) = self.resolve(&request.target)?;
        let kept = entry.at(&request.stage).ok_or_else(absent)?;
        if request.known.as_ref() == Some(&kept.version) {
            return Ok(Reply::Unchanged);
        }
        let (value, provenance) = match field {
            // The parser may have left copies behind.
            Some(field) => (json::field(&kept.value, field)?, Provenance::new()),
            None => (kept.value.clone(), Provenance::new().wipeable()),
        };
        let mut metadata = Metadata::new()
            .with_name(&request.target.name)
            .with_version(kept.version.clone())
            .with_created(kept.created)
            .with_provenance(provenance);
        let expires = match request.stage {
            Stage::Previous => entry.previous_until,
            _ => None,
        };
        if let Some(expires) = expires.or(kept.value.metadata().expires()) {
            metadata = metadata.with_expires(expires);
        }
        Ok(Reply::Value(value.with_metadata(metadata)))
    }

    pub(super) fn put(&mut self, put: &Put) -> Result<Version> {
        let key = self.writable_key(&put.target)?;
        if put.value.len() > MAX_VALUE_BYTES {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("a value has at most {MAX_VALUE_BYTES} bytes"),
            ));
        }
        self.expect(&key, &put.expect)?;
        match put.stage {
            Stage::Current => {
                let until = put
                    .overlap
                    .and_then(|time| SystemTime::now().checked_add(time));
                let version = self.set(key.clone(), put.value.clone());
                self.entry(&key).previous_until = until;
                Ok(version)
            }
            Stage::Pending => {
                check_no_overlap(put, "the value stays until the pending one is promoted")?;
                let version = self.keep(&key, put.value.clone());
                self.entry(&key).pending = Some(version.clone());
                Ok(version)
            }
            Stage::Previous | Stage::Exact(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "a value is put as the current or the pending one",
            )),
        }
    }

    pub(super) fn set(&mut self, key: String, value: Secret) -> Version {
        let version = self.keep(&key, value);
        self.entry(&key).make_current(version.clone());
        version
    }

    pub(super) fn delete(&mut self, target: &Target, expect: &Expect) -> Result<()> {
        let key = self.writable_key(target)?;
        self.current(&key).ok_or_else(absent)?;
        self.expect(&key, expect)?;
        self.remove(&key);
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        let exists = self.current(key).is_some();
        if exists {
            self.entry(key).deleted = true;
        }
        exists
    }

    pub(super) fn list(&self, prefix: &str) -> Vec<SecretName> {
        let living = |(key, entry): (&String, &Entry)| {
            let listed = key.starts_with(prefix) && entry.at(&Stage::Current).is_some();
            listed.then(|| SecretName::parse(key).ok()).flatten()
        };
        self.entries.iter().filter_map(living).collect()
    }

    pub(super) fn versions(&self, target: &Target) -> Result<Vec<VersionInfo>> {
        let (entry, _) = self.resolve(target)?;
        let info = |kept: &Kept| VersionInfo::new(kept.version.clone(), Some(kept.created), true);
        Ok(entry.kept.iter().rev().map(info).collect())
    }

    pub(super) fn restore(&mut self, target: &Target) -> Result<()> {
        let key = self.writable_key(target)?;
        let entry = self.entries.get_mut(&key).ok_or_else(absent)?;
        entry.deleted = false;
        Ok(())
    }

    pub(super) fn promote(&mut self, target: &Target, version: &Version) -> Result<()> {
        let key = self.writable_key(target)?;
        let entry = self.entries.get_mut(&key).filter(|entry| !entry.deleted);
        let entry = entry.ok_or_else(absent)?;
        if !entry.kept.iter().any(|kept| kept.version == *version) {
            return Err(absent());
        }
        if entry.current.as_ref() != Some(version) {
            entry.make_current(version.clone());
        }
        Ok(())
    }

    pub(super) fn discard(&mut self, target: &Target, version: &Version) -> Result<()> {
        let key = self.writable_key(target)?;
        let entry = self.entries.get_mut(&key).filter(|entry| !entry.deleted);
        let entry = entry.ok_or_else(absent)?;
        if entry.pending.as_ref() != Some(version) {
            let message = "this version is not the pending one";
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        entry.pending = None;
        entry.kept.retain(|kept| kept.version != *version);
        Ok(())
    }

    /// Finds the entry that a target means, and the field of it.
    fn resolve<'a>(&'a self, target: &'a Target) -> Result<(&'a Entry, Option<&'a str>)> {
        let living = |key: &str| self.entries.get(key).filter(|entry| !entry.deleted);
        let found = match &target.id {
            Some(id) => living(id).map(|entry| (entry, target.field.as_deref())),
            None => living(target.name.as_str())
                .map(|entry| (entry, None))
                .or_else(|| {
                    let field = target.name.field()?;
                    Some((living(target.name.path())?, Some(field)))
                }),
        };
        found.ok_or_else(absent)
    }

    /// Returns the key of the entry that a write of this target changes.
    fn writable_key(&self, target: &Target) -> Result<String> {
        let key = target.id.as_deref().unwrap_or(target.name.as_str());
        // A field that a document holds would still be read there after a write beside it.
        let in_document = match self.resolve(target) {
            Ok((entry, Some(field))) => entry
                .at(&Stage::Current)
                .is_some_and(|kept| json::field(&kept.value, field).is_ok()),
            _ => false,
        };
        if in_document || (target.id.is_some() && target.field.is_some()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a field of a document is written with its whole entry",
            )
            .with_help("put the whole JSON object"));
        }
        Ok(key.to_owned())
    }

    fn current(&self, key: &str) -> Option<&Version> {
        let kept = self.entries.get(key)?.at(&Stage::Current)?;
        Some(&kept.version)
    }

    fn expect(&self, key: &str, expect: &Expect) -> Result<()> {
        let current = self.current(key);
        let holds = match expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Version(version) => current == Some(version),
        };
        if holds {
            return Ok(());
        }
        let found = match current {
            Some(version) => format!("the entry is at version {version}"),
            None => "there is no such entry".to_owned(),
        };
        Err(Error::new(
            ErrorKind::Conflict,
            format!("the write expected another state: {found}"),
        ))
    }

    fn keep(&mut self, key: &str, value: Secret) -> Version {
        self.last = self.last.saturating_add(1);
        let version = Version::new(self.last.to_string());
        let entry = self.entry(key);
        if entry.deleted {
            *entry = Entry::default();
        }
        entry.kept.push(Kept {
            version: version.clone(),
            created: SystemTime::now(),
            value,
        });
        version
    }

    fn entry(&mut self, key: &str) -> &mut Entry {
        self.entries.entry(key.to_owned()).or_default()
    }
}

impl Entry {
    fn at(&self, stage: &Stage) -> Option<&Kept> {
        let version = match stage {
            Stage::Current => self.current.as_ref(),
            Stage::Previous => self.previous.as_ref().filter(|_| {
                let now = SystemTime::now();
                self.previous_until.is_none_or(|until| now < until)
            }),
            Stage::Pending => self.pending.as_ref(),
            Stage::Exact(version) => Some(version),
        };
        let found = self.kept.iter().find(|kept| Some(&kept.version) == version);
        found.filter(|_| !self.deleted)
    }

    fn make_current(&mut self, version: Version) {
        if self.pending.as_ref() == Some(&version) {
            self.pending = None;
        }
        self.previous = self.current.replace(version);
        self.previous_until = None;
    }
}

fn absent() -> Error {
    Error::new(ErrorKind::Absent, "memory holds no such secret")
}
