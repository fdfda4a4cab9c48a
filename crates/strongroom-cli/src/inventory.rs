//! What one provider holds: its names, and the values beneath a run's key of them.

use std::collections::{BTreeMap, BTreeSet};

use strongroom::{
    Connection, Declared, Error, ErrorKind, Finding, Report, Result, Secret, SecretName, Source,
};

use crate::progress::Progress;
use crate::report::Screen;
use crate::run_key::RunKey;

/// The names that concern one provider.
pub(crate) struct Names {
    pub(crate) all: BTreeSet<SecretName>,
    /// Those that the provider itself lists.
    pub(crate) listed: BTreeSet<SecretName>,
    /// Whether it can list at all: otherwise it may hold more than anybody named.
    pub(crate) is_whole: bool,
}

/// Finds every name that begins with a prefix: what the provider lists, and what is declared.
///
/// Declared secrets with a provider of their own are left out: they are not held here.
pub(crate) async fn names(connection: &Connection, prefix: &str, screen: &Screen) -> Result<Names> {
    let mut is_whole = true;
    let mut listed: BTreeSet<_> = match connection.list(prefix).await {
        Ok(names) => names.into_iter().collect(),
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied) => {
            let address = connection.describe().address;
            let message = format!("{address} can't be listed: {error}");
            let help = "only what the manifest declares is looked at there";
            screen.warnings(&[Finding::warning(None, "not-listed", message, help)]);
            is_whole = false;
            BTreeSet::new()
        }
        Err(error) => return Err(error),
    };
    listed.retain(|name| {
        connection
            .declaration(name.as_str())
            .is_none_or(is_held_here)
    });
    let declared = connection
        .declared()
        .filter(|known| known.name.as_str().starts_with(prefix) && is_held_here(known))
        .map(|known| known.name.clone());
    let all = listed.iter().cloned().chain(declared).collect();
    Ok(Names {
        all,
        listed,
        is_whole,
    })
}

/// Reports whether a declared secret is read from the chosen provider, and is not lent by it.
pub(crate) fn is_held_here(declared: &Declared) -> bool {
    let source = declared.source.as_ref();
    source.is_none_or(|source| source.provider.is_none() && !source.lease)
}

/// The values of a provider, and what of them could not be read.
#[derive(Default)]
pub(crate) struct Inventory {
    pub(crate) values: BTreeMap<SecretName, Secret>,
    /// Each with its name; none is an absence.
    pub(crate) failed: Vec<(SecretName, Error)>,
}

impl Inventory {
    /// Reads what is there of these names. A default of the manifest is nothing that a provider holds.
    pub(crate) async fn read(
        connection: &Connection,
        names: impl IntoIterator<Item = &SecretName>,
    ) -> Self {
        let names: Vec<_> = names.into_iter().cloned().collect();
        let mut inventory = Self::default();
        let answers = connection.fetch(&names).await;
        for (name, answer) in names.into_iter().zip(answers) {
            match answer {
                Ok(secret) if secret.metadata().source() == Source::Default => {}
                Ok(secret) => {
                    inventory.values.insert(name, secret);
                }
                Err(error) if error.kind() == ErrorKind::Absent => {}
                Err(error) => inventory.failed.push((name, error)),
            }
        }
        inventory
    }

    /// Reads what is not read yet of these names.
    pub(crate) async fn extend(&mut self, connection: &Connection, names: &BTreeSet<SecretName>) {
        let is_new = |name: &&SecretName| {
            !self.values.contains_key(*name) && !self.failed.iter().any(|(known, _)| known == *name)
        };
        let mut further = Self::read(connection, names.iter().filter(is_new)).await;
        self.values.append(&mut further.values);
        self.failed.append(&mut further.failed);
    }

    /// Demands that everything could be read.
    ///
    /// # Errors
    /// One error with what happened to each name; its kind is the first one's.
    pub(crate) fn complete(self, place: &str) -> Result<BTreeMap<SecretName, Secret>> {
        let Some((_, first)) = self.failed.first() else {
            return Ok(self.values);
        };
        let count = self.failed.len();
        let message = match count {
            1 => format!("a secret can't be read from {place}"),
            count => format!("{count} secrets can't be read from {place}"),
        };
        let finding = |(name, error): &(SecretName, Error)| {
            let help = error.help().unwrap_or_default();
            Finding::violation(Some(name), error.kind().as_str(), error.to_string(), help)
        };
        let report = Report::new(self.failed.iter().map(finding).collect());
        Err(Error::new(first.kind(), message)
            .with_help("nothing was written")
            .with_report(report))
    }
}

