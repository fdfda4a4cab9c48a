//! The JSON of a declaration, and what is said of one that is wrong.

use std::borrow::Cow;
use std::str::FromStr;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

use super::VERSION;
use crate::declared::{Declared, DeclaredSource, Encoding, Kind};
use crate::name::SecretName;

/// The most secrets that one may declare: as many as a manifest may.
const MAX_SECRETS: usize = 1024;

pub(super) const HELP: &str = "write the file anew by the service, with strongroom::declaration";

/// What can be told of any version.
#[derive(Deserialize)]
pub(super) struct Head {
    #[serde(rename = "version")]
    _version: Version,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    version: Version,
    secrets: Vec<Row>,
}

struct Version;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: Name,
    kind: Word<Kind>,
    required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<Word<Encoding>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_length: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotate_after: Option<Age>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SourceRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    needed_by: Option<NeededBy>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lease: bool,
}

impl Document {
    pub(super) fn of(declared: &[Declared]) -> Self {
        Self {
            version: Version,
            secrets: declared.iter().map(Row::of).collect(),
        }
    }

    pub(super) fn into_declared(self) -> Result<Vec<Declared>, Problem> {
        if self.secrets.len() > MAX_SECRETS {
            return Err(TOO_MANY);
        }
        Ok(self.secrets.into_iter().map(Row::into_declared).collect())
    }
}

impl Row {
    fn of(declared: &Declared) -> Self {
        let encoding = Some(declared.encoding).filter(|encoding| *encoding != Encoding::Text);
        Self {
            name: Name(declared.name.clone()),
            kind: Word(declared.kind),
            required: declared.required,
            description: declared.description.clone(),
            env: declared.variable.clone(),
            encoding: encoding.map(Word),
            min_length: declared.min_length,
            length: declared.length,
            rotate_after: declared.rotate_after.map(Age),
            source: declared.source.as_ref().map(SourceRow::of),
            needed_by: declared.needed_by.clone().map(NeededBy),
        }
    }

    fn into_declared(self) -> Declared {
        let mut declared = Declared::new(self.name.0, self.kind.0);
        declared.required = self.required;
        declared.description = self.description;
        declared.variable = self.env;
        declared.encoding = self.encoding.map_or(Encoding::Text, |word| word.0);
        declared.min_length = self.min_length;
        declared.length = self.length;
        declared.rotate_after = self.rotate_after.map(|age| age.0);
        declared.source = self.source.map(SourceRow::into_source);
        declared.needed_by = self.needed_by.map(|field| field.0);
        declared
    }
}

impl SourceRow {
    fn of(source: &DeclaredSource) -> Self {
        Self {
            provider: source.provider.clone(),
            id: source.id.clone(),
            name: source.name.clone().map(Name),
            field: source.field.clone(),
            lease: source.lease,
        }
    }

    fn into_source(self) -> DeclaredSource {
        DeclaredSource {
            provider: self.provider,
            id: self.id,
            name: self.name.map(|name| name.0),
            field: self.field,
            lease: self.lease,
        }
    }
}

/// What is wrong with a text, in words of our own: those of the parser quote it.
#[derive(Clone, Copy)]
pub(super) struct Problem {
    pub(super) message: &'static str,
    pub(super) help: &'static str,
}

const LATER_VERSION: Problem = problem(
    "it is a declaration of another version than 1",
    "check it by the strongroom of the release that the service is built with",
);
const NO_NAME: Problem = problem("not a secret's name", "for example \"database/password\"");
const NO_KIND: Problem = problem(
    "not a kind of secret",
    "the kinds are token, password, key, url, pem, jwt, json, opaque",
);
const NO_ENCODING: Problem = problem(
    "not an encoding",
    "the encodings are text, base64, base64url and hex",
);
const NO_AGE: Problem = problem("not a length of time", "for example \"90days\" or \"12h\"");
const NO_FIELD: Problem = problem(
    "not the path of a type's field",
    "for example \"App.database.password\"",
);
const TOO_MANY: Problem = problem("it declares more than 1024 secrets", HELP);
const OURS: [Problem; 6] = [
    LATER_VERSION,
    NO_NAME,
    NO_KIND,
    NO_ENCODING,
    NO_AGE,
    NO_FIELD,
];
/// How the messages of `serde` begin, and what is said instead.
const THEIRS: [(&str, Problem); 3] = [
    (
        "unknown field",
        problem("a key that a declaration doesn't have", HELP),
    ),
    (
        "missing field",
        problem("a key is missing that a declaration must have", HELP),
    ),
    ("duplicate field", problem("a key stands here twice", HELP)),
];

const fn problem(message: &'static str, help: &'static str) -> Problem {
    Problem { message, help }
}

impl Problem {
    /// Recognises a problem by how its message begins, and repeats nothing of it.
    pub(super) fn of(error: &serde_json::Error) -> Self {
        if !error.is_data() {
            return problem("not valid JSON", HELP);
        }
        let said = error.to_string();
        let ours = OURS.iter().map(|problem| (problem.message, *problem));
        ours.chain(THEIRS)
            .find(|(beginning, _)| said.starts_with(beginning))
            .map_or(problem("not what belongs here", HELP), |(_, found)| found)
    }
}

/// Reads a text, or `None` if something else stands there.
fn text<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&str) -> Option<T>,
    problem: Problem,
) -> Result<T, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    read(&text).ok_or_else(|| D::Error::custom(problem.message))
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? == u64::from(VERSION) {
            true => Ok(Self),
            false => Err(D::Error::custom(LATER_VERSION.message)),
        }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(VERSION)
    }
}

struct Name(SecretName);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            |text| SecretName::parse(text).ok().map(Self),
            NO_NAME,
        )
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A word of a closed list.
#[derive(Serialize)]
#[serde(transparent)]
struct Word<T>(T);

impl<'de> Deserialize<'de> for Word<Kind> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            |word| Kind::from_str(word).ok().map(Self),
            NO_KIND,
        )
    }
}

impl<'de> Deserialize<'de> for Word<Encoding> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            |word| Encoding::from_str(word).ok().map(Self),
            NO_ENCODING,
        )
    }
}

struct Age(std::time::Duration);

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            |text| humantime::parse_duration(text).ok().map(Self),
            NO_AGE,
        )
    }
}

impl Serialize for Age {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

/// The path of a field, of a type or of a configuration (`hosts.0.pool-url`). It is shown in findings, so it
/// is nothing but one.
struct NeededBy(String);

impl<'de> Deserialize<'de> for NeededBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = |part: &str| {
            let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            !part.is_empty() && part.chars().all(fits)
        };
        let path = |path: &str| path.split('.').all(part);
        text(
            deserializer,
            |text| text.split(", ").all(path).then(|| Self(text.to_owned())),
            NO_FIELD,
        )
    }
}

impl Serialize for NeededBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
