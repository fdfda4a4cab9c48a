//! `cargo xtask security`: runs what tries each threat of docs/security.md, and prints the table with the results.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;

use crate::Result;
use crate::command::{cargo, output, run as run_command};
use crate::servers::Servers;
use crate::workspace::{Workspace, root};

mod table;

use table::{Attempt, Outcome, Table};

const PAGE: &str = "docs/security.md";

/// Runs every test and chore that the table names. With `write`, the page gets the results.
pub(crate) fn run(write: bool) -> Result<()> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|error| format!("can't read {PAGE}: {error}"))?;
    let table = Table::parse(&page)?;
    let attempts = table.attempts();
    let mut outcomes = run_tests(&attempts)?;
    for attempt in &attempts {
        if let Attempt::Chore(args) = attempt {
            let ended = run_command(cargo(&args.split(' ').collect::<Vec<_>>()));
            outcomes.insert(attempt.clone(), Outcome::of(ended.is_ok()));
        }
    }
    println!("{}", table.with_results(&outcomes));
    if write {
        fs::write(&path, table.page_with_results(&page, &outcomes))
            .map_err(|error| format!("can't write {PAGE}: {error}"))?;
    }
    let open = table.not_held(&outcomes);
    match open.is_empty() {
        true => Ok(()),
        false => Err(format!("not held: {}", open.join("; "))),
    }
}

/// Checks that every test which the table names exists, so that a renamed one can't go unnoticed.
pub(crate) fn check() -> Result<String> {
    let page = fs::read_to_string(root().join(PAGE))
        .map_err(|error| format!("can't read {PAGE}: {error}"))?;
    let table = Table::parse(&page)?;
    let listed = output(cargo(&[
        "test",
        "--locked",
        "--quiet",
        "--workspace",
        "--all-features",
        "--lib",
        "--bins",
        "--tests",
        "--",
        "--list",
    ]))?;
    let known: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let missing: Vec<String> = table
        .attempts()
        .iter()
        .filter(|attempt| matches!(attempt, Attempt::Tests(_)))
        .filter(|attempt| !known.iter().any(|test| attempt.covers(test)))
        .map(ToString::to_string)
        .collect();
    match missing.is_empty() {
        true => Ok(format!("{} threats", table.len())),
        false => Err(format!("{PAGE} names no test: {}", missing.join(", "))),
    }
}

fn run_tests(attempts: &BTreeSet<Attempt>) -> Result<BTreeMap<Attempt, Outcome>> {
    let filter: Vec<String> = attempts.iter().filter_map(Attempt::filter).collect();
    let servers = Servers::start(&Workspace::load()?.target_dir)?;
    let mut command = cargo(&[
        "nextest",
        "run",
        "--locked",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
        "--color=never",
        "--status-level=all",
        "--final-status-level=none",
        "-E",
        &filter.join(" | "),
    ]);
    command.envs(servers.variables());
    // Its report goes to standard error, and tells of each test in a line.
    let ended = command
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("can't start `cargo nextest`: {error}"))?;
    let report = String::from_utf8_lossy(&ended.stderr).into_owned();
    eprint!("{report}");
    Ok(attempts
        .iter()
        .filter(|attempt| matches!(attempt, Attempt::Tests(_)))
        .map(|attempt| (attempt.clone(), judge(attempt, &report)))
        .collect())
}

/// Judges by the lines of the report: every test that is meant has to have run, and to have passed.
fn judge(attempt: &Attempt, report: &str) -> Outcome {
    let mut outcome = Outcome::NotRun;
    for line in report.lines() {
        let mut words = line.split_whitespace();
        let (status, test) = (words.next(), words.next_back());
        if !test.is_some_and(|test| attempt.covers(test)) {
            continue;
        }
        match status {
            // What is slow is told of again when it ends; what is ignored is started by other tests.
            Some("SLOW" | "SKIP") => {}
            Some("PASS" | "LEAK") if outcome == Outcome::Failed => {}
            Some("PASS" | "LEAK") => outcome = Outcome::Held,
            _ => outcome = Outcome::Failed,
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
        PASS [   0.011s] (1/3) strongroom::it attacks::fifo
        FAIL [   0.012s] (2/3) strongroom::it attacks::device
        SLOW [> 60.000s] (---) strongroom::it attacks::slow
";

    #[test]
    fn a_test_holds_if_it_passed() {
        let judged = |name: &str| judge(&Attempt::Tests(name.to_owned()), REPORT);
        assert_eq!(judged("attacks::fifo"), Outcome::Held);
        assert_eq!(judged("attacks::device"), Outcome::Failed);
        assert_eq!(judged("attacks::slow"), Outcome::NotRun);
        assert_eq!(judged("attacks::unknown"), Outcome::NotRun);
    }

    #[test]
    fn a_module_holds_if_all_its_tests_passed() {
        let module = Attempt::Tests("attacks::".to_owned());
        assert_eq!(judge(&module, REPORT), Outcome::Failed);
        let passed = REPORT.replace("FAIL", "PASS");
        assert_eq!(judge(&module, &passed), Outcome::Held);
    }
}
