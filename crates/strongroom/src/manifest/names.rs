//! The names that a manifest introduces, for whoever completes what is typed.

use std::collections::BTreeSet;

use figment::value::Value;

use super::{Choice, document, locate};
use crate::env::Env;
use crate::error::Result;
use crate::name::SecretName;

/// The names that a manifest introduces, in all its profiles, each list sorted.
///
/// Nobody vouches for them, and they stand for nothing but themselves: the manifest may be wrong elsewhere.
/// All are of letters, digits and `. _ - / #`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ManifestNames {
    /// The declared secrets.
    pub secrets: Vec<SecretName>,
    /// The profiles.
    pub profiles: Vec<String>,
    /// What stands under `providers`.
    pub providers: Vec<String>,
}

impl ManifestNames {
    /// Reads the manifest's text and nothing else; without a manifest there are no names.
    pub(crate) fn read(choice: &Choice, env: &Env) -> Result<Self> {
        let Some(located) = locate(choice, env)? else {
            return Ok(Self::default());
        };
        let document = document::Document::parse(&located.name, &located.text)?;
        let (mut secrets, mut providers) = (BTreeSet::new(), BTreeSet::new());
        for profile in document.profiles().values() {
            let keys = |table: &str| match profile.get(table) {
                Some(Value::Dict(_, dict)) => dict.keys().cloned().collect(),
                _ => Vec::new(),
            };
            secrets.extend(
                keys("secrets")
                    .iter()
                    .filter_map(|name| SecretName::parse(name).ok()),
            );
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            providers.extend(
                keys("providers")
                    .into_iter()
                    .filter(|name| name.chars().all(plain)),
            );
        }
        let profiles = document.profiles().keys().map(ToString::to_string);
        Ok(Self {
            secrets: secrets.into_iter().collect(),
            profiles: profiles.collect::<BTreeSet<_>>().into_iter().collect(),
            providers: providers.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_shell_is_no_name() {
        let text = "
            [default]
            provider = 5
            unknown = \"key\"
            [default.providers]
            overlay = \"env:\"
            \"$(id)\" = \"env:\"
            \"a b\" = \"env:\"
            [default.secrets]
            \"b#c\" = {}
            \"a/b\" = 5
            \"$(touch x)\" = {}
            \"`id`\" = {}
            \"a\\u001b[2J\" = {}
            \"-rf ~\" = {}
            \"a\\nb\" = {}
            [production.secrets]
            \"a/b\" = {}
            z = {}
        ";
        let names = ManifestNames::read(&Choice::Text(text.to_owned()), &Env::empty()).unwrap();
        let secrets: Vec<_> = names.secrets.iter().map(SecretName::as_str).collect();
        assert_eq!(secrets, ["a/b", "b#c", "z"]);
        assert_eq!(names.profiles, ["default", "production"]);
        assert_eq!(names.providers, ["overlay"]);
    }
}
