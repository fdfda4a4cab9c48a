//! The same value under two names.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use super::{Findings, rule};
use crate::declared::{Declared, DeclaredSource};
use crate::name::SecretName;
use crate::report::Finding;
use crate::secret::Secret;

/// Reports every value that two names share, once on each of them.
///
/// Two names for one source are one secret. Values are found by a hash under a key of this call
/// alone, and then compared in constant time.
pub(crate) fn check(secrets: &[(&Declared, &Secret)]) -> Vec<Finding> {
    let hash_key = RandomState::new();
    let mut alike: HashMap<u64, Vec<&(&Declared, &Secret)>> = HashMap::new();
    for entry in secrets {
        // EXPOSES: to a hash under a key of this call alone
        let hash = hash_key.hash_one(entry.1.expose_bytes());
        alike.entry(hash).or_default().push(entry);
    }
    let mut findings = Vec::new();
    for (declared, secret) in secrets {
        // EXPOSES: to a hash under a key of this call alone
        let hash = hash_key.hash_one(secret.expose_bytes());
        let others = alike.get(&hash).into_iter().flatten();
        // An empty secret never verifies; it has a rule of its own.
        let others = others.filter(|(other, value)| {
            // EXPOSES: to a comparison in constant time
            !same_source(declared, other) && value.verify(secret.expose_bytes())
        });
        let mut names: Vec<_> = others
            .map(|(other, _)| format!("`{}`", other.name))
            .collect();
        names.sort_unstable();
        if !names.is_empty() {
            let mut found = Findings::new(&declared.name);
            let message = format!("the value is the same as that of {}", names.join(", "));
            let help = "give each its own value, so that one that leaks opens one door; \
                        if they are one secret, declare it once, or give both one `source`";
            found.violation(rule::DUPLICATE_VALUE, message, help);
            findings.extend(found.list);
        }
    }
    findings
}

fn same_source(a: &Declared, b: &Declared) -> bool {
    a.name == b.name || origin(a) == origin(b)
}

type Origin<'d> = (
    Option<&'d str>,
    Result<&'d str, &'d SecretName>,
    Option<&'d str>,
);

/// Returns provider, id or name, and field: where a declared secret is read from.
fn origin(declared: &Declared) -> Origin<'_> {
    let Some(DeclaredSource {
        provider,
        id,
        name,
        field,
        lease: _,
    }) = &declared.source
    else {
        return (None, Err(&declared.name), None);
    };
    let name = name.as_ref().unwrap_or(&declared.name);
    let place = id.as_deref().ok_or(name);
    (provider.as_deref(), place, field.as_deref())
}
