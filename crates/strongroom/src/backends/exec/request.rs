//! What a program is asked, as JSON in one buffer that is wiped.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::introduction::Operation;
use crate::backends::files::json;
use crate::declared::Encoding;
use crate::error::Result;
use crate::provider::{Expect, Put, Request, Stage, Target};
use crate::secret::{Secret, Version};

/// The version of the protocol that is spoken here.
pub(super) const PROTOCOL: &str = "1";

pub(super) fn plain(operation: Operation, config: Option<&str>) -> Zeroizing<Vec<u8>> {
    Document::new(operation, config).finish()
}

pub(super) fn fetch(wanted: &[&Request], config: Option<&str>) -> Zeroizing<Vec<u8>> {
    let mut document = Document::new(Operation::Fetch, config);
    document.raw("wanted", "[");
    for (number, request) in (1_usize..).zip(wanted) {
        if number > 1 {
            document.piece(Piece::Raw(",".into()));
        }
        document.piece(Piece::Raw("{".into()));
        document.is_first = true;
        document.raw("request", number.to_string());
        document.target(&request.target);
        if let Some(known) = &request.known {
            document.text("known", known.as_str());
        }
        document.stage(&request.stage);
        document.piece(Piece::Raw("}".into()));
    }
    document.piece(Piece::Raw("]".into()));
    document.finish()
}

pub(super) fn put(put: &Put, config: Option<&str>) -> Result<Zeroizing<Vec<u8>>> {
    let encoded = Encoding::Base64.encode(&put.value);
    let mut document = Document::new(Operation::Put, config);
    document.target(&put.target);
    match put.value.is_text() {
        true => document.value("text", &put.value)?,
        false => document.value("base64", &encoded)?,
    }
    document.expect(&put.expect);
    document.stage(&put.stage);
    if let Some(overlap) = put.overlap {
        let begun = u64::from(overlap.subsec_nanos() > 0);
        let seconds = overlap.as_secs().saturating_add(begun);
        document.raw("overlap", seconds.to_string());
    }
    Ok(document.finish())
}

pub(super) fn delete(target: &Target, expect: &Expect, config: Option<&str>) -> Zeroizing<Vec<u8>> {
    let mut document = Document::new(Operation::Delete, config);
    document.target(target);
    document.expect(expect);
    document.finish()
}

pub(super) fn list(prefix: &str, config: Option<&str>) -> Zeroizing<Vec<u8>> {
    let mut document = Document::new(Operation::List, config);
    document.text("prefix", prefix);
    document.finish()
}

/// What is about one secret, and one version of it where there is one.
pub(super) fn about(
    operation: Operation,
    target: &Target,
    version: Option<&Version>,
    config: Option<&str>,
) -> Zeroizing<Vec<u8>> {
    let mut document = Document::new(operation, config);
    document.target(target);
    if let Some(version) = version {
        document.text("version", version.as_str());
    }
    document.finish()
}

enum Piece<'a> {
    /// As it is.
    Raw(Cow<'a, str>),
    /// As a JSON string.
    Text(&'a str),
}

/// A document in pieces, so that the buffer gets its size before anything is written.
struct Document<'a> {
    pieces: Vec<Piece<'a>>,
    is_first: bool,
}

impl<'a> Document<'a> {
    fn new(operation: Operation, config: Option<&'a str>) -> Self {
        let mut document = Self {
            pieces: vec![Piece::Raw("{".into())],
            is_first: true,
        };
        document.raw("protocol", PROTOCOL);
        document.text("operation", operation.as_str());
        if let Some(config) = config {
            document.text("config", config);
        }
        document
    }

    fn piece(&mut self, piece: Piece<'a>) {
        self.pieces.push(piece);
    }

    fn key(&mut self, key: &'static str) {
        let separator = if self.is_first { "" } else { "," };
        self.is_first = false;
        self.piece(Piece::Raw(separator.into()));
        self.piece(Piece::Text(key));
        self.piece(Piece::Raw(":".into()));
    }

