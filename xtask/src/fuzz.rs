//! `cargo xtask fuzz`: builds the fuzz targets of `fuzz/`, runs them, and tells what came of it.
//!
//! libFuzzer needs of the compiler only that it counts which code runs, and the flags for that are
//! stable's own. So no nightly toolchain and no cargo-fuzz is needed, and `cargo fuzz` runs the same
//! targets where it is installed.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::command::{cargo, host, output, program, run as run_command};
use crate::workspace::{Workspace, root};
use crate::{Result, page};

mod options;
mod outcome;

use options::{Length, Options};
use outcome::{Outcome, table};

/// What makes the compiler count which code runs, and show the fuzzer what is compared with what.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// The most bytes of an input, where it isn't [`USUAL_BYTES`]: what is longer is slower, and finds no more.
const MOST_BYTES: &[(&str, u32)] = &[
    ("bearer", 300),
    ("manifest", 1024),
    ("name", 300),
    ("policy", 256),
    ("sealed_file", 2048),
    ("vault_certificate", 1024),
];
const USUAL_BYTES: u32 = 512;

/// An input that takes longer is reported as a hang.
const MOST_SECONDS: u32 = 10;

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let all = targets()?;
    let options = Options::parse(args, &all)?;
    let target_dir = Workspace::load()?.target_dir.join(match options.address {
        false => "fuzz",
        true => "fuzz-address",
    });
    let host = host()?;
    build(&target_dir, &host, &options)?;
    let programs = target_dir.join(&host).join("release");
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let jobs = options.jobs.unwrap_or(cores).min(options.targets.len());
    let length = match options.length {
        Length::Runs(runs) => format!("-runs={runs}"),
        Length::Minutes(minutes) => {
            let seconds = minutes.saturating_mul(60).saturating_mul(jobs.max(1));
            let each = seconds.checked_div(options.targets.len()).unwrap_or(1);
            format!("-max_total_time={}", each.max(1))
        }
    };
    let queue = Mutex::new(VecDeque::from(options.targets.clone()));
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(target) = lock(&queue).pop_front() {
                    eprintln!("{target}: runs");
                    let outcome = fuzz(&target, &programs, &target_dir, &length);
                    eprintln!("{outcome}");
                    lock(&outcomes).push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by(|a, b| a.target.cmp(&b.target));
    let table = table(&outcomes);
    println!("{table}");
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.is_clean())
        .collect();
    if let Some(first) = failed.first() {
        return Err(format!(
            "{} of {} targets failed, {} first: look into its log, mend it, and put the input into \
             fuzz/regressions/{}",
            failed.len(),
            outcomes.len(),
            first.target,
            first.target
        ));
    }
    match &options.record {
        None => Ok(()),
        Some(page) => {
            let date = output(program("date", &["-u", "+%Y-%m-%d"]))?;
            let command = format!("cargo xtask fuzz {}", args.join(" "));
            let text = format!("On {}, by `{}`:\n\n{table}", date.trim(), command.trim());
            page::write(page, "fuzz", &text)
        }
    }
}

/// The targets, by the names of their programs.
fn targets() -> Result<Vec<String>> {
    let dir = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&dir).map_err(|error| format!("can't read {dir:?}: {error}"))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = entries
        .filter_map(|entry| stem(entry.ok()?.path()))
        .collect();
    names.sort();
    Ok(names)
}

fn build(target_dir: &Path, host: &str, options: &Options) -> Result<()> {
    let args = "build --locked --release --manifest-path fuzz/Cargo.toml --target";
    let mut command = cargo(&args.split(' ').collect::<Vec<_>>());
    command.arg(host).arg("--target-dir").arg(target_dir);
    for target in &options.targets {
        command.args(["--bin", target]);
    }
    let flags = match options.address {
        false => COVERAGE.to_owned(),
        // Only this needs a feature that stable keeps back.
        true => {
            command.env("RUSTC_BOOTSTRAP", "1");
            format!("{COVERAGE} -Zsanitizer=address")
        }
    };
    command.env("RUSTFLAGS", flags);
    run_command(command)
}

/// Runs one target. What it finds, and the inputs that it collects, stay below the target directory.
fn fuzz(target: &str, programs: &Path, target_dir: &Path, length: &str) -> Outcome {
    let most = MOST_BYTES.iter().find(|(name, _)| *name == target);
    let most = most.map_or(USUAL_BYTES, |(_, most)| *most);
    let (corpus, artifacts) = (
        target_dir.join("corpus").join(target),
        target_dir.join("artifacts").join(target),
    );
    let log = target_dir.join(format!("{target}.log"));
    let run = || -> std::io::Result<_> {
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&artifacts)?;
        let mut command = program(programs.join(target), &[length]);
        command
            .arg(format!("-max_len={most}"))
            .arg(format!("-timeout={MOST_SECONDS}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-print_final_stats=1", "-rss_limit_mb=2048"])
            .arg(&corpus);
        let kept = ["corpus", "regressions"].map(|dir| root().join("fuzz").join(dir).join(target));
        command.args(kept.iter().filter(|dir| dir.is_dir()));
        let written = fs::File::create(&log)?;
        command.stdout(written.try_clone()?).stderr(written);
        command.status()
    };
    let status = run();
    let text = fs::read(&log).unwrap_or_default();
    Outcome::read(
        target,
        status.is_ok_and(|status| status.success()),
        &String::from_utf8_lossy(&text),
        log,
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_of_targets_that_there_are() {
        let all = targets().unwrap();
        for (name, _) in MOST_BYTES {
            assert!(all.iter().any(|target| target == name), "{name}");
        }
    }
}
