//! Everything that a boot decides before it connects.

use std::path::Path;
use std::sync::Arc;

use super::{Detection, SecretsBuilder, variables};
use crate::audit::Audit;
use crate::backends::{self, Backend, Class, Probe};
use crate::chain;
use crate::declared::{Declared, merge};
use crate::env::{Deployment, DeploymentChoice, Env};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{self, Manifest};
use crate::name::SecretName;
use crate::provider_url::ProviderUrl;
use crate::rails::GuardRails;
use crate::report::{Finding, Report};
use crate::trust::{self, Standing};

/// The decision, and what it stands on.
pub(super) struct Plan {
    pub(super) env: Arc<Env>,
    /// What records what is done. Its log is opened when there is a connection.
    pub(super) audit: Arc<Audit>,
    pub(super) manifest: Manifest,
    pub(super) declared: Vec<Declared>,
    pub(super) rails: GuardRails,
    pub(super) detection: Detection,
    /// Whether a provider that can't be opened at boot is opened later.
    pub(super) may_postpone: bool,
}

impl SecretsBuilder {
    pub(super) fn plan(&self) -> Result<Plan> {
        let env = self.env.clone().unwrap_or_else(Env::process);
        let mut warnings = variables::check(&env)?;
        let choice = DeploymentChoice::from_env(&env)?;
        let (profile, named) = match (&self.profile, env.var("STRONGROOM_PROFILE")?) {
            (Some(profile), _) => (profile.clone(), true),
            (None, Some(profile)) => (profile.to_owned(), true),
            (None, None) if choice.deployment == Deployment::Undeclared => {
                ("default".to_owned(), false)
            }
            (None, None) => (choice.deployment.to_string(), false),
        };
        let mut manifest = Manifest::load(&self.manifest, &env, (&profile, named))?;
        warnings.append(&mut manifest.warnings);
        if self.distrust_found_manifest {
            warnings.append(&mut distrust(&mut manifest, &env));
        }
        let rails = GuardRails::new(choice.deployment, manifest.overridden.iter().copied());
        let declared = self.declared(&manifest)?;
        let mut detection = Detection::begin(choice, profile, &manifest, warnings);
        self.look(&env, &manifest, &mut detection)?;
        detection.decide(&manifest);
        detection.resolve(|url| self.members(&manifest, url));
        let env = Arc::new(env);
        let audit = Audit::new(
            manifest.audit.clone(),
            Arc::clone(&env),
            rails.clone(),
            self.block_in_place,
        );
        Ok(Plan {
            env,
            audit: Arc::new(audit),
            manifest,
            declared,
            rails,
            detection,
            may_postpone: false,
        })
    }

    /// Merges what the program declares into what the manifest does.
    fn declared(&self, manifest: &Manifest) -> Result<Vec<Declared>> {
        let mut declared = manifest.secrets.clone();
        let place = |name: &SecretName, key: &'static str| {
            let key = format!("secrets.{name}.{key}");
            let setting = manifest.settings.iter().find(|setting| setting.key == key);
            setting.map(|setting| setting.origin.clone())
        };
        let contradictions = merge(&mut declared, &self.declared, place);
        if contradictions.is_empty() {
            for declared in &mut declared {
                manifest.policy.apply(declared);
            }
            return Ok(declared);
        }
        let message = "what the program declares contradicts itself or the manifest";
        Err(Error::new(ErrorKind::Config, message).with_report(Report::new(contradictions)))
    }

    /// Collects every candidate, strongest class first.
    fn look(&self, env: &Env, manifest: &Manifest, detection: &mut Detection) -> Result<()> {
        if let Some(provider) = &self.provider {
            detection.explicit_instance(provider.describe());
        }
        let here = env.working_dir();
        let deployment = detection.deployment.deployment;
        let mut push = |probe: Probe, base: &Path, in_manifest: bool| {
            // What stands after `?` is shown only where the backend knows every key of it.
            let shown = |url: &ProviderUrl| match self.members(manifest, url) {
                Ok(_) => url.to_string(),
                Err(_) => format!("{}:…", url.scheme()),
            };
            let address = probe.found.as_ref().map(shown);
            detection.push(probe, address, base, in_manifest);
        };
        push(
            explicit("the builder or --provider", self.provider_url.clone()),
            here,
            false,
        );
        if let Some(name) = &self.provider_name {
            let url = named(manifest, name)?.clone();
            let looked_for = "a name of the manifest's `providers`";
            push(explicit(looked_for, Some(url)), &manifest.base_dir, true);
        }
        let variable = env.var("STRONGROOM_PROVIDER")?.map(|text| {
            text.parse::<ProviderUrl>().map_err(|error| {
                let message = format!("STRONGROOM_PROVIDER can't be used: {error}");
                let wrong = Error::new(ErrorKind::Config, message);
                match error.help() {
                    Some(help) => wrong.with_help(help),
                    None => wrong,
                }
            })
        });
        let variable = explicit("STRONGROOM_PROVIDER", variable.transpose()?);
        push(variable, here, false);
        let (url, origin) = match &manifest.provider {
            Some((url, origin)) => (Some(url.clone()), format!("`provider` in {origin}")),
            None => (None, "`provider` in the manifest".to_owned()),
        };
        push(explicit(&origin, url), &manifest.base_dir, true);
        for backend in self.backends.iter().chain(backends::ALL) {
            for probe in backend.detect(env, deployment)? {
                push(probe, here, false);
            }
        }
        Ok(())
    }

    /// Finds the row of an address, and checks that its query has only keys that the row knows.
    pub(super) fn backend_of(&self, url: &ProviderUrl) -> Result<&Backend> {
        let rows = || self.backends.iter().chain(backends::ALL);
        let plaintext = url.scheme().strip_suffix("+http");
        let found = rows().find(|row| {
            row.scheme() == url.scheme() || plaintext.is_some_and(|scheme| scheme == row.scheme())
        });
        let Some(row) = found else {
            let message = format!("no backend has the scheme `{}:`", url.scheme());
            let schemes = || rows().map(Backend::scheme).chain([chain::SCHEME]);
            let help = match manifest::suggest(url.scheme(), schemes()) {
                Some(near) => format!("did you mean `{near}:`?"),
                None => {
                    let known: Vec<_> = schemes().map(|scheme| format!("{scheme}:")).collect();
                    format!("the schemes are {}", known.join(", "))
                }
            };
            return Err(Error::new(ErrorKind::Config, message).with_help(help));
        };
        match url.query_keys().find(|key| !row.url_keys().contains(key)) {
            None => Ok(row),
            Some(_) if row.url_keys().is_empty() => {
                let message = format!("an address of {} has no settings after `?`", row.title());
                Err(Error::new(ErrorKind::Config, message))
            }
            // The key may be a credential in the wrong place: only what it resembles is said.
            Some(key) => {
                let message = format!("an address of {} has an unknown setting", row.title());
                let help = match manifest::suggest(key, row.url_keys().iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it can have {}", row.url_keys().join(", ")),
                };
                Err(Error::new(ErrorKind::Config, message).with_help(help))
            }
        }
    }
}

