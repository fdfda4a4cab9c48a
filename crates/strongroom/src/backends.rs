//! The backends, one row each. Nothing outside this room names one.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::audit::Anchors;
use crate::declared::Declared;
use crate::env::{Deployment, Env};
use crate::error::Result;
use crate::examination::Examining;
use crate::provider::SecretProvider;
use crate::provider_url::ProviderUrl;
use crate::rails::{GuardRails, Rail};

mod aws;
mod env_vars;
mod exec;
mod files;
mod memory;
mod plain_file;
pub mod sealed_file;
mod vault;

/// What the fuzz targets of the backends run.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    #[cfg(feature = "aws")]
    pub use super::aws::fuzzing::*;
    #[cfg(feature = "exec")]
    pub use super::exec::fuzzing::*;
    pub use super::plain_file::fuzzing::*;
    pub use super::sealed_file::fuzzing::*;
    #[cfg(feature = "vault")]
    pub use super::vault::fuzzing::*;
}

pub(crate) use files::journal::{Growing, Journal, Locked, Look};
pub(crate) use files::record::{foreign, replace_record};
pub use memory::{Fault, Memory, Operation};
pub(crate) use plain_file::document_entries;
pub(crate) use sealed_file::{Bundle, key_file};

/// Every backend of this crate.
pub(crate) const ALL: &[Backend] = &[
    vault::BACKEND,
    aws::BACKEND,
    sealed_file::BACKEND,
    env_vars::BACKEND,
    plain_file::BACKEND,
    exec::BACKEND,
    memory::BACKEND,
];

/// The most names that a server is asked to list: one after the other they are looked at and kept.
#[cfg(any(feature = "aws", feature = "exec", feature = "vault"))]
const MAX_LISTED: usize = 10_000;

/// Refuses a listing that goes on beyond [`MAX_LISTED`] names.
#[cfg(any(feature = "aws", feature = "vault"))]
fn check_listed(names: usize, shown: &str) -> Result<()> {
    if names <= MAX_LISTED {
        return Ok(());
    }
    let message = format!("{shown} holds more than {MAX_LISTED} names there, too many to list");
    Err(
        crate::error::Error::new(crate::error::ErrorKind::Unsupported, message)
            .with_help("list those that begin with a longer prefix"),
    )
}

/// A future that a [`Backend`]'s `open` returns.
pub type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn SecretProvider>>> + Send>>;

/// One backend: how it is addressed, noticed and opened. A row of plain data, so that a third
/// party's backend is registered exactly as our own are.
///
/// ```
/// use strongroom::{Backend, Error, ErrorKind};
///
/// const ECHO: Backend = Backend::new("echo", "a demonstration", |_connect| {
///     Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "nothing to open")) })
/// });
/// assert_eq!(ECHO.scheme(), "echo");
/// ```
#[derive(Clone, Copy)]
pub struct Backend {
    scheme: &'static str,
    title: &'static str,
    url_keys: &'static [&'static str],
    credentials: &'static [&'static str],
    remote: bool,
    strength: Strength,
    leases: bool,
    detect: fn(&Env, Deployment) -> Result<Vec<Probe>>,
    open: fn(Connect) -> Opening,
    doctor: Option<fn(Connect) -> Examining>,
}

impl Backend {
    /// Makes a row: the scheme of its addresses, what people call it, and how to open it.
    pub const fn new(
        scheme: &'static str,
        title: &'static str,
        open: fn(Connect) -> Opening,
    ) -> Self {
        Self {
            scheme,
            title,
            url_keys: &[],
            credentials: &[],
            remote: false,
            strength: Strength::Plain,
            leases: false,
            detect: |_, _| Ok(Vec::new()),
            open,
            doctor: None,
        }
    }