/// Reads what is to be taken elsewhere: these names, or everything that begins with a prefix.
///
/// # Errors
/// Whatever one of them can't be read by, [`ErrorKind::Absent`] for one of these names that is not
/// there, and [`ErrorKind::Config`] for a document of which not every field is known.
pub(crate) async fn select(
    source: &Connection,
    prefix: &str,
    only: &[SecretName],
    screen: &Screen,
) -> Result<BTreeMap<SecretName, Secret>> {
    let address = source.describe().address;
    if !only.is_empty() {
        let held = Inventory::read(source, only).await;
        let values = held.complete(&address)?;
        let missing = only.iter().find(|name| !values.contains_key(*name));
        return match missing {
            None => Ok(values),
            Some(name) => {
                let message = format!("{address} doesn't hold it");
                Err(Error::new(ErrorKind::Absent, message).with_name(name))
            }
        };
    }
    let names = names(source, prefix, screen).await?;
    if names.all.is_empty() && !names.is_whole {
        let message = format!("{address} can't be listed, and no secret of it is declared");
        return Err(Error::new(ErrorKind::Unsupported, message)
            .with_help("name what is meant, or declare it in the manifest"));
    }
    if names.all.is_empty() && !prefix.is_empty() {
        let message = format!("{address} holds no secret whose name begins so");
        return Err(
            Error::new(ErrorKind::Absent, message).with_help("`strongroom list` prints the names")
        );
    }
    let reading = Progress::start(screen, &format!("reading {address}"), None);
    let held = Inventory::read(source, &names.all).await;
    drop(reading);
    let mut values = held.complete(&address)?;
    let documents = documents(&names.all);
    for document in &documents {
        let Some(whole) = values.remove(document) else {
            let message = "it holds fields, of which those alone are taken that are known by name";
            let help = "declare every field that is meant, as `path#field`";
            screen.warnings(&[Finding::warning(Some(document), "fields", message, help)]);
            continue;
        };
        let fields = fields(document, &whole)?;
        let unread = fields.iter().filter(|field| !values.contains_key(*field));
        let unread: Vec<_> = unread.cloned().collect();
        let further = Inventory::read(source, &unread).await;
        values.append(&mut further.complete(&address)?);
        if !fields.iter().all(|field| values.contains_key(field)) {
            return Err(fields_unknown(document));
        }
    }
    let hidden = |name: &&SecretName| !values.contains_key(*name) && !documents.contains(*name);
    match names.listed.iter().find(hidden) {
        None => Ok(values),
        Some(name) => Err(fields_unknown(name)),
    }
}

/// Names every field of a document of which the whole was read.
///
/// # Errors
/// [`ErrorKind::Malformed`] if it is no JSON object, and [`ErrorKind::Config`] if a key of it can't be
/// part of a name.
pub(crate) fn fields(document: &SecretName, whole: &Secret) -> Result<BTreeSet<SecretName>> {
    // EXPOSES: to the parser of documents, whose buffer is wiped; only the keys are looked at
    let text = whole.expose_bytes().to_vec().into();
    let entries = strongroom::documents::json(text, document.as_str())?;
    let keys = entries.iter().filter_map(|entry| entry.way.first());
    keys.map(|key| SecretName::parse(format!("{document}#{key}")))
        .collect::<Result<_>>()
        .map_err(|_| fields_unknown(document))
}

fn fields_unknown(name: &SecretName) -> Error {
    let message = "it holds fields that can't be read by a name of their own";
    Error::new(ErrorKind::Config, message)
        .with_name(name)
        .with_help("nothing was written; name it by --only to take the document as it is")
}

/// Finds the names that are a variable by which the provider merely lists another name, as a dotenv file
/// does what nobody declared: there both lead to the same value.
pub(crate) fn aliases(held: &Inventory, key: &RunKey) -> Result<BTreeSet<SecretName>> {
    let mut by_variable: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (name, value) in &held.values {
        by_variable
            .entry(name.to_variable())
            .or_default()
            .push((name, value));
    }
    let mut aliases = BTreeSet::new();
    for (variable, same) in by_variable {
        let itself = same.iter().find(|(name, _)| name.as_str() == variable);
        let Some((alias, value)) = itself else {
            continue;
        };
        let tag = key.tag(value)?;
        for (name, value) in &same {
            if name != alias && key.tag(value)? == tag {
                aliases.insert((*alias).clone());
            }
        }
    }
    Ok(aliases)
}

/// Finds the names without a field beside which names with fields stand: of these the field is meant,
/// and the bare name is how a provider lists the document that holds them.
pub(crate) fn documents(names: &BTreeSet<SecretName>) -> BTreeSet<SecretName> {
    let with_fields: BTreeSet<_> = names
        .iter()
        .filter(|name| name.field().is_some())
        .map(SecretName::path)
        .collect();
    let is_document = |name: &&SecretName| with_fields.contains(name.as_str());
    names.iter().filter(is_document).cloned().collect()
}
