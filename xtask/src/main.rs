//! The project's own chores: `cargo xtask CHORE`.

use std::process::ExitCode;

mod bench;
mod command;
mod deny;
mod examples;
mod fuzz;
mod mutate;
mod page;
mod rust_code;
mod servers;
mod sources;
mod steps;
mod test;
mod tree;
mod workspace;

/// What a chore answers. A failure is one sentence for the person at the terminal.
type Result<T, E = String> = std::result::Result<T, E>;

const HELP: &str = "\
The project's own chores.

Usage: cargo xtask CHORE

Chores:
  test   everything CI runs, in order, up to the first failure
  bench  runs the benchmarks and writes docs/performance.md
  mutate [COUNT]
         opens so many mutated sealed files, 10 million if not told
  fuzz [TARGET…] [--minutes N | --runs N] [--jobs N] [--sanitizer address] [--record PAGE]
         runs the fuzz targets of fuzz/: for five minutes over all of them if not told,
         or N runs of each; fails if one crashes or hangs
  servers [install | -- COMMAND]
         starts the servers that tests talk to, and prints their variables;
         or only installs them; or runs a command with them and stops them
  help   shows this text
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test"] => test::run(),
        ["bench"] => bench::run(),
        ["mutate"] => mutate::run("10000000"),
        ["mutate", count] => mutate::run(count),
        ["fuzz", args @ ..] => fuzz::run(args),
        ["servers", args @ ..] => match servers::run(args) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        ["help" | "-h" | "--help"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
