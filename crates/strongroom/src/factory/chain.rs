//! A `chain:` address: its members, and what the guard rails say of their strengths.

use serde::Serialize;

use super::plan::Plan;
use super::{SecretsBuilder, detection, serves};
use crate::chain::{Chain, SCHEME};
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{self, Manifest};
use crate::provider_url::ProviderUrl;
use crate::rails::Rail;

/// The most members of a chain.
const MOST: usize = 8;

/// One provider of a chain that was chosen.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ChainMember {
    /// Its name under `providers` in the manifest.
    pub name: String,
    /// Its address.
    pub address: String,
    #[serde(skip)]
    pub(super) url: ProviderUrl,
}

impl SecretsBuilder {
    /// Reads the members of a chain's address, each an address that can be opened and is allowed;
    /// none where the address is no chain's.
    pub(super) fn members(
        &self,
        manifest: &Manifest,
        url: &ProviderUrl,
    ) -> Result<Vec<ChainMember>> {
        if url.scheme() != SCHEME {
            self.backend_of(url)?;
            return Ok(Vec::new());
        }
        let member = |(name, url): (String, ProviderUrl)| {
            let about = |error: Error| {
                let message = format!("its provider `{name}`: {error}");
                let about = Error::new(error.kind(), message);
                match error.help() {
                    Some(help) => about.with_help(help),
                    None => about,
                }
            };
            self.backend_of(&url).map_err(about)?;
            detection::check_allowed(manifest, &url).map_err(about)?;
            Ok(ChainMember {
                address: url.to_string(),
                name,
                url,
            })
        };
        parse(manifest, url)?.into_iter().map(member).collect()
    }

    /// Opens every member of the chosen chain, once the guard rails let them stand beside each other.
    pub(super) async fn open_chain(&self, plan: &Plan, members: &[ChainMember]) -> Result<Chain> {
        self.check_strengths(plan, members)?;
        let chained = || plan.declared.iter().filter(|known| serves(known, None));
        if let Some(leased) = chained().find(|known| known.is_leased()) {
            let message = "a chain lends no secrets, and its source asks for a lease";
            return Err(Error::new(ErrorKind::Config, message)
                .with_name(&leased.name)
                .with_help("name one of the chain's providers as the `provider` of its source"));
        }
        let mut opened = Vec::new();
        for member in members {
            let connect = self.connect_to_named(plan, &member.url, None)?;
            opened.push((member.name.clone(), self.open(plan, connect).await?));
        }
        Ok(Chain::new(
            opened,
            chained().map(Declared::target).collect(),
        ))
    }

    /// Refuses a chain of which one member is weaker than another, where the guard rails do.
    pub(super) fn check_strengths(&self, plan: &Plan, members: &[ChainMember]) -> Result<()> {
        let mut strengths = Vec::new();
        for member in members {
            strengths.push((self.backend_of(&member.url)?.strength(), member));
        }
        strengths.sort_by_key(|(strength, _)| *strength);
        let (Some((least, weak)), Some((most, strong))) = (strengths.first(), strengths.last())
        else {
            return Ok(());
        };
        if least == most {
            return Ok(());
        }
        let sentence = format!(
            "the chain has `{}` ({}, {least}) beside `{}` ({}, {most})",
            weak.name, weak.address, strong.name, strong.address
        );
        plan.rails.check(Rail::WeakerChain, &sentence, None)
    }
}

/// Finds the members of a chain's address in the manifest.
///
/// No message quotes the address: somebody may have written addresses, with a credential in one,
/// where names belong.
fn parse(manifest: &Manifest, url: &ProviderUrl) -> Result<Vec<(String, ProviderUrl)>> {
    let declared = || manifest.providers.keys().map(String::as_str);
    let wrong = |message: String| {
        let known: Vec<_> = declared().collect();
        let help = match known.as_slice() {
            [] => "declare them in the manifest, as `[default.providers]` with \
                   `overlay = \"file:.env\"` and `base = \"sealed:secrets.sealed\"`, and write \
                   `chain:overlay,base`"
                .to_owned(),
            _ => format!(
                "write `chain:` and names from the manifest's `providers`, with commas between; \
                 they are {}",
                known.join(", ")
            ),
        };
        Error::new(ErrorKind::Config, message).with_help(help)
    };
    if url.authority().is_some() || url.query_keys().next().is_some() {
        return Err(wrong(
            "a chain's address has nothing but the names of its providers".to_owned(),
        ));
    }
    let names: Vec<_> = url.path().split(',').collect();
    if !(2..=MOST).contains(&names.len()) {
        return Err(wrong(format!("a chain has from 2 to {MOST} providers")));
    }
    let mut members: Vec<(String, ProviderUrl)> = Vec::new();
    for (name, place) in names.into_iter().zip(1_usize..) {
        if members.iter().any(|(known, _)| known == name) {
            return Err(wrong(format!("a chain has the provider `{name}` twice")));
        }
        let Some(url) = manifest.providers.get(name) else {
            let error = wrong(format!(
                "provider {place} of the chain is not declared under `providers` in the manifest"
            ));
            return Err(match manifest::suggest(name, declared()) {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        members.push((name.to_owned(), url.clone()));
    }
    Ok(members)
}
