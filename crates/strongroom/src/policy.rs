//! The strength policy: what a declared secret's value must be, and why it is refused.
//!
//! [`check`] judges every declared secret at boot and returns all findings at once; [`check_one`]
//! judges a single value before it is written. Beside what they are given they look at the clock
//! alone, and no finding ever holds a value or a part of one.
//!
//! Values are judged as they are used: decoded by the [`Encoding`](crate::Encoding) that the
//! declaration gives. A rule that a declaration can tighten (`min_length`) can't be loosened.
//!
//! | rule | kinds | asks that the value |
//! |---|---|---|
//! | `empty` | all | is not empty, nor blanks alone |
//! | `too-long` | all | has at most 64 KiB; a token or JWT 8 KiB |
//! | `not-text` | all but key, opaque | is UTF-8 |
//! | `trailing-newline` | all but pem, json | does not end in a line break |
//! | `surrounding-blanks` | all but pem, json | has no blanks or invisible characters around it |
//! | `surrounding-quotes` | all but pem, json | is not in quotes |
//! | `control-character` | all but pem, json, opaque | has no control character in it |
//! | `placeholder` | all | is no placeholder, published example or test vector, encoded or not |
//! | `duplicate-value` | all | is not also the value of another name |
//! | `too-short` | all | has `min_length`; a token at least 32 characters, a password 15 |
//! | `few-characters` | token, password, url | has enough different characters |
//! | `repetition` | token, password, url, key | is not mostly repetition |
//! | `sequence` | token, password, url, key | is not mostly sequences or keyboard walks |
//! | `common-words` | token, password, url, key | is not mostly common words and dates |
//! | `common-password` | password, url | is no common or default password, nor a variant of one |
//! | `guessable-password` | password, url | has a zxcvbn score of 3 or 4 (feature `zxcvbn`) |
//! | `key-length` | key | is of the declared length, raw or in base64, base64url or hexadecimal |
//! | `text-as-key` | key | is not text that is used as if it were random bytes |
//! | `url-malformed` | url | is `scheme://user:password@host…` |
//! | `url-without-password` | url | holds a password |
//! | `pem-malformed` | pem | is one or more well-formed blocks |
//! | `pem-encrypted` (warning) | pem | can be used without a passphrase |
//! | `jwt-malformed` | jwt | is three parts, with JSON objects in the first two |
//! | `jwt-unsigned` | jwt | is signed: its `alg` is not `none` |
//! | `jwt-expired` | jwt | has an `exp` in the future, where it has one |
//! | `jwt-expires-soon` (warning) | jwt | has more than a tenth of its lifetime left |
//! | `json-malformed` | json | is JSON |
//! | `json-empty` | json | holds something |
//! | `rotation-due` (warning) | all | is younger than `rotate_after` |
//! | `default-in-production` | all | is not the manifest's default, outside development and test |
//! | `development-default` (warning) | all | is not the manifest's default |
//!
//! In development and test the manifest's `default` is held to the rules of form and syntax and to
//! the list of placeholders, and to no rule of strength: `default = "postgres"` boots, with a
//! warning. Everything else is judged alike in every deployment.

use std::time::SystemTime;

use crate::declared::{Declared, Kind};
use crate::env::Deployment;
use crate::name::SecretName;
use crate::report::{Finding, Severity};
use crate::secret::{Secret, Source};

mod duplicates;
mod form;
mod json;
mod jwt;
mod key;
mod password;
mod passwords;
mod pem;
mod placeholders;
mod predictable;
mod redact;
mod rule;
mod token;
mod url;

pub(crate) use duplicates::check as check_duplicates;
pub(crate) use form::most_bytes;
pub(crate) use key::DEFAULT_LENGTH as DEFAULT_KEY_LENGTH;
pub(crate) use password::LEAST as LEAST_PASSWORD;
pub use redact::redact_url;

/// Checks the values of all declared secrets, and returns every finding.
///
/// A secret that has no value is not passed in: its absence is the caller's to report.
///
/// ```
/// use strongroom::{Declared, Deployment, Kind, Secret, SecretName, policy};
///
/// let token = Declared::new(SecretName::from_static("api/token"), Kind::Token);
/// let value = Secret::from_text("changeme");
/// let findings = policy::check(&[(&token, &value)], Deployment::Development);
/// let rules: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
/// assert_eq!(rules, ["placeholder", "too-short"]);
/// ```
pub fn check(secrets: &[(&Declared, &Secret)], deployment: Deployment) -> Vec<Finding> {
    check_at(secrets, deployment, SystemTime::now())
}

/// Checks one value that is about to be written. Whether another name has the same one shows at
/// the next [`check`] of all.
///
/// ```
/// use strongroom::{Declared, Kind, SecretName, generate, policy};
///
/// let key = Declared::new(SecretName::from_static("session/key"), Kind::Key);
/// assert!(policy::check_one(&key, &generate(&key)?).is_empty());
/// # Ok::<(), strongroom::Error>(())
/// ```
pub fn check_one(declared: &Declared, secret: &Secret) -> Vec<Finding> {
    check_value(declared, secret, SystemTime::now())
}

/// Reports whether a value that led to `findings` may have a fingerprint: a token or a key, of
/// the backend and not a default, without a violation.
pub(crate) fn is_strong(declared: &Declared, secret: &Secret, findings: &[Finding]) -> bool {
    let is_random = matches!(declared.kind, Kind::Token | Kind::Key);
    let is_default = secret.metadata().source() == Source::Default;
    let is_violation = |finding: &Finding| {
        finding.severity == Severity::Violation && finding.name.as_ref() == Some(&declared.name)
    };
    is_random && !is_default && !findings.iter().any(is_violation)
}

