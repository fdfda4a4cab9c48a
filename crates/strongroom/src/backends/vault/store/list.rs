//! The names beneath a prefix: a walk through the folders, many at a time.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Store;
use crate::backends::check_listed;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;

/// How many folders may lie in each other; no name has more segments.
const MAX_DEPTH: usize = 128;

impl Store {
    /// Lists the names that begin with `prefix`, sorted.
    pub(in crate::backends::vault) async fn list(
        self: Arc<Self>,
        prefix: &str,
    ) -> Result<Vec<SecretName>> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (mut names, mut seen) = (Vec::new(), 0_usize);
        let mut running = JoinSet::new();
        running.spawn(Arc::clone(&self).look_into(folder.to_owned()));
        while let Some(found) = running.join_next().await {
            let ended = || Error::new(ErrorKind::Malformed, "the listing came to no end");
            for found in found.map_err(|_| ended())?? {
                // Folders count, so that they can't go on for ever; what was counted is not again.
                if !matches!(found, Found::Living(_)) {
                    seen = seen.saturating_add(1);
                    check_listed(seen, &self.settings.shown)?;
                }
                match found {
                    // A folder that no name beginning with the prefix can lie in.
                    Found::Folder(path) if !may_hold(&path, prefix) => {}
                    Found::Folder(path) => {
                        running.spawn(Arc::clone(&self).look_into(path));
                    }
                    Found::Entry(path) if !path.starts_with(prefix) => {}
                    Found::Entry(path) => {
                        running.spawn(Arc::clone(&self).look_at(path));
                    }
                    Found::Living(name) => names.push(name),
                }
            }
        }
        names.sort();
        Ok(names)
    }

    async fn look_into(self: Arc<Self>, folder: String) -> Result<Vec<Found>> {
        let keys = self.kv.list(&self.path(&folder)).await?;
        // A key of slashes alone would lead back here.
        let keys = keys
            .into_iter()
            .filter(|key| !key.trim_matches('/').is_empty());
        let found = keys.map(|key| {
            let path = match folder.is_empty() {
                true => key,
                false => format!("{folder}/{key}"),
            };
            match path.strip_suffix('/') {
                Some(folder) => Found::Folder(folder.to_owned()),
                None => Found::Entry(path),
            }
        });
        Ok(found.collect())
    }

    /// What was deleted is still listed by the engine, for as long as it can be brought back.
    async fn look_at(self: Arc<Self>, path: String) -> Result<Vec<Found>> {
        // What is no name of ours can't be asked for by name either.
        let Ok(name) = SecretName::parse(&path) else {
            return Ok(Vec::new());
        };
        if self.demand_versions().await.is_ok() {
            match self.kv.history(&self.path(&path)).await {
                Ok(Some(history)) if history.first().is_some_and(|newest| newest.readable) => {}
                // Who may list need not be allowed to look at each.
                Err(error) if error.kind() == ErrorKind::Denied => {}
                Ok(_) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        Ok(vec![Found::Living(name)])
    }
}

enum Found {
    Folder(String),
    Entry(String),
    Living(SecretName),
}

fn may_hold(folder: &str, prefix: &str) -> bool {
    let folder = format!("{folder}/");
    let related = folder.starts_with(prefix) || prefix.starts_with(&folder);
    related && folder.split('/').count() <= MAX_DEPTH
}
