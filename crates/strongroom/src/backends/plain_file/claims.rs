//! Which declared names may land where: two of them on one place are an error.

use std::collections::{BTreeMap, BTreeSet};

use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::Target;

/// Which declared names may land on a spelling.
#[derive(Debug)]
pub(super) struct Claims {
    targets: Vec<Target>,
    by_spelling: BTreeMap<String, BTreeSet<SecretName>>,
}

impl Claims {
    pub(super) fn new(declared: &[Declared], spell: fn(&Target) -> Vec<String>) -> Self {
        let targets: Vec<_> = declared.iter().map(target).collect();
        let mut by_spelling: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for target in &targets {
            for spelling in spell(target) {
                let names = by_spelling.entry(spelling).or_default();
                names.insert(target.name.clone());
            }
        }
        Self {
            targets,
            by_spelling,
        }
    }

    /// Returns where each declared secret is looked for.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Lists by its declared name what was found under a spelling that says less: `DATABASE_URL`.
    ///
    /// `find` answers where a target is, as the listing calls it.
    pub(super) fn rename(
        &self,
        mut names: BTreeSet<SecretName>,
        mut find: impl FnMut(&Target) -> Option<String>,
    ) -> Vec<SecretName> {
        for target in self.targets.iter().filter(|target| target.id.is_none()) {
            if let Some(listed) = find(target) {
                names.remove(listed.as_str());
                names.insert(target.name.clone());
            }
        }
        names.into_iter().collect()
    }

    /// Refuses a declared name that was found where another declared name would be found too.
    pub(super) fn check(&self, name: &SecretName, spelling: &str, shown: &str) -> Result<()> {
        let Some(claimants) = self.by_spelling.get(spelling) else {
            return Ok(());
        };
        let other = claimants.iter().find(|other| *other != name);
        match other {
            Some(other) if claimants.contains(name) => Err(Error::new(
                ErrorKind::Config,
                format!("`{name}` and `{other}` are both declared, and both land on {shown}"),
            )
            .with_help("rename one of them, or give each a spelling that is its own")),
            _ => Ok(()),
        }
    }
}

fn target(declared: &Declared) -> Target {
    let source = declared.source.clone().unwrap_or_default();
    let target = Target::new(source.name.unwrap_or_else(|| declared.name.clone()));
    match source.id {
        Some(id) => target.with_id(id, source.field),
        None => target,
    }
}
