//! What stands in one text: known values, literals, logging, and whether the file is a secret as a whole.

use std::ops::Range;
use std::path::Path;

use strongroom::Result;

use super::finding::{Finding, Place, Tagger};
use super::known::{self, Known};
use super::lines::Lines;
use super::literals::Literals;
use super::logging::{self, Logging};
use super::secret_files;

/// How much of a file is looked at for a NUL, which text has not.
const BINARY_PREFIX: usize = 8192;

/// Looks for everything at once.
pub(super) struct Examiner {
    known: Known,
    literals: Literals,
    logging: Logging,
    tagger: Tagger,
}

/// What came of one text.
#[derive(Default)]
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    /// How many findings their own lines allow.
    pub(super) allowed: usize,
}

impl Examiner {
    pub(super) fn new(known: Known, tagger: Tagger) -> Result<Self> {
        Ok(Self {
            known,
            literals: Literals::new()?,
            logging: Logging::new()?,
            tagger,
        })
    }

    /// Returns a path as it may be shown. A secret in it is masked.
    pub(super) fn shown(&self, path: &Path) -> String {
        let text = path.to_string_lossy();
        let known = self.known.find(text.as_bytes()).into_iter();
        let mut ranges: Vec<_> = known.map(|found| found.range).collect();
        let literals = self.literals.find(text.as_bytes());
        ranges.extend(literals.into_iter().map(|literal| literal.range));
        match ranges.is_empty() {
            true => text.into_owned(),
            false => known::masked(&text, &ranges),
        }
    }

    /// Looks at the name and the contents of a file.
    pub(super) fn examine(&self, path: &Path, place: &Place, bytes: &[u8]) -> Examined {
        let mut examined = Examined::default();
        let name = path.as_os_str().as_encoded_bytes();
        let mut shown = None;
        let mut shown = || shown.get_or_insert_with(|| self.shown(path)).clone();
        let mut lines = Lines::of(bytes);
        let mut add = |rule, position: Option<(usize, usize)>, text: &[u8]| {
            let (line, column) = position.unwrap_or_default();
            Finding {
                path: shown(),
                place: place.clone(),
                line,
                column,
                rule,
                secret: None,
                form: None,
                tag: self.tagger.tag(rule, text),
            }
        };
        for found in self.known.find(name) {
            let finding = add(known::RULE, None, found.secret.as_str().as_bytes());
            examined.findings.push(found.name(finding));
        }
        let known = self.known.find(bytes);
        for found in &known {
            let finding = add(
                known::RULE,
                Some(lines.position(found.range.start)),
                found.secret.as_str().as_bytes(),
            );
            examined.findings.push(found.name(finding));
        }
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        if secret_files::is_secret(&file_name, bytes) {
            examined.findings.push(add(secret_files::RULE, None, b""));
            return examined;
        }
        if is_binary(bytes) {
            return examined;
        }
        let literals = self.literals.find(bytes).into_iter();
        let literals = literals.map(|literal| (literal.rule, literal.range));
        let logged = self.logging.find(path, bytes).into_iter();
        let logged = logged.map(|range| (logging::RULE, range));
        let known = joined(known.into_iter().map(|found| found.range).collect());
        for (rule, range) in literals.chain(logged) {
            let next = known.partition_point(|known| known.end <= range.start);
            if known.get(next).is_some_and(|known| known.start < range.end) {
                continue;
            }
            if lines.allows(range.start, rule) {
                examined.allowed = examined.allowed.saturating_add(1);
                continue;
            }
            let text = bytes.get(range.clone()).unwrap_or_default();
            let position = lines.position(range.start);
            examined.findings.push(add(rule, Some(position), text));
        }
        examined
    }

    pub(super) fn tagger(&self) -> &Tagger {
        &self.tagger
    }
}

/// Joins ranges that overlap, and puts them in order.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn is_binary(bytes: &[u8]) -> bool {
    let start = bytes.get(..BINARY_PREFIX).unwrap_or(bytes);
    start.contains(&0)
}
