//! The values of the declared secrets, in all their forms.

use std::ops::Range;

use serde::Serialize;
use strongroom::{Connection, Declared, Error, ErrorKind, Secret, SecretName, Source};

use super::finding::Finding;
use crate::context::Context;
use crate::exit::Failure;
use crate::forms::{Form, KnownForms};

/// The rule's identifier.
pub(super) const RULE: &str = "known-value";

/// What is searched for; nothing, where only rules are.
#[derive(Default)]
pub(super) struct Known {
    forms: Option<KnownForms>,
    pub(super) searched: usize,
    pub(super) unsearched: Vec<Unsearched>,
}

/// A declared secret whose value is not searched for.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Unsearched {
    pub(super) name: SecretName,
    pub(super) reason: String,
}

/// A value in a text.
pub(super) struct Found<'a> {
    pub(super) secret: &'a SecretName,
    pub(super) range: Range<usize>,
    form: Form,
}

impl Found<'_> {
    /// Names the secret and the form in a finding.
    pub(super) fn name(&self, finding: Finding) -> Finding {
        Finding {
            secret: Some(self.secret.clone()),
            form: Some(id(self.form)),
            ..finding
        }
    }
}

impl Known {
    /// Reads every declared secret. Without a declaration there is nothing to read, and no provider needed.
    pub(super) fn read(context: &Context<'_>) -> Result<Self, Failure> {
        if context.builder()?.explain()?.manifest.is_none() {
            return Ok(Self::default());
        }
        context.connected(async |connection| {
            // A dynamic secret is another one for each reader: asking would only make a new one.
            let is_lent = |declared: &&Declared| {
                let source = declared.source.as_ref();
                source.is_some_and(|source| source.lease)
            };
            let (lent, held): (Vec<_>, Vec<_>) = connection.declared().partition(is_lent);
            let names: Vec<_> = held.iter().map(|declared| declared.name.clone()).collect();
            let answers = connection.fetch(&names).await;
            let mut known = Self::of(connection, names.into_iter().zip(answers))?;
            known
                .unsearched
                .extend(lent.iter().map(|declared| Unsearched {
                    name: declared.name.clone(),
                    reason:
                        "it is a dynamic secret, of which each reader has another value".to_owned(),
                }));
            Ok(known)
        })
    }

    fn of(
        connection: &Connection,
        answers: impl Iterator<Item = (SecretName, Result<Secret, Error>)>,
    ) -> Result<Self, Error> {
        let (mut values, mut unsearched) = (Vec::new(), Vec::new());
        for (name, answer) in answers {
            let is_optional = || {
                connection
                    .declaration(name.as_str())
                    .is_some_and(|known| !known.required)
            };
            let reason = match answer {
                // It stands in the manifest, where everybody may read it.
                Ok(secret) if secret.metadata().source() == Source::Default => {
                    "its default stands in the manifest"
                }
                Ok(secret) => {
                    values.push((name, secret));
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Absent => match is_optional() {
                    true => continue,
                    false => "it has no value",
                },
                // Whoever asks for known values must not hear that there are none.
                Err(error) => return Err(error.with_name(&name)),
            };
            let reason = reason.to_owned();
            unsearched.push(Unsearched { name, reason });
        }
        let (forms, warnings) = KnownForms::new(values.iter().map(|(name, secret)| (name, secret)));
        let searched = values.len().saturating_sub(warnings.len());
        unsearched.extend(warnings.into_iter().filter_map(|warning| {
            let reason = warning.message.to_string();
            let name = warning.name?;
            Some(Unsearched { name, reason })
        }));
        let forms = (!forms.is_empty()).then_some(forms);
        Ok(Self {
            forms,
            searched,
            unsearched,
        })
    }

    /// Finds every value in a text.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Found<'_>> {
        let Some(forms) = &self.forms else {
            return Vec::new();
        };
        let offset = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let mut all: Vec<Found<'_>> = Vec::new();
        for found in forms.find(text) {
            let range = offset(found.offset)..offset(found.offset.saturating_add(found.length));
            // With its neighbours' characters a form begins at several places.
            let is_new =
                |known: &Found<'_>| known.secret != found.name || known.range.end <= range.start;
            if all.last().is_none_or(is_new) {
                all.push(Found {
                    secret: found.name,
                    range,
                    form: found.form,
                });
            }
        }
        all
    }
}

/// Masks parts of a text.
pub(super) fn masked(text: &str, ranges: &[Range<usize>]) -> String {
    let mut ranges: Vec<_> = ranges.to_vec();
    ranges.sort_by_key(|range| range.start);
    let mut shown = String::new();
    let mut at = 0_usize;
    for range in ranges {
        if range.end <= at {
            continue;
        }
        // Where a value ends within a character, nothing of the character is shown.
        shown.push_str(text.get(at..range.start).unwrap_or_default());
        shown.push_str("[REDACTED]");
        at = range.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    shown
}

/// The forms as JSON names them, and as people do.
const FORMS: &[(Form, &str, &str)] = &[
    (Form::Raw, "raw", "as it is"),
    (Form::Shell, "shell", "quoted for a shell"),
    (Form::Json, "json", "escaped for JSON"),
    (Form::Hex, "hex", "in hexadecimal"),
    (Form::Base64, "base64", "in base64"),
    (Form::Base64Url, "base64-url", "in base64url"),
    (Form::Percent, "percent", "percent-encoded"),
];

fn id(form: Form) -> &'static str {
    let found = FORMS.iter().find(|(known, ..)| *known == form);
    found.map_or("raw", |(_, id, _)| id)
}

/// Says for people how a value was written.
pub(super) fn phrase(id: &str) -> &'static str {
    let found = FORMS.iter().find(|(_, known, _)| *known == id);
    found.map_or("as it is", |(.., phrase)| phrase)
}
