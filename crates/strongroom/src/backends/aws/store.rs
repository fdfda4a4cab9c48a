//! Secrets by name: a name is a secret of AWS, or a key of the JSON object that one holds.

use std::collections::HashSet;
use std::time::SystemTime;

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::{Blob, DateTime};
use zeroize::Zeroizing;

use super::client::Client;
use super::failure::{Failure, INVALID_REQUEST, NOT_FOUND};
use super::place::Place;
use super::settings::Settings;
use crate::backends::files::json::Tree;
use crate::backends::files::value::check_size;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{Reply, Request, Stage};
use crate::secret::{Metadata, Provenance, Secret, Version};

mod access;
mod batch;
mod change;
#[cfg(any(test, fuzzing))]
pub(in crate::backends) mod fuzzing;
mod history;
mod list;
mod write;

pub(super) use access::{Access, Answered};
use batch::concerns_all;

/// The label of the version in force.
const CURRENT: &str = "AWSCURRENT";
/// The label of the one before.
const PREVIOUS: &str = "AWSPREVIOUS";
/// The label of the one that is being rotated in.
const PENDING: &str = "AWSPENDING";

/// How often a write starts again because another came between.
const ATTEMPTS: usize = 32;

/// What stands behind the names of one address.
pub(super) struct Store {
    settings: Settings,
    client: Client,
    batches: batch::Batches,
}

/// One version of a secret of AWS.
pub(super) struct Document {
    value: Zeroizing<Vec<u8>>,
    is_text: bool,
    version: Option<Version>,
    created: Option<SystemTime>,
}

/// What AWS says of a secret without showing its value.
struct Described {
    current: Option<Version>,
    /// The versions that have a label, and those labels.
    labels: Vec<(String, Vec<String>)>,
    deleted: Option<SystemTime>,
    /// The KMS key of your own that encrypts it.
    key: Option<String>,
}

/// The most pages of one answer: each of 100 names, and AWS may leave pages empty.
const MAX_PAGES: usize = 1_000;

/// The pages of a long answer, each of which names the next.
#[derive(Default)]
struct Pages {
    next: Option<String>,
    seen: HashSet<String>,
}

impl Pages {
    /// Goes on to the next page. Answers `false` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the pages lead back to one that was read, or are too many.
    fn turn(&mut self, what: &str, next: Option<String>) -> Result<bool> {
        self.next = next.filter(|next| !next.is_empty());
        match &self.next {
            None => Ok(false),
            Some(next) if self.seen.len() < MAX_PAGES && self.seen.insert(next.clone()) => Ok(true),
            Some(_) => {
                let message = format!("{what}: the pages come to no end");
                Err(Error::new(ErrorKind::Malformed, message))
            }
        }
    }
}

