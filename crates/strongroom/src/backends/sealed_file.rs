//! The sealed file: secrets in one encrypted text file that is safe to commit.
//!
//! docs/sealed-file.md specifies the format; each module here is a chapter of it. A
//! [`SealedFile`] is read and changed with a [`SlotKey`], which is a raw key or a passphrase.
//! Applications use it through its provider, by an address such as
//! `sealed:.strongroom/secrets.sealed?key_file=/etc/app/secrets.key`.

use std::sync::Arc;

use super::files::blocking::blocking;
use super::files::watch::{Subject, Watch};
use super::{Backend, Connect, Strength};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::SecretProvider;

mod bundle;
mod cost;
mod crypto;
mod detect;
mod disk;
mod doctor;
mod entries;
mod fields;
mod format;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod key;
mod merge;
mod outline;
mod provider;
mod rollback;
mod slot_info;
mod slots;
mod source;
mod store;
mod unlocked;

#[cfg(test)]
mod tests;

pub(crate) use bundle::Bundle;
pub use cost::Argon2Cost;
pub use fields::FileId;
pub use key::SlotKey;
pub use merge::{Merged, merge};
pub use outline::{EntryInfo, Outline};
pub use slot_info::{NewSlot, SlotInfo};
pub(crate) use source::key_file;
pub use store::SealedFile;

pub(super) const BACKEND: Backend = Backend::new("sealed", "sealed file", |connect| {
    Box::pin(async move {
        let (address, in_place) = (connect.url.to_string(), connect.block_in_place);
        let watch = Watch::new(&address);
        let open = move || {
            let file = SealedFile::connect(&connect)?;
            watch.add(Subject::Document(file.path()));
            Ok((file, watch))
        };
        let (file, watch) = blocking(in_place, open).await?;
        let provider = provider::Provider::new(address, file, watch, in_place);
        Ok(Arc::new(provider) as Arc<dyn SecretProvider>)
    })
})
.with_strength(Strength::Encrypted)
.with_url_keys(&["key_file", "passphrase_file", "min_epoch"])
.with_credentials(&[source::KEY, source::KEY_FILE, source::PASSPHRASE_FILE])
.with_detect(detect::detect)
.with_doctor(doctor::examine);

impl SealedFile {
    /// Opens the file of a `sealed:` address as the provider does: with the key that the address,
    /// the environment or the user's configuration gives, asking the guard rails, and comparing
    /// with the newest state that was seen before.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if no key is found, [`ErrorKind::Policy`] if a guard rail refuses a
    /// file, [`ErrorKind::Integrity`] if an older state is refused, and as [`open`](Self::open).
    pub fn connect(connect: &Connect) -> Result<Self> {
        let wrong = |message: &str| {
            Error::new(ErrorKind::Config, message)
                .with_help("write `sealed:PATH?key_file=KEYFILE`, for example")
        };
        if connect.url.authority().is_some_and(|host| !host.is_empty()) {
            return Err(wrong(
                "the address of a sealed file has no host: `sealed://name` names a host, not a path",
            ));
        }
        if connect.url.path().is_empty() {
            return Err(wrong("the address of a sealed file names no path"));
        }
        let path = connect.resolve(connect.url.path());
        Self::open_guarded(&path, connect)
    }
}