    /// Sets the keys that the query of its addresses may have. Any other is an error.
    #[must_use]
    pub const fn with_url_keys(mut self, keys: &'static [&'static str]) -> Self {
        self.url_keys = keys;
        self
    }

    /// Sets the variables that hold, or lead to, its own credential. `strongroom run` keeps them from
    /// the program it starts.
    #[must_use]
    pub const fn with_credentials(mut self, variables: &'static [&'static str]) -> Self {
        self.credentials = variables;
        self
    }

    /// Says that it is reached over a network, so that calls can fail now and succeed later.
    ///
    /// What fails as [`ErrorKind::Transient`](crate::ErrorKind::Transient) is then tried again, within an overall deadline, and
    /// calls are limited in number and rate, as the manifest's `retry` and `limit` say. The backend
    /// itself repeats nothing; its errors say what a repetition needs to know
    /// ([`Error::with_retry_after`](crate::Error::with_retry_after),
    /// [`Error::with_no_effect`](crate::Error::with_no_effect)). A time limit that it has for one
    /// request of its own should be well below the deadline, 15 s by default, or no time is left to
    /// try again. Opening is neither repeated nor limited, so what needs the network is best left to
    /// the first call. A tokio runtime with timers is needed.
    ///
    /// A file, or a variable, is not read better by reading it again: local backends don't say this.
    ///
    /// ```
    /// use strongroom::{Backend, Error, ErrorKind};
    ///
    /// const STORE: Backend = Backend::new("store", "our own store", |_connect| {
    ///     Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "nothing to open")) })
    /// })
    /// .remote();
    /// assert!(STORE.is_remote());
    /// ```
    #[must_use]
    pub const fn remote(mut self) -> Self {
        self.remote = true;
        self
    }

    /// Says how well it keeps what it holds: [`Strength::Plain`] unless it is said otherwise.
    ///
    /// A chain of providers of different strengths needs an override in production.
    ///
    /// ```
    /// use strongroom::{Backend, Error, ErrorKind, Strength};
    ///
    /// const STORE: Backend = Backend::new("store", "our own store", |_connect| {
    ///     Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "nothing to open")) })
    /// })
    /// .with_strength(Strength::Authenticated);
    /// assert!(STORE.strength() > Strength::Encrypted);
    /// ```
    #[must_use]
    pub const fn with_strength(mut self, strength: Strength) -> Self {
        self.strength = strength;
        self
    }

    /// Sets how detection notices it: what it looks for in the environment, and what it found.
    #[must_use]
    pub const fn with_detect(mut self, detect: fn(&Env, Deployment) -> Result<Vec<Probe>>) -> Self {
        self.detect = detect;
        self
    }

    /// Sets how `strongroom doctor` examines what an address leads to: every step on the way to the
    /// declared secrets, each one a check, those behind a failed one too where they still mean
    /// something. It reads no secret, shows none, and ends within a minute. Without it a provider is
    /// opened and asked for its health.
    ///
    /// ```
    /// use strongroom::{Backend, Check, Diagnosis, Error, ErrorKind};
    ///
    /// const STORE: Backend = Backend::new("store", "our own store", |_connect| {
    ///     Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "nothing to open")) })
    /// })
    /// .with_doctor(|_connect| {
    ///     Box::pin(async {
    ///         let mut diagnosis = Diagnosis::new();
    ///         diagnosis.push(Check::ok("licence", "it ends in 200 days"));
    ///         diagnosis
    ///     })
    /// });
    /// # assert_eq!(STORE.scheme(), "store");
    /// ```
    #[must_use]
    pub const fn with_doctor(mut self, doctor: fn(Connect) -> Examining) -> Self {
        self.doctor = Some(doctor);
        self
    }

    /// Returns the scheme of its addresses.
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Returns what people call it.
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// Returns the keys that the query of its addresses may have.
    pub const fn url_keys(&self) -> &'static [&'static str] {
        self.url_keys
    }

    /// Returns the variables that hold, or lead to, its own credential.
    pub const fn credentials(&self) -> &'static [&'static str] {
        self.credentials
    }

    /// Says that it can make secrets and lend them: it looks for
    /// [`DeclaredSource::lease`](crate::DeclaredSource::lease) in what is declared. Any other backend
    /// is not opened for such a secret.
    #[must_use]
    pub const fn with_leases(mut self) -> Self {
        self.leases = true;
        self
    }

    /// Reports whether it can make secrets and lend them.
    pub const fn has_leases(&self) -> bool {
        self.leases
    }

    /// Reports whether it is reached over a network, so that its calls are repeated and limited.
    pub const fn is_remote(&self) -> bool {
        self.remote
    }

    /// Returns how well it keeps what it holds.
    pub const fn strength(&self) -> Strength {
        self.strength
    }

    pub(crate) fn detect(&self, env: &Env, deployment: Deployment) -> Result<Vec<Probe>> {
        (self.detect)(env, deployment)
    }

    /// Opens a provider at an address, as it is: without the layers and checks of a boot. For tests
    /// of a backend, by the suite `conformance` for example.
    pub fn open(&self, connect: Connect) -> Opening {
        (self.open)(connect)
    }

    /// Examines what an address leads to, where the backend knows how.
    pub(crate) fn examine(&self, connect: &Connect) -> Option<Examining> {
        self.doctor.map(|doctor| doctor(connect.clone()))
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("scheme", &self.scheme)
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

/// What a backend gets to open a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Connect {
    /// The address. Its query has only keys that the backend's row allows.
    pub url: ProviderUrl,
    /// The environment.
    pub env: Arc<Env>,
    /// The guard rails, which every backend asks about what it finds.
    pub rails: GuardRails,
    /// The declared secrets that this provider is to serve.
    pub declared: Arc<[Declared]>,
    /// The directory that relative paths of the address start from.
    pub base_dir: PathBuf,
    /// Whether work that blocks is done on the calling thread, as
    /// [`SecretsBuilder::block_in_place`](crate::SecretsBuilder::block_in_place) says.
    pub block_in_place: bool,
    pub(crate) trusted: bool,
    /// Who is told of states that could be rolled back.
    pub(crate) anchors: Anchors,
}

