//! The name of a secret: parsed once, valid ever after.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};

/// The most bytes a [`SecretName`] may have, its field included.
pub const MAX_NAME_BYTES: usize = 256;

/// The name of a secret, `path` or `path#field`.
///
/// A path is one or more segments of `[A-Za-z0-9._-]` joined by `/`; none is empty or begins with a
/// dot. A field, when there is one, is one more such segment. The whole is at most
/// [`MAX_NAME_BYTES`] bytes. One name works on every backend, because each backend maps it to what
/// it has: a path, a variable, a file.
///
/// Cheap to clone. Compares, orders and hashes as its text, so that maps keyed by names can be
/// searched with a `&str`.
///
/// ```
/// use strongroom::SecretName;
///
/// const SIGNING_KEY: SecretName = SecretName::from_static("session/signing-key");
/// let name: SecretName = "database#password".parse()?;
/// assert_eq!((name.path(), name.field()), ("database", Some("password")));
/// assert!("../etc/passwd".parse::<SecretName>().is_err());
/// # assert_eq!(SIGNING_KEY.path(), "session/signing-key");
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Clone)]
pub struct SecretName(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared(Arc<str>),
}

impl SecretName {
    /// Makes a name from a literal, at compile time where it stands in a `const`.
    ///
    /// # Panics
    /// If `name` is not a valid name. In a `const` that is an error of compilation.
    pub const fn from_static(name: &'static str) -> Self {
        assert!(check(name).is_none(), "not a valid secret name");
        Self(Repr::Static(name))
    }

    /// Parses a name that was written down somewhere.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], saying which rule the text breaks and where. The text itself is
    /// quoted only as far as it consists of characters that a name may have.
    pub fn parse(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        match check(name) {
            None => Ok(Self(Repr::Shared(name.into()))),
            Some(problem) => Err(explain(name, problem)),
        }
    }

    /// Reports whether `name` is a valid name, without making one.
    pub(crate) const fn is_valid(name: &str) -> bool {
        check(name).is_none()
    }

    /// Returns the whole name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(name) => name,
            Repr::Shared(name) => name,
        }
    }

    /// Returns the part before `#`.
    pub fn path(&self) -> &str {
        self.as_str()
            .split_once('#')
            .map_or(self.as_str(), |(path, _)| path)
    }

    /// Returns the part after `#`, where there is one.
    pub fn field(&self) -> Option<&str> {
        self.as_str().split_once('#').map(|(_, field)| field)
    }

    /// Returns the path's segments, in order.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.path().split('/')
    }

    /// Returns the name's own environment variable without a prefix: `database/password` and
    /// `database#password` are both `DATABASE_PASSWORD`.
    ///
    /// Every character that a variable can't have becomes `_`, so two names can share one variable;
    /// backends refuse such a pair at boot.
    pub fn to_variable(&self) -> String {
        let variable = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        self.as_str().chars().map(variable).collect()
    }
}

#[derive(Clone, Copy)]
enum Problem {
    Empty,
    TooLong,
    EmptySegment,
    LeadingDot,
    BadByte(usize),
    TwoFields,
    FieldPath,
}

/// Finds the first rule that `name` breaks. `const`, so that literals are checked by the compiler.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "`at < bytes.len() <= 256` holds in every round; `get` is not const"
)]
const fn check(name: &str) -> Option<Problem> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Some(Problem::Empty);
    }
    if bytes.len() > MAX_NAME_BYTES {
        return Some(Problem::TooLong);
    }
    let (mut at, mut segment_start, mut in_field) = (0, true, false);
    while at < bytes.len() {
        match bytes[at] {
            b'/' | b'#' if segment_start => return Some(Problem::EmptySegment),
            b'#' if in_field => return Some(Problem::TwoFields),
            b'/' if in_field => return Some(Problem::FieldPath),
            b'/' => segment_start = true,
            b'#' => (segment_start, in_field) = (true, true),
            b'.' if segment_start => return Some(Problem::LeadingDot),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => segment_start = false,
            _ => return Some(Problem::BadByte(at)),
        }
        at += 1;
    }
    if segment_start {
        Some(Problem::EmptySegment)
    } else {
        None
    }
}

fn explain(name: &str, problem: Problem) -> Error {
    let rule = match problem {
        Problem::Empty => "a secret name can't be empty".to_owned(),
        Problem::TooLong => {
            format!(
                "a secret name has at most {MAX_NAME_BYTES} bytes; this one has {}",
                name.len()
            )
        }
        // A mistyped command line can put a value where a name belongs: never echo such a text.
        Problem::BadByte(at) => format!(
            "a secret name can't hold the character at byte {at}; \
             it consists of A-Z a-z 0-9 . _ - with / between segments"
        ),
        Problem::EmptySegment => format!("secret name `{name}` has an empty segment"),
        Problem::LeadingDot => format!("secret name `{name}` has a segment that begins with a dot"),
        Problem::TwoFields => format!("secret name `{name}` has more than one `#field`"),
        Problem::FieldPath => format!("secret name `{name}` has a `/` in its field"),
    };
    // The quoted variants may still end in unchecked text: quote only names that are plain.
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
    let message = if name.chars().all(plain) {
        rule
    } else {
        rule.replace(&format!(" `{name}`"), "")
    };
    Error::new(ErrorKind::Config, message)
        .with_help("write it as `path` or `path#field`, for example `database/password`")
}

impl FromStr for SecretName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

impl TryFrom<&str> for SecretName {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl AsRef<str> for SecretName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

// `Borrow<str>` promises that these four agree with `str`'s own.
impl PartialEq for SecretName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SecretName {}

impl Hash for SecretName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Ord for SecretName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for SecretName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for SecretName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SecretName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_names() {
        let longest = "a".repeat(MAX_NAME_BYTES);
        for name in [
            "a",
            "database/password",
            "a.b_c-D/9",
            "database#password",
            "a/b#c.d",
            &longest,
        ] {
            assert_eq!(SecretName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_what_is_no_name() {
        let too_long = "a".repeat(MAX_NAME_BYTES + 1);
        let bad = [
            "", "/a", "a/", "a//b", ".a", "a/.b", "a/..", "..", "a#", "#a", "a#b#c", "a#b/c",
            "a#.b", "a b", "a\0", "ä", "a/\n", "a:b", &too_long,
        ];
        for name in bad {
            let error = SecretName::parse(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{name:?}");
        }
    }

    #[test]
    fn never_quotes_what_may_be_a_value() {
        for text in ["p@ssw0rd//x", "a//p@ss", "x/.p@ss w"] {
            let error = SecretName::parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("p@ss"), "{error:?}");
        }
    }

    #[test]
    fn maps_to_a_variable() {
        assert_eq!(
            SecretName::from_static("database/pass-word").to_variable(),
            "DATABASE_PASS_WORD"
        );
        assert_eq!(SecretName::from_static("db#user").to_variable(), "DB_USER");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in ".{0,300}") {
            if let Ok(name) = SecretName::parse(&text) {
                prop_assert_eq!(name.as_str(), text.as_str());
                prop_assert!(name.segments().all(|s| !s.is_empty() && !s.starts_with('.')));
            }
        }

        #[test]
        fn every_name_of_the_grammar_parses(
            text in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,9}){0,5}(#[A-Za-z0-9_-]{1,9})?"
        ) {
            prop_assert!(SecretName::parse(&text).is_ok());
        }
    }
}
