//! One secret value: wiped, redacted, compared in constant time, with what is known about it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ctutils::CtEq as _;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "locked-memory")]
use crate::locked::{Locked, NotLocked};

mod metadata;

pub use metadata::{Metadata, Provenance, Source, Version};

/// The most bytes one value may have: 64 KiB, as AWS Secrets Manager allows.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// A secret value with its [`Metadata`].
///
/// The bytes live in one heap allocation of exactly their size, which is overwritten with zeros
/// when the last clone is dropped; a clone shares them. There is no `Display`, no `Serialize` and no
/// `PartialEq`, and `Debug` shows no part of the value. Bytes leave only through
/// [`expose_bytes`](Self::expose_bytes), [`expose_str`](Self::expose_str),
/// [`to_secret_string`](Self::to_secret_string) and [`secrecy::ExposeSecret`], so a search for
/// `expose` finds every use.
///
/// Wiping is best effort: it covers the allocation that this type owns, not copies that a backend's
/// parser, the kernel or the code behind `expose_…` made. [`Provenance`] says what is known of those.
///
/// ```
/// use strongroom::Secret;
///
/// let token = Secret::from_text("correct horse battery staple");
/// assert!(token.verify("correct horse battery staple"));
/// assert_eq!(token.expose_str()?, "correct horse battery staple");
/// assert!(format!("{token:?}").contains("[REDACTED]"));
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    // `Bytes` keeps pointer and length inline, so exposing costs what a plain slice costs; its
    // owner below wipes.
    value: Bytes,
    form: Form,
    locked: bool,
    metadata: Arc<Metadata>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Known to be UTF-8.
    Text,
    Bytes,
}

/// Owns the one allocation and wipes it on drop.
struct Wiped(SecretBox<[u8]>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        // EXPOSES: to the methods of `Secret` that expose: the one way to the bytes
        self.0.expose_secret()
    }
}

/// Holds the value in an allocation of exactly its size.
fn unlocked(mut value: Zeroizing<Vec<u8>>) -> Bytes {
    let exact: Box<[u8]> = if value.capacity() == value.len() {
        std::mem::take(&mut *value).into_boxed_slice()
    } else {
        // Shrinking in place could leave the tail, or a moved original, unwiped.
        Box::from(value.as_slice())
    };
    Bytes::from_owner(Wiped(SecretBox::new(exact)))
}

impl Secret {
    /// Makes a secret of bytes that need not be text.
    ///
    /// A vector without spare capacity is taken over as it is; any other is copied into an
    /// allocation of exact size and wiped. With the feature `locked-memory` every vector is copied into
    /// locked memory and wiped, where the system's limit allows it: see [`is_locked`](Self::is_locked).
    pub fn from_bytes(value: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self::new(value.into(), Form::Bytes)
    }

    /// Makes a secret of text. Spare capacity is treated as by [`from_bytes`](Self::from_bytes).
    pub fn from_text(value: impl Into<String>) -> Self {
        Self::new(Zeroizing::new(value.into().into_bytes()), Form::Text)
    }

    /// Makes a secret that is text where `value` is UTF-8, and bytes where it is not.
    pub fn from_utf8_or_bytes(value: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        let value = value.into();
        let form = if std::str::from_utf8(&value).is_ok() {
            Form::Text
        } else {
            Form::Bytes
        };
        Self::new(value, form)
    }

    fn new(value: Zeroizing<Vec<u8>>, form: Form) -> Self {
        #[cfg(feature = "locked-memory")]
        let (value, locked) = match Locked::copy_of(&value) {
            Ok(locked) => (Bytes::from_owner(locked), true),
            Err(NotLocked) => (unlocked(value), false),
        };
        #[cfg(not(feature = "locked-memory"))]
        let (value, locked) = (unlocked(value), false);
        Self {
            value,
            form,
            locked,
            metadata: Arc::default(),
        }
    }

