//! Every declared secret, read at once and judged.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use crate::connection::Connection;
use crate::declared::{Declared, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SecretName;
use crate::policy;
use crate::report::{Finding, Report};
use crate::secret::{Fingerprint, Provenance, Secret, Source, Version};
use crate::snapshot;

/// The outcome of reading and judging every declared secret.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Validation {
    /// What is wrong.
    pub report: Report,
    /// Every declared secret, by name.
    pub secrets: Vec<SecretState>,
    #[serde(skip)]
    worst: Option<ErrorKind>,
}

/// The state of one declared secret. Never its value.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SecretState {
    /// Its name.
    pub name: SecretName,
    /// What it is.
    pub kind: Kind,
    /// Whether the service can't boot without it.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    /// The address of the provider it is read from.
    pub provider: String,
    /// What was found, or why nothing was.
    pub outcome: Outcome,
}

/// What reading one declared secret gave.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// A value is there.
    Present(Present),
    /// The backend holds none.
    Absent,
    /// It could not be read.
    Failed {
        /// The kind of error.
        #[serde(serialize_with = "as_word")]
        kind: ErrorKind,
    },
}

fn as_word<S: serde::Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// What may be shown of a value that is there.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Present {
    /// Whether it passed the policy.
    pub ok: bool,
    /// The backend's version.
    pub version: Option<Version>,
    /// Its age in seconds, where the backend knows when it was made.
    pub age_seconds: Option<u64>,
    /// Where it came from: the backend, or the manifest's default.
    pub source: Source,
    /// Where its bytes have been.
    pub grade: Provenance,
    /// Its short hash, for tokens and keys that passed the policy.
    #[serde(serialize_with = "as_shown")]
    pub fingerprint: Option<Fingerprint>,
}

fn as_shown<S: serde::Serializer>(
    print: &Option<Fingerprint>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match print {
        Some(print) => serializer.collect_str(print),
        None => serializer.serialize_none(),
    }
}

impl Validation {
    /// Reads and judges; returns the values, marked strong where they are, beside the outcome.
    /// `stand_in` says whether the snapshot may stand in for what can't be read now.
    pub(crate) async fn of(
        connection: &Connection,
        stand_in: bool,
    ) -> (Self, BTreeMap<SecretName, Secret>) {
        let declared: Vec<Declared> = connection.declared().cloned().collect();
        let names: Vec<SecretName> = declared.iter().map(|known| known.name.clone()).collect();
        let answers = connection.fetch(&names).await;
        let mut pairs: Vec<_> = declared.iter().zip(answers).collect();
        let (snapshot, unusable) = look_at_snapshot(connection, &mut pairs, stand_in).await;

        let present = pairs
            .iter()
            .filter_map(|(known, answer)| answer.as_ref().ok().map(|secret| (*known, secret)));
        let present: Vec<_> = present.collect();
        let mut findings = policy::check(&present, connection.rails().deployment());
        findings.extend(snapshot);
        let worst = pairs
            .iter()
            .filter_map(|(known, answer)| fatal(known, answer))
            .chain(unusable)
            .max_by_key(severity);
        findings.extend(
            pairs
                .iter()
                .filter_map(|(known, answer)| unread(known, answer)),
        );
        let weak = |name: &SecretName| {
            let about = |finding: &&Finding| finding.name.as_ref() == Some(name);
            findings
                .iter()
                .filter(about)
                .any(|f| f.severity == crate::Severity::Violation)
        };

        let mut secrets = Vec::new();
        let mut values = BTreeMap::new();
        for (known, answer) in pairs {
            let provider = connection
                .describe_for(&known.name)
                .map_or_else(|_| "unknown".to_owned(), |description| description.address);
            let outcome = match answer {
                Ok(secret) => {
                    let ok = !weak(&known.name);
                    let strong = policy::is_strong(known, &secret, &findings);
                    let secret = mark(secret, strong);
                    let present = present_state(&secret, ok);
                    values.insert(known.name.clone(), secret);
                    Outcome::Present(present)
                }
                Err(error) if error.kind() == ErrorKind::Absent => Outcome::Absent,
                Err(error) => Outcome::Failed { kind: error.kind() },
            };
            secrets.push(SecretState {
                name: known.name.clone(),
                kind: known.kind,
                required: known.required,
                description: known.description.clone(),
                provider,
                outcome,
            });
        }
        for finding in &mut findings {
            let declared = finding
                .name
                .as_ref()
                .and_then(|name| connection.declaration(name.as_str()));
            finding.needed_by = declared.and_then(|declared| declared.needed_by.clone());
        }
        findings.extend(connection.rails().said());
        (
            Self {
                report: Report::new(findings),
                secrets,
                worst,
            },
            values,
        )
    }

