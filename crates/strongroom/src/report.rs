//! The outcome of checking: findings, each with the rule it breaks and how to mend it.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::name::SecretName;
use crate::validation;

/// How much a [`Finding`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Reported; the service boots.
    Warning,
    /// Stops the boot.
    Violation,
}

/// One thing that is wrong: on which secret, by which rule, and how to mend it. Never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Whether it stops the boot.
    pub severity: Severity,
    /// The secret, or `None` for a finding about the configuration as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<SecretName>,
    /// The rule's stable identifier, `placeholder` for example.
    pub rule: &'static str,
    /// What is wrong, as a sentence without its end.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// The type and field that need the secret, where a type declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed_by: Option<String>,
}

impl Finding {
    /// Makes a finding that stops the boot.
    pub fn violation(
        name: Option<&SecretName>,
        rule: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Violation,
            name: name.cloned(),
            rule,
            message: message.into(),
            help: help.into(),
            needed_by: None,
        }
    }

    /// Makes the finding about a secret that could not be read or used.
    pub(crate) fn of_error(name: &SecretName, error: &Error) -> Self {
        let rule = match error.kind() {
            ErrorKind::Absent => "absent",
            ErrorKind::Denied => "denied",
            ErrorKind::Auth => "auth",
            ErrorKind::Malformed => "malformed",
            ErrorKind::Policy => "guard-rail",
            ErrorKind::Transient => "unreachable",
            ErrorKind::Integrity => "integrity",
            _ => "unreadable",
        };
        let message = error.to_string();
        let prefix = format!("secret `{name}`: ");
        let message = message.strip_prefix(&prefix).unwrap_or(&message);
        Self::violation(Some(name), rule, message, error.help().unwrap_or_default())
    }

    /// Says which type and field need the secret.
    pub(crate) fn needed_by(mut self, needed_by: Option<&str>) -> Self {
        self.needed_by = needed_by.map(str::to_owned);
        self
    }

    /// Makes a finding that is only reported.
    pub fn warning(
        name: Option<&SecretName>,
        rule: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::violation(name, rule, message, help)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}: {} [{}]", self.message, self.rule)?,
            None => write!(f, "{} [{}]", self.message, self.rule)?,
        }
        if !self.help.is_empty() {
            write!(f, "\n      {}", self.help)?;
        }
        match &self.needed_by {
            Some(field) => write!(f, "\n      needed by `{field}`"),
            None => Ok(()),
        }
    }
}

/// All findings of one check, violations first, then by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Sorts findings into a report and drops repetitions.
    pub fn new(mut findings: Vec<Finding>) -> Self {
        let key = |finding: &Finding| {
            (
                std::cmp::Reverse(finding.severity),
                finding.name.clone(),
                finding.rule,
            )
        };
        findings.sort_by_cached_key(key);
        findings.dedup();
        Self { findings }
    }

    /// Returns the findings that stop the boot.
    pub fn violations(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Violation)
    }

    /// Returns the findings that are only reported.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Warning)
    }

    /// Reports whether nothing stops the boot.
    pub fn is_clean(&self) -> bool {
        self.violations().next().is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.findings.iter().enumerate() {
            let mark = if finding.severity == Severity::Violation {
                "✗"
            } else {
                "!"
            };
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "  {mark} {finding}")?;
        }
        Ok(())
    }
}

/// Makes one error of several findings. Its kind is that of what needs an operator most.
pub(crate) fn gathered(
    message: impl Into<String>,
    failures: impl IntoIterator<Item = (ErrorKind, Finding)>,
) -> Error {
    let (kinds, findings): (Vec<_>, Vec<_>) = failures.into_iter().unzip();
    // Of equals the first counts.
    let worst = kinds.into_iter().rev().max_by_key(validation::severity);
    let kind = worst.unwrap_or(ErrorKind::Malformed);
    Error::new(kind, message).with_report(Report::new(findings))
}
