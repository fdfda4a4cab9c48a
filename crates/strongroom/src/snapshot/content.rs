//! What a snapshot says, and how it stands in the entries of a sealed file.
//!
//! The entry `about` says what the snapshot is of. Each secret has an entry `secrets/N/known` and, if
//! the backend held it, the entry `secrets/N/value`: names with a `#field` are no names of entries.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::secret::{Metadata, Provenance, Secret, Source, Version};

/// The version of this form.
const FORMAT: u32 = 1;
const ABOUT: &str = "about";

/// Values that were in force at one time.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) origin: Origin,
    /// In whole seconds.
    pub(super) taken: SystemTime,
    pub(super) kept: BTreeMap<SecretName, Kept>,
}

/// What a snapshot is of. It serves nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) deployment: String,
    pub(crate) profile: String,
    /// The addresses of the providers, the chosen one under the name of nothing.
    pub(crate) providers: BTreeMap<String, String>,
}

/// What is kept of one secret.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) place: Place,
    /// `None` if the backend held none.
    pub(super) value: Option<Secret>,
}

/// Where a secret was read from, and how its text was decoded: what is read elsewhere now is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    provider: Option<String>,
    name: String,
    id: Option<String>,
    field: Option<String>,
    encoding: String,
}

impl Place {
    pub(super) fn of(declared: &Declared) -> Self {
        let target = declared.target();
        let source = declared.source.as_ref();
        Self {
            provider: source.and_then(|source| source.provider.clone()),
            name: target.name.to_string(),
            id: target.id,
            field: target.field,
            encoding: declared.encoding.to_string(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct About {
    format: u32,
    taken: u64,
    #[serde(flatten)]
    origin: Origin,
}

/// What is known of one secret, without its value.
#[derive(Serialize, Deserialize)]
struct Known {
    name: String,
    place: Place,
    version: Option<String>,
    created: Option<u64>,
    /// Whether the value is text and not bytes.
    text: bool,
}

impl Content {
    pub(super) fn to_entries(&self) -> Result<BTreeMap<String, Secret>> {
        let about = About {
            format: FORMAT,
            taken: seconds(self.taken),
            origin: self.origin.clone(),
        };
        let mut entries = BTreeMap::from([(ABOUT.to_owned(), json(&about)?)]);
        for (at, (name, kept)) in self.kept.iter().enumerate() {
            let metadata = kept.value.as_ref().map(Secret::metadata);
            let version = metadata.and_then(Metadata::version);
            let known = Known {
                name: name.to_string(),
                place: kept.place.clone(),
                version: version.map(|version| version.as_str().to_owned()),
                created: metadata.and_then(Metadata::created).map(seconds),
                text: kept.value.as_ref().is_some_and(Secret::is_text),
            };
            entries.insert(format!("secrets/{at}/known"), json(&known)?);
            if let Some(value) = &kept.value {
                entries.insert(format!("secrets/{at}/value"), value.clone());
            }
        }
        Ok(entries)
    }

    pub(super) fn from_entries(entries: &BTreeMap<String, Secret>) -> Result<Self> {
        let about = entries.get(ABOUT).ok_or_else(other_form)?;
        let about: About = parse(about)?;
        if about.format != FORMAT {
            return Err(other_form());
        }
        let mut kept = BTreeMap::new();
        for (entry, known) in entries {
            let Some(secret) = entry.strip_suffix("/known") else {
                continue;
            };
            let known: Known = parse(known)?;
            let name: SecretName = known.name.parse().map_err(|_| other_form())?;
            let mut metadata = Metadata::new()
                .with_name(&name)
                .with_source(Source::Snapshot)
                .with_provenance(Provenance::new().wipeable());
            metadata.set_fetched_at(time(about.taken)?);
            if let Some(version) = known.version {
                metadata = metadata.with_version(Version::new(version));
            }
            if let Some(created) = known.created {
                metadata = metadata.with_created(time(created)?);
            }
            let value = entries.get(&format!("{secret}/value")).map(|value| {
                // EXPOSES: to a copy that becomes a secret of bytes
                let value = match known.text {
                    true => value.clone(),
                    false => Secret::from_bytes(value.expose_bytes().to_vec()),
                };
                value.with_metadata(metadata)
            });
            let place = known.place;
            kept.insert(name, Kept { place, value });
        }
        Ok(Self {
            origin: about.origin,
            taken: time(about.taken)?,
            kept,
        })
    }
}

fn json(value: &impl Serialize) -> Result<Secret> {
    // Nothing that is a value passes through here.
    let text = serde_json::to_string(value).map_err(|_| other_form())?;
    Ok(Secret::from_text(text))
}

fn parse<T: for<'de> Deserialize<'de>>(text: &Secret) -> Result<T> {
    // EXPOSES: to the parser of what the snapshot says about values, which holds none
    serde_json::from_slice(text.expose_bytes()).map_err(|_| other_form())
}

fn other_form() -> Error {
    let message = "the snapshot was written in another form than this version reads";
    Error::new(ErrorKind::Malformed, message)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn time(seconds: u64) -> Result<SystemTime> {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .ok_or_else(other_form)
}