    /// Replaces the metadata; the value is shared, not copied.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Arc::new(metadata);
        self
    }

    /// Exposes the bytes.
    pub fn expose_bytes(&self) -> &[u8] {
        &self.value
    }

    /// Exposes the text.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the value is not UTF-8.
    pub fn expose_str(&self) -> Result<&str> {
        std::str::from_utf8(&self.value).map_err(|_| {
            let error = Error::new(ErrorKind::Malformed, "the value is not UTF-8 text")
                .with_help("read it with expose_bytes, or declare its `encoding` in the manifest");
            match self.metadata.name() {
                Some(name) => error.with_name(name),
                None => error,
            }
        })
    }

    /// Copies the text into a [`SecretString`], for libraries that take one.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the value is not UTF-8.
    pub fn to_secret_string(&self) -> Result<SecretString> {
        // EXPOSES: to a `SecretString`, which wipes its copy
        self.expose_str()
            .map(|text| SecretString::from(Box::<str>::from(text)))
    }

    /// Compares the value with a candidate in constant time.
    ///
    /// The time taken depends on the two lengths only: a candidate of another length is refused at
    /// once. An empty secret never verifies, so that an unset one can't be guessed by sending
    /// nothing.
    ///
    /// ```
    /// # use strongroom::Secret;
    /// let token = Secret::from_text("s3cr3t");
    /// assert!(token.verify(b"s3cr3t"));
    /// assert!(!token.verify("s3cr3t "));
    /// assert!(!Secret::from_text("").verify(""));
    /// ```
    pub fn verify(&self, candidate: impl AsRef<[u8]>) -> bool {
        let candidate = candidate.as_ref();
        // EXPOSES: to a comparison in constant time
        !self.value.is_empty() && self.expose_bytes().ct_eq(candidate).to_bool()
    }

    /// Returns a short hash for logs, to tell which value was used without showing it.
    ///
    /// Only a value that passed the strength policy as kind `token` or `key` has one: the hash of a
    /// weak value could be guessed back.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        // EXPOSES: to a short hash of it, for strong values only
        self.metadata
            .is_strong()
            .then(|| Fingerprint::of(self.expose_bytes()))
    }

    /// Derives 32 bytes for one purpose by HKDF-SHA256 (RFC 5869) without salt.
    ///
    /// `info` names the purpose; other purposes give unrelated keys. The value must already be
    /// strong (kind `key` or `token`): HKDF does not make a password stronger.
    ///
    /// ```
    /// # use strongroom::Secret;
    /// let master = Secret::from_bytes(vec![7; 32]);
    /// let cookies = master.derive_key(b"cookies");
    /// assert_eq!(cookies.expose_bytes().len(), 32);
    /// assert!(!cookies.verify(master.derive_key(b"csrf").expose_bytes()));
    /// ```
    #[allow(
        clippy::missing_panics_doc,
        clippy::expect_used,
        reason = "RFC 5869 allows up to 255 × 32 bytes of output; 32 can't fail"
    )]
    pub fn derive_key(&self, info: &[u8]) -> Secret {
        let mut key = Zeroizing::new(vec![0; 32]);
        // EXPOSES: to the derivation of a key
        Hkdf::<Sha256>::new(None, self.expose_bytes())
            .expand(info, &mut key)
            .expect("32 bytes are a valid length");
        Self::from_bytes(key)
    }

    /// Reports whether the value is known to be UTF-8 text, as opposed to bytes.
    pub fn is_text(&self) -> bool {
        self.form == Form::Text
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Reports whether the value has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Reports whether the value is in memory that never reaches a swap device or a core dump.
    ///
    /// That takes the feature `locked-memory`, and a system that locks so much memory for the process
    /// (`RLIMIT_MEMLOCK`). With the feature, a value of a backend that can't be locked is refused: the boot
    /// fails, and a rotation is not taken up. One that the program makes itself, by
    /// [`from_text`](Self::from_text) for example, is held unlocked then.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// Returns what is known about the value.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl ExposeSecret<[u8]> for Secret {
    fn expose_secret(&self) -> &[u8] {
        // EXPOSES: as `expose_bytes`, for code that is generic over secrets
        self.expose_bytes()
    }
}

