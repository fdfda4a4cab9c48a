//! The declared secrets at a glance: what deserves a look comes first.

use std::time::Duration;

use clap::builder::styling::Style;
use strongroom::provider::Description;
use strongroom::{Outcome as Found, SecretState, Source};

use crate::paint::{BAD, FAINT, GOOD, Marks, Span, WARNING};
use crate::table::Table;

/// How a secret stands, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A boot fails on it.
    Bad,
    /// It is not what production would take.
    Warning,
    Fine,
    /// It is not there, and need not be.
    None,
}

/// One secret as it is shown, to a terminal or on a page.
pub(super) struct Shown<'a> {
    pub(super) state: &'a SecretState,
    pub(super) rank: Rank,
    pub(super) word: &'static str,
    pub(super) version: Option<String>,
    pub(super) age: Option<String>,
    pub(super) grade: String,
    /// The provider, if it is not the one that was chosen.
    pub(super) elsewhere: Option<&'a str>,
}

/// Sorts secrets so that what a boot fails on comes first, then by name.
pub(super) fn shown<'a>(secrets: &'a [SecretState], provider: &Description) -> Vec<Shown<'a>> {
    let mut shown: Vec<_> = secrets
        .iter()
        .map(|state| Shown::of(state, provider))
        .collect();
    shown.sort_by(|a, b| (a.rank, &a.state.name).cmp(&(b.rank, &b.state.name)));
    shown
}

impl<'a> Shown<'a> {
    fn of(state: &'a SecretState, provider: &Description) -> Self {
        let (rank, word, present) = match &state.outcome {
            Found::Present(present) => match (present.ok, present.source) {
                (false, _) => (Rank::Bad, "weak", Some(present)),
                (true, Source::Default) => (Rank::Warning, "default", Some(present)),
                (true, Source::Snapshot) => (Rank::Warning, "snapshot", Some(present)),
                (true, _) => (Rank::Fine, "ok", Some(present)),
            },
            Found::Absent if state.required => (Rank::Bad, "absent", None),
            Found::Absent => (Rank::None, "absent (optional)", None),
            Found::Failed { kind } => (Rank::Bad, kind.as_str(), None),
            _ => (Rank::Bad, "unknown", None),
        };
        Self {
            state,
            rank,
            word,
            version: present.and_then(|present| Some(present.version.as_ref()?.to_string())),
            age: present.and_then(|present| present.age_seconds.map(age)),
            grade: present.map_or_else(String::new, |present| present.grade.to_string()),
            elsewhere: (state.provider != provider.address).then_some(state.provider.as_str()),
        }
    }
}

impl Rank {
    pub(super) fn mark(self, marks: &Marks) -> (&'static str, Style) {
        match self {
            Self::Bad => (marks.bad, BAD.bold()),
            Self::Warning => (marks.warning, WARNING),
            Self::Fine => (marks.ok, GOOD),
            Self::None => (marks.none, FAINT),
        }
    }
}

pub(super) fn table(secrets: &[Shown<'_>], marks: &Marks) -> Table {
    let heads = ["SECRET", "STATE", "AGE", "KIND", "VERSION", "GRADE"];
    let mut table = Table::new(heads).cut("VERSION");
    let dash = |cell: &Option<String>| Span::from(cell.as_deref().unwrap_or("-"));
    for shown in secrets {
        let Shown { state, word, .. } = shown;
        let (mark, style) = shown.rank.mark(marks);
        let name = match shown.elsewhere {
            Some(provider) => format!("{} (from {provider})", state.name),
            None => state.name.to_string(),
        };
        table.row([
            name.into(),
            Span::new(style, &format!("{mark} {word}")),
            dash(&shown.age),
            state.kind.to_string().into(),
            dash(&shown.version),
            shown.grade.as_str().into(),
        ]);
    }
    table
}

/// Counts the secrets by their states: `12 secrets: 1 absent, 11 ok`.
pub(super) fn summary(secrets: &[Shown<'_>]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for shown in secrets {
        match counts.iter_mut().find(|(word, _)| *word == shown.word) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => counts.push((shown.word, 1)),
        }
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let all = match secrets.len() {
        1 => "1 secret".to_owned(),
        all => format!("{all} secrets"),
    };
    format!("{all}: {}", counts.join(", "))
}

/// Shows an age by its two largest units: `3days 4h`.
fn age(seconds: u64) -> String {
    let whole = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    let units: Vec<&str> = whole.split(' ').take(2).collect();
    units.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_two_units_at_most() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (3_725, "1h 2m"),
            (864_000, "10days"),
        ] {
            assert_eq!(age(seconds), shown);
        }
    }
}
