//! What was found, where, and the tag by which it is known again.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use strongroom::{Result, Secret, SecretName};
use zeroize::Zeroizing;

/// One finding. It holds neither the value nor the line that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// As it is shown: a path that holds a secret is masked.
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) rule: &'static str,
    /// The declared secret whose value was found.
    pub(super) secret: Option<SecretName>,
    /// How it was encoded.
    pub(super) form: Option<&'static str>,
    pub(super) tag: Tag,
}

/// Where a file was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// In the tree.
    Tree,
    /// In the history of a repository: the first commit that has it, if one does and not the index alone.
    History(Option<String>),
}

/// Tells whether two findings of a rule in a file are of the same text.
///
/// These are 24 bits of an HMAC-SHA256. They are enough to see that a text was replaced, and too few to
/// find it: whoever has the key and tries all passwords is left with one in 16 million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag([u8; 3]);

impl Tag {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut tag = [0; 3];
        let decoded = base16ct::lower::decode(text, &mut tag).ok()?;
        (decoded.len() == 3).then_some(Self(tag))
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}")
    }
}

/// The key of the tags: a baseline's, or one of this run alone.
#[derive(Debug, Clone)]
pub(super) struct Tagger(Secret);

impl Tagger {
    pub(super) fn random() -> Result<Self> {
        let name = SecretName::from_static("scan/tags");
        let key = strongroom::Declared::new(name, strongroom::Kind::Token);
        let text = strongroom::generate(&key)?;
        // EXPOSES: to a hash, which makes the key's length that of a baseline
        let key = Sha256::digest(text.expose_bytes());
        Ok(Self::new(Zeroizing::new(key.to_vec())))
    }

    pub(super) fn new(key: Zeroizing<Vec<u8>>) -> Self {
        Self(Secret::from_bytes(key))
    }

    /// Returns the key as a baseline writes it: hexadecimal digits.
    pub(super) fn to_text(&self) -> String {
        // EXPOSES: to the baseline file, beside the tags that it was made for; it opens nothing else
        base16ct::lower::encode_string(self.0.expose_bytes())
    }

    /// Makes the tag of a text that a rule found.
    pub(super) fn tag(&self, rule: &str, text: &[u8]) -> Tag {
        // EXPOSES: to HMAC, which wipes its state
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_bytes()) else {
            // HMAC takes keys of any length.
            return Tag([0; 3]);
        };
        mac.update(rule.as_bytes());
        mac.update(&[0]);
        mac.update(text);
        let code = mac.finalize().into_bytes();
        let mut tag = [0; 3];
        for (to, from) in tag.iter_mut().zip(code) {
            *to = from;
        }
        Tag(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_depend_on_key_rule_and_text() {
        let tagger = Tagger::new(Zeroizing::new(vec![1; 32]));
        let tag = tagger.tag("a", b"x");
        assert_eq!(tag, tagger.tag("a", b"x"));
        assert_eq!(Tag::parse(&tag.to_string()), Some(tag));
        assert_ne!(tag, tagger.tag("b", b"x"));
        assert_ne!(tag, tagger.tag("a", b"y"));
        assert_ne!(tag, Tagger::random().unwrap().tag("a", b"x"));
        for wrong in ["", "12345", "1234567", "12345g", "12345678"] {
            assert_eq!(Tag::parse(wrong), None, "{wrong}");
        }
    }
}
