//! The table of threats: a row for each, with what tries it in backticks. Other claims of the page have a line
//! that begins with `Held by`, and is read in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::Result;

const HEADER: &str = "| threat | asked for by | tried by | result |";
const CLAIM: &str = "Held by ";

/// The rows of the page's one table of threats.
pub(super) struct Table {
    rows: Vec<Row>,
    /// What holds the claims outside of the table.
    claims: Vec<Attempt>,
}

struct Row {
    line: usize,
    threat: String,
    asked_by: String,
    tried_by: String,
    attempts: Vec<Attempt>,
}

/// What tries a threat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attempt {
    /// A test by its name, or all of a module, whose name then ends in `::`.
    Tests(String),
    /// The arguments of a cargo command.
    Chore(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Held,
    Failed,
    NotRun,
}

impl Table {
    pub(super) fn parse(page: &str) -> Result<Self> {
        let rows = page
            .lines()
            .enumerate()
            .skip_while(|(_, line)| *line != HEADER)
            .skip(2)
            .take_while(|(_, line)| line.starts_with('|'))
            .map(|(line, text)| Row::parse(line, text))
            .collect::<Result<Vec<_>>>()?;
        let claims = page.lines().filter_map(|line| line.strip_prefix(CLAIM));
        let claims = claims.flat_map(attempts).collect();
        match rows.is_empty() {
            true => Err(format!("no table begins with `{HEADER}`")),
            false => Ok(Self { rows, claims }),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn attempts(&self) -> BTreeSet<Attempt> {
        let attempts = self.rows.iter().flat_map(|row| &row.attempts);
        attempts.chain(&self.claims).cloned().collect()
    }

    pub(super) fn with_results(&self, outcomes: &BTreeMap<Attempt, Outcome>) -> String {
        let rows = self.rows.iter().map(|row| row.with_result(outcomes));
        let head = [HEADER.to_owned(), "|---|---|---|---|".to_owned()];
        head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn page_with_results(
        &self,
        page: &str,
        outcomes: &BTreeMap<Attempt, Outcome>,
    ) -> String {
        let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
        for row in &self.rows {
            if let Some(line) = lines.get_mut(row.line) {
                *line = row.with_result(outcomes);
            }
        }
        lines.join("\n") + "\n"
    }

    /// Returns the threats and claims of which something failed or did not run.
    pub(super) fn not_held(&self, outcomes: &BTreeMap<Attempt, Outcome>) -> Vec<String> {
        let threats = self.rows.iter().filter_map(|row| {
            let open = open(&row.attempts, outcomes);
            (!open.is_empty()).then(|| format!("{} ({})", row.threat, open.join(", ")))
        });
        threats.chain(open(&self.claims, outcomes)).collect()
    }
}

impl Row {
    fn parse(line: usize, text: &str) -> Result<Self> {
        let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
        let [threat, asked_by, tried_by, _] = cells.as_slice() else {
            return Err(format!("`{text}` has {} cells, not 4", cells.len()));
        };
        let attempts: Vec<_> = attempts(tried_by).collect();
        if attempts.is_empty() {
            return Err(format!("nothing tries the threat `{threat}`"));
        }
        Ok(Self {
            line,
            threat: (*threat).to_owned(),
            asked_by: (*asked_by).to_owned(),
            tried_by: (*tried_by).to_owned(),
            attempts,
        })
    }

    fn with_result(&self, outcomes: &BTreeMap<Attempt, Outcome>) -> String {
        let open = open(&self.attempts, outcomes);
        let result = match open.is_empty() {
            true => "held".to_owned(),
            false => open.join(", "),
        };
        format!(
            "| {} | {} | {} | {result} |",
            self.threat, self.asked_by, self.tried_by
        )
    }
}

/// Reads what stands in backticks.
fn attempts(text: &str) -> impl Iterator<Item = Attempt> {
    let names = text.split('`').skip(1).step_by(2);
    names.map(|name| match name.strip_prefix("cargo ") {
        Some(args) => Attempt::Chore(args.to_owned()),
        None => Attempt::Tests(name.to_owned()),
    })
}

fn open(attempts: &[Attempt], outcomes: &BTreeMap<Attempt, Outcome>) -> Vec<String> {
    let open = attempts.iter().filter_map(|attempt| {
        let outcome = outcomes.get(attempt).copied().unwrap_or(Outcome::NotRun);
        (outcome != Outcome::Held).then(|| format!("{outcome}: `{attempt}`"))
    });
    open.collect()
}

impl Attempt {
    pub(super) fn covers(&self, test: &str) -> bool {
        match self {
            Self::Tests(name) if name.ends_with("::") => test.starts_with(name.as_str()),
            Self::Tests(name) => test == name,
            Self::Chore(_) => false,
        }
    }

    /// Returns nextest's expression for the tests that are meant.
    pub(super) fn filter(&self) -> Option<String> {
        match self {
            Self::Tests(name) if name.ends_with("::") => Some(format!("test(/^{name}/)")),
            Self::Tests(name) => Some(format!("test(={name})")),
            Self::Chore(_) => None,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tests(name) => f.write_str(name),
            Self::Chore(args) => write!(f, "cargo {args}"),
        }
    }
}

impl Outcome {
    pub(super) fn of(success: bool) -> Self {
        match success {
            true => Self::Held,
            false => Self::Failed,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Failed => "FAILED",
            Self::NotRun => "did not run",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
before
| threat | asked for by | tried by | result |
|---|---|---|---|
| a FIFO | model | `attacks::fifo`, `cargo xtask fuzz` | held |
| a device | review | `attacks::` | held |

after
";

    fn outcomes(fifo: Outcome) -> BTreeMap<Attempt, Outcome> {
        BTreeMap::from([
            (Attempt::Tests("attacks::fifo".to_owned()), fifo),
            (Attempt::Chore("xtask fuzz".to_owned()), Outcome::Held),
            (Attempt::Tests("attacks::".to_owned()), Outcome::Held),
        ])
    }

    #[test]
    fn held_changes_nothing_and_a_failure_is_named() {
        let table = Table::parse(PAGE).unwrap();
        assert_eq!(
            table.page_with_results(PAGE, &outcomes(Outcome::Held)),
            PAGE
        );
        assert!(table.not_held(&outcomes(Outcome::Held)).is_empty());
        let failed = outcomes(Outcome::Failed);
        assert_eq!(
            table.not_held(&failed),
            ["a FIFO (FAILED: `attacks::fifo`)"]
        );
        let page = table.page_with_results(PAGE, &failed);
        assert!(page.contains("| FAILED: `attacks::fifo` |"), "{page}");
    }

    #[test]
    fn what_was_not_run_is_not_held() {
        let table = Table::parse(PAGE).unwrap();
        assert_eq!(table.not_held(&BTreeMap::new()).len(), 2);
    }

    #[test]
    fn a_claim_outside_of_the_table_is_held_too() {
        let page = format!("{PAGE}\nHeld by `names::` and `names::one`.\n");
        let table = Table::parse(&page).unwrap();
        let mut outcomes = outcomes(Outcome::Held);
        outcomes.insert(Attempt::Tests("names::".to_owned()), Outcome::Held);
        assert_eq!(table.not_held(&outcomes), ["did not run: `names::one`"]);
    }

    #[test]
    fn a_threat_that_nothing_tries_is_refused() {
        let page = PAGE.replace("`attacks::`", "reading");
        let failure = Table::parse(&page).err().unwrap();
        assert_eq!(failure, "nothing tries the threat `a device`");
        assert!(Table::parse("no table").is_err());
    }

    #[test]
    fn a_module_covers_its_tests_only() {
        let module = Attempt::Tests("attacks::".to_owned());
        assert!(module.covers("attacks::fifo") && !module.covers("attacks"));
        let test = Attempt::Tests("attacks::fifo".to_owned());
        assert!(test.covers("attacks::fifo") && !test.covers("attacks::fifo_too"));
    }
}