    fn raw(&mut self, key: &'static str, value: impl Into<Cow<'a, str>>) {
        self.key(key);
        self.piece(Piece::Raw(value.into()));
    }

    fn text(&mut self, key: &'static str, value: &'a str) {
        self.key(key);
        self.piece(Piece::Text(value));
    }

    fn value(&mut self, key: &'static str, value: &'a Secret) -> Result<()> {
        // EXPOSES: to the request, which is wiped and goes to the program's standard input alone
        self.text(key, value.expose_str()?);
        Ok(())
    }

    fn target(&mut self, target: &'a Target) {
        self.text("name", target.name.as_str());
        if let Some(id) = &target.id {
            self.text("id", id);
        }
        if let Some(field) = &target.field {
            self.text("field", field);
        }
    }

    fn stage(&mut self, stage: &'a Stage) {
        self.text(
            "stage",
            match stage {
                Stage::Current => "current",
                Stage::Previous => "previous",
                Stage::Pending => "pending",
                Stage::Exact(_) => "exact",
            },
        );
        if let Stage::Exact(version) = stage {
            self.text("version", version.as_str());
        }
    }

    fn expect(&mut self, expect: &'a Expect) {
        self.text(
            "expect",
            match expect {
                Expect::Any => "any",
                Expect::Absent => "absent",
                Expect::Version(_) => "version",
            },
        );
        if let Expect::Version(version) = expect {
            self.text("version", version.as_str());
        }
    }

    fn finish(self) -> Zeroizing<Vec<u8>> {
        let room = self.pieces.iter().fold(1_usize, |room, piece| {
            room.saturating_add(match piece {
                Piece::Raw(text) => text.len(),
                // No character takes more than six bytes for each of its own.
                Piece::Text(text) => text.len().saturating_mul(6).saturating_add(2),
            })
        });
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        for piece in &self.pieces {
            match piece {
                Piece::Raw(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Text(text) => json::encode(text, &mut out),
            }
        }
        out.push(b'}');
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::name::SecretName;

    const NAME: SecretName = SecretName::from_static("database#password");

    fn json(text: &[u8]) -> serde_json::Value {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn a_request_is_json_and_its_buffer_never_grows() {
        let value = Secret::from_text("\u{1}\"\\ä\n".repeat(1000));
        let put = super::put(
            &Put::new(Target::new(NAME), value)
                .with_expect(Expect::Version(Version::new("v\"1")))
                .with_overlap(Duration::from_millis(1500)),
            Some("/srv/a b"),
        )
        .unwrap();
        assert!(put.len() <= put.capacity() && put.capacity() < 6 * 8000);
        let put = json(&put);
        assert_eq!(put["text"], "\u{1}\"\\ä\n".repeat(1000));
        assert_eq!(
            (&put["version"], &put["overlap"], &put["config"]),
            (&"v\"1".into(), &2.into(), &"/srv/a b".into())
        );
        let bytes = Secret::from_bytes(vec![0xff, 0]);
        let put = json(&super::put(&Put::new(Target::new(NAME), bytes), None).unwrap());
        assert_eq!(
            (&put["base64"], &put["text"]),
            (&"/wA=".into(), &serde_json::Value::Null)
        );
    }

    #[test]
    fn a_batch_counts_its_requests() {
        let one = Request::from(NAME).with_known(Version::new("3"));
        let other = Request::new(Target::new(NAME).with_id("rds!db", Some("user".to_owned())))
            .with_stage(Stage::Exact(Version::new("2")));
        let asked = json(&fetch(&[&one, &other], None));
        assert_eq!(asked["wanted"][0]["request"], 1);
        assert_eq!(asked["wanted"][0]["known"], "3");
        assert_eq!(asked["wanted"][1]["request"], 2);
        assert_eq!(asked["wanted"][1]["field"], "user");
        assert_eq!(asked["wanted"][1]["version"], "2");
        assert_eq!(json(&fetch(&[], None))["wanted"], serde_json::json!([]));
    }
}
