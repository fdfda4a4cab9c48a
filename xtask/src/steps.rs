//! Steps that run in order, up to the first that fails, with a table of what each took.

use std::time::{Duration, Instant};

use crate::Result;

/// A step's name and what it does. It answers with a remark for the table, or an empty one.
pub(crate) struct Step<'a> {
    name: String,
    action: Box<dyn FnOnce() -> Result<String> + 'a>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        action: impl FnOnce() -> Result<String> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            action: Box::new(action),
        }
    }
}

/// Runs the steps. Those behind the first failure are not run.
pub(crate) fn run(steps: Vec<Step<'_>>) -> Result<()> {
    let (total, started) = (steps.len(), Instant::now());
    let mut table = Vec::new();
    for (number, Step { name, action }) in (1..).zip(steps) {
        eprintln!("\n== {number}/{total}: {name}");
        let step_started = Instant::now();
        let outcome = action();
        let failure = outcome.as_ref().err().cloned();
        table.push(row(&name, step_started.elapsed(), &outcome));
        if let Some(failure) = failure {
            summarise(&table, started.elapsed());
            return Err(format!("step {number}/{total} `{name}` failed: {failure}"));
        }
    }
    summarise(&table, started.elapsed());
    Ok(())
}

fn row(name: &str, took: Duration, outcome: &Result<String>) -> String {
    let remark = match outcome {
        Ok(remark) => remark,
        Err(_) => "FAILED",
    };
    format!("{:>7.1} s  {name:<28} {remark}", took.as_secs_f64())
        .trim_end()
        .to_owned()
}

fn summarise(table: &[String], took: Duration) {
    eprintln!("\n{}", table.join("\n"));
    eprintln!("{:>7.1} s  in all", took.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn stops_at_the_first_failure_and_names_it() {
        let ran = RefCell::new(Vec::new());
        let step = |name: &'static str, outcome: Result<String>| {
            let ran = &ran;
            Step::new(name, move || {
                ran.borrow_mut().push(name);
                outcome
            })
        };
        let failure = run(vec![
            step("one", Ok(String::new())),
            step("two", Err("it broke".to_owned())),
            step("three", Ok(String::new())),
        ])
        .unwrap_err();
        assert_eq!(failure, "step 2/3 `two` failed: it broke");
        assert_eq!(*ran.borrow(), ["one", "two"]);
    }

    #[test]
    fn a_row_has_time_name_and_remark() {
        let took = Duration::from_millis(1250);
        let shown = row("clippy", took, &Ok("skipped".to_owned()));
        assert!(
            shown.contains("1.2 s  clippy") && shown.ends_with("skipped"),
            "{shown}"
        );
        assert!(row("clippy", took, &Err("x".to_owned())).ends_with("FAILED"));
    }
}
