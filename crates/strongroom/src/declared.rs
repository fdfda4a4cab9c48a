//! What a service declares about the secrets it needs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::Target;
use crate::secret::Secret;

mod encoding;
mod merge;

pub use encoding::Encoding;
pub(crate) use merge::merge;

/// One declared secret: a row of the manifest's `secrets`, or of a type's own declaration.
///
/// ```
/// use strongroom::{Declared, Kind, SecretName};
///
/// let token = Declared::new(SecretName::from_static("api/token"), Kind::Token)
///     .with_description("the partner's API")
///     .with_min_length(40);
/// assert!(token.required);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Declared {
    /// Its name.
    pub name: SecretName,
    /// What it is, which decides how its strength is judged.
    pub kind: Kind,
    /// Whether the service can't boot without it.
    pub required: bool,
    /// What it is for, shown to operators.
    pub description: Option<String>,
    /// Its own environment variable, for the environment backend and for `strongroom run`.
    pub variable: Option<String>,
    /// How the backend's text stands for the value's bytes.
    pub encoding: Encoding,
    /// The value for development where the backend has none. Refused in staging and production.
    pub default: Option<Secret>,
    /// Where it is read from, instead of the mapping of its name by the chosen provider.
    pub source: Option<DeclaredSource>,
    /// The least length: characters for a token or a password, bytes for anything else. It can
    /// raise what the kind asks for, never lower it.
    pub min_length: Option<usize>,
    /// The exact decoded length in bytes of a key; 32 where nothing is said.
    pub length: Option<usize>,
    /// The age from which it should have been rotated.
    pub rotate_after: Option<Duration>,
    /// The type and field that need it, `App.database.password` for example, where a type declares it.
    pub needed_by: Option<String>,
}

impl Declared {
    /// Declares a required secret.
    pub fn new(name: SecretName, kind: Kind) -> Self {
        Self {
            name,
            kind,
            required: true,
            description: None,
            variable: None,
            encoding: Encoding::Text,
            default: None,
            source: None,
            min_length: None,
            length: None,
            rotate_after: None,
            needed_by: None,
        }
    }

    /// Says that the service can boot without it.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Says what it is for.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets its own environment variable.
    #[must_use]
    pub fn with_variable(mut self, variable: impl Into<String>) -> Self {
        self.variable = Some(variable.into());
        self
    }

    /// Sets how the backend's text stands for the bytes.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets the value for development.
    #[must_use]
    pub fn with_default(mut self, default: Secret) -> Self {
        self.default = Some(default);
        self
    }

    /// Sets where it is read from.
    #[must_use]
    pub fn with_source(mut self, source: DeclaredSource) -> Self {
        self.source = Some(source);
        self
    }

    /// Raises the least length.
    #[must_use]
    pub fn with_min_length(mut self, min_length: usize) -> Self {
        self.min_length = Some(min_length);
        self
    }

    /// Sets the exact decoded length of a key, in bytes.
    #[must_use]
    pub fn with_length(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    /// Sets the age from which it should have been rotated.
    #[must_use]
    pub fn with_rotate_after(mut self, age: Duration) -> Self {
        self.rotate_after = Some(age);
        self
    }

    /// Says which type and field need it, for messages.
    #[must_use]
    pub fn with_needed_by(mut self, needed_by: impl Into<String>) -> Self {
        self.needed_by = Some(needed_by.into());
        self
    }

    /// Reports whether its provider lends it.
    pub(crate) fn is_leased(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.lease)
    }

    /// What its provider is asked for.
    pub(crate) fn target(&self) -> Target {
        let target = Target::new(self.name.clone());
        match &self.source {
            Some(DeclaredSource {
                id: Some(id),
                field,
                ..
            }) => target.with_id(id, field.clone()),
            Some(DeclaredSource {
                name: Some(other), ..
            }) => Target::new(other.clone()),
            _ => target,
        }
    }
}

/// Where one declared secret is read from: another provider, another name, or a backend's own id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DeclaredSource {
    /// A provider that the manifest names under `providers`; the chosen one where nothing is said.
    pub provider: Option<String>,
    /// The backend's own identifier, which need not be a [`SecretName`].
    pub id: Option<String>,
    /// Another name to ask for.
    pub name: Option<SecretName>,
    /// The field of `id` that is meant.
    pub field: Option<String>,
    /// Whether reading `id` makes a new secret that the backend lends for a time: a dynamic secret.
    /// It is then read once, and its lease renewed.
    pub lease: bool,
}

impl DeclaredSource {
    /// Says that another name is to be asked for.
    pub fn of_name(name: SecretName) -> Self {
        Self {
            name: Some(name),
            ..Self::default()
        }
    }

    /// Says that the backend's own identifier is to be asked for, and which field of it.
    pub fn of_id(id: impl Into<String>, field: Option<String>) -> Self {
        Self {
            id: Some(id.into()),
            field,
            ..Self::default()
        }
    }

    /// Says that reading the identifier makes a new secret, which the backend lends for a time.
    #[must_use]
    pub fn with_lease(mut self) -> Self {
        self.lease = true;
        self
    }

    /// Sets the provider, by its name in the manifest.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }
}

/// What a secret is, which decides how its strength is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A random text: an API token, a bearer token, a client secret.
    Token,
    /// A text that a person may have chosen.
    Password,
    /// Raw key material, or its base64, base64url or hexadecimal text.
    Key,
    /// A URL that holds a password.
    Url,
    /// PEM: certificates and private keys.
    Pem,
    /// A signed JSON Web Token.
    Jwt,
    /// A JSON document.
    Json,
    /// Anything else. Only the rules for every kind apply.
    Opaque,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Kind] = &[
        Self::Token,
        Self::Password,
        Self::Key,
        Self::Url,
        Self::Pem,
        Self::Jwt,
        Self::Json,
        Self::Opaque,
    ];

    /// Returns the manifest's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::Key => "key",
            Self::Url => "url",
            Self::Pem => "pem",
            Self::Jwt => "jwt",
            Self::Json => "json",
            Self::Opaque => "opaque",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == word);
        found.copied().ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            Error::new(ErrorKind::Config, "not a kind of secret")
                .with_help(format!("the kinds are {}", words.join(", ")))
        })
    }
}
