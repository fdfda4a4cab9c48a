//! Typed loading: a type says what it needs and is built from it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::live::LiveSecret;
use crate::name::SecretName;
use crate::secret::Secret;

/// A type that is built from declared secrets, all read at once.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use strongroom::{Declared, FromSecrets, Kind, Loaded, Result, Secret, SecretName};
/// # use strongroom::{Memory, SecretsFactory, Env};
///
/// struct Database {
///     user: Secret,
///     password: Secret,
/// }
///
/// impl FromSecrets for Database {
///     fn declared() -> Vec<Declared> {
///         vec![
///             Declared::new(SecretName::from_static("database/user"), Kind::Opaque),
///             Declared::new(SecretName::from_static("database/password"), Kind::Password),
///         ]
///     }
///
///     fn from_secrets(found: &Loaded<'_>) -> Result<Self> {
///         Ok(Self {
///             user: found.get("database/user")?.clone(),
///             password: found.get("database/password")?.clone(),
///         })
///     }
/// }
///
/// # let memory = Memory::new()
/// #     .with("database/user", "app")
/// #     .with("database/password", "violet-Kayak-19-thunder");
/// let secrets = SecretsFactory::builder()
///     .declare(Database::declared())
///     # .env(Env::empty())
///     .provider(memory)
///     .detect()
///     .await?;
/// let database: Database = secrets.load().await?;
/// assert_eq!(database.user.expose_str()?, "app");
/// # Ok::<(), strongroom::Error>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` doesn't say which secrets it needs",
    label = "not a type that is built from secrets",
    note = "derive it: `#[derive(strongroom::FromSecrets)]` (feature `derive`), or implement `strongroom::FromSecrets`"
)]
pub trait FromSecrets: Sized {
    /// Lists what the type needs.
    fn declared() -> Vec<Declared>;

    /// Builds the type from what was found.
    ///
    /// For [`Secrets::watch_as`](crate::Secrets::watch_as) it runs again whenever one of them rotates, on
    /// the runtime of the boot and while nothing else is refreshed: it must not wait for anything.
    ///
    /// # Errors
    /// Whatever reading a required secret, or parsing it, fails with.
    fn from_secrets(found: &Loaded<'_>) -> Result<Self>;
}

/// The secrets that a type declared, as they were found.
pub struct Loaded<'a> {
    found: &'a BTreeMap<SecretName, LiveSecret>,
    values: Arc<BTreeMap<SecretName, Secret>>,
    /// What stands before every name that is asked for: nothing, or a path and its `/`.
    folder: String,
}

impl<'a> Loaded<'a> {
    pub(crate) fn new(found: &'a BTreeMap<SecretName, LiveSecret>) -> Result<Self> {
        let value = |(name, live): (&SecretName, &LiveSecret)| {
            Ok((name.clone(), live.with(Secret::clone)?))
        };
        Ok(Self {
            found,
            values: Arc::new(found.iter().map(value).collect::<Result<_>>()?),
            folder: String::new(),
        })
    }

    /// Returns what a nested type sees, to which `name` is `path/name` of this.
    #[cfg(feature = "derive")]
    pub(crate) fn below(&self, path: &str) -> Loaded<'a> {
        let folder = match path {
            "" => self.folder.clone(),
            path => format!("{}{path}/", self.folder),
        };
        Loaded {
            found: self.found,
            values: Arc::clone(&self.values),
            folder,
        }
    }

    /// Returns the whole name of what is called `name` here.
    pub(crate) fn whole<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.folder.as_str() {
            "" => name.into(),
            folder => format!("{folder}{name}").into(),
        }
    }

    /// Returns a declared secret.
    ///
    /// # Errors
    /// [`ErrorKind::Absent`] if it is optional and not there, [`ErrorKind::Config`] if the type
    /// didn't declare it.
    pub fn get(&self, name: &str) -> Result<&Secret> {
        let name = self.whole(name);
        self.values.get(&*name).ok_or_else(|| missing(&name))
    }

    /// Returns a declared secret, or `None` if it is optional and not there.
    pub fn get_optional(&self, name: &str) -> Option<&Secret> {
        self.values.get(&*self.whole(name))
    }

    /// Returns the live handle of a declared secret.
    ///
    /// In a type that [`Secrets::watch_as`](crate::Secrets::watch_as) keeps up to date it follows its
    /// secret for as long as the handle of the type exists.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn live(&self, name: &str) -> Result<LiveSecret> {
        let name = self.whole(name);
        let found = self.found.get(&*name).cloned();
        found.ok_or_else(|| missing(&name))
    }
}

fn missing(name: &str) -> Error {
    match SecretName::parse(name) {
        Ok(name) => Error::new(ErrorKind::Absent, "not there, or not declared by this type")
            .with_help("list it in `declared()`; read an optional one by get_optional")
            .with_name(&name),
        Err(error) => error,
    }
}

impl fmt::Debug for Loaded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loaded")
            .field(&self.found.keys().collect::<Vec<_>>())
            .finish()
    }
}
