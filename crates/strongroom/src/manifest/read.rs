//! From merged settings to a [`Manifest`], each value with its origin.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use figment::value::{Dict, Value};
use figment::{Figment, Profile};

use super::document::{Document, OVERRIDES, Overrides};
use super::{Located, Manifest, Setting, schema};
use crate::audit::KeySource;
use crate::chain;
use crate::declared::{Declared, DeclaredSource, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider_url::ProviderUrl;
use crate::rails::Rail;
use crate::secret::Secret;

pub(super) fn read(
    document: &Document,
    overrides: &Overrides,
    located: Located,
    (profile, named): (&str, bool),
) -> Result<Manifest> {
    schema::check(document)?;
    let variable = |path: &[String]| {
        let path = path.get(1..).unwrap_or_default();
        overrides
            .variable(path)
            .unwrap_or("STRONGROOM_CFG_…")
            .to_owned()
    };
    schema::check_profile(overrides.dict(), &mut vec![String::new()], &variable)?;
    let selected = Profile::new(profile);
    if named && !document.profiles().contains_key(&selected) {
        let known: Vec<_> = document
            .profiles()
            .keys()
            .map(|known| known.as_str().as_str())
            .collect();
        let message = format!("{} has no profile `{profile}`", located.name);
        return Err(Error::new(ErrorKind::Config, message).with_help(
            match schema::suggest(profile, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its profiles are {}", known.join(", ")),
            },
        ));
    }
    let figment = Figment::new()
        .merge(document)
        .merge(overrides)
        .select(selected);
    // Both providers hand over what is parsed already, so merging has nothing to fail on.
    let merged = figment.find_value("").map_err(|_| {
        Error::new(
            ErrorKind::Config,
            format!("{} can't be merged by profile", located.name),
        )
    })?;
    let mut reader = Reader {
        document,
        overrides,
        figment: &figment,
        profile,
        settings: Vec::new(),
    };
    let empty = Dict::new();
    let dict = merged.as_dict().unwrap_or(&empty);
    let mut manifest = reader.manifest(dict)?;
    manifest.origin = Some(located.name);
    if let Some(snapshot) = &mut manifest.snapshot {
        snapshot.path = located.base_dir.join(&snapshot.path);
        snapshot.key_file = located.base_dir.join(&snapshot.key_file);
    }
    if let Some(log) = &mut manifest.audit.log {
        log.path = located.base_dir.join(&log.path);
        if let KeySource::File(path) = &mut log.key {
            *path = located.base_dir.join(&*path);
        }
    }
    manifest.base_dir = located.base_dir;
    manifest.found = located.found;
    manifest.settings = reader.settings;
    manifest.warnings = schema::nearly_deployments(document);
    Ok(manifest)
}

/// The most secrets that a manifest may declare.
pub(super) const MAX_SECRETS: usize = 1024;

/// The most providers that a manifest may name.
pub(super) const MAX_PROVIDERS: usize = 64;

pub(super) struct Reader<'a> {
    document: &'a Document,
    overrides: &'a Overrides,
    figment: &'a Figment,
    profile: &'a str,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn manifest(&mut self, dict: &Dict) -> Result<Manifest> {
        let mut manifest = Manifest::default();
        if let Some((url, origin)) = self.address(dict, &["provider"])? {
            manifest.provider = Some((url, origin));
        }
        if let Some(value) = dict.get("allow_providers") {
            manifest.allow_providers = Some(self.texts(value, &["allow_providers"])?);
        }
        let providers = self.dict(dict, &["providers"])?;
        self.at_most(MAX_PROVIDERS, &providers, "providers")?;
        for name in providers.keys() {
            if let Some((url, _)) = self.address(&providers, &["providers", name])? {
                if let Some(value) = providers
                    .get(name)
                    .filter(|_| url.scheme() == chain::SCHEME)
                {
                    let problem = "is a chain, and a chain is made of single providers";
                    return Err(self
                        .wrong(value, &["providers", name], problem)
                        .with_help("write the chain as `provider`, and its members here"));
                }
                manifest.providers.insert(name.clone(), url);
            }
        }
        for rail in Rail::ALL {
            if self.flag(dict, &[rail.override_key()])? == Some(true) {
                manifest.overridden.push(*rail);
            }
        }
        let policy = self.dict(dict, &["policy"])?;
        manifest.policy.min_length = self.number(&policy, &["policy", "min_length"])?;
        manifest.policy.rotate_after = self.duration(&policy, &["policy", "rotate_after"])?;
        manifest.layers = self.layers(dict)?;
        manifest.cache = self.cache(dict)?;
        manifest.snapshot = self.snapshot(dict, &manifest.cache)?;
        manifest.audit = self.audit(dict)?;
        let secrets = self.dict(dict, &["secrets"])?;
        self.at_most(MAX_SECRETS, &secrets, "secrets")?;
        for (name, value) in &secrets {
            let declared = self.secret(name, value)?;
            if let Some(provider) = declared.source.as_ref().and_then(|s| s.provider.as_deref())
                && !manifest.providers.contains_key(provider)
            {
                let path = ["secrets", name, "source", "provider"];
                let problem =
                    format!("names the provider `{provider}`, which `providers` doesn't have");
                return Err(self.wrong(value, &path, &problem));
            }
            manifest.secrets.push(declared);
        }
        Ok(manifest)
    }

    fn at_most(&self, most: usize, dict: &Dict, what: &str) -> Result<()> {
        if dict.len() <= most {
            return Ok(());
        }
        let name = self.document.name();
        let message = format!("{name}: it has {} {what}; {most} are the most", dict.len());
        Err(Error::new(ErrorKind::Config, message))
    }

    fn secret(&mut self, text: &str, value: &Value) -> Result<Declared> {
        let at = |key: &'static str| ["secrets", text, key];
        let Value::Dict(_, dict) = value else {
            return Err(self.wrong(value, &["secrets", text], "must be a table of settings"));
        };
        let name: SecretName = text.parse().map_err(|error: Error| {
            let problem = format!("is no name for a secret: {error}");
            let wrong = self.wrong(value, &["secrets", text], &problem);
            match error.help() {
                Some(help) => wrong.with_help(help),
                None => wrong,
            }
        })?;
        let required = self.flag(dict, &at("required"))?.unwrap_or(true);
        let kind = match self.parsed::<Kind>(dict, &at("kind"))? {
            Some((kind, _)) => kind,
            None if !required => Kind::Opaque,
            None => {
                let words: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                return Err(self
                    .wrong(value, &["secrets", text], "is required and has no `kind`")
                    .with_help(format!("kind is one of {}", words.join(", "))));
            }
        };
        let mut declared = Declared::new(name, kind);
        declared.required = required;
        declared.description = self.text(dict, &at("description"))?;
        declared.variable = self.text(dict, &at("env"))?;
        if let Some((encoding, _)) = self.parsed(dict, &at("encoding"))? {
            declared.encoding = encoding;
        }
        declared.min_length = self.number(dict, &at("min_length"))?;
        declared.length = self.number(dict, &at("length"))?;
        declared.rotate_after = self.duration(dict, &at("rotate_after"))?;
        if let Some(value) = dict.get("default") {
            let Value::String(_, default) = value else {
                return Err(self.wrong(value, &at("default"), "must be text in quotes"));
            };
            self.note(value, &at("default"), "[not shown]".to_owned());
            declared.default = Some(Secret::from_text(default.as_str()));
        }
        declared.source = match dict.get("source") {
            None => None,
            Some(value @ Value::Dict(_, source)) => Some(self.source(text, value, source)?),
            Some(_) => self
                .parsed(dict, &at("source"))?
                .map(|(name, _)| DeclaredSource {
                    name: Some(name),
                    ..DeclaredSource::default()
                }),
        };
        Ok(declared)
    }

    fn source(&mut self, text: &str, value: &Value, dict: &Dict) -> Result<DeclaredSource> {
        let at = |key: &'static str| ["secrets", text, "source", key];
        let source = DeclaredSource {
            provider: self.text(dict, &at("provider"))?,
            id: self.text(dict, &at("id"))?,
            name: self.parsed(dict, &at("name"))?.map(|(name, _)| name),
            field: self.text(dict, &at("field"))?,
            lease: self.flag(dict, &at("lease"))?.unwrap_or(false),
        };
        let problem = match (&source.id, &source.name, &source.field) {
            (Some(_), Some(_), _) => "has both `id` and `name`; keep one",
            (None, _, Some(_)) => "has a `field` without an `id`; write `name = \"path#field\"`",
            (None, _, None) if source.lease => "has a `lease` without an `id`",
            _ => return Ok(source),
        };
        Err(self.wrong(value, &["secrets", text, "source"], problem))
    }

    /// Reads a table; one that is not there is empty.
    pub(super) fn dict(&self, dict: &Dict, path: &[&str]) -> Result<Dict> {
        match path.last().and_then(|key| dict.get(*key)) {
            None => Ok(Dict::new()),
            Some(Value::Dict(_, inner)) => Ok(inner.clone()),
            Some(other) => Err(self.wrong(other, path, "must be a table")),
        }
    }

    pub(super) fn text(&mut self, dict: &Dict, path: &[&str]) -> Result<Option<String>> {
        self.scalar(dict, path, "must be text in quotes", |value| match value {
            Value::String(_, text) => Some((text.clone(), text.clone())),
            _ => None,
        })
    }

    pub(super) fn number(&mut self, dict: &Dict, path: &[&str]) -> Result<Option<usize>> {
        self.scalar(dict, path, "must be a whole number, 0 or more", |value| {
            let number = number_of(value)?;
            Some((number, number.to_string()))
        })
    }

    pub(super) fn flag(&mut self, dict: &Dict, path: &[&str]) -> Result<Option<bool>> {
        self.scalar(dict, path, "must be true or false", |value| {
            let flag = match value {
                Value::Bool(_, flag) => *flag,
                Value::String(_, text) => text.parse().ok()?,
                _ => return None,
            };
            Some((flag, flag.to_string()))
        })
    }

    pub(super) fn duration(&mut self, dict: &Dict, path: &[&str]) -> Result<Option<Duration>> {
        self.scalar(
            dict,
            path,
            "must be a length of time, such as \"90days\" or \"12h\"",
            duration_of,
        )
    }

    /// Reads an address. Before its backend looked at it, anything may stand in its query: its
    /// `Debug` shows the keys alone.
    fn address(&mut self, dict: &Dict, path: &[&str]) -> Result<Option<(ProviderUrl, String)>> {
        self.parsed_as(dict, path, |url: &ProviderUrl| format!("{url:?}"))
    }

    pub(super) fn parsed<T: FromStr<Err = Error> + Display>(
        &mut self,
        dict: &Dict,
        path: &[&str],
    ) -> Result<Option<(T, String)>> {
        self.parsed_as(dict, path, T::to_string)
    }

    /// Reads a setting by its type's own parser, whose message is ours and holds no value.
    fn parsed_as<T: FromStr<Err = Error>>(
        &mut self,
        dict: &Dict,
        path: &[&str],
        shown: impl FnOnce(&T) -> String,
    ) -> Result<Option<(T, String)>> {
        let Some(value) = path.last().and_then(|key| dict.get(*key)) else {
            return Ok(None);
        };
        let Some(text) = value.as_str() else {
            return Err(self.wrong(value, path, "must be text in quotes"));
        };
        let parsed: T = text.parse().map_err(|error: Error| {
            let wrong = self.wrong(value, path, &format!("can't be used: {error}"));
            match error.help() {
                Some(help) => wrong.with_help(help),
                None => wrong,
            }
        })?;
        let origin = self.note(value, path, shown(&parsed));
        Ok(Some((parsed, origin)))
    }

    fn texts(&mut self, value: &Value, path: &[&str]) -> Result<Vec<String>> {
        let items = match value {
            Value::Array(_, items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>(),
            _ => None,
        };
        let items = items.ok_or_else(|| self.wrong(value, path, "must be a list of texts"))?;
        self.note(value, path, items.join(", "));
        Ok(items)
    }

    pub(super) fn scalar<T>(
        &mut self,
        dict: &Dict,
        path: &[&str],
        problem: &str,
        read: impl FnOnce(&Value) -> Option<(T, String)>,
    ) -> Result<Option<T>> {
        let Some(value) = path.last().and_then(|key| dict.get(*key)) else {
            return Ok(None);
        };
        let (read, shown) = read(value).ok_or_else(|| self.wrong(value, path, problem))?;
        self.note(value, path, shown);
        Ok(Some(read))
    }

    fn note(&mut self, value: &Value, path: &[&str], shown: String) -> String {
        let origin = self.origin(value, path);
        let setting = Setting {
            key: path.join("."),
            value: shown,
            origin: origin.clone(),
        };
        if !self.settings.contains(&setting) {
            self.settings.push(setting);
        }
        origin
    }

    fn origin(&self, value: &Value, path: &[&str]) -> String {
        let metadata = self.figment.get_metadata(value.tag());
        let mut path: Vec<String> = path.iter().map(|&level| level.to_owned()).collect();
        if metadata.is_some_and(|metadata| metadata.name == OVERRIDES) {
            return self
                .overrides
                .variable(&path)
                .unwrap_or(OVERRIDES)
                .to_owned();
        }
        // figment tags only its two special profiles; anything else is the selected one.
        let profile = match value.tag().profile() {
            Some(profile) => profile.to_string(),
            None => self.profile.to_owned(),
        };
        path.insert(0, profile.clone());
        format!("{} [{profile}]", self.document.place(&path))
    }

    pub(super) fn wrong(&self, value: &Value, path: &[&str], problem: &str) -> Error {
        let message = format!(
            "{}: `{}` {problem}",
            self.origin(value, path),
            path.join(".")
        );
        Error::new(ErrorKind::Config, message)
    }
}

pub(super) fn number_of(value: &Value) -> Option<usize> {
    match value {
        Value::Num(_, number) => usize::try_from(number.to_i128()?).ok(),
        Value::String(_, text) => text.parse().ok(),
        _ => None,
    }
}

/// A length of time, and how it was written.
pub(super) fn duration_of(value: &Value) -> Option<(Duration, String)> {
    let text = value.as_str()?;
    Some((humantime::parse_duration(text).ok()?, text.to_owned()))
}
