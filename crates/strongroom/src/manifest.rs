//! `strongroom.toml`: profiles, declared secrets, policy and overrides.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::declared::{Declared, Kind};
use crate::env::{Env, read_text_file};
use crate::error::{Error, ErrorKind, Result};
use crate::provider_url::ProviderUrl;
use crate::rails::Rail;
use crate::report::Finding;
use crate::{snapshot, trust};

mod audit;
mod document;
mod layers;
mod names;
mod read;
mod schema;

pub use names::ManifestNames;
pub use schema::manifest_schema;
pub(crate) use schema::suggest;

/// The name of the manifest in the working directory.
pub(crate) const FILE_NAME: &str = "strongroom.toml";

/// The most bytes a manifest may have.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// Where the manifest is taken from.
#[derive(Clone, Default)]
pub(crate) enum Choice {
    /// `STRONGROOM_MANIFEST`, else `strongroom.toml` in the working directory, else none.
    #[default]
    Search,
    /// A file that somebody named.
    File(PathBuf),
    /// Text that was compiled in.
    Text(String),
}

impl fmt::Debug for Choice {
    /// Shows no text: a value may stand in it where none belongs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Search => f.write_str("Search"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

/// The manifest as one profile sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manifest {
    /// What it is called in messages; `None` where there is no manifest.
    pub(crate) origin: Option<String>,
    /// The directory that its relative paths start from.
    pub(crate) base_dir: PathBuf,
    /// Where it was found by searching; `None` if somebody named it.
    pub(crate) found: Option<Found>,
    /// Whether nobody vouches for what it says.
    pub(crate) distrusted: bool,
    pub(crate) provider: Option<(ProviderUrl, String)>,
    pub(crate) allow_providers: Option<Vec<String>>,
    pub(crate) providers: BTreeMap<String, ProviderUrl>,
    pub(crate) secrets: Vec<Declared>,
    /// What is asked of every declared secret that says nothing of its own.
    pub(crate) policy: Policy,
    /// What the layers around remote providers are told.
    pub(crate) layers: crate::layers::Settings,
    /// How long values are held.
    pub(crate) cache: crate::refresh::Settings,
    /// What a boot may start from while the backend can't be reached.
    pub(crate) snapshot: Option<snapshot::Settings>,
    /// What is recorded, and where.
    pub(crate) audit: crate::audit::Settings,
    pub(crate) overridden: Vec<Rail>,
    /// Every setting with its origin.
    pub(crate) settings: Vec<Setting>,
    /// What is allowed, and probably not meant.
    pub(crate) warnings: Vec<Finding>,
}

/// What is asked of every declared secret that says nothing of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    pub(crate) min_length: Option<usize>,
    pub(crate) rotate_after: Option<Duration>,
}

impl Policy {
    pub(crate) fn apply(&self, declared: &mut Declared) {
        if matches!(declared.kind, Kind::Token | Kind::Password) {
            declared.min_length = declared.min_length.or(self.min_length);
        }
        declared.rotate_after = declared.rotate_after.or(self.rotate_after);
    }
}

/// A manifest that was found by searching.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// The SHA-256 of its text.
    pub(crate) sha256: String,
}

/// One setting of the manifest, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// The key, its levels joined by dots: `policy.min_length`.
    pub key: String,
    /// The value as an operator would write it. A secret's default is not shown.
    pub value: String,
    /// The file, line and profile, or the variable.
    pub origin: String,
}

impl Manifest {
    /// Reads the manifest for a profile.
    ///
    /// `profile` is the wanted profile, and whether somebody named it: a profile that was named must
    /// exist, one that only follows the deployment need not.
    pub(crate) fn load(choice: &Choice, env: &Env, profile: (&str, bool)) -> Result<Self> {
        let Some(located) = locate(choice, env)? else {
            if profile.1 {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "profile `{}` was asked for, but there is no manifest",
                        profile.0
                    ),
                )
                .with_help(format!(
                    "write a {FILE_NAME}, or name one with STRONGROOM_MANIFEST"
                )));
            }
            let overrides = document::Overrides::from_env(env)?;
            if let Some(variable) = overrides.first_variable() {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("{variable} overrides a manifest, but there is no manifest"),
                )
                .with_help(format!("write a {FILE_NAME}, or unset the variable")));
            }
            return Ok(Self {
                base_dir: env.working_dir().to_owned(),
                ..Self::default()
            });
        };
        let document = document::Document::parse(&located.name, &located.text)?;
        read::read(
            &document,
            &document::Overrides::from_env(env)?,
            located,
            profile,
        )
    }
}

/// A manifest's text and what to call it.
struct Located {
    name: String,
    text: String,
    base_dir: PathBuf,
    found: Option<Found>,
}

fn locate(choice: &Choice, env: &Env) -> Result<Option<Located>> {
    let named = match choice {
        Choice::Text(text) => {
            return Ok(Some(Located {
                name: "the compiled-in manifest".to_owned(),
                text: text.clone(),
                base_dir: env.working_dir().to_owned(),
                found: None,
            }));
        }
        Choice::File(path) => Some(path.clone()),
        Choice::Search => env.var("STRONGROOM_MANIFEST")?.map(PathBuf::from),
    };
    let (path, found_by_search) = match named {
        Some(path) => (env.working_dir().join(path), false),
        None => (env.working_dir().join(FILE_NAME), true),
    };
    match read_text_file(&path, MAX_BYTES) {
        Ok(text) => Ok(Some(Located {
            name: shown(&path, env),
            base_dir: path.parent().unwrap_or(Path::new(".")).to_owned(),
            found: found_by_search.then(|| Found {
                path: path.clone(),
                sha256: trust::digest(&text),
            }),
            text,
        })),
        Err(error) if found_by_search && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("can't read the manifest {}", shown(&path, env));
            Err(Error::new(ErrorKind::Config, message)
                .with_help("it must be a readable TOML file of at most 1 MiB")
                .with_source(error))
        }
    }
}

/// A path as messages show it: relative where it lies in the working directory.
fn shown(path: &Path, env: &Env) -> String {
    path.strip_prefix(env.working_dir())
        .unwrap_or(path)
        .display()
        .to_string()
}