/// Takes out of a manifest what nobody vouches for, and says so.
fn distrust(manifest: &mut Manifest, env: &Env) -> Vec<Finding> {
    let mut warnings = Vec::new();
    let mut warn = |message: String, help: &str| {
        warnings.push(Finding::warning(None, "untrusted-manifest", message, help));
    };
    let Some(found) = &manifest.found else {
        return warnings;
    };
    match trust::standing(env, &found.path, &found.sha256) {
        Ok(Standing::Trusted) => return warnings,
        Ok(Standing::Unknown) => {}
        Ok(Standing::Changed) => warn(
            "this manifest has changed since you trusted it, so it is not trusted now".to_owned(),
            "look at what changed; then record it again by `strongroom trust`",
        ),
        Err(error) => warn(
            format!("no manifest is trusted: {error}"),
            error.help().unwrap_or(trust::REMEDY),
        ),
    }
    manifest.distrusted = true;
    for key in take_what_needs_trust(manifest) {
        warn(
            format!("`{key}` is ignored: nobody named this manifest"),
            trust::REMEDY,
        );
    }
    warnings
}

/// Takes every section out that a manifest of somebody else's must not have, and names them.
fn take_what_needs_trust(manifest: &mut Manifest) -> Vec<&'static str> {
    let rails = std::mem::take(&mut manifest.overridden);
    let mut taken: Vec<_> = rails.iter().map(|rail| rail.override_key()).collect();
    taken.extend(manifest.snapshot.take().map(|_| "snapshot"));
    if manifest.audit.log.take().is_some() {
        manifest.audit.fail_closed = false;
        taken.push("audit");
    }
    taken
}

/// Finds a provider by its name in the manifest. No message repeats the name: it may be anything that
/// was typed at the wrong place.
fn named<'a>(manifest: &'a Manifest, name: &str) -> Result<&'a ProviderUrl> {
    manifest.providers.get(name).ok_or_else(|| {
        let known = || manifest.providers.keys().map(String::as_str);
        let message = "the manifest has no provider of this name";
        let error = Error::new(ErrorKind::Config, message);
        match (manifest::suggest(name, known()), known().next()) {
            (Some(near), _) => error.with_help(format!("did you mean `{near}`?")),
            (None, Some(_)) => {
                let known: Vec<_> = known().collect();
                error.with_help(format!("its `providers` are {}", known.join(", ")))
            }
            (None, None) => error.with_help(
                "an address has a scheme, such as `file:./secrets`; a name stands under `providers` \
                 in the manifest",
            ),
        }
    })
}

fn explicit(looked_for: &str, url: Option<ProviderUrl>) -> Probe {
    match url {
        Some(url) => Probe::found(Class::Explicit, looked_for, url),
        None => Probe::nothing(Class::Explicit, looked_for, "not set"),
    }
}
