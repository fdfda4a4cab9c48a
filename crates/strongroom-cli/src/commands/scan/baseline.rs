//! The baseline: findings that are known, and are not reported again.
//!
//! It holds neither a value nor a hash of one. A finding is known again by rule, path and
//! [`Tag`](super::finding::Tag), whose key stands in the file.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};
use strongroom::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::finding::{Finding, Place, Tag, Tagger};
use super::rules;
use crate::files::{self, failed};

/// The version of the form.
const SCHEMA: u32 = 1;

/// The most bytes of a baseline.
const MOST: usize = 64 * 1024 * 1024;

/// What is known already.
pub(super) struct Baseline {
    pub(super) tagger: Tagger,
    entries: Vec<Entry>,
}

/// One text in one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) rule: String,
    tag: String,
    /// It is in the history and not in the tree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    history: bool,
    /// Why it may stay, written by people.
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    key: String,
    findings: Vec<Entry>,
}

/// What a scan could have found.
pub(super) struct Scope<'a> {
    pub(super) looked_at: &'a dyn Fn(&str) -> bool,
    pub(super) history: bool,
    pub(super) known: bool,
}

impl Baseline {
    /// Starts an empty one.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            tagger: Tagger::random()?,
            entries: Vec::new(),
        })
    }

    /// Reads one; `None` if there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match files::read(path, MOST) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", path, error)),
        };
        Self::parse(&bytes).map(Some).map_err(|what| {
            let message = format!("{} is no baseline: {what}", path.display());
            Error::new(ErrorKind::Config, message)
                .with_help("take it from version control, or write a new one with --write-baseline")
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        // The parser's own message would quote what it read.
        let file: File = serde_json::from_slice(bytes).map_err(|error| {
            format!(
                "line {}, column {} is not of its form",
                error.line(),
                error.column()
            )
        })?;
        if file.schema != SCHEMA {
            return Err(format!("its schema is not {SCHEMA}"));
        }
        let mut key = Zeroizing::new(vec![0; 32]);
        let decoded = base16ct::lower::decode(&file.key, &mut key);
        if decoded.map(<[u8]>::len) != Ok(32) {
            return Err("its key is not 64 hexadecimal digits".to_owned());
        }
        if let Some(wrong) = file
            .findings
            .iter()
            .position(|entry| Tag::parse(&entry.tag).is_none())
        {
            return Err(format!(
                "the tag of finding {} is not six hexadecimal digits",
                wrong.saturating_add(1)
            ));
        }
        Ok(Self {
            tagger: Tagger::new(key),
            entries: file.findings,
        })
    }

    fn index(&self) -> Index<'_> {
        let mut index = HashMap::new();
        for (at, entry) in self.entries.iter().enumerate() {
            if let Some(tag) = Tag::parse(&entry.tag) {
                let key = (entry.path.as_str(), entry.rule.as_str(), tag);
                let known = index.entry(key).or_insert((at, entry.history));
                if known.1 && !entry.history {
                    *known = (at, false);
                }
            }
        }
        Index(index)
    }

    /// Takes the known ones out of the findings. Returns how many were, and the entries that were not found.
    pub(super) fn apply(
        &self,
        findings: &mut Vec<Finding>,
        scope: &Scope<'_>,
    ) -> (usize, Vec<&Entry>) {
        let before = findings.len();
        let index = self.index();
        let mut met = BTreeSet::new();
        findings.retain(|finding| match index.of(finding) {
            Some(at) => {
                met.insert(at);
                false
            }
            None => true,
        });
        let all = self.entries.iter().enumerate();
        let gone = all.filter(|(at, entry)| !met.contains(at) && scope.covers(entry));
        let gone = gone.map(|(_, entry)| entry).collect();
        (before.saturating_sub(findings.len()), gone)
    }

    /// Writes the findings as known. Reasons of those that stay are kept, as is what this scan did not cover.
    pub(super) fn write(
        &self,
        path: &Path,
        findings: &[Finding],
        scope: &Scope<'_>,
        reason: &str,
    ) -> Result<usize> {
        let uncovered = self.entries.iter().filter(|entry| !scope.covers(entry));
        let mut entries: BTreeSet<Entry> = uncovered.cloned().collect();
        let index = self.index();
        for finding in findings {
            let known = index.of(finding).and_then(|at| self.entries.get(at));
            entries.insert(known.cloned().unwrap_or_else(|| Entry {
                path: finding.path.clone(),
                rule: finding.rule.to_owned(),
                tag: finding.tag.to_string(),
                history: matches!(finding.place, Place::History(_)),
                reason: reason.to_owned(),
            }));
        }
        let file = File {
            schema: SCHEMA,
            key: self.tagger.to_text(),
            findings: entries.into_iter().collect(),
        };
        let count = file.findings.len();
        let mut text = serde_json::to_string_pretty(&file).map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                "the baseline can't be written as JSON",
            )
        })?;
        text.push('\n');
        match path.exists() {
            true => files::replace(path, text.as_bytes())?,
            // It is for the repository, and holds nothing that is secret by itself.
            false => files::create(path, text.as_bytes(), 0o644)?,
        }
        Ok(count)
    }
}

/// Finds entries by what they are known by.
struct Index<'a>(HashMap<Key<'a>, (usize, bool)>);

type Key<'a> = (&'a str, &'a str, Tag);

impl Index<'_> {
    /// What is accepted in the tree is accepted in the history, and not the other way round.
    fn of(&self, finding: &Finding) -> Option<usize> {
        let key = (finding.path.as_str(), finding.rule, finding.tag);
        let (at, only_history) = self.0.get(&key).copied()?;
        (!only_history || finding.place != Place::Tree).then_some(at)
    }
}

impl Scope<'_> {
    fn covers(&self, entry: &Entry) -> bool {
        let is_known = entry.rule == super::known::RULE;
        let is_looked_at = match entry.history {
            true => self.history,
            false => (self.looked_at)(&entry.path),
        };
        is_looked_at && (self.known || !is_known) && rules::describe(&entry.rule).is_some()
    }
}
