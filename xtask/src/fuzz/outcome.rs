//! What libFuzzer says at the end of a run.

use std::fmt;
use std::path::PathBuf;

/// What came of one target.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) target: String,
    executions: u64,
    per_second: u64,
    /// The longest that one input took, in seconds.
    slowest: u64,
    ended_well: bool,
    log: PathBuf,
}

impl Outcome {
    /// Reads what a target wrote. Without its count it did not run.
    pub(super) fn read(target: &str, ended_well: bool, written: &str, log: PathBuf) -> Self {
        let stat = |name: &str| {
            let mut lines = written.lines().rev();
            let found = lines.find_map(|line| line.strip_prefix(name));
            found.and_then(|number| number.trim().parse().ok())
        };
        let executions = stat("stat::number_of_executed_units:");
        Self {
            target: target.to_owned(),
            executions: executions.unwrap_or(0),
            per_second: stat("stat::average_exec_per_sec:").unwrap_or(0),
            slowest: stat("stat::slowest_unit_time_sec:").unwrap_or(0),
            ended_well: ended_well && executions.is_some(),
            log,
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.ended_well
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} executions", self.target, self.executions)?;
        match self.ended_well {
            true => Ok(()),
            false => write!(f, ", FAILED: {}", self.log.display()),
        }
    }
}

/// All outcomes, as a table of Markdown.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut table = "| target | executions | per second | slowest input | failures |\n\
                     |---|---:|---:|---:|---:|\n"
        .to_owned();
    for outcome in outcomes {
        let slowest = match outcome.slowest {
            0 => "under 1 s".to_owned(),
            seconds => format!("{seconds} s"),
        };
        table.push_str(&format!(
            "| `{}` | {} | {} | {slowest} | {} |\n",
            outcome.target,
            grouped(outcome.executions),
            grouped(outcome.per_second),
            u8::from(!outcome.ended_well),
        ));
    }
    let total = outcomes.iter().map(|outcome| outcome.executions);
    let total = total.fold(0_u64, u64::saturating_add);
    let failed = outcomes.iter().filter(|outcome| !outcome.ended_well);
    table.push_str(&format!(
        "| all {} | {} | | | {} |\n",
        outcomes.len(),
        grouped(total),
        failed.count()
    ));
    table
}

/// A number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(at);
        if at > 0 && left.checked_rem(3) == Some(0) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "#2\tINITED\nDone 1577319 runs in 9 second(s)\n\
        stat::number_of_executed_units: 1577319\nstat::average_exec_per_sec:     175257\n\
        stat::new_units_added:          40\nstat::slowest_unit_time_sec:    0\n";

    fn read(target: &str, ended_well: bool, written: &str) -> Outcome {
        Outcome::read(target, ended_well, written, PathBuf::from("x.log"))
    }

    #[test]
    fn counts_are_read_and_summed() {
        let outcomes = [read("name", true, WRITTEN), read("toml", false, WRITTEN)];
        assert!(outcomes[0].is_clean() && !outcomes[1].is_clean());
        let table = table(&outcomes);
        for row in [
            "| `name` | 1,577,319 | 175,257 | under 1 s | 0 |",
            "| `toml` | 1,577,319 | 175,257 | under 1 s | 1 |",
            "| all 2 | 3,154,638 | | | 1 |",
        ] {
            assert!(table.contains(row), "{table}");
        }
    }

    #[test]
    fn a_target_that_told_no_count_failed() {
        let outcome = read("name", true, "");
        assert!(!outcome.is_clean());
        assert!(outcome.to_string().contains("x.log"), "{outcome}");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (100_000_000, "100,000,000"),
        ] {
            assert_eq!(grouped(number), shown);
        }
    }
}
