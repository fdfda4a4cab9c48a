//! Comparing values under a key that lives for one run.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use strongroom::{Error, ErrorKind, Result, Secret};
use zeroize::Zeroizing;

/// A key of this run alone: what is computed under it means nothing to anybody else, and nothing later.
pub(crate) struct RunKey(Zeroizing<[u8; 32]>);

/// What stands for a value in this run. Never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tag([u8; 32]);

impl RunKey {
    pub(crate) fn random() -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| {
            Error::new(
                ErrorKind::Transient,
                "the system's random source fails, so nothing was compared",
            )
        })?;
        Ok(Self(key))
    }

    pub(crate) fn tag(&self, value: &Secret) -> Result<Tag> {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice());
        let mut mac = mac.map_err(|_| Error::new(ErrorKind::Config, "HMAC refuses its key"))?;
        // EXPOSES: to HMAC under a key that nobody else has and that ends with the run
        mac.update(value.expose_bytes());
        Ok(Tag(mac.finalize().into_bytes().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_tags_within_one_run_alone() {
        let (one, other) = (RunKey::random().unwrap(), RunKey::random().unwrap());
        let text = Secret::from_text("a value");
        let bytes = Secret::from_bytes(b"a value".to_vec());
        assert!(one.tag(&text).unwrap() == one.tag(&bytes).unwrap());
        assert!(one.tag(&text).unwrap() != one.tag(&Secret::from_text("a valuf")).unwrap());
        assert!(one.tag(&text).unwrap() != other.tag(&text).unwrap());
    }
}
