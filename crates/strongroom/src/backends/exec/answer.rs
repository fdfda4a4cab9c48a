//! What a program answered, operation by operation. An answer that breaks the protocol is of no use as a whole.

use std::time::SystemTime;

use zeroize::Zeroizing;

use super::object::{Object, Problem, broken};
use super::request::PROTOCOL;
use crate::backends::MAX_LISTED;
use crate::declared::Encoding;
use crate::error::ErrorKind;
use crate::name::SecretName;
use crate::provider::{Reply, Request, VersionInfo};
use crate::secret::{MAX_VALUE_BYTES, Metadata, Provenance, Secret, Version};

/// The most bytes of a version, which is shown.
const MAX_VERSION: usize = 128;

/// The most versions in a history.
const MAX_VERSIONS: usize = 1000;

/// The keys by which a program says that it failed.
const FAILURE: [&str; 3] = ["error", "retry_after", "no_effect"];

/// Reads a whole answer, with these keys beside those of every answer.
pub(super) fn whole(text: Zeroizing<Vec<u8>>, keys: &[&str]) -> Result<Object, Problem> {
    let said = Object::parse(text)?;
    match said.number("protocol")? {
        Some(number) if number.to_string() == PROTOCOL => {}
        Some(_) => return broken(format!("is of another protocol than {PROTOCOL}")),
        None => return broken("doesn't say of which protocol it is"),
    }
    match said.has("error") {
        true => said.only(&[&["protocol"], FAILURE.as_slice()].concat())?,
        false => said.only(&[&["protocol"], keys].concat())?,
    }
    said.check_success()?;
    Ok(said)
}

/// An answer of nothing but success.
pub(super) fn done(text: Zeroizing<Vec<u8>>) -> Result<(), Problem> {
    whole(text, &[]).map(drop)
}

/// The answer to `put`: the new version, where there are versions.
pub(super) fn written(text: Zeroizing<Vec<u8>>) -> Result<Option<Version>, Problem> {
    version(&whole(text, &["version"])?)
}

/// The answer to `health`: whether it is degraded. Why, the program must say elsewhere: in its own words could
/// stand anything.
pub(super) fn degraded(text: Zeroizing<Vec<u8>>) -> Result<bool, Problem> {
    let said = whole(text, &["degraded"])?;
    Ok(said.flag("degraded")?.unwrap_or_default())
}

/// The answer to `list`, sorted.
pub(super) fn names(text: Zeroizing<Vec<u8>>, prefix: &str) -> Result<Vec<SecretName>, Problem> {
    let said = whole(text, &["names"])?;
    let mut names = Vec::new();
    for item in said.list("names", MAX_LISTED)? {
        // No name has a character that must be escaped, and a reader that knows escapes might keep a copy.
        let text = item
            .get()
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        match text.and_then(|text| SecretName::parse(text).ok()) {
            Some(name) if name.as_str().starts_with(prefix) => names.push(name),
            Some(_) => return broken("lists a name without the prefix that was asked for"),
            None => return broken("lists what is no name of a secret"),
        }
    }
    names.sort();
    match names
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
    {
        true => broken("lists a name twice"),
        false => Ok(names),
    }
}

/// The answer to `versions`, newest first.
pub(super) fn history(text: Zeroizing<Vec<u8>>) -> Result<Vec<VersionInfo>, Problem> {
    let said = whole(text, &["versions"])?;
    let mut history: Vec<VersionInfo> = Vec::new();
    for item in said.list("versions", MAX_VERSIONS)? {
        let item = Object::of(item)?;
        item.only(&["version", "created", "readable"])?;
        let (Some(version), Some(readable)) = (version(&item)?, item.flag("readable")?) else {
            return broken("has a version of a history without `version` or `readable`");
        };
        if history.iter().any(|known| known.version == version) {
            return broken("has a version twice in one history");
        }
        history.push(VersionInfo::new(
            version,
            moment(&item, "created")?,
            readable,
        ));
    }
    Ok(history)
}

/// The answers to a batch, in the order of its requests: each one once.
pub(super) fn replies(
    text: Zeroizing<Vec<u8>>,
    wanted: &[&Request],
) -> Result<Vec<Result<Reply, Problem>>, Problem> {
    let said = whole(text, &["answers"])?;
    let mut replies: Vec<Option<Result<Reply, Problem>>> = Vec::new();
    replies.resize_with(wanted.len(), || None);
    for item in said.list("answers", wanted.len())? {
        let item = Object::of(item)?;
        let number = item
            .number("request")?
            .and_then(|number| number.checked_sub(1));
        let place = number.and_then(|number| Some((wanted.get(number)?, replies.get_mut(number)?)));
        let Some((request, place)) = place else {
            return broken("answers a request that was not made");
        };
        if place.is_some() {
            return broken("answers a request twice");
        }
        *place = Some(match reply(&item, request) {
            Err(broken @ Problem::Broken(_)) => return Err(broken),
            reply => reply,
        });
    }
    let replies: Option<Vec<_>> = replies.into_iter().collect();
    replies.map_or_else(|| broken("leaves a request without an answer"), Ok)
}

fn reply(item: &Object, request: &Request) -> Result<Reply, Problem> {
    if item.has("error") {
        item.only(&[&["request"], FAILURE.as_slice()].concat())?;
        item.check_success()?;
    }
    if item.has("unchanged") {
        item.only(&["request", "unchanged"])?;
        return match (item.flag("unchanged")?, &request.known) {
            (Some(true), Some(_)) => Ok(Reply::Unchanged),
            _ => broken("says `unchanged` where no version was known"),
        };
    }
    item.only(&["request", "text", "base64", "version", "created", "expires"])?;
    let metadata = metadata(item, request)?;
    let value = match (item.text("text")?, item.text("base64")?) {
        (Some(text), None) => text,
        (None, Some(base64)) => match Encoding::Base64.decode_bytes(&base64) {
            Some(value) => value,
            None => return broken("has a `base64` that is none"),
        },
        _ => return broken("has not exactly one of `text`, `base64`, `unchanged` and `error`"),
    };
    if value.len() > MAX_VALUE_BYTES {
        // Of no use, and nothing is wrong with the others.
        return Err(Problem::Told {
            kind: ErrorKind::Malformed,
            retry_after: None,
            no_effect: false,
        });
    }
    Ok(Reply::Value(
        Secret::from_utf8_or_bytes(value).with_metadata(metadata),
    ))
}

fn metadata(item: &Object, request: &Request) -> Result<Metadata, Problem> {
    let mut metadata = Metadata::new()
        .with_name(&request.target.name)
        // Nobody knows what copies the program leaves.
        .with_provenance(Provenance::new());
    if let Some(version) = version(item)? {
        metadata = metadata.with_version(version);
    }
    if let Some(created) = moment(item, "created")? {
        metadata = metadata.with_created(created);
    }
    if let Some(expires) = moment(item, "expires")? {
        metadata = metadata.with_expires(expires);
    }
    Ok(metadata)
}

fn version(item: &Object) -> Result<Option<Version>, Problem> {
    Ok(item.word("version", MAX_VERSION)?.map(Version::new))
}

fn moment(item: &Object, key: &str) -> Result<Option<SystemTime>, Problem> {
    let Some(word) = item.word(key, 32)? else {
        return Ok(None);
    };
    match humantime::parse_rfc3339(&word) {
        Ok(moment) => Ok(Some(moment)),
        Err(_) => broken("has a time that is not written as 2026-01-31T12:00:00Z"),
    }
}