fn check_at(
    secrets: &[(&Declared, &Secret)],
    deployment: Deployment,
    now: SystemTime,
) -> Vec<Finding> {
    let each = secrets.iter();
    let mut findings: Vec<_> = each
        .flat_map(|(declared, secret)| check_deployed(declared, secret, deployment, now))
        .collect();
    let of_backends = secrets.iter().copied();
    let of_backends: Vec<_> = of_backends
        .filter(|(_, secret)| secret.metadata().source() != Source::Default)
        .collect();
    findings.extend(duplicates::check(&of_backends));
    findings
}

/// Checks one value, and what the deployment asks where it is the manifest's default.
fn check_deployed(
    declared: &Declared,
    secret: &Secret,
    deployment: Deployment,
    now: SystemTime,
) -> Vec<Finding> {
    if secret.metadata().source() != Source::Default {
        return check_value(declared, secret, now);
    }
    let mut found = Findings::new(&declared.name);
    if deployment.is_strict() {
        let where_ = match deployment {
            Deployment::Undeclared => "where no deployment is declared".to_owned(),
            deployment => format!("in {deployment}"),
        };
        let message = format!("the value is the manifest's default, which is refused {where_}");
        let help = "store a value of its own in the backend; on a developer's machine, set \
                    STRONGROOM_ENV=development";
        found.violation(rule::DEFAULT_IN_PRODUCTION, message, help);
    } else {
        found.list = check_value(declared, secret, now);
        found
            .list
            .retain(|finding| !rule::OF_STRENGTH.contains(&finding.rule));
        let message = "the value is the manifest's default, which everybody can read";
        let help = "fine for development; staging and production refuse it";
        found.warning(rule::DEVELOPMENT_DEFAULT, message, help);
    }
    found.list
}

fn check_value(declared: &Declared, secret: &Secret, now: SystemTime) -> Vec<Finding> {
    let mut found = Findings::new(&declared.name);
    // EXPOSES: to the rules of strength, whose findings never quote it
    if let Some(value) = form::check(declared, secret.expose_bytes(), &mut found) {
        // Of these, the parts that are secret are looked at.
        let has_parts = matches!(declared.kind, Kind::Url | Kind::Json);
        let is_placeholder = !has_parts && placeholders::is_placeholder(value, declared.kind);
        if is_placeholder {
            found.placeholder("the value");
        }
        match declared.kind {
            Kind::Token => token::check(declared, value, is_placeholder, &mut found),
            Kind::Password => password::check(declared, value, is_placeholder, &mut found),
            Kind::Key => key::check(declared, value, is_placeholder, &mut found),
            Kind::Url => url::check(value, &mut found),
            Kind::Pem => pem::check(value, &mut found),
            Kind::Jwt => jwt::check(value, now, &mut found),
            Kind::Json => json::check(value, &mut found),
            Kind::Opaque => {}
        }
        let counts_characters = matches!(declared.kind, Kind::Token | Kind::Password);
        let counts_bytes = !counts_characters && declared.kind != Kind::Key;
        if let Some(least) = declared.min_length.filter(|_| counts_bytes)
            && value.len() < least
        {
            found.too_short("the value", least, "bytes");
        }
    }
    check_age(declared, secret, now, &mut found);
    found.list
}

fn check_age(declared: &Declared, secret: &Secret, now: SystemTime, found: &mut Findings<'_>) {
    let age = secret
        .metadata()
        .created()
        .map(|created| now.duration_since(created));
    // A creation time in the future is the backend's clock, not an old secret.
    let (Some(Ok(age)), Some(limit)) = (age, declared.rotate_after) else {
        return;
    };
    if age > limit {
        let days = age.as_secs() / (24 * 60 * 60);
        let message = format!("the value is {days} days old, which is past its `rotate_after`");
        let help = "rotate it: `strongroom rotate NAME`";
        found.warning(rule::ROTATION_DUE, message, help);
    }
}

/// The findings on one secret.
struct Findings<'n> {
    name: &'n SecretName,
    list: Vec<Finding>,
}

impl<'n> Findings<'n> {
    fn new(name: &'n SecretName) -> Self {
        let list = Vec::new();
        Self { name, list }
    }

    fn violation(&mut self, rule: &'static str, message: impl Into<String>, help: &str) {
        let finding = Finding::violation(Some(self.name), rule, message, help);
        self.list.push(finding);
    }

    fn warning(&mut self, rule: &'static str, message: impl Into<String>, help: &str) {
        let finding = Finding::warning(Some(self.name), rule, message, help);
        self.list.push(finding);
    }

    fn placeholder(&mut self, what: &str) {
        let message = format!("{what} is a placeholder or a published example, not a secret");
        let help = "store a real one: `strongroom generate` makes it";
        self.violation(rule::PLACEHOLDER, message, help);
    }

    fn too_short(&mut self, what: &str, least: usize, unit: &str) {
        let message = format!("{what} has fewer than {least} {unit}");
        let help = "store a longer one: `strongroom generate` makes it";
        self.violation(rule::TOO_SHORT, message, help);
    }

    fn pattern(&mut self, what: &str, pattern: predictable::Pattern) {
        let (rule, made_of) = match pattern {
            predictable::Pattern::Repetition => (rule::REPETITION, "repetition"),
            predictable::Pattern::Sequence => (rule::SEQUENCE, "sequences or keyboard walks"),
            predictable::Pattern::Words => (rule::COMMON_WORDS, "common words and dates"),
        };
        let help = "store a random one: `strongroom generate` makes it";
        self.violation(rule, format!("{what} consists mostly of {made_of}"), help);
    }
}

#[cfg(test)]
mod tests;