impl Connect {
    /// Makes what a backend gets, for tests of a backend; the factory makes its own.
    pub fn new(url: ProviderUrl, env: Env, rails: GuardRails) -> Self {
        let base_dir = env.working_dir().to_owned();
        Self {
            url,
            env: Arc::new(env),
            rails,
            declared: Arc::new([]),
            base_dir,
            block_in_place: false,
            trusted: true,
            anchors: Anchors::default(),
        }
    }

    /// Reports whether somebody vouches for the address. An address is not trusted if it stands in a
    /// manifest that a tool found by searching, as in a fresh checkout of somebody else's: a backend
    /// must not send it credentials of the environment.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Sets the declared secrets.
    #[must_use]
    pub fn with_declared(mut self, declared: impl IntoIterator<Item = Declared>) -> Self {
        self.declared = declared.into_iter().collect();
        self
    }

    /// Sets the directory that relative paths start from.
    #[must_use]
    pub fn with_base_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.base_dir = dir.into();
        self
    }

    /// Resolves a path of the address.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base_dir.join(path)
    }
}

/// How well a backend keeps what it holds, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// Whoever reaches the place can read the values: a file, the environment.
    Plain,
    /// Whoever reaches the place needs a key that is kept elsewhere.
    Encrypted,
    /// A server demands a credential for each read, and can take the access back.
    Authenticated,
}

impl Strength {
    /// Returns its words in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Encrypted => "encrypted",
            Self::Authenticated => "behind a login",
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How strong a reason is to choose a backend, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Somebody named the provider: a flag, `STRONGROOM_PROVIDER`, the manifest.
    Explicit,
    /// A variable that means this backend and nothing else.
    Marker,
    /// The platform brings it.
    Platform,
    /// What is left when nothing points anywhere.
    Fallback,
}

impl Class {
    /// Every class, strongest first.
    pub const ALL: &'static [Class] =
        &[Self::Explicit, Self::Marker, Self::Platform, Self::Fallback];

    /// Returns the class's word in traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Marker => "marker",
            Self::Platform => "platform",
            Self::Fallback => "fallback",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that detection looked for, and whether it was there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Probe {
    /// The class it belongs to.
    pub class: Class,
    /// What was looked for, as an operator would say it: `VAULT_ADDR`, `.env`.
    pub looked_for: String,
    /// The address, where it was there.
    pub found: Option<ProviderUrl>,
    /// What was found, or why it doesn't count, or what to set for it to count.
    pub detail: String,
    /// The order among the probes of class fallback, the lowest first.
    pub rank: u8,
    /// Guard rails that the address would break, each with the sentence that says so.
    pub rails: Vec<(Rail, String)>,
}

impl Probe {
    /// Says that something was there.
    pub fn found(class: Class, looked_for: impl Into<String>, url: ProviderUrl) -> Self {
        Self {
            class,
            looked_for: looked_for.into(),
            found: Some(url),
            detail: String::new(),
            rank: 0,
            rails: Vec::new(),
        }
    }

    /// Says that it was not there, and why where that helps.
    pub fn nothing(class: Class, looked_for: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            class,
            looked_for: looked_for.into(),
            found: None,
            detail: detail.into(),
            rank: 0,
            rails: Vec::new(),
        }
    }

    /// Adds what was found, or why it doesn't count.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Sets the order among the probes of class fallback.
    #[must_use]
    pub fn with_rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    /// Adds a guard rail that the address would break.
    #[must_use]
    pub fn with_rail(mut self, rail: Rail, sentence: impl Into<String>) -> Self {
        self.rails.push((rail, sentence.into()));
        self
    }
}

/// Examines what an address leads to by opening it, for a backend that this build doesn't have.
#[cfg(not(all(feature = "aws", feature = "exec", feature = "vault")))]
fn examine_by_opening(connect: Connect, open: fn(Connect) -> Opening) -> Examining {
    Box::pin(async move {
        let mut diagnosis = crate::examination::Diagnosis::new();
        if let Err(error) = open(connect).await {
            diagnosis.push(crate::examination::Check::error("opening", &error));
        }
        diagnosis
    })
}

/// Refuses an address whose backend this build doesn't have. `remedy` says how to get one that has it.
#[cfg(not(all(feature = "aws", feature = "exec", feature = "vault")))]
fn not_in_this_build(connect: &Connect, what: &'static str, remedy: &'static str) -> Opening {
    let scheme = connect.url.scheme().to_owned();
    Box::pin(async move {
        let message =
            format!("this build of strongroom can't open `{scheme}:` addresses: it has no {what}");
        let help = format!("{remedy}; nothing weaker is chosen instead");
        let error = crate::error::Error::new(crate::error::ErrorKind::Unsupported, message);
        Err(error.with_help(help))
    })
}

#[cfg(test)]
mod conformance_tests;

#[cfg(all(test, any(feature = "aws", feature = "vault")))]
mod listing {
    use super::*;

    #[test]
    fn a_listing_is_bounded() {
        assert!(check_listed(MAX_LISTED, "vault://v/").is_ok());
        let error = check_listed(MAX_LISTED + 1, "vault://v/").unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Unsupported);
        assert!(error.to_string().contains("10000"), "{error}");
    }
}
