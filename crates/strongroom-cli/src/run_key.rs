//! Comparing values under a key that lives for one run.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use strongroom::{Declared, Error, ErrorKind, Kind, Result, Secret, SecretName, generate};

/// A key of this run alone: what is computed under it means nothing to anybody else, and nothing later.
pub(crate) struct RunKey(Secret);

/// What stands for a value in this run. Never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tag([u8; 32]);

impl RunKey {
    pub(crate) fn random() -> Result<Self> {
        generate(&Declared::new(
            SecretName::from_static("run-key"),
            Kind::Key,
        ))
        .map(Self)
    }

    pub(crate) fn tag(&self, value: &Secret) -> Result<Tag> {
        // EXPOSES: to HMAC, whose key it is
        let mac = Hmac::<Sha256>::new_from_slice(self.0.expose_bytes());
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
