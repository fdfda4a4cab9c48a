//! The project's own chores: `cargo xtask CHORE`.

use std::process::ExitCode;

mod api;
mod bench;
mod command;
mod constant_time;
mod deny;
mod dist;
mod examples;
mod fuzz;
mod miri;
mod mutate;
mod package;
mod page;
mod program;
mod rust_code;
mod scan;
mod security;
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
  api [--write]
         compares what is public with docs/public-api; or records it there
  bench  runs the benchmarks and writes docs/performance.md
  constant-time
         measures whether comparisons tell by their time where they differ
  dist [PROGRAM]
         builds completions, the manual and a Debian package below target/dist;
         of a program that was built already, if one is named
  exposures
         lists what is `unsafe`, a danger, or exposes bytes of a secret, with reasons
  fuzz [TARGET…] [--minutes N | --runs N] [--jobs N] [--sanitizer address] [--record PAGE]
         runs the fuzz targets of fuzz/: for five minutes over all of them if not told,
         or N runs of each; fails if one crashes or hangs
  miri   runs the tests of what is `unsafe` under Miri and AddressSanitizer
  mutate [COUNT]
         opens so many mutated sealed files, 10 million if not told
  package [--verify]
         packages both crates twice and compares; or builds what was packaged, too
  program
         builds the program as it starts fastest, and prints its path
  security [--write]
         tries every threat of docs/security.md and prints the table; or
         writes the results there, too
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
        ["api", "--write"] => api::run(true).map(|done| println!("{done}")),
        ["api"] => api::run(false).map(|done| println!("{done}")),
        ["bench"] => bench::run(),
        ["constant-time"] => constant_time::run(),
        ["dist"] => dist::run(None),
        ["dist", program] => dist::run(Some(program)),
        ["exposures"] => sources::show_exposures(),
        ["fuzz", args @ ..] => fuzz::run(args),
        ["miri"] => miri::run(),
        ["mutate", count] => mutate::run(count),
        ["mutate"] => mutate::run("10000000"),
        ["package", "--verify"] => package::run(true).map(|done| println!("{done}")),
        ["package"] => package::run(false).map(|done| println!("{done}")),
        ["program"] => program::run(),
        ["security", "--write"] => security::run(true),
        ["security"] => security::run(false),
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
