//! Which variable a name is, and which variables are never secrets.

use std::collections::{BTreeMap, BTreeSet};

use crate::declared::Declared;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::provider::Target;

/// What the name of a variable ends in that names a file instead of holding a value.
pub(super) const FILE_SUFFIX: &str = "_FILE";

/// Variables that steer programs, or strongroom itself.
const RESERVED: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "HOME",
    "HOSTNAME",
    "IFS",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "NODE_OPTIONS",
    "OLDPWD",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PS4",
    "PWD",
    "PYTHONHOME",
    "PYTHONPATH",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHLVL",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "USERNAME",
];
const RESERVED_PREFIXES: &[&str] = &["DYLD_", "LC_", "LD_", "STRONGROOM_", "XDG_"];

fn is_reserved(variable: &str) -> bool {
    // On Windows `Path` is `PATH`; a difference of case alone never makes a secret.
    let variable = variable.to_ascii_uppercase();
    RESERVED.contains(&variable.as_str())
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| variable.starts_with(prefix))
}

/// The prefix, and the variables that declarations name themselves.
#[derive(Debug)]
pub(super) struct Mapping {
    prefix: String,
    // By the name that a request for the declared secret carries.
    declared: BTreeMap<SecretName, String>,
}

impl Mapping {
    pub(super) fn new(prefix: &str, declared: &[Declared]) -> Result<Self> {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !prefix.chars().all(valid) || prefix.starts_with(|c: char| c.is_ascii_digit()) {
            let message = "the prefix of an `env:` address has letters, digits and _ only, \
                           and begins with no digit";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mut mapping = Self {
            prefix: prefix.to_owned(),
            declared: BTreeMap::new(),
        };
        let mut taken = BTreeMap::new();
        for secret in declared {
            let source = secret.source.clone().unwrap_or_default();
            let mut target = Target::new(source.name.unwrap_or_else(|| secret.name.clone()));
            let own = secret.variable.clone().filter(|_| source.id.is_none());
            if let Some(id) = source.id {
                target = target.with_id(id, source.field);
            }
            let variable = own.map_or_else(|| mapping.variable(&target), checked);
            let variable = variable.map_err(|error| error.with_name(&secret.name))?;
            let before = mapping.declared.insert(target.name, variable.clone());
            if before.is_some_and(|before| before != variable) {
                let message = "another secret of the same `source` has another variable";
                return Err(Error::new(ErrorKind::Config, message).with_name(&secret.name));
            }
            take(&mut taken, &variable, &secret.name)?;
            take(
                &mut taken,
                &format!("{variable}{FILE_SUFFIX}"),
                &secret.name,
            )?;
        }
        Ok(mapping)
    }

    /// Returns the variable of a target.
    pub(super) fn variable(&self, target: &Target) -> Result<String> {
        if target.field.is_some() {
            return Err(Error::new(ErrorKind::Config, "a variable has no fields")
                .with_help("take `field` out of the secret's `source`"));
        }
        let variable = match (&target.id, self.declared.get(&target.name)) {
            (Some(id), _) => id.clone(),
            (None, Some(variable)) => variable.clone(),
            (None, None) => format!("{}{}", self.prefix, target.name.to_variable()),
        };
        checked(variable)
    }

    /// Returns the names of what is set: see [`list`](super::Environment).
    pub(super) fn names(&self, env: &Env) -> BTreeSet<SecretName> {
        let set = |variable: &str| {
            env.raw(variable).is_some() || env.has(&format!("{variable}{FILE_SUFFIX}"))
        };
        let declared = self.declared.iter().filter(|(_, variable)| set(variable));
        let mut names: BTreeSet<_> = declared.map(|(name, _)| name.clone()).collect();
        if !self.prefix.is_empty() {
            let others = env.names().filter_map(|variable| self.undeclared(variable));
            names.extend(
                others
                    .filter(|(variable, _)| set(variable))
                    .map(|(_, name)| name),
            );
        }
        names
    }

    /// Returns the lower-case name that reads a variable with the prefix, where no declared one does.
    fn undeclared<'a>(&self, variable: &'a str) -> Option<(&'a str, SecretName)> {
        let is_declared = |variable: &str| self.declared.values().any(|other| other == variable);
        let value_variable = match variable.strip_suffix(FILE_SUFFIX) {
            Some(stem) if !is_declared(variable) => stem,
            _ => variable,
        };
        if is_declared(value_variable) {
            return None;
        }
        let rest = value_variable.strip_prefix(&self.prefix)?;
        let name = SecretName::parse(rest.to_ascii_lowercase()).ok()?;
        let reads = self.variable(&Target::new(name.clone())).ok()?;
        (reads == value_variable).then_some((value_variable, name))
    }
}

/// Refuses what is no name of a variable, and variables that are never secrets.
fn checked(variable: String) -> Result<String> {
    if variable.is_empty() || variable.contains(['=', '\0']) {
        let message = "the name of a variable can't be empty, and holds no `=` and no NUL";
        return Err(Error::new(ErrorKind::Config, message));
    }
    if is_reserved(&variable) {
        return Err(Error::new(
            ErrorKind::Config,
            format!("variable {variable} is never a secret: it steers programs or strongroom"),
        )
        .with_help("rename the secret, declare its own variable, or give the address a prefix"));
    }
    Ok(variable)
}

/// Refuses a variable that two declared names would read.
fn take(taken: &mut BTreeMap<String, SecretName>, variable: &str, name: &SecretName) -> Result<()> {
    match taken.insert(variable.to_owned(), name.clone()) {
        Some(other) if other != *name => Err(Error::new(
            ErrorKind::Config,
            format!("secrets `{other}` and `{name}` would both be read from variable {variable}"),
        )
        .with_help("rename one of them, or give one its own variable by `env` in the manifest")),
        _ => Ok(()),
    }
}
