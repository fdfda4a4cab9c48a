//! A backend of our own: one file in the form of INI, read-only.
//!
//! ```text
//! [database]
//! password = anything to the end of the line, with %0A for a line break and %25 for a percent sign
//! ```
//!
//! `database/password` and `database#password` are both this entry. The parts stand in the same
//! order as in strongroom's own backends: row, provider, format, errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use percent_encoding::percent_decode_str;
use strongroom::provider::{
    Description, Expect, ProviderHealth, Put, Reply, Request, Stage, Target,
};
use strongroom::{
    Backend, Class, Connect, Error, ErrorKind, MAX_VALUE_BYTES, Metadata, Probe, ProviderUrl, Rail,
    Result, Secret, SecretName, SecretProvider, Version,
};
use zeroize::Zeroizing;

/// `ini:path/to/file`, or the variable `SECRETS_INI`.
pub(crate) const BACKEND: Backend = Backend::new("ini", "INI file", |connect| {
    Box::pin(async move { open(&connect) })
})
.with_detect(|env, _deployment| {
    const VARIABLE: &str = "SECRETS_INI";
    let probe = match env.var(VARIABLE)? {
        Some(path) => Probe::found(Class::Marker, VARIABLE, ProviderUrl::new("ini", path)),
        None => Probe::nothing(Class::Marker, VARIABLE, "not set"),
    };
    Ok(vec![probe])
});

pub(crate) fn open(connect: &Connect) -> Result<Arc<dyn SecretProvider>> {
    let file = connect.resolve(connect.url.path());
    // The guard rails decide: production refuses this, development is told of it.
    let sentence = format!("{} is a plain file", connect.url);
    connect
        .rails
        .check(Rail::PlainFileOnDisk, &sentence, None)?;
    Ok(Arc::new(Ini {
        file,
        address: connect.url.to_string(),
        is_closed: AtomicBool::new(false),
    }))
}

#[derive(Debug)]
struct Ini {
    file: PathBuf,
    address: String,
    is_closed: AtomicBool,
}

#[async_trait]
impl SecretProvider for Ini {
    fn describe(&self) -> Description {
        Description::new("ini", &self.address, false)
    }

    async fn fetch(&self, wanted: &[Request]) -> Vec<Result<Reply>> {
        // Read once, so that all answers come from one version of the file.
        let entries = self.entries().await;
        let answer = |request: &Request| match &entries {
            Ok(entries) => find(entries, request).map(Reply::Value),
            Err(error) => Err(again(error, &request.target.name)),
        };
        wanted.iter().map(answer).collect()
    }

    async fn put(&self, put: &Put) -> Result<Option<Version>> {
        Err(read_only(&put.target))
    }

    async fn delete(&self, target: &Target, _expect: &Expect) -> Result<()> {
        Err(read_only(target))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<SecretName>> {
        let entries = self.entries().await?;
        let names = entries.keys().filter(|name| name.starts_with(prefix));
        names.map(|name| name.parse()).collect()
    }

    async fn health(&self) -> Result<ProviderHealth> {
        self.entries().await.map(|_| ProviderHealth::ready())
    }

    async fn close(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Release);
        Ok(())
    }
}

type Entries = BTreeMap<String, Zeroizing<String>>;

impl Ini {
    async fn entries(&self) -> Result<Entries> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the file was closed"));
        }
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file));
        // It is cancelled only when the runtime ends.
        read.await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the runtime has ended")))
    }
}

fn find(entries: &Entries, request: &Request) -> Result<Secret> {
    let Target {
        name, id, field, ..
    } = &request.target;
    let refuse = |kind, message: &str| Err(Error::new(kind, message).with_name(name));
    if request.stage != Stage::Current {
        return refuse(
            ErrorKind::Unsupported,
            "the file holds current values alone",
        );
    }
    let key = match (id, field) {
        (Some(id), Some(field)) => format!("{id}/{field}"),
        (Some(id), None) => id.clone(),
        (None, _) => name.as_str().replace('#', "/"),
    };
    let Some(value) = entries.get(&key) else {
        return refuse(ErrorKind::Absent, "the file has no such entry");
    };
    let value: Zeroizing<Vec<u8>> = Zeroizing::new(percent_decode_str(value).collect());
    if value.len() > MAX_VALUE_BYTES {
        return refuse(ErrorKind::Malformed, "the value has more than 64 KiB");
    }
    Ok(Secret::from_utf8_or_bytes(value).with_metadata(Metadata::new().with_name(name)))
}

fn read(file: &Path) -> Result<Entries> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            std::io::ErrorKind::NotFound => ErrorKind::Config,
            std::io::ErrorKind::InvalidData => ErrorKind::Malformed,
            _ => ErrorKind::Transient,
        };
        Error::new(kind, format!("can't read {}", file.display())).with_source(error)
    })?;
    let text = Zeroizing::new(text);
    let mut entries = Entries::new();
    let mut section = String::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        // Only the place is said: the line may hold a value.
        let wrong = |what: &str| {
            let message = format!("{}, line {number}: {what}", file.display());
            Error::new(ErrorKind::Malformed, message)
        };
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = format!("{name}/");
            continue;
        }
        let Some((key, value)) = line.split_once(" = ") else {
            return Err(wrong("neither `[section]` nor `key = value`"));
        };
        let name = format!("{section}{key}");
        if name.parse::<SecretName>().is_err() {
            return Err(wrong("section and key make no name of a secret"));
        }
        if entries
            .insert(name, Zeroizing::new(value.to_owned()))
            .is_some()
        {
            return Err(wrong("the entry is there twice"));
        }
    }
    Ok(entries)
}

fn read_only(target: &Target) -> Error {
    let message = "an INI file is read-only here";
    Error::new(ErrorKind::Unsupported, message).with_name(&target.name)
}

/// Errors can't be cloned; each answer of a batch gets its own, of the same kind.
fn again(error: &Error, name: &SecretName) -> Error {
    Error::new(error.kind(), error.to_string()).with_name(name)
}
