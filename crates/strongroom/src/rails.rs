//! Guard rails: what production refuses and development only warns of.

use std::sync::{Arc, Mutex, PoisonError};

use crate::env::Deployment;
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::report::{Finding, Severity};

/// One thing that is not safe enough for production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rail {
    /// A plain file that lies on a disk: not on tmpfs or ramfs, and in no credentials mount.
    PlainFileOnDisk,
    /// A key file or plain file that group or world can read.
    ReadableByOthers,
    /// A file or directory that the world can write.
    WritableByOthers,
    /// A key file or plain file that belongs to neither this process's user nor the superuser.
    OwnedByOthers,
    /// Plain http to anything but this machine.
    PlaintextHttp,
    /// A TLS connection that doesn't check the server's certificate.
    CertificateCheckDisabled,
    /// A chain of which one provider is weaker than another.
    WeakerChain,
}

impl Rail {
    /// Every guard rail.
    pub const ALL: &'static [Rail] = &[
        Self::PlainFileOnDisk,
        Self::ReadableByOthers,
        Self::WritableByOthers,
        Self::OwnedByOthers,
        Self::PlaintextHttp,
        Self::CertificateCheckDisabled,
        Self::WeakerChain,
    ];

    /// Returns the rule's identifier in reports.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::PlainFileOnDisk => "plain-file-on-disk",
            Self::ReadableByOthers => "readable-by-others",
            Self::WritableByOthers => "writable-by-others",
            Self::OwnedByOthers => "owned-by-others",
            Self::PlaintextHttp => "plaintext-http",
            Self::CertificateCheckDisabled => "certificate-check-disabled",
            Self::WeakerChain => "weaker-chain",
        }
    }

    /// Returns the manifest key that overrides it. There is no variable for it.
    pub const fn override_key(self) -> &'static str {
        match self {
            // DANGER: values stay readable on the disk, where no platform mounts them in memory
            Self::PlainFileOnDisk => "danger_allow_plain_files",
            // DANGER: other users may read, where the platform sets the mode
            Self::ReadableByOthers => "danger_allow_readable_files",
            // DANGER: anybody may replace values, where a volume knows no modes
            Self::WritableByOthers => "danger_allow_writable_files",
            // DANGER: another user may replace keys, where a container maps the users
            Self::OwnedByOthers => "danger_allow_foreign_files",
            // DANGER: the network reads all, where a tunnel of its own protects it
            Self::PlaintextHttp => "danger_allow_plaintext_http",
            // DANGER: anybody may answer as the server, while a private authority is set up
            Self::CertificateCheckDisabled => "danger_skip_certificate_check",
            // DANGER: a weaker store may answer, while secrets move between two
            Self::WeakerChain => "danger_allow_weaker_chain",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::PlainFileOnDisk => {
                "mount it on tmpfs (Kubernetes secret, Docker secret, systemd credential), \
                 or use a sealed file"
            }
            Self::ReadableByOthers => "chmod it to 0600 (a directory to 0700)",
            Self::WritableByOthers => "take write permission from others: chmod o-w",
            Self::OwnedByOthers => {
                "chown it to the user that the process runs as; under sudo, set HOME to that user's"
            }
            Self::PlaintextHttp => "use https",
            Self::CertificateCheckDisabled => "give the private CA's certificate instead",
            Self::WeakerChain => "keep one provider, or a chain of equally strong ones",
        }
    }
}

/// The guard rails of one boot: they refuse or warn by deployment, and collect what they said.
///
/// Cheap to clone; clones share what was collected.
#[derive(Debug, Clone)]
pub struct GuardRails {
    deployment: Deployment,
    overridden: Arc<[Rail]>,
    said: Arc<Mutex<Vec<Finding>>>,
}

impl GuardRails {
    /// Makes the guard rails of a deployment, with those that the manifest overrides.
    pub fn new(deployment: Deployment, overridden: impl IntoIterator<Item = Rail>) -> Self {
        let rails = Self {
            deployment,
            overridden: overridden.into_iter().collect(),
            said: Arc::default(),
        };
        for rail in rails.overridden.iter() {
            let message = format!("{} is set", rail.override_key());
            let help = "this guard rail is off; take the key away when you can";
            rails.say(Finding::warning(None, "danger-override", message, help));
        }
        rails
    }

