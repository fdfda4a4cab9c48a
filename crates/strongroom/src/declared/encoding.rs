//! How a backend's text stands for a value's bytes.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding as _};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;

/// How a backend's text stands for a value's bytes. Decoded where the value enters, so that a key is
/// 32 bytes on every backend. The decoders run in constant time.
///
/// ```
/// use strongroom::{Encoding, Secret};
///
/// let key = Encoding::Hex.decode(&Secret::from_text("00ff10"))?;
/// assert_eq!(key.expose_bytes(), [0x00, 0xff, 0x10]);
/// assert_eq!(Encoding::Hex.encode(&key).expose_str()?, "00ff10");
/// # Ok::<(), strongroom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Encoding {
    /// The text, or the bytes, are the value.
    #[default]
    Text,
    /// RFC 4648 section 4, with or without padding.
    Base64,
    /// RFC 4648 section 5, with or without padding.
    Base64Url,
    /// RFC 4648 section 8, in either case.
    Hex,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: &'static [Encoding] = &[Self::Text, Self::Base64, Self::Base64Url, Self::Hex];

    /// Returns the manifest's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
        }
    }

    /// Decodes a backend's text. The metadata stays.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the text is not of this encoding.
    pub fn decode(self, secret: &Secret) -> Result<Secret> {
        // EXPOSES: to its decoding; the decoded bytes are wiped
        let Some(decoded) = self.decode_bytes(secret.expose_bytes()) else {
            let error = Error::new(
                ErrorKind::Malformed,
                format!("the value is not {self} text"),
            )
            .with_help("store it in the encoding that the manifest declares, without line breaks");
            return Err(match secret.metadata().name() {
                Some(name) => error.with_name(name),
                None => error,
            });
        };
        match self {
            Self::Text => Ok(secret.clone()),
            _ => Ok(Secret::from_bytes(decoded).with_metadata(secret.metadata().clone())),
        }
    }

    /// Decodes bytes, or returns `None` if they are not of this encoding.
    pub(crate) fn decode_bytes(self, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut out = Zeroizing::new(vec![0; text.len()]);
        let padded = text.ends_with(b"=");
        let written = match self {
            Self::Text => return Some(Zeroizing::new(text.to_vec())),
            Self::Base64 if padded => Base64::decode(text, &mut out).ok()?.len(),
            Self::Base64 => Base64Unpadded::decode(text, &mut out).ok()?.len(),
            Self::Base64Url if padded => Base64Url::decode(text, &mut out).ok()?.len(),
            Self::Base64Url => Base64UrlUnpadded::decode(text, &mut out).ok()?.len(),
            Self::Hex => base16ct::mixed::decode(text, &mut out).ok()?.len(),
        };
        out.truncate(written);
        Some(out)
    }

    /// Reads a key file: its one line that is neither blank nor a comment (`#`) is 32 bytes, as hexadecimal
    /// digits or in base64.
    pub(crate) fn key_of_file(text: &str) -> Option<Secret> {
        let lines = text.lines().map(str::trim);
        let mut words = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(word), None) = (words.next(), words.next()) else {
            return None;
        };
        [Self::Hex, Self::Base64, Self::Base64Url]
            .iter()
            .filter_map(|encoding| encoding.decode_bytes(word.as_bytes()))
            .find(|decoded| decoded.len() == 32)
            .map(Secret::from_bytes)
    }

    /// Encodes a value for a backend that holds text. The metadata stays.
    pub fn encode(self, secret: &Secret) -> Secret {
        // EXPOSES: to its encoding; the encoded text becomes a secret
        let bytes = secret.expose_bytes();
        let text = match self {
            Self::Text => return secret.clone(),
            Self::Base64 => Base64::encode_string(bytes),
            Self::Base64Url => Base64UrlUnpadded::encode_string(bytes),
            Self::Hex => base16ct::lower::encode_string(bytes),
        };
        Secret::from_text(text).with_metadata(secret.metadata().clone())
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|encoding| encoding.as_str() == word);
        found.copied().ok_or_else(|| {
            Error::new(ErrorKind::Config, "not an encoding that strongroom knows")
                .with_help("the encodings are text, base64, base64url and hex")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padding_is_optional_and_alphabets_are_kept_apart() {
        let decode = |encoding: Encoding, text: &str| encoding.decode_bytes(text.as_bytes());
        assert_eq!(decode(Encoding::Base64, "+/8=").unwrap()[..], [0xfb, 0xff]);
        assert_eq!(decode(Encoding::Base64, "+/8").unwrap()[..], [0xfb, 0xff]);
        assert_eq!(
            decode(Encoding::Base64Url, "-_8").unwrap()[..],
            [0xfb, 0xff]
        );
        assert_eq!(decode(Encoding::Hex, "aBfF").unwrap()[..], [0xab, 0xff]);
        for (encoding, text) in [
            (Encoding::Base64, "-_8="),
            (Encoding::Base64Url, "+/8="),
            (Encoding::Base64, "a"),
            (Encoding::Base64, "YQ==\n"),
            (Encoding::Hex, "abc"),
            (Encoding::Hex, "zz"),
        ] {
            assert!(decode(encoding, text).is_none(), "{encoding} {text}");
        }
    }

    #[test]
    fn errors_hold_no_value() {
        let error = Encoding::Hex
            .decode(&Secret::from_text("canary"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(!format!("{error:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(bytes: Vec<u8>) {
            let secret = Secret::from_bytes(bytes.clone());
            for encoding in Encoding::ALL {
                let back = encoding.decode(&encoding.encode(&secret)).unwrap();
                prop_assert_eq!(back.expose_bytes(), &bytes[..]);
            }
        }
    }
}
