//! Finds secret-looking literals in text, by the table of [`rules`](super::rules).

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use strongroom::{Error, ErrorKind, Result};

use super::rules::RULES;

/// The rules, compiled.
pub(super) struct Literals {
    keywords: AhoCorasick,
    /// The rule of each keyword.
    owners: Vec<usize>,
    patterns: Vec<Regex>,
}

/// Where a rule found something.
pub(super) struct Literal {
    pub(super) rule: &'static str,
    pub(super) range: Range<usize>,
}

impl Literals {
    pub(super) fn new() -> Result<Self> {
        let keywords = RULES.iter().flat_map(|rule| rule.keywords);
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(keywords)
            .map_err(|_| broken())?;
        let owners = RULES.iter().enumerate();
        let owners = owners.flat_map(|(at, rule)| rule.keywords.iter().map(move |_| at));
        let patterns = RULES.iter().map(|rule| {
            // Rules are about bytes; tables of Unicode would be paid for at each start.
            let mut pattern = RegexBuilder::new(rule.pattern);
            pattern.unicode(false).build().map_err(|_| broken())
        });
        Ok(Self {
            keywords,
            owners: owners.collect(),
            patterns: patterns.collect::<Result<_>>()?,
        })
    }

    /// Finds every literal. Of rules that find the same, the first of the table counts.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Literal> {
        let mut is_due = vec![false; RULES.len()];
        for hit in self.keywords.find_overlapping_iter(text) {
            let owner = self.owners.get(hit.pattern().as_usize());
            if let Some(due) = owner.and_then(|owner| is_due.get_mut(*owner)) {
                *due = true;
            }
        }
        // By where they begin: what a rule finds within another's find is the same.
        let mut found: BTreeMap<usize, Literal> = BTreeMap::new();
        for ((rule, pattern), is_due) in RULES.iter().zip(&self.patterns).zip(is_due) {
            if !is_due {
                continue;
            }
            for captures in pattern.captures_iter(text) {
                let Some(secret) = captures.get(1) else {
                    continue;
                };
                let range = secret.range();
                let before = found.range(..range.end).next_back();
                let is_new = before.is_none_or(|(_, known)| known.range.end <= range.start);
                let text = std::str::from_utf8(secret.as_bytes());
                if is_new && text.is_ok_and(rule.is_real) {
                    let rule = rule.id;
                    found.insert(range.start, Literal { rule, range });
                }
            }
        }
        found.into_values().collect()
    }
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the rules for literals can't be compiled",
    )
}
