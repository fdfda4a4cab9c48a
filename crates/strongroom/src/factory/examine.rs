//! The examination of a boot: everything is looked at, whatever fails.

use std::time::Duration;

use super::plan::Plan;
use super::{Detection, SecretsBuilder};
use crate::backends::{Backend, Connect};
use crate::connection::no_runtime;
use crate::declared::Declared;
use crate::error::{Error, ErrorKind, Result};
use crate::examination::{Check, Diagnosis, Examination, Examined};
use crate::provider::{ProviderHealth, SecretProvider};
use crate::report::Severity;

/// How long one provider may be examined. A doctor has limits of its own, which are shorter.
const TIMEOUT: Duration = Duration::from_secs(60);

impl SecretsBuilder {
    /// Looks at everything that a boot depends on, and goes on where something fails: the choice of
    /// the provider, the guard rails, and each provider as its backend knows how. Reads no secret.
    ///
    /// For tools, as [`connect`](Self::connect) is.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the environment or the manifest can't be understood at all, or there
    /// is no tokio runtime.
    pub async fn examine(&self) -> Result<Examination> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(no_runtime());
        }
        let plan = self.plan()?;
        let mut configuration = vec![deployment(&plan.detection), self.manifest_check(&plan)];
        let mut providers = Vec::new();
        configuration.extend(audit_check(&plan));
        match plan.detection.chosen() {
            Err(error) => configuration.push(Check::error("provider", &error)),
            Ok(chosen) => {
                let (address, because) = (&chosen.address, &chosen.because);
                let detail = format!("{address} ({} class: {because})", chosen.class);
                configuration.push(Check::ok("provider", detail));
                if let Err(error) = self.check_strengths(&plan, &chosen.members) {
                    configuration.push(Check::error("chain", &error));
                }
                for member in &chosen.members {
                    let connect = self.connect_to_named(&plan, &member.url, None);
                    providers.push(Examined {
                        provider: Some(member.name.clone()),
                        address: member.address.clone(),
                        diagnosis: self.examine_if(connect).await,
                    });
                }
                if chosen.members.is_empty() {
                    let main = match &self.provider {
                        Some(provider) if chosen.url.is_none() => asked(provider.as_ref()).await,
                        _ => self.examine_if(self.connect_to_chosen(&plan)).await,
                    };
                    providers.push(Examined {
                        provider: None,
                        address: address.clone(),
                        diagnosis: main,
                    });
                }
            }
        }
        for (name, url) in &plan.manifest.providers {
            let used = |declared: &Declared| super::serves(declared, Some(name));
            if plan.declared.iter().any(used) {
                let connect = self.connect_to_named(&plan, url, Some(name));
                providers.push(Examined {
                    provider: Some(name.clone()),
                    address: match self.backend_of(url) {
                        Ok(_) => url.to_string(),
                        Err(_) => format!("{}:…", url.scheme()),
                    },
                    diagnosis: self.examine_if(connect).await,
                });
            }
        }
        let findings = plan
            .detection
            .warnings
            .iter()
            .cloned()
            .chain(plan.rails.said());
        configuration.extend(findings.map(|finding| {
            let detail = match &finding.name {
                Some(name) => format!("{name}: {}", finding.message),
                None => finding.message.clone(),
            };
            let check = match finding.severity {
                Severity::Warning => Check::warning(finding.rule, detail),
                Severity::Violation => Check::failed(finding.rule, detail),
            };
            check.with_help(finding.help)
        }));
        Ok(Examination {
            configuration,
            providers,
        })
    }

    /// Examines what an address leads to, as its backend knows how, unless that was refused.
    async fn examine_if(&self, connect: Result<Connect>) -> Diagnosis {
        let connect = match connect {
            Ok(connect) => connect,
            Err(error) => return failed(&error),
        };
        let examining = async {
            match self.backend_of(&connect.url).copied() {
                Ok(backend) => examine_by(backend, connect).await,
                Err(error) => failed(&error),
            }
        };
        let late = |_| {
            let seconds = TIMEOUT.as_secs();
            let message = format!("the examination did not end within {seconds}s");
            failed(&Error::new(ErrorKind::Transient, message))
        };
        let ended = tokio::time::timeout(TIMEOUT, examining).await;
        ended.unwrap_or_else(late)
    }

    fn manifest_check(&self, plan: &Plan) -> Check {
        let Some(origin) = &plan.manifest.origin else {
            return Check::ok("manifest", "there is none");
        };
        let declared = match plan.declared.len() {
            1 => "1 declared secret".to_owned(),
            all => format!("{all} declared secrets"),
        };
        let trust = match plan.manifest.distrusted {
            true => "nobody named it, so it is not trusted with `danger_…` keys and credentials",
            false => "trusted",
        };
        let profile = &plan.detection.profile;
        Check::ok(
            "manifest",
            format!("{origin}, profile {profile}, {declared}; {trust}"),
        )
    }
}

/// Looks whether events can be recorded. Where the key is a secret, only a connection tells.
fn audit_check(plan: &Plan) -> Option<Check> {
    let log = plan.manifest.audit.log.as_ref()?;
    let path = log.path.display().to_string();
    Some(match (plan.audit.key_secret(), plan.audit.open(None)) {
        (_, Err(error)) => Check::error("audit log", &error),
        (Some(name), Ok(())) => Check::ok("audit log", format!("{path}, its key is `{name}`")),
        (None, Ok(())) => Check::ok("audit log", path),
    })
}

async fn examine_by(backend: Backend, connect: Connect) -> Diagnosis {
    if let Some(examining) = backend.examine(&connect) {
        return examining.await;
    }
    match backend.open(connect).await {
        Ok(provider) => {
            let diagnosis = asked(provider.as_ref()).await;
            // What was found out matters more than an error of closing.
            let _ = provider.close().await;
            diagnosis
        }
        Err(error) => failed(&error),
    }
}

/// What a provider says of itself.
async fn asked(provider: &dyn SecretProvider) -> Diagnosis {
    let mut diagnosis = Diagnosis::new();
    match provider.health().await {
        Ok(ProviderHealth { degraded, .. }) if degraded.is_empty() => {
            diagnosis.push(Check::ok("health", "it works"));
        }
        Ok(ProviderHealth { degraded, .. }) => {
            let warnings = degraded.into_iter();
            let warnings = warnings.map(|reason| Check::warning("health", reason));
            diagnosis.checks.extend(warnings);
        }
        Err(error) => diagnosis.push(Check::error("health", &error)),
    }
    diagnosis
}

fn failed(error: &Error) -> Diagnosis {
    let mut diagnosis = Diagnosis::new();
    diagnosis.push(Check::error("opening", error));
    diagnosis
}

fn deployment(detection: &Detection) -> Check {
    let choice = &detection.deployment;
    let detail = format!("{} ({})", choice.deployment, choice.because);
    match choice.deployment {
        crate::env::Deployment::Undeclared => Check::warning("deployment", detail)
            .with_help("production's guard rails hold; declare the deployment in STRONGROOM_ENV"),
        _ => Check::ok("deployment", detail),
    }
}
