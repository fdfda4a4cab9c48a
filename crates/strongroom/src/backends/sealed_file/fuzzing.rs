//! What the fuzz target of sealed files runs.

#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "to panic is what these functions are for"
)]

use super::entries::DataKey;
use super::format::{self, Document};
use super::key::SlotKey;
use super::outline::Outline;
use super::slots;
use super::unlocked::Unlocked;
use crate::error::ErrorKind;
use crate::provider::Stage;
use crate::secret::Secret;

/// The key of the files in the corpus.
const KEY: [u8; 32] = [
    0x28, 0x64, 0x57, 0xaf, 0xb9, 0xd8, 0x00, 0x56, 0xf6, 0xf7, 0x45, 0x01, 0xe5, 0xb6, 0x98, 0xbb,
    0x5b, 0x6b, 0xb4, 0x1b, 0xd8, 0x5b, 0x1a, 0x6f, 0x34, 0x50, 0x2a, 0xac, 0xc0, 0x52, 0x07, 0x64,
];

/// A sealed file, tried with a raw key. What parses has one spelling; and as nobody finds a seal by
/// chance, a file whose slot the key opens is sealed again, so that what stands behind the seal is tried.
pub fn sealed_file(data: &[u8]) {
    let document = match Document::parse(data.to_vec()) {
        Ok(document) => document,
        Err(error) => {
            let kinds = [ErrorKind::Malformed, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{error:?}");
            return crate::fuzzing::never_quotes(data, &format!("{error:?} {error}"));
        }
    };
    if let Ok(outline) = Outline::read(data) {
        // A person sees this without a key.
        let shown = outline.to_string();
        assert!(
            shown
                .bytes()
                .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
        );
    }
    let Ok(key) = SlotKey::raw(Secret::from_bytes(KEY.to_vec())) else {
        return;
    };
    let Ok(data_key) = slots::open(document.id, &document.slots, &key) else {
        return;
    };
    let data_key = DataKey::new(document.id, data_key);
    let (epoch, id) = (document.epoch, document.id);
    let Ok(sealed) = format::compose(&data_key, epoch, &document.slots, &[document.entries()])
    else {
        return;
    };
    // The seal apart, there is one way to write what was read.
    let seal = sealed.rfind("seal ").unwrap_or_default();
    assert_eq!(sealed.as_bytes().get(..seal), data.get(..seal));
    let again = Document::parse(sealed.into_bytes());
    let unlocked = again.and_then(|document| Unlocked::open(document, &key));
    let unlocked = match unlocked {
        Ok(unlocked) => unlocked,
        Err(error) => panic!("a file that we sealed is refused: {error:?}"),
    };
    assert_eq!(unlocked.document.id, id);
    let names: Vec<String> = unlocked.document.names().map(str::to_owned).collect();
    for name in names {
        for stage in [Stage::Current, Stage::Previous] {
            if let Err(error) = unlocked.read(&name, &stage) {
                let kinds = [
                    ErrorKind::Malformed,
                    ErrorKind::Integrity,
                    ErrorKind::Absent,
                ];
                assert!(kinds.contains(&error.kind()), "{error:?}");
            }
        }
        let _ = unlocked.versions(&name);
    }
}
