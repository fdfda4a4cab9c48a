//! References to secrets inside ordinary configuration: `secret:database/password`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::declared::{Declared, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::live::LiveSecret;
use crate::name::SecretName;
use crate::secret::Secret;
use crate::secrets::Secrets;

mod collect;

/// How a reference begins.
const SCHEME: &str = "secret:";

/// What is said of everything that is no reference. It holds nothing of what stands there.
const NO_REFERENCE: &str = "a reference belongs here, such as \"secret:database/password\", and what stands \
     here is none (it is not shown: it may be a secret, which belongs into a backend)";

/// A reference to a secret in an ordinary configuration file, `secret:database/password`.
///
/// It holds a name and nothing else, so that no value travels through the configuration's own types,
/// which print, copy and don't wipe what they read. It is read by `serde`, from figment for example, and
/// [resolved](Self::resolve) afterwards. Anything else in its place, the secret itself above all, is
/// an error that doesn't repeat it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use serde::{Deserialize, Serialize};
/// use strongroom::{Env, Kind, Memory, SecretRef, SecretsFactory};
///
/// #[derive(Debug, Deserialize)]
/// struct Database {
///     host: String,
///     password: SecretRef,
/// }
///
/// let file = "host = \"db.internal\"\npassword = \"secret:database/password\"";
/// let config: Database = toml::from_str(file).unwrap();
///
/// let secrets = SecretsFactory::builder()
///     # .env(Env::empty())
///     # .provider(Memory::new().with("database/password", "violet-Kayak-19-thunder"))
///     .declare([config.password.declare(Kind::Password)])
///     .detect()
///     .await?;
/// let password = config.password.resolve(&secrets).await?;
/// assert!(password.verify("violet-Kayak-19-thunder"));
/// assert!(toml::from_str::<Database>("host = \"\"\npassword = \"hunter2\"").is_err());
/// # Ok::<(), strongroom::Error>(()) }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef(SecretName);

impl SecretRef {
    /// Refers to a secret.
    pub fn new(name: SecretName) -> Self {
        Self(name)
    }

    /// Returns the secret's name.
    pub fn name(&self) -> &SecretName {
        &self.0
    }

    /// Declares the secret, so that the boot proves it: for [`SecretsBuilder::declare`](crate::SecretsBuilder::declare).
    pub fn declare(&self, kind: Kind) -> Declared {
        Declared::new(self.0.clone(), kind)
    }

    /// Declares everything that a configuration refers to, wherever it stands in it.
    ///
    /// The kinds are [`Kind::Opaque`], which says nothing and yields to the kind that the manifest, or
    /// another declaration, gives to the name. The configuration is looked at through its `Serialize`:
    /// every text in it that begins with `secret:` counts.
    ///
    /// ```
    /// use serde::Serialize;
    /// use strongroom::{LiveRef, SecretRef};
    ///
    /// #[derive(Serialize)]
    /// struct Config {
    ///     port: u16,
    ///     token: Option<LiveRef>,
    /// }
    ///
    /// let config = Config { port: 80, token: Some("secret:partner/token".parse()?) };
    /// let declared = SecretRef::declare_all(&config)?;
    /// assert_eq!(declared[0].name.as_str(), "partner/token");
    /// assert_eq!(declared[0].needed_by.as_deref(), Some("token"));
    /// # Ok::<(), strongroom::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if a text begins so and is no reference, and if the configuration can't be
    /// serialised.
    pub fn declare_all(config: &impl Serialize) -> Result<Vec<Declared>> {
        collect::declared(config)
    }

    /// Returns the secret as it is now.
    ///
    /// # Errors
    /// As [`Secrets::get`].
    pub async fn resolve(&self, secrets: &Secrets) -> Result<Secret> {
        secrets.get(&self.0).await
    }
}

/// A reference to a secret that is followed while the service runs. As [`SecretRef`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LiveRef(SecretRef);

impl LiveRef {
    /// Refers to a secret.
    pub fn new(name: SecretName) -> Self {
        Self(SecretRef(name))
    }

    /// Returns the secret's name.
    pub fn name(&self) -> &SecretName {
        self.0.name()
    }

    /// Declares the secret, so that the boot proves it.
    pub fn declare(&self, kind: Kind) -> Declared {
        self.0.declare(kind)
    }

    /// Returns a live handle of the secret.
    ///
    /// # Errors
    /// As [`Secrets::watch`].
    pub async fn watch(&self, secrets: &Secrets) -> Result<LiveSecret> {
        secrets.watch(self.name()).await
    }
}

impl FromStr for SecretRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let name = text.strip_prefix(SCHEME);
        // Its own parser may quote a part of what is no name.
        let name = name.and_then(|name| SecretName::parse(name).ok());
        name.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Malformed, NO_REFERENCE)
                .with_help("write secret: and the name of a secret")
        })
    }
}

impl FromStr for LiveRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

impl fmt::Display for LiveRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for LiveRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for LiveRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Asked for a text, a format would describe by itself what else it found, value and all.
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for LiveRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SecretRef::deserialize(deserializer).map(Self)
    }
}

/// Takes whatever stands there, so that no format says what it was.
struct Reader;

fn refused<E: de::Error>() -> E {
    E::custom(NO_REFERENCE)
}

impl<'de> Visitor<'de> for Reader {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference such as \"secret:database/password\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretRef, E> {
        text.parse().map_err(|_| refused())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_char<E: de::Error>(self, _: char) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_none<E: de::Error>(self) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_unit<E: de::Error>(self) -> Result<SecretRef, E> {
        Err(refused())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<SecretRef, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<SecretRef, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<SecretRef, A::Error> {
        Err(refused())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<SecretRef, A::Error> {
        Err(refused())
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, _: A) -> Result<SecretRef, A::Error> {
        Err(refused())
    }
}

#[cfg(test)]
mod tests;