impl Store {
    pub(super) fn new(client: Client, settings: Settings) -> Self {
        Self {
            settings,
            client,
            batches: batch::Batches::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads one version of a secret, from which any number of fields is then taken.
    pub(super) async fn read(&self, id: &str, stage: &Stage) -> Result<Document> {
        let (label, version) = match stage {
            Stage::Current => (Some(CURRENT), None),
            Stage::Previous => (Some(PREVIOUS), None),
            Stage::Pending => (Some(PENDING), None),
            Stage::Exact(version) if could_be(version) => (None, Some(version.as_str())),
            Stage::Exact(_) => return Err(self.no_such_version(id)),
        };
        let what = self.doing("GetSecretValue", id);
        let got = self.client.call(&what, |aws| {
            // AWS takes what names nothing for the version in force.
            let label = label.filter(|label| *label != CURRENT);
            aws.get_secret_value()
                .secret_id(id)
                .set_version_stage(label.map(str::to_owned))
                .set_version_id(version.map(str::to_owned))
                .send()
        });
        match got.await {
            Ok(got) => Ok(Document::new(
                got.secret_string,
                got.secret_binary,
                got.version_id,
                got.created_date,
            )),
            Err(failure) if failure.is(NOT_FOUND) && *stage != Stage::Current => {
                // The code is the same for a secret and for a version that isn't there.
                match self.describe(id).await {
                    Err(failure) if failure.is(NOT_FOUND) => Err(self.nothing(id)),
                    Ok(described) => Err(match described.deleted {
                        Some(_) => self.gone(id, described.deleted),
                        None => self.no_such_version(id),
                    }),
                    Err(_) => Err(self.no_such_version(id)),
                }
            }
            Err(failure) => Err(self.unread(id, failure).await),
        }
    }

    /// What a failed read means.
    async fn unread(&self, id: &str, failure: Failure) -> Error {
        if failure.is(NOT_FOUND) {
            return self.nothing(id);
        }
        if !failure.is(INVALID_REQUEST) {
            return failure.error;
        }
        match self.describe(id).await {
            Ok(described) if described.deleted.is_none() => failure.error,
            Ok(described) => self.gone(id, described.deleted),
            // A read is refused so for no other reason.
            Err(_) => self.gone(id, None),
        }
    }

    async fn describe(&self, id: &str) -> Result<Described, Failure> {
        let what = self.doing("DescribeSecret", id);
        let send =
            |aws: &aws_sdk_secretsmanager::Client| aws.describe_secret().secret_id(id).send();
        Ok(Described::of(self.client.call(&what, send).await?))
    }

    /// Asks whether the version in force is still this one, without reading it. `false` where AWS
    /// doesn't say so.
    ///
    /// # Errors
    /// What a read would meet as well: during an outage AWS is not asked twice.
    pub(super) async fn is_current(&self, id: &str, known: &Version) -> Result<bool> {
        match self.describe(id).await {
            Ok(now) => Ok(now.deleted.is_none() && now.current.as_ref() == Some(known)),
            Err(failure) if concerns_all(&failure) => Err(failure.error),
            Err(_) => Ok(false),
        }
    }

    pub(super) fn reply(
        &self,
        place: &Place,
        document: &Document,
        request: &Request,
    ) -> Result<Reply> {
        let id = &place.id;
        if document.value.is_empty() {
            // AWS holds no empty value, so that this is no answer of its own.
            let message = format!(
                "{}: the answer for `{id}` has no value",
                self.settings.shown
            );
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        let value = match &place.field {
            None => document.whole(),
            Some(field) => {
                let tree = self.tree(id, document)?;
                let Some(value) = field_of(&tree, field, id)? else {
                    return Err(self.no_field(id, field, &tree));
                };
                value
            }
        };
        // EXPOSES: only its length is looked at
        check_size(value.expose_bytes(), &format!("`{id}`"))?;
        if document.version.is_some() && request.known == document.version {
            return Ok(Reply::Unchanged);
        }
        let mut metadata = Metadata::new()
            .with_name(&request.target.name)
            .with_provenance(Provenance::new());
        if let Some(version) = &document.version {
            metadata = metadata.with_version(version.clone());
        }
        if let Some(created) = document.created {
            metadata = metadata.with_created(created);
        }
        Ok(Reply::Value(value.with_metadata(metadata)))
    }

    /// The JSON object that a secret holds.
    fn tree(&self, id: &str, document: &Document) -> Result<Tree> {
        let malformed = |why: String| {
            let message = format!("{}: `{id}` {why}", self.settings.shown);
            Error::new(ErrorKind::Malformed, message).with_help(
                "a field is a key of a secret that is a JSON object; ask for the name without `#` to \
                 get the whole secret",
            )
        };
        if !document.is_text {
            return Err(malformed("is binary, and has no fields".to_owned()));
        }
        Tree::parse(document.value.clone()).map_err(|fault| {
            malformed(format!(
                "is no JSON object: line {}: {}",
                fault.line, fault.what
            ))
        })
    }

    fn doing(&self, operation: &str, id: &str) -> String {
        format!("{}: {operation} of `{id}`", self.settings.shown)
    }

    fn nothing(&self, id: &str) -> Error {
        let message = format!("{}: there is no secret `{id}`", self.settings.shown);
        Error::new(ErrorKind::Absent, message)
    }

    /// A secret that was created, and got no value. To who reads it, AWS doesn't tell the difference.
    fn without_value(&self, id: &str) -> Error {
        let message = format!(
            "{}: the secret `{id}` has no value yet",
            self.settings.shown
        );
        Error::new(ErrorKind::Absent, message).with_help("write one")
    }

    fn no_such_version(&self, id: &str) -> Error {
        let message = format!("{}: `{id}` has no such version", self.settings.shown);
        Error::new(ErrorKind::Absent, message)
    }

    fn no_field(&self, id: &str, field: &str, tree: &Tree) -> Error {
        let message = format!("{}: `{id}` has no field `{field}`", self.settings.shown);
        let error = Error::new(ErrorKind::Absent, message);
        match tree.keys(&[]).as_slice() {
            [] => error,
            keys => {
                let shown: Vec<_> = keys.iter().take(8).copied().collect();
                error.with_help(format!("its fields are: {}", shown.join(", ")))
            }
        }
    }

    /// A secret that is deleted, and not yet gone for good.
    fn gone(&self, id: &str, since: Option<SystemTime>) -> Error {
        let since = since.map_or_else(String::new, |since| {
            let since = humantime::format_rfc3339_seconds(since).to_string();
            format!(" since {}", since.split('T').next().unwrap_or_default())
        });
        let message = format!(
            "{}: `{id}` is scheduled for deletion{since}",
            self.settings.shown
        );
        Error::new(ErrorKind::Absent, message).with_help(format!(
            "bring it back with `aws secretsmanager restore-secret --secret-id {id}`, or write a new \
             value"
        ))
    }
}

impl Described {
    fn of(answer: DescribeSecretOutput) -> Self {
        let labels = answer.version_ids_to_stages.unwrap_or_default();
        let labels: Vec<_> = labels.into_iter().collect();
        Self {
            current: labelled(&labels, CURRENT),
            key: answer.kms_key_id.filter(|key| !key.is_empty()),
            deleted: answer.deleted_date.as_ref().and_then(time),
            labels,
        }
    }
}

impl Document {
    fn new(
        text: Option<String>,
        binary: Option<Blob>,
        version: Option<String>,
        created: Option<DateTime>,
    ) -> Self {
        let is_text = text.is_some();
        let value = match (text, binary) {
            (Some(text), _) => text.into_bytes(),
            (None, binary) => binary.map(Blob::into_inner).unwrap_or_default(),
        };
        Self {
            value: Zeroizing::new(value),
            is_text,
            version: version.map(Version::new),
            created: created.as_ref().and_then(time),
        }
    }

    fn whole(&self) -> Secret {
        match self.is_text {
            true => Secret::from_utf8_or_bytes(self.value.clone()),
            false => Secret::from_bytes(self.value.clone()),
        }
    }
}

fn field_of(tree: &Tree, field: &str, id: &str) -> Result<Option<Secret>> {
    if tree.find(&[field]).is_none() {
        return Ok(None);
    }
    let value = tree
        .value(&[field])
        .map_err(|fault| in_document(&fault, id))?;
    Ok(Some(Secret::from_utf8_or_bytes(value)))
}

fn in_document(fault: &crate::backends::files::fault::Fault, id: &str) -> Error {
    let message = format!("`{id}`, line {}: {}", fault.line, fault.what);
    Error::new(ErrorKind::Malformed, message)
}

/// The version that has a label.
fn labelled(labels: &[(String, Vec<String>)], label: &str) -> Option<Version> {
    let mut with = labels
        .iter()
        .filter(|(_, labels)| labels.iter().any(|one| one == label));
    with.next()
        .map(|(version, _)| Version::new(version.as_str()))
}

/// Reports whether AWS could have given a version this id.
fn could_be(version: &Version) -> bool {
    let id = version.as_str();
    (32..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// A date that people know: before 1970 and after 9999 there is none to be shown.
fn time(date: &DateTime) -> Option<SystemTime> {
    const LAST: i64 = 253_402_300_799;
    let known = (0..=LAST).contains(&date.secs());
    known.then(|| SystemTime::try_from(*date).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_bounded_and_never_read_twice() {
        let mut pages = Pages::default();
        assert!(!pages.turn("ListSecrets", Some(String::new())).unwrap());
        for page in 0..MAX_PAGES {
            assert!(pages.turn("ListSecrets", Some(page.to_string())).unwrap());
        }
        let error = pages.turn("ListSecrets", Some("one more".to_owned()));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Malformed);
        assert!(!pages.turn("ListSecrets", None).unwrap());

        let mut pages = Pages::default();
        assert!(pages.turn("ListSecrets", Some("a".to_owned())).unwrap());
        assert!(pages.turn("ListSecrets", Some("a".to_owned())).is_err());
    }

    #[test]
    fn a_date_that_nobody_knows_is_none() {
        let at = |seconds: i64| time(&DateTime::from_secs(seconds));
        assert!(at(0).is_some() && at(253_402_300_799).is_some());
        assert!(at(-1).is_none() && at(253_402_300_800).is_none() && at(i64::MAX).is_none());
    }
}