    /// Reports whether the check could not judge: the kind of error that kept it from reading.
    ///
    /// [`ErrorKind::Transient`] and [`ErrorKind::Integrity`] only; every other failure is a finding
    /// about the secret.
    pub fn inconclusive(&self) -> Option<ErrorKind> {
        self.worst
            .filter(|kind| matches!(kind, ErrorKind::Transient | ErrorKind::Integrity))
    }

    /// Turns violations into the one error that stops a boot.
    pub(crate) fn into_error(self) -> Option<Error> {
        if self.report.is_clean() {
            return None;
        }
        let mut bad: Vec<_> = self
            .report
            .violations()
            .filter_map(|f| f.name.clone())
            .collect();
        bad.sort();
        bad.dedup();
        let message = match (bad.len(), self.secrets.len()) {
            (0, _) => "the configuration doesn't pass the checks of this boot".to_owned(),
            (1, 1) => "the only declared secret doesn't pass the checks of this boot".to_owned(),
            (bad, all) => {
                format!("{bad} of {all} declared secrets don't pass the checks of this boot")
            }
        };
        let kind = self.worst.unwrap_or(ErrorKind::Policy);
        Some(Error::new(kind, message).with_report(self.report))
    }
}

/// Says what is wrong with the snapshot, where there is one, and lets it stand in where it may.
/// Returns the kind of what makes it unusable, too.
async fn look_at_snapshot(
    connection: &Connection,
    answers: &mut snapshot::Answers<'_>,
    stand_in: bool,
) -> (Vec<Finding>, Option<ErrorKind>) {
    let Some(snapshot) = connection.snapshot() else {
        return (Vec::new(), None);
    };
    let mut findings = Vec::new();
    if let Some((kind, finding)) = snapshot.check().await {
        let refused = finding.severity == crate::Severity::Violation;
        findings.push(finding);
        if refused {
            return (findings, Some(kind));
        }
    }
    if !stand_in {
        return (findings, None);
    }
    let (said, unusable) = snapshot::stand_in(connection, snapshot, answers).await;
    findings.extend(said);
    (findings, unusable)
}

/// Marks a value that passed as a token or a key, so that it has a fingerprint.
pub(crate) fn mark(secret: Secret, strong: bool) -> Secret {
    let mut metadata = secret.metadata().clone();
    metadata.set_strong(strong);
    secret.with_metadata(metadata)
}

fn present_state(secret: &Secret, ok: bool) -> Present {
    let metadata = secret.metadata();
    let age = metadata
        .created()
        .and_then(|made| SystemTime::now().duration_since(made).ok());
    Present {
        ok,
        version: metadata.version().cloned(),
        age_seconds: age.map(|age| age.as_secs()),
        source: metadata.source(),
        grade: metadata.provenance().clone(),
        fingerprint: secret.fingerprint(),
    }
}

/// The kind that decides the boot's error: only reasons beyond the secret's own state.
fn fatal(known: &Declared, answer: &Result<Secret>) -> Option<ErrorKind> {
    let kind = answer.as_ref().err()?.kind();
    match kind {
        ErrorKind::Absent | ErrorKind::Malformed | ErrorKind::Policy => None,
        _ => Some(kind).filter(|_| known.required || kind != ErrorKind::Unsupported),
    }
}

/// Orders the kinds of [`fatal`]: what may pass by itself first, then what needs an operator most.
pub(crate) fn severity(kind: &ErrorKind) -> u8 {
    match kind {
        ErrorKind::Integrity => 5,
        ErrorKind::Transient => 4,
        ErrorKind::Auth => 3,
        ErrorKind::Denied => 2,
        _ => 1,
    }
}

/// The finding about a secret that could not be read.
fn unread(known: &Declared, answer: &Result<Secret>) -> Option<Finding> {
    let error = answer.as_ref().err()?;
    let wanted = known.required || error.kind() != ErrorKind::Absent;
    wanted.then(|| Finding::of_error(&known.name, error))
}
