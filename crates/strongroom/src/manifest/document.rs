//! The manifest's text and the variables that override it, as figment providers.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use toml::de::{DeTable, DeValue};

use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};

/// Variables that override the manifest: `STRONGROOM_CFG_POLICY__MIN_LENGTH`.
pub(crate) const OVERRIDE_PREFIX: &str = "STRONGROOM_CFG_";

/// What figment's metadata calls the overriding variables.
pub(super) const OVERRIDES: &str = "variables";

/// A parsed manifest: its profiles, and the line of every key.
#[derive(Debug)]
pub(super) struct Document {
    name: String,
    profiles: Map<Profile, Dict>,
    lines: BTreeMap<Vec<String>, usize>,
    /// Where each line begins: counting them for each key would take as long as the text.
    starts: Vec<usize>,
}

impl Document {
    pub(super) fn parse(name: &str, text: &str) -> Result<Self> {
        let table = DeTable::parse(text).map_err(|error| {
            // The parser's own message quotes the text; the place is enough.
            let place = error.span().map_or_else(String::new, |span| {
                let (line, column) = position(text, span.start);
                format!(", line {line}, column {column}")
            });
            Error::new(ErrorKind::Config, format!("{name}{place}: not valid TOML")).with_help(
                "a key stands once; text stands in quotes; a name with `/` is quoted too",
            )
        })?;
        let mut document = Self {
            name: name.to_owned(),
            profiles: Map::new(),
            lines: BTreeMap::new(),
            starts: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at.saturating_add(1)))
                .collect(),
        };
        for (key, value) in table.get_ref() {
            let profile = key.get_ref().as_ref();
            let line = document.line(key.span().start);
            check_profile(profile).map_err(|problem| {
                let message = format!("{name}, line {line}: `{profile}` {problem}");
                Error::new(ErrorKind::Config, message)
                    .with_help("profiles are [default], [development], [production] and the like")
            })?;
            let DeValue::Table(table) = value.get_ref() else {
                let message = format!("{name}, line {line}: `{profile}` stands outside a profile");
                return Err(Error::new(ErrorKind::Config, message)
                    .with_help("put it under [default], or under a deployment's [production]"));
            };
            document.lines.insert(vec![profile.to_owned()], line);
            let dict = document.table(table, &mut vec![profile.to_owned()])?;
            document.profiles.insert(Profile::new(profile), dict);
        }
        Ok(document)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn profiles(&self) -> &Map<Profile, Dict> {
        &self.profiles
    }

    /// Says where a key stands. `path` begins with the profile.
    pub(super) fn place(&self, path: &[String]) -> String {
        match self.lines.get(path) {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.clone(),
        }
    }

    /// The line of a byte offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>) -> Result<Dict> {
        let mut dict = Dict::new();
        for (key, value) in table {
            path.push(key.get_ref().clone().into_owned());
            let line = self.line(key.span().start);
            self.lines.insert(path.clone(), line);
            let value = self.value(value.get_ref(), path)?;
            dict.insert(key.get_ref().clone().into_owned(), value);
            path.pop();
        }
        Ok(dict)
    }

    fn value(&mut self, value: &DeValue<'_>, path: &mut Vec<String>) -> Result<Value> {
        Ok(match value {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(flag) => Value::from(*flag),
            DeValue::Integer(number) => {
                let digits = i64::from_str_radix(number.as_str(), number.radix());
                Value::from(
                    digits.map_err(|_| self.unreadable(path, "a number that is too large"))?,
                )
            }
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.value(item.get_ref(), path));
                Value::from(items.collect::<Result<Vec<_>>>()?)
            }
            DeValue::Table(table) => Value::from(self.table(table, path)?),
            DeValue::Float(_) => return Err(self.unreadable(path, "a number with a fraction")),
            DeValue::Datetime(_) => return Err(self.unreadable(path, "a date")),
        })
    }

    fn unreadable(&self, path: &[String], what: &str) -> Error {
        let key = path.get(1..).unwrap_or_default().join(".");
        Error::new(
            ErrorKind::Config,
            format!("{}: `{key}` is {what}", self.place(path)),
        )
    }
}

impl Provider for Document {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(self.profiles.clone())
    }
}

/// The variables `STRONGROOM_CFG_…`: two underscores between levels, all in lower case.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    dict: Dict,
    variables: BTreeMap<Vec<String>, String>,
}

impl Overrides {
    pub(super) fn from_env(env: &Env) -> Result<Self> {
        let mut overrides = Self::default();
        for variable in env.names() {
            let Some(key) = variable.strip_prefix(OVERRIDE_PREFIX) else {
                continue;
            };
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            check(variable, &path)?;
            let Some(value) = env.var(variable)? else {
                continue;
            };
            insert(&mut overrides.dict, &path, value);
            overrides.variables.insert(path, variable.to_owned());
        }
        Ok(overrides)
    }

    pub(super) fn variable(&self, path: &[String]) -> Option<&str> {
        self.variables.get(path).map(String::as_str)
    }

    pub(super) fn first_variable(&self) -> Option<&str> {
        self.variables.values().next().map(String::as_str)
    }

    pub(super) fn dict(&self) -> &Dict {
        &self.dict
    }
}

impl Provider for Overrides {
    fn metadata(&self) -> Metadata {
        Metadata::named(OVERRIDES)
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        // Global stands above every profile.
        Ok(Profile::Global.collect(self.dict.clone()))
    }
}

/// Refuses names of profiles that figment would take for another one: it ignores case, and puts
/// `global` above every profile.
fn check_profile(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    match name {
        "global" => Err("is no profile: it would outrank every other one"),
        name if name.chars().all(plain) => Ok(()),
        _ => Err("is no profile: their names have lower-case letters, digits, _ and - only"),
    }
}

/// What a variable must not change: the overrides of guard rails, and what limits variables.
fn check(variable: &str, path: &[String]) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::new(ErrorKind::Config, format!("{variable} {why}"))
            .with_help("write it into the manifest, where it can be reviewed"))
    };
    if path.iter().any(|level| level.starts_with("danger")) {
        return refused("would switch a guard rail off, which no variable can do");
    }
    match path.first().map(String::as_str) {
        Some("allow_providers") => refused("would lift the manifest's limit on providers"),
        Some("audit")
            if matches!(
                path.get(1).map(String::as_str),
                Some("fail_closed" | "reads")
            ) =>
        {
            refused("would change what must be recorded")
        }
        Some("secrets" | "providers") => refused("would change what the manifest declares"),
        _ => Ok(()),
    }
}

fn insert(dict: &mut Dict, path: &[String], value: &str) {
    match path {
        [] => {}
        [key] => {
            dict.insert(key.clone(), Value::from(value));
        }
        [key, rest @ ..] => {
            let mut inner = match dict.remove(key) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            insert(&mut inner, rest, value);
            dict.insert(key.clone(), Value::from(inner));
        }
    }
}

/// Line and column of a byte offset, both from 1; the column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before
        .rfind('\n')
        .map_or(0, |newline| newline.saturating_add(1));
    let line = before.matches('\n').count().saturating_add(1);
    let column = before
        .get(line_start..)
        .map_or(0, |line| line.chars().count());
    (line, column.saturating_add(1))
}
