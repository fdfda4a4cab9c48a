//! What a scan came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use strongroom::SecretName;

use super::baseline::Entry;
use super::finding::{Finding, Place};
use super::known::Unsearched;
use super::looked::{Looked, Reason};
use super::{rules, sarif};
use crate::context::Context;
use crate::exit::Failure;

/// The most paths of one reason that are shown.
const SHOWN: usize = 5;

/// What a scan came to.
pub(super) struct Outcome<'a> {
    pub(super) looked: &'a Looked,
    /// How many findings the baseline knows.
    pub(super) in_baseline: usize,
    pub(super) gone: Vec<&'a Entry>,
    /// How many values were searched for; nothing, if none were to be.
    pub(super) searched: Option<usize>,
    pub(super) unsearched: &'a [Unsearched],
}

#[derive(Serialize)]
struct Body<'a> {
    ok: bool,
    findings: Vec<Item<'a>>,
    in_baseline: usize,
    gone: Vec<Gone<'a>>,
    allowed: usize,
    searched: Option<usize>,
    unsearched: &'a [Unsearched],
    looked_at: LookedAt,
    skipped: Vec<SkippedItem<'a>>,
    ignored: u64,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Item<'a> {
    rule: &'a str,
    path: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    secret: Option<&'a SecretName>,
    form: Option<&'a str>,
    history: bool,
    commit: Option<&'a str>,
    message: String,
}

#[derive(Serialize)]
struct Gone<'a> {
    rule: &'a str,
    path: &'a str,
}

#[derive(Serialize)]
struct LookedAt {
    files: u64,
    objects: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct SkippedItem<'a> {
    path: &'a str,
    reason: &'static str,
}

impl Outcome<'_> {
    pub(super) fn json(&self, context: &Context<'_>) -> Result<(), Failure> {
        let looked = self.looked;
        context.screen.json(&Body {
            ok: looked.findings.is_empty() && looked.inconclusive().is_none(),
            findings: looked.findings.iter().map(item).collect(),
            in_baseline: self.in_baseline,
            gone: self
                .gone
                .iter()
                .map(|entry| Gone {
                    rule: &entry.rule,
                    path: &entry.path,
                })
                .collect(),
            allowed: looked.allowed,
            searched: self.searched,
            unsearched: self.unsearched,
            looked_at: LookedAt {
                files: looked.files,
                objects: looked.objects,
                bytes: looked.bytes,
            },
            skipped: looked
                .skipped
                .iter()
                .map(|skipped| SkippedItem {
                    path: &skipped.path,
                    reason: skipped.reason.as_str(),
                })
                .collect(),
            ignored: looked.ignored,
            notes: &looked.notes,
        })
    }

    /// The findings on standard output, if they are wanted there, the rest on standard error.
    pub(super) fn text(&self, context: &Context<'_>, with_findings: bool) -> Result<(), Failure> {
        let looked = self.looked;
        if with_findings && !looked.findings.is_empty() {
            context.screen.text(&grouped(&looked.findings))?;
        }
        let mut said = Vec::new();
        said.push(self.summary());
        for Unsearched { name, reason } in self.unsearched {
            said.push(format!("not searched for: {name}: {reason}"));
        }
        said.extend(left_out(looked));
        said.extend(looked.notes.iter().cloned());
        if !self.gone.is_empty() {
            let paths: Vec<_> = self
                .gone
                .iter()
                .map(|entry| format!("{} [{}]", one_line(&entry.path), entry.rule))
                .collect();
            said.push(format!(
                "in the baseline and not found any more: {}",
                few(&paths)
            ));
        }
        context.screen.done(&said.join("\n"));
        Ok(())
    }

    fn summary(&self) -> String {
        let looked = self.looked;
        let mut text = match looked.findings.len() {
            0 => "nothing found".to_owned(),
            1 => "1 finding".to_owned(),
            all => format!("{all} findings"),
        };
        let _ = write!(text, " in {}", counted(looked.files, "file"));
        if looked.objects > 0 {
            let _ = write!(
                text,
                " and {} of the history",
                counted(looked.objects, "object")
            );
        }
        match self.searched {
            Some(0) => text.push_str("; no secret is declared, so no value was searched for"),
            Some(values) => {
                let _ = write!(text, "; {} searched for", counted(values as u64, "value"));
            }
            None => text.push_str("; values were not searched for (--no-known)"),
        }
        if self.in_baseline > 0 {
            let _ = write!(text, "; {} in the baseline", self.in_baseline);
        }
        if looked.allowed > 0 {
            let _ = write!(text, "; {} allowed by comments", looked.allowed);
        }
        text
    }
}

fn item(finding: &Finding) -> Item<'_> {
    let (history, commit) = match &finding.place {
        Place::Tree => (false, None),
        Place::History(commit) => (true, commit.as_deref()),
    };
    let is_place = finding.line > 0;
    Item {
        rule: finding.rule,
        path: &finding.path,
        line: is_place.then_some(finding.line),
        column: is_place.then_some(finding.column),
        secret: finding.secret.as_ref(),
        form: finding.form,
        history,
        commit,
        message: sarif::message(finding),
    }
}

/// Lays the findings out by file, and says of each rule what to do.
fn grouped(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut file = None;
    let mut helps: BTreeMap<&str, &str> = BTreeMap::new();
    for finding in findings {
        let here = Some((&finding.path, &finding.place));
        if here != file {
            let place = match &finding.place {
                Place::Tree => String::new(),
                Place::History(Some(commit)) => {
                    format!(" (first in commit {})", commit.get(..12).unwrap_or(commit))
                }
                Place::History(None) => " (in the index)".to_owned(),
            };
            let _ = writeln!(text, "{}{place}", one_line(&finding.path));
            file = here;
        }
        let at = match finding.line {
            0 => "file".to_owned(),
            line => format!("{line}:{}", finding.column),
        };
        let _ = writeln!(
            text,
            "  {at:<8} {} [{}]",
            sarif::message(finding),
            finding.rule
        );
        let (_, help) = rules::describe(finding.rule).unwrap_or_default();
        helps.insert(finding.rule, help);
    }
    let mut by_help: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (rule, help) in helps {
        by_help.entry(help).or_default().push(rule);
    }
    for (help, rules) in by_help {
        let _ = write!(text, "\n{}:\n  {help}", rules.join(", "));
    }
    text
}

fn left_out(looked: &Looked) -> Vec<String> {
    let mut by_reason: BTreeMap<Reason, Vec<String>> = BTreeMap::new();
    for skipped in &looked.skipped {
        by_reason
            .entry(skipped.reason)
            .or_default()
            .push(one_line(&skipped.path));
    }
    let mut said: Vec<_> = by_reason
        .into_iter()
        .map(|(reason, paths)| {
            format!(
                "not looked at: {}: {}",
                reason.describe(paths.len()),
                few(&paths)
            )
        })
        .collect();
    if looked.ignored > 0 {
        said.push(format!(
            "not looked at: {} that .gitignore names (--no-ignore)",
            counted(looked.ignored, "entry").replace("entrys", "entries")
        ));
    }
    said
}

fn few(paths: &[String]) -> String {
    let shown = paths.get(..SHOWN).unwrap_or(paths);
    let rest = paths.len().saturating_sub(shown.len());
    match rest {
        0 => shown.join(", "),
        rest => format!("{}, and {rest} more", shown.join(", ")),
    }
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// A name with a line break in it must not look like a second line.
fn one_line(path: &str) -> String {
    path.replace('\n', "\u{fffd}")
}