    /// Returns the deployment that they are for.
    pub fn deployment(&self) -> Deployment {
        self.deployment
    }

    /// Refuses `subject`, or warns of it where the deployment or an override allows it.
    ///
    /// `subject` begins the sentence: "the file /etc/app/token lies on a disk".
    ///
    /// # Errors
    /// [`ErrorKind::Policy`] in staging, in production and where no deployment is declared, unless
    /// the manifest overrides the rail.
    pub fn check(&self, rail: Rail, subject: &str, name: Option<&SecretName>) -> Result<()> {
        let allowed = !self.deployment.is_strict() || self.overridden.contains(&rail);
        if allowed {
            self.say(Finding::warning(name, rail.rule(), subject, rail.remedy()));
            return Ok(());
        }
        let where_ = match self.deployment {
            Deployment::Undeclared => "where no deployment is declared".to_owned(),
            deployment => format!("in {deployment}"),
        };
        let error = Error::new(
            ErrorKind::Policy,
            format!("{subject}, which is refused {where_} [{}]", rail.rule()),
        );
        let development = match self.deployment {
            Deployment::Undeclared => "; on a developer's machine, set STRONGROOM_ENV=development",
            _ => "",
        };
        let help = format!(
            "{}{development}; or set `{} = true` in the manifest, knowing what it gives up",
            rail.remedy(),
            rail.override_key(),
        );
        let error = error.with_help(help);
        Err(match name {
            Some(name) => error.with_name(name),
            None => error,
        })
    }

    /// Warns of something that is never refused.
    pub fn warn(&self, rail: Rail, subject: &str, name: Option<&SecretName>) {
        self.say(Finding::warning(name, rail.rule(), subject, rail.remedy()));
    }

    /// Records a finding of a backend's own.
    pub fn say(&self, finding: Finding) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // A read repeats what an earlier read said; one line is enough, and memory stays bounded.
        if !said.contains(&finding) {
            match finding.severity {
                Severity::Warning => tracing::warn!(rule = finding.rule, "{}", finding.message),
                Severity::Violation => tracing::error!(rule = finding.rule, "{}", finding.message),
            }
            said.push(finding);
        }
    }

    /// Returns what was said so far.
    pub fn said(&self) -> Vec<Finding> {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rail_in_each_deployment() {
        use Deployment::*;
        for rail in Rail::ALL {
            for (deployment, refuses) in [
                (Development, false),
                (Test, false),
                (Staging, true),
                (Production, true),
                (Undeclared, true),
            ] {
                let rails = GuardRails::new(deployment, []);
                let outcome = rails.check(*rail, "the thing", None);
                assert_eq!(outcome.is_err(), refuses, "{rail:?} in {deployment}");
                assert_eq!(rails.said().len(), usize::from(!refuses));
                if let Err(error) = outcome {
                    assert_eq!(error.kind(), ErrorKind::Policy);
                    assert!(error.help().unwrap().contains(rail.override_key()));
                }
            }
        }
    }

    #[test]
    fn an_override_opens_one_rail_and_is_reported() {
        let rails = GuardRails::new(Production, [Rail::PlainFileOnDisk]);
        use Deployment::Production;
        assert!(rails.said()[0].message.contains("danger_allow_plain_files"));
        rails
            .check(Rail::PlainFileOnDisk, "the file", None)
            .unwrap();
        rails
            .check(Rail::WritableByOthers, "the file", None)
            .unwrap_err();
    }

    #[test]
    fn says_a_thing_once() {
        let rails = GuardRails::new(Deployment::Development, []);
        for _ in 0..100 {
            rails
                .check(Rail::ReadableByOthers, "the file", None)
                .unwrap();
        }
        assert_eq!(rails.said().len(), 1);
    }
}
