//! What is known about a value besides the value.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use crate::name::SecretName;

/// What is known about one value: its name, version, times, and where its bytes have been.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Metadata {
    name: Option<SecretName>,
    version: Option<Version>,
    created: Option<SystemTime>,
    fetched_at: SystemTime,
    expires: Option<SystemTime>,
    source: Source,
    provenance: Provenance,
    strong: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            name: None,
            version: None,
            created: None,
            fetched_at: SystemTime::now(),
            expires: None,
            source: Source::Live,
            provenance: Provenance::default(),
            strong: false,
        }
    }
}

impl Metadata {
    /// Makes metadata that says: fetched now, nothing else known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the name under which the value was asked for.
    #[must_use]
    pub fn with_name(mut self, name: &SecretName) -> Self {
        self.name = Some(name.clone());
        self
    }

    /// Sets the backend's version.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets when the backend says this version was made.
    #[must_use]
    pub fn with_created(mut self, created: SystemTime) -> Self {
        self.created = Some(created);
        self
    }

    /// Sets the time past which the value must not be used, a lease's end for example.
    #[must_use]
    pub fn with_expires(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    /// Sets where the value came from, and how fresh it is.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Sets where the bytes have been.
    #[must_use]
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = provenance;
        self
    }

    /// Returns the name under which the value was asked for.
    pub fn name(&self) -> Option<&SecretName> {
        self.name.as_ref()
    }

    /// Returns the backend's version, where it has versions.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns when this version was made, where the backend knows.
    pub fn created(&self) -> Option<SystemTime> {
        self.created
    }

    /// Returns when the value was read from the backend.
    pub fn fetched_at(&self) -> SystemTime {
        self.fetched_at
    }

    /// Returns the time past which the value must not be used.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Returns where the value came from, and how fresh it is.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns where the bytes have been.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    pub(crate) fn set_fetched_at(&mut self, fetched_at: SystemTime) {
        self.fetched_at = fetched_at;
    }

    /// Reports whether the value passed the strength policy as a token or a key.
    pub(crate) fn is_strong(&self) -> bool {
        self.strong
    }

    pub(crate) fn set_strong(&mut self, strong: bool) {
        self.strong = strong;
    }
}

/// A backend's name for one version of a secret: opaque, compared for equality only.
///
/// It never contains or depends on the value: a hash of a weak value could be guessed back.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(#[serde(serialize_with = "as_text")] Arc<str>);

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl Version {
    /// Makes a version of a backend's own text for it.
    pub fn new(version: impl Into<Arc<str>>) -> Self {
        Self(version.into())
    }

    /// Returns the backend's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How fresh a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Source {
    /// Read from the backend for this call, or at boot.
    Live,
    /// Held in memory past its time to live, because the backend can't be reached.
    Stale,
    /// From the snapshot that the service started from, because the backend couldn't be reached; not
    /// confirmed by the backend since.
    Snapshot,
    /// The development default of the manifest.
    Default,
}

/// The provenance grade: what is known of the places where a value's bytes have been.
///
/// ```
/// use strongroom::Provenance;
/// let environment = Provenance::new().visible_in_proc();
/// assert_eq!(environment.to_string(), "not wipeable, visible in /proc");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Provenance {
    /// Every copy that this process made can be wiped.
    pub wipeable: bool,
    /// The value stands in `/proc/PID/environ` for the life of the process.
    pub visible_in_proc: bool,
    /// The file lies on tmpfs or ramfs, where it never reaches a disk; `None` without a file.
    pub on_tmpfs: Option<bool>,
    /// The permission bits of the file; `None` without a file.
    pub file_mode: Option<u32>,
}

impl Provenance {
    /// Makes the lowest grade: copies that can't be wiped may exist.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that every copy this process made can be wiped.
    #[must_use]
    pub fn wipeable(mut self) -> Self {
        self.wipeable = true;
        self
    }

    /// Says that the value stands in `/proc/PID/environ`.
    #[must_use]
    pub fn visible_in_proc(mut self) -> Self {
        self.visible_in_proc = true;
        self
    }

    /// Says that the value came from a file of these permission bits.
    #[must_use]
    pub fn file(mut self, mode: u32, on_tmpfs: bool) -> Self {
        self.file_mode = Some(mode & 0o7777);
        self.on_tmpfs = Some(on_tmpfs);
        self
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wipeable {
            "wipeable"
        } else {
            "not wipeable"
        })?;
        if self.visible_in_proc {
            f.write_str(", visible in /proc")?;
        }
        match self.on_tmpfs {
            Some(true) => f.write_str(", on tmpfs")?,
            Some(false) => f.write_str(", on disk")?,
            None => {}
        }
        match self.file_mode {
            Some(mode) => write!(f, ", mode {mode:04o}"),
            None => Ok(()),
        }
    }
}
