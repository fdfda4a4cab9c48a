//! Reads the values that are to be found in text.

use std::collections::BTreeSet;

use strongroom::{Connection, Error, ErrorKind, Finding, Result, Secret, SecretName};

use crate::context::Context;
use crate::exit::Failure;
use crate::forms::KnownForms;

/// Reads every declared value, and with `all` every one that the provider lists, and prepares the search
/// for them. Warns of those that can't be searched.
///
/// # Errors
/// If any value can't be read, but for those that are absent: what is not known would be let through.
/// [`ErrorKind::Config`] if there is nothing to search for.
pub(crate) fn forms(context: &Context<'_>, all: bool) -> Result<KnownForms, Failure> {
    context.connected(async |connection| {
        let (values, mut warnings) = values(connection, all).await?;
        let (forms, unsearchable) =
            KnownForms::new(values.iter().map(|(name, secret)| (name, secret)));
        warnings.extend(unsearchable);
        context.screen.warnings(&warnings);
        if forms.is_empty() {
            return Err(nothing(all).into());
        }
        Ok(forms)
    })
}

async fn values(
    connection: &Connection,
    all: bool,
) -> Result<(Vec<(SecretName, Secret)>, Vec<Finding>)> {
    let (mut names, mut warnings) = (BTreeSet::new(), Vec::new());
    for declared in connection.declared() {
        match declared.source.as_ref().is_some_and(|source| source.lease) {
            true => warnings.push(lent(&declared.name)),
            false => drop(names.insert(declared.name.clone())),
        }
    }
    if all {
        let listed = connection.list("").await?.into_iter();
        names.extend(listed.filter(|name| {
            let declared = connection.declaration(name.as_str());
            let source = declared.and_then(|declared| declared.source.as_ref());
            !source.is_some_and(|source| source.lease)
        }));
    }
    let names: Vec<_> = names.into_iter().collect();
    let mut values = Vec::new();
    for (name, answer) in names.iter().zip(connection.fetch(&names).await) {
        match answer {
            Ok(secret) => values.push((name.clone(), secret)),
            Err(error) if error.kind() == ErrorKind::Absent => {}
            Err(error) => return Err(error),
        }
    }
    Ok((values, warnings))
}

fn lent(name: &SecretName) -> Finding {
    let message = "its values are not searched for: it is a dynamic secret, of which each reader has \
                   another value";
    Finding::warning(Some(name), "not-searched", message, "")
}

fn nothing(all: bool) -> Error {
    let message = "there is no value to search for, so everything would be let through";
    let help = match all {
        true => {
            "the provider holds no value that can be searched for: `strongroom list` names them"
        }
        false => "declare secrets in the manifest, or take all that the provider lists: --all",
    };
    Error::new(ErrorKind::Config, message).with_help(help)
}
