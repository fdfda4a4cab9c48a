//! The same value under two names.

use std::collections::HashMap;

use super::store::Store;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::name::SecretName;
use crate::policy;
use crate::secret::Secret;

/// Returns which of these new values another declared secret has, or is about to have, and what to say.
pub(super) fn refusals(
    connection: &Connection,
    store: &Store,
    new: &HashMap<SecretName, Secret>,
) -> HashMap<SecretName, Error> {
    if new.is_empty() {
        return HashMap::new();
    }
    let mut values = new.clone();
    for entry in store.all().iter() {
        if let Some(held) = entry.live.held() {
            let name = entry.name.clone();
            values.entry(name).or_insert_with(|| Secret::clone(&held));
        }
    }
    let declared = values.iter().filter_map(|(name, secret)| {
        let declared = connection.declaration(name.as_str())?;
        Some((declared, secret))
    });
    let declared: Vec<_> = declared.collect();
    let findings = policy::check_duplicates(&declared).into_iter();
    let refusals = findings.filter_map(|finding| {
        let name = finding.name.filter(|name| new.contains_key(name))?;
        let error = Error::new(ErrorKind::Policy, finding.message).with_name(&name);
        Some((name, error))
    });
    refusals.collect()
}