impl From<SecretString> for Secret {
    fn from(value: SecretString) -> Self {
        Self::new(
            // EXPOSES: to a copy that becomes the secret; the other is wiped by its owner
            Zeroizing::new(value.expose_secret().as_bytes().to_vec()),
            Form::Text,
        )
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Secret");
        if let Some(name) = self.metadata.name() {
            out.field("name", name);
        }
        if let Some(version) = self.metadata.version() {
            out.field("version", &format_args!("{version}"));
        }
        out.field("value", &format_args!("[REDACTED]")).finish()
    }
}

/// The first six hexadecimal digits of a value's SHA-256, for logs.
///
/// `printf %s "$TOKEN" | sha256sum | cut -c1-6` gives the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 3]);

impl Fingerprint {
    fn of(value: &[u8]) -> Self {
        let [a, b, c, ..] = <[u8; 32]>::from(Sha256::digest(value));
        Self([a, b, c])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-5f1c";

    #[test]
    #[cfg(not(feature = "locked-memory"))]
    fn keeps_the_allocation_that_fits_and_copies_the_one_that_does_not() {
        let exact = Zeroizing::new(CANARY.as_bytes().to_vec().into_boxed_slice().into_vec());
        let address = exact.as_ptr();
        assert_eq!(Secret::from_bytes(exact).expose_bytes().as_ptr(), address);

        let mut roomy = Zeroizing::new(Vec::with_capacity(100));
        roomy.extend_from_slice(CANARY.as_bytes());
        let secret = Secret::from_bytes(roomy);
        assert_eq!(secret.expose_bytes(), CANARY.as_bytes());
    }

    #[test]
    fn is_locked_where_the_feature_is_on() {
        let secret = Secret::from_text(CANARY);
        assert_eq!(secret.is_locked(), cfg!(feature = "locked-memory"));
        assert_eq!(secret.expose_str().unwrap(), CANARY);
        assert!(Secret::from_text("").expose_bytes().is_empty());
    }

    #[test]
    fn debug_shows_name_and_version_and_no_value() {
        let metadata = Metadata::new()
            .with_name(&crate::SecretName::from_static("a/b"))
            .with_version(Version::new("v7"));
        let shown = format!("{:?}", Secret::from_text(CANARY).with_metadata(metadata));
        assert_eq!(
            shown,
            r#"Secret { name: "a/b", version: v7, value: [REDACTED] }"#
        );
    }

    #[test]
    fn verify_needs_the_whole_value() {
        let secret = Secret::from_text(CANARY);
        assert!(secret.verify(CANARY));
        assert!(!secret.verify("canary-5f1d"));
        assert!(!secret.verify("canary-5f1"));
        assert!(!secret.verify(""));
    }

    #[test]
    fn only_what_passed_the_policy_has_a_fingerprint() {
        let secret = Secret::from_text("abc");
        assert!(secret.fingerprint().is_none());
        let mut metadata = secret.metadata().clone();
        metadata.set_strong(true);
        // SHA-256("abc"), FIPS 180-4's example.
        assert_eq!(
            secret
                .with_metadata(metadata)
                .fingerprint()
                .unwrap()
                .to_string(),
            "ba7816"
        );
    }

    #[test]
    fn derives_by_rfc_5869() {
        // RFC 5869, test case 3: no salt, no info.
        let key = Secret::from_bytes(vec![0x0b; 22]).derive_key(b"");
        assert_eq!(
            base16ct::lower::encode_string(key.expose_bytes()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        );
    }

    #[test]
    fn text_and_bytes_are_kept_apart() {
        assert!(Secret::from_utf8_or_bytes(b"text".to_vec()).is_text());
        let bytes = Secret::from_utf8_or_bytes(vec![0xff]);
        assert!(!bytes.is_text());
        assert_eq!(bytes.expose_str().unwrap_err().kind(), ErrorKind::Malformed);
    }
}
